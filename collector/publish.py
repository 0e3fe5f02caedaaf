"""Show a tracking plan in the database: a typed view per event, and the row that says since when the plan is live.

    Plan --publish_views--> event_<name>, made, replaced or dropped; Plan --record_version--> plan_versions

Which views are ours, and whether they are up to date, is written in their comments: it is there as soon as the view is,
and a view that somebody made by hand has no such comment and is left alone. Safe to run twice, to be killed at any
point and to run twice at once. Of two collectors with different plans the one that published last is seen.
"""

from __future__ import annotations

import logging

from collector.plan.lock import lock_bytes, sealed
from collector.plan.model import Plan
from collector.plan.values import quoted
from collector.plan.views import VIEW_PREFIX, TypedView, checksum_in, typed_views
from collector.store import Store

log = logging.getLogger("footfall.publish")


def publish_views(store: Store, plan: Plan) -> list[str]:
    """Make the views of a plan what the plan says, and return what was done; empty when they were.

    Needs the tables. Each entry is the name of a view that was made, or a phrase that says which was dropped and why.

    Raises:
        StoreError: ClickHouse refused or could not be reached. What was made stays; run again.
    """
    outdated, removed = _differences(store, plan)
    for view in outdated:
        store.command(view.create(store.database))
    for name in removed:
        store.command(f"DROP VIEW IF EXISTS {store.database}.{quoted(name)}")
    return _said(outdated, removed)


def pending_views(store: Store, plan: Plan) -> list[str]:
    """What `publish_views` would do. Changes nothing."""
    return _said(*_differences(store, plan))


def record_version(store: Store, plan: Plan, now_ms: int) -> bool:
    """Write down that a plan is live from now on, unless it is the one that was live before.

    Returns:
        True when a row was written.
    Raises:
        StoreError.
    """
    plan = plan if plan.hash else sealed(plan)
    rows = store.rows(
        f"SELECT hash, toUnixTimestamp64Milli(live_from) FROM {store.database}.plan_versions "
        "ORDER BY live_from DESC, hash LIMIT 1"
    )
    was, since_ms = (str(rows[0][0]), int(rows[0][1])) if rows else ("", 0)
    if was == plan.hash:
        return False
    row = [plan.hash, plan.version, plan.name, max(now_ms, since_ms + 1), lock_bytes(plan).decode()]
    names = ["hash", "version", "name", "live_from", "plan"]
    store.insert("plan_versions", names, [[value] for value in row], token=f"{since_ms} {was} {plan.hash}")
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
