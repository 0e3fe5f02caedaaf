"""How many examples a property-based test of plans tries: a few in the suite, FOOTFALL_TEST_EXAMPLES times as many in
`make fuzz`. They are derandomized, so the suite tries the same ones each time."""

from __future__ import annotations

import os

TIMES = int(os.environ.get("FOOTFALL_TEST_EXAMPLES", "1"))


def examples(few: int) -> int:
    """The number of examples, where the suite tries so many."""
    return few * TIMES
