"""Tables in Markdown: what a benchmark prints is what stands in benchmarks/results."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def head(*titles: str) -> None:
    """Print a table's first two lines."""
    row(*titles)
    row(*("---" for _ in titles))


def row(*cells: str) -> None:
    """Print one line of a table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def spread(figures: Sequence[float], digits: int = 1) -> str:
    """The median, and between which two figures all of them lie: `57.0 (52.1 to 70.3)`."""
    middle, least, most = statistics.median(figures), min(figures), max(figures)
    return f"{middle:,.{digits}f} ({least:,.{digits}f} to {most:,.{digits}f})"
