"""How many rows of each day were stored, for as long as retention leaves them: what `footfall doctor` can prove then.

    a batch's rows --note--> by day of received_at;  rules --look--> days that may have lost rows are forgotten

ClickHouse does not tell what a TTL took. Rows that came after its shortest rule's last day are beyond its reach, so
of these there must be as many as were stored. That rows may be gone is remembered when the rules are: `since`.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

DAY_MS = 86_400_000
# Of which rows are counted: more than a year's rule. 20 bytes each in positions.json, which each batch writes anew.
DAYS_MAX = 400


class Kept(Struct, frozen=True):
    """Of one table. Days are numbered from the epoch, by received_at, UTC.

    Attributes:
        shortest: Days of the shortest rule in force when last looked at; 0 when there was none.
        since: Rows of this day and later cannot have been taken; 0 when none ever were.
        rows: How many rows were stored, by day.
    """

    shortest: int = 0
    since: int = 0
    rows: dict[int, int] = field(default_factory=dict)

    @property
    def first(self) -> int:
        """The first day of which all rows must be there; of the days before, nothing is known."""
        return max(self.since, min(self.rows, default=self.since))

    def note(self, counts: Mapping[int, int]) -> Kept:
        """With rows that were stored. Of days that retention has reached, none: it takes them when it likes."""
        days = dict(self.rows)
        for day, count in counts.items():
            if day >= self.since:
                days[day] = days.get(day, 0) + count
        return Kept(self.shortest, self.since, dict(sorted(days.items())[-DAYS_MAX:]))

    def look(self, shortest: int, now_ms: int) -> Kept:
        """As of now, under rules of which the shortest has so many days; 0 is none.

        The rule that was in force until now counts, too. A day more is left out: clocks of two machines may differ.
        """
        reach = min((days for days in (self.shortest, shortest) if days), default=0)
        since = max(self.since, now_ms // DAY_MS - reach + 2) if reach else self.since
        return Kept(shortest, since, {day: count for day, count in self.rows.items() if day >= since})
