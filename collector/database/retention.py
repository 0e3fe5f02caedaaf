"""How long rows are kept, by source and event, as a TTL that ClickHouse itself acts on.

    settings `retention`, `retention_failed_days` --rules--> one TTL for each table --ALTER only where it is another-->

Days count from received_at, our own clock: no client can keep an event for ever, or make it go at once. ClickHouse
removes what is due when it merges, a few hours later at the most (merge_with_ttl_timeout), and looks at parts that are
there already in the background.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

from collector.database.cluster import shards
from collector.database.store import Store
from collector.plan.values import literal

DAYS_MAX = 36_500
RULES_MAX = 1_000  # they are one expression
_RULE = re.compile(r"([^/=]{1,64})(?:/([^=]{1,128}))?=([0-9]{1,5})")
TTL = re.compile(r" TTL (.+?) SETTINGS ")  # of a table, in its engine_full
_OURS = "multiIf("  # in each TTL that is made here, and hardly in another
_ANY_ELSE = re.compile(r"\b1, ([0-9]+), 0\)")  # the condition of *=DAYS, which stands last, is 1
_QUOTED = re.compile(r"'(?:[^'\\]|\\.|'')*'")


class RetentionError(Exception):
    """A rule of retention cannot be used; the text is one sentence."""


class Rule(Struct, frozen=True):
    """Rows of a source and an event go after so many days. "*" is any; 0 days is never."""

    source: str
    event: str
    days: int

    @property
    def weight(self) -> tuple[bool, bool]:
        """The more specific rule holds: first by event, then by source."""
        return self.event != "*", self.source != "*"


def read_rules(texts: Sequence[str]) -> list[Rule]:
    """`shop/search=30`, `*/search=90`, `shop=180`, `*=395`: the most specific first.

    Raises:
        RetentionError: saying what a rule looks like.
    """
    rules: dict[tuple[str, str], Rule] = {}
    if len(texts) > RULES_MAX:
        raise RetentionError(f"retention has {len(texts):,} rules, the limit is {RULES_MAX:,}; write some with *")
    for text in texts:
        found = _RULE.fullmatch(text.strip())
        days = int(found[3]) if found else DAYS_MAX + 1
        if found is None or days > DAYS_MAX:
            raise RetentionError(
                f"retention has {text!r}; write SOURCE=DAYS or SOURCE/EVENT=DAYS, * for any source or event, "
                f"0 to {DAYS_MAX:,} days, such as */search=90"
            )
        rule = Rule(found[1].strip(), (found[2] or "*").strip(), days)
        if (rule.source, rule.event) in rules:
            raise RetentionError(f"retention has two rules for {rule.source}/{rule.event}; keep one")
        rules[rule.source, rule.event] = rule
    return sorted(rules.values(), key=lambda rule: rule.weight, reverse=True)


def days_for(rules: Sequence[Rule], source: str, event: str) -> int:
    """For how many days such an event is kept; 0 for ever."""
    for rule in rules:
        if rule.source in ("*", source) and rule.event in ("*", event):
            return rule.days
    return 0


def shortest(rules: Sequence[Rule], failed_days: int) -> dict[str, int]:
    """The days of the shortest rule that holds for rows of each table; 0 where they are kept for ever."""
    days = [rule.days for rule in rules if rule.days]
    return {
        "events": min(days, default=0),
        "failed_events": min((*days, *[failed_days] * (failed_days > 0)), default=0),
    }


def apply_retention(store: Store, rules: Sequence[Rule], failed_days: int) -> list[str]:
    """Give events and failed_events their TTL, where they have another; say which tables were changed.

    Rules of a source hold for its failed events, too, and so the fewer days do: what was refused is no less personal.

    Raises:
        StoreError: ClickHouse refused or could not be reached.
    """
    changed: dict[str, None] = {}
    of_failed = [Rule("*", "*", failed_days)] if failed_days else []
    for table, wanted in (("events", _ttl(rules, [])), ("failed_events", _ttl(rules, of_failed))):
        for shard in shards(store):
            if _apply(shard, table, wanted):
                changed[f"retention of {table}"] = None
    return list(changed)


def shortest_of(ttl: str) -> int | None:
    """The same of a TTL that a table has, as ClickHouse spells it; 0 without one, None for one that is not ours."""
    if not ttl:
        return 0
    numbers = map(int, re.findall(r"\b[0-9]+\b", _ANY_ELSE.sub(r"\1", _QUOTED.sub("", ttl))))
    return min((days for days in numbers if days), default=0) if _OURS in ttl else None


def _apply(store: Store, table: str, wanted: str) -> bool:
    """Give a table its TTL, or none; say whether it had another."""
    name = f"{store.database}.{table}"
    present = _present(store, table)
    if wanted == "":
        if _OURS not in present:
            return False  # none, or not one of ours: somebody gave the table a TTL by hand
        store.command(f"ALTER TABLE {name} REMOVE TTL")
        return True
    ((spelled,),) = store.rows(f"SELECT formatQuerySingleLine({literal(f'ALTER TABLE t MODIFY TTL {wanted}')})")
    if present and present in str(spelled):
        return False
    store.command(f"ALTER TABLE {name} MODIFY TTL {wanted} SETTINGS mutations_sync = 0")
    return True


def _present(store: Store, table: str) -> str:
    """The TTL that a table has, as ClickHouse spells it; empty without one."""
    ((engine,),) = store.rows(
        "SELECT engine_full FROM system.tables WHERE database = {database:String} AND name = {table:String}",
        {"database": store.database, "table": table},
    )
    found = TTL.search(str(engine))
    return found[1] if found else ""


def _ttl(rules: Sequence[Rule], others: Sequence[Rule]) -> str:
    """The expression; of two lists of rules the fewer days hold. Rows that are kept for ever are left out by WHERE."""
    days = [_days(some) for some in (rules, others) if any(rule.days for rule in some)]
    if not days:
        return ""
    least = days[0] if len(days) == 1 else f"if({days[0]} = 0, {days[1]}, least({days[0]}, {days[1]}))"
    return f"toDateTime(received_at) + toIntervalDay({least}) DELETE WHERE {least} > 0"


def _days(rules: Sequence[Rule]) -> str:
    cases = []
    for rule in rules:
        said = [f"source_id = {literal(rule.source)}"] if rule.source != "*" else []
        said += [f"event = {literal(rule.event)}"] if rule.event != "*" else []
        cases.append(f"{' AND '.join(said) or '1'}, {rule.days}")
    return f"multiIf({', '.join(cases)}, 0)"
