"""What a tracking plan says of events that are stored already, and of those that were refused.

    events, failed_events --pages--> judged again --> usage (status), trial (simulate), replay, sample (infer)

Nothing here opens a database: questions go through an `Ask`, so the same code works in a process of its own and beside
a collector that runs. What is read is read in pages, so that memory stays bounded however much there is.
"""

from __future__ import annotations

from collector.hindsight.ask import Ask, HindsightError

__all__ = ["Ask", "HindsightError"]
