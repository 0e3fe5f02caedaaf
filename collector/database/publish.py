"""Show a tracking plan in the database: a typed view per event, and the row that says since when the plan is live.

    Plan --publish_views--> event_<name>, made, replaced or dropped; Plan --record_version--> plan_versions

Which views are ours, and whether they are up to date, is written in their comments: it is there as soon as the view is,
and a view that somebody made by hand has no such comment and is left alone. Safe to run twice, to be killed at any
point and to run twice at once. Of two collectors with different plans the one that published last is seen.
"""

from __future__ import annotations

import logging

from collector.database.cluster import fronts
from collector.database.store import Store
from collector.plan.lock import lock_bytes, sealed
from collector.plan.model import Plan
from collector.plan.values import quoted
from collector.plan.views import VIEW_PREFIX, TypedView, checksum_in, typed_views

log = logging.getLogger("footfall.publish")


def publish_views(store: Store, plan: Plan) -> list[str]:
    """Make the views of a plan what the plan says, and return what was done; empty when they were.

    Needs the tables. Each entry is the name of a view that was made, or a phrase that says which was dropped and why.

    Raises:
        StoreError: ClickHouse refused or could not be reached. What was made stays; run again.
    """
    done: dict[str, None] = {}
    for front in fronts(store):
        outdated, removed = _differences(front, plan)
        for view in outdated:
            front.command(view.create(front.database))
        for name in removed:
            front.command(f"DROP VIEW IF EXISTS {front.database}.{quoted(name)}")
        done |= dict.fromkeys(_said(outdated, removed))
    return list(done)


def pending_views(store: Store, plan: Plan) -> list[str]:
    """What `publish_views` would do. Changes nothing."""
    return list(dict.fromkeys(said for front in fronts(store) for said in _said(*_differences(front, plan))))


def record_version(store: Store, plan: Plan, now_ms: int) -> bool:
    """Write down that a plan is live from now on, unless it is the one that was live before.

    Returns:
        True when a row was written.
    Raises:
        StoreError.
    """
    plan = plan if plan.hash else sealed(plan)
    rows = store.rows(
        f"SELECT hash, version, toUnixTimestamp64Milli(live_from) FROM {store.database}.plan_versions "
        "ORDER BY live_from DESC, hash LIMIT 1"
    )
    was, version, since_ms = (str(rows[0][0]), str(rows[0][1]), int(rows[0][2])) if rows else ("", "", 0)
    if (was, version) == (plan.hash, plan.label):
        return False
    others = store.rows(
        f"SELECT hash FROM {store.database}.plan_versions "
        "WHERE name = {name:String} AND version = {version:String} AND hash != {hash:String} LIMIT 1",
        {"name": plan.name, "version": plan.label, "hash": plan.hash},
    )
    if others:
        log.error(
            "%s %s (%s…) was live before with other content (%s…): two branches were released on their own, and their "
            "events cannot be told apart by version; release once more on top of both",
            plan.name, plan.label, plan.hash[:12], str(others[0][0])[:12],
        )  # fmt: skip
    row = [plan.hash, plan.label, plan.name, max(now_ms, since_ms + 1), lock_bytes(plan).decode()]
    names = ["hash", "version", "name", "live_from", "plan"]
    store.insert("plan_versions", names, [[value] for value in row], token=f"{since_ms} {was} {plan.hash} {plan.label}")
    return True


def _differences(store: Store, plan: Plan) -> tuple[list[TypedView], list[str]]:
    """The views to make, and the names of those to drop."""
    rows = store.rows(
        "SELECT name, comment FROM system.tables WHERE database = {name:String}", {"name": store.database}
    )
    comments = {str(name): str(comment) for name, comment in rows}
    wanted = typed_views(plan)
    outdated = []
    for view in wanted:
        checksum = checksum_in(comments.get(view.name, ""))
        if view.name in comments and not checksum:
            log.warning(
                "%s.%s was made by hand and is left alone; drop it to get the view of the plan",
                store.database,
                view.name,
            )
        elif checksum != view.checksum:
            outdated.append(view)
    ours = {name for name, comment in comments.items() if name.startswith(VIEW_PREFIX) and checksum_in(comment)}
    return outdated, sorted(ours - {view.name for view in wanted})


def _said(outdated: list[TypedView], removed: list[str]) -> list[str]:
    return [view.name for view in outdated] + [
        f"removal of {name}: the plan accepts no version of the event any more" for name in removed
    ]
