"""Tell a webhook who entered and who left an audience, each change once.

    last refresh that was told of --moves since--> net changes --cut once--> batches --post--> a row each

A delivery goes from one refresh to another, and its batches follow from these two alone: the moves are kept, and their
order is that of the persons' ids. So one that was cut off goes on later with the batches that were not taken, each with
the bytes and the key of the first try, before anything newer is told. Who entered and left in between is not told of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import blake2b

import msgspec
from msgspec import Raw, Struct

from collector.audience.definition import Audience, AudienceError, Destination
from collector.audience.refresh import Refreshed, Rows, last_refreshed
from collector.audience.webhook import Webhook, post
from collector.database.store import Store
from collector.plan.values import literal

EXPORT = "export"
BEGUN = "begun"  # stands as the failure of a delivery of which nothing is known yet
# Rows fetched at a time: more means fewer queries, and a row has some 200 bytes.
FETCH_ROWS = 10_000


class Member(Struct, frozen=True, omit_defaults=True):
    """One person as told to others. `change` is entered or left, or empty where all members are told."""

    source_id: str
    person_id: str
    user_id: str
    attributes: Raw
    change: str = ""


class Told(Struct, frozen=True):
    """What a delivery came to: persons that were taken, of how many. `failure` is empty when all were."""

    persons: int
    batches: int
    failure: str = ""


class Window(Struct, frozen=True):
    """From which refresh to which, and into how many persons a batch is cut. `kind` is changes or all."""

    kind: str
    from_id: int
    to_id: int
    batch_rows: int
    taken: frozenset[int] = frozenset()

    def delivery(self, audience: str, destination: str) -> str:
        """Names the delivery: the same whenever it is tried."""
        text = f"{audience}\0{destination}\0{self.kind}\0{self.from_id}\0{self.to_id}\0{self.batch_rows}"
        return blake2b(text.encode(), digest_size=16).hexdigest()


def deliver(
    store: Store,
    audience: Audience,
    hook: Webhook,
    *,
    everybody: bool = False,
    now_ms: Callable[[], int],
    wait: Callable[[float], bool],
) -> Told:
    """Tell the destination of what it does not know yet.

    Args:
        store: Opened `inside`.
        audience: With a destination.
        hook: That destination, with its secret.
        everybody: Tell all members, whatever was told before.
        now_ms: The clock.
        wait: See webhook.post.
    Raises:
        AudienceError: there is no refresh yet.
        StoreError: the database cannot be asked.
    """
    to = audience.destination
    newest = last_refreshed(store.rows, audience.name)
    if to is None or newest is None:
        raise AudienceError(
            f"audience {audience.name} was never refreshed; run `footfall audience refresh {audience.name}` first"
            if to is not None
            else f"audience {audience.name} has no destination; name one with "
            f"`footfall audience define {audience.name} --url https://… --secret env:AUDIENCE_SECRET`"
        )
    key = destination_key(to)
    persons = batches = 0
    for window in _windows(store, audience, key, to, newest, everybody=everybody):
        told = _deliver_window(store, audience, hook, key, window, now_ms=now_ms, wait=wait)
        persons, batches = persons + told.persons, batches + told.batches
        if told.failure:
            return Told(persons, batches, told.failure)
    return Told(persons, batches)


def destination_key(to: Destination) -> str:
    """By which a destination is known in the database; its address may hold a secret."""
    return blake2b(to.url.encode(), digest_size=16).hexdigest()


def changes_window(rows: Rows, name: str, destination: str, newest: int, batch_rows: int) -> Window:
    """The changes that a destination was not told of, up to the newest refresh."""
    last = _last(rows, name, destination, "changes")
    return Window("changes", last.to_id if last else 0, newest, batch_rows)


def members_in(rows: Rows, name: str, window: Window, skip: int = 0) -> Iterator[list[Member]]:
    """The persons of a window from the one after `skip`, in the order of their ids, FETCH_ROWS at a time."""
    size = max(1, FETCH_ROWS // window.batch_rows) * window.batch_rows
    while True:
        found = rows(f"{_select(name, window)} ORDER BY source_id, person_id LIMIT {size} OFFSET {skip}")
        yield [
            Member(str(source), str(person), str(user), Raw(str(attributes).encode()), str(change))
            for source, person, user, attributes, change in found
        ]
        if len(found) < size:
            return
        skip += size


def count_in(rows: Rows, name: str, window: Window) -> int:
    """How many persons a window has."""
    [(count,)] = rows(f"SELECT count() FROM ({_select(name, window)})")
    return int(count)


def record(
    store: Store, name: str, destination: str, window: Window, *, batch: int, batches: int, persons: int, tries: int,
    now: int, failure: str = "",
) -> None:  # fmt: skip
    """Write down that a batch was taken, or given up for now."""
    delivery = window.delivery(name, destination)
    facts = {
        "audience": name,
        "destination": destination,
        "delivery": delivery,
        "kind": window.kind,
        "from_id": window.from_id,
        "to_id": window.to_id,
        "batch": batch,
        "batches": batches,
        "batch_rows": window.batch_rows,
        "persons": persons,
        "tries": tries,
        "told_at": now,
        "failure": failure,
    }
    token = f"{delivery}:{batch}:{now if failure not in ('', BEGUN) else failure}"
    store.insert("audience_deliveries", list(facts), [[value] for value in facts.values()], token)


# Windows


class _Last(Struct, frozen=True):
    """The newest delivery of a kind to a destination."""

    from_id: int
    to_id: int
    batch_rows: int
    batches: int
    taken: frozenset[int]


def _last(rows: Rows, name: str, destination: str, kind: str) -> _Last | None:
    found = rows(
        "SELECT from_id, to_id, batch_rows, max(batches), groupUniqArrayIf(batch, failure = '') "
        f"FROM audience_deliveries WHERE audience = {literal(name)} AND destination = {literal(destination)} "
        f"AND kind = {literal(kind)} GROUP BY from_id, to_id, batch_rows ORDER BY to_id DESC, from_id DESC LIMIT 1"
    )
    if not found:
        return None
    from_id, to_id, batch_rows, batches, taken = found[0]
    return _Last(int(from_id), int(to_id), int(batch_rows), int(batches), frozenset(map(int, taken)))


def _windows(
    store: Store, audience: Audience, key: str, to: Destination, newest: Refreshed, *, everybody: bool
) -> Iterator[Window]:
    """What there is to tell, the oldest first; the next is looked for only once the last was taken whole."""
    if everybody or to.send == "all":
        last = _last(store.rows, audience.name, key, "all")
        same = last is not None and (last.to_id, last.batch_rows) == (newest.refresh_id, to.batch)
        taken = last.taken if last is not None and same and len(last.taken) < last.batches else None
        if everybody or not same or taken is not None:
            yield Window("all", 0, newest.refresh_id, to.batch, taken or frozenset())
        return
    last = _last(store.rows, audience.name, key, "changes")
    if last is not None and len(last.taken) < last.batches:
        yield Window("changes", last.from_id, last.to_id, last.batch_rows, last.taken)
    from_id = last.to_id if last else 0
    if from_id < newest.refresh_id:
        yield Window("changes", from_id, newest.refresh_id, to.batch)


def _select(name: str, window: Window) -> str:
    """Source, person, user, attributes and change of each person in a window."""
    user = "if(startsWith(person_id, 'user:'), substring(person_id, 6), '') AS user_id"
    if window.kind == "all":
        return (
            f"SELECT source_id, person_id, {user}, attributes, '' AS change FROM audience_snapshots "
            f"WHERE audience = {literal(name)} AND refresh_id = {window.to_id}"
        )
    counted = f"SELECT refresh_id FROM audience_refreshes WHERE audience = {literal(name)} AND failure = ''"
    return (
        f"SELECT source_id, person_id, {user}, argMax(attributes, refresh_id) AS attributes, "
        "argMax(change, refresh_id) AS change FROM audience_moves "
        f"WHERE audience = {literal(name)} AND refresh_id > {window.from_id} AND refresh_id <= {window.to_id} "
        f"AND refresh_id IN ({counted}) GROUP BY source_id, person_id "
        "HAVING argMin(audience_moves.change, refresh_id) = argMax(audience_moves.change, refresh_id)"
    )


def _deliver_window(
    store: Store,
    audience: Audience,
    hook: Webhook,
    key: str,
    window: Window,
    *,
    now_ms: Callable[[], int],
    wait: Callable[[float], bool],
) -> Told:
    persons = count_in(store.rows, audience.name, window)
    batches = -(-persons // window.batch_rows)
    if window.kind == "all":
        batches = max(batches, 1)  # that nobody is in it is news, too
    head = {
        "audience": audience.name,
        "kind": window.kind,
        "delivery": window.delivery(audience.name, key),
        "from_refresh": window.from_id,
        "to_refresh": window.to_id,
        "batches": batches,
    }
    if batches:
        # Before the first request: whoever is killed after it must not cut these persons anew.
        record(
            store, audience.name, key, window, batch=0, batches=batches, persons=0, tries=0, now=now_ms(),
            failure=BEGUN,
        )  # fmt: skip
    told = posted = batch = 0
    for page in members_in(store.rows, audience.name, window):
        for start in range(0, max(len(page), 1), window.batch_rows):
            batch += 1
            if batch > batches or batch in window.taken:
                continue
            cut = page[start : start + window.batch_rows]
            body = msgspec.json.encode(head | {"batch": batch, "members": cut})
            outcome = post(hook, f"{head['delivery']}-{batch}", body, now_ms=now_ms, wait=wait)
            record(
                store, audience.name, key, window, batch=batch, batches=batches, persons=len(cut), tries=outcome.tries,
                now=now_ms(), failure=outcome.failure,
            )  # fmt: skip
            if outcome.failure:
                return Told(told, posted, f"batch {batch} of {batches}: {outcome.failure}")
            told, posted = told + len(cut), posted + 1
    return Told(told, posted)
