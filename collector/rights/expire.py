"""Files of people's data go when their time is over: what no table would take, and pieces that could not be read.

    load/refused/, spool/damaged/ --older than the settings allow?--> deleted, and the ledger says so

Both wait for a person to look, and hold whatever was sent: names, addresses of pages, perhaps of somebody who asked to
be erased under an id that cannot be read any more. Nobody may ever look, so they do not wait for ever. As long as there
are any, `footfall doctor` fails.
"""

from __future__ import annotations

import contextlib
import json
import logging
from pathlib import Path

from collector.database.retention import Rule
from collector.loading.kept import DAY_MS
from collector.loading.load import Loader
from collector.loading.refused import FOLDER
from collector.loading.survey import kept_files

log = logging.getLogger("footfall.store")


def days_aside(rules: list[Rule], days: int) -> int:
    """How many days such files are kept: no longer than the shortest rule of retention lets any row be; 0 for ever."""
    return min((each for each in (days, *(rule.days for rule in rules)) if each), default=0)


def expire(loader: Loader, data_dir: Path, days: int, now_ms: int) -> int:
    """Delete what is due, and set the ledger right: also for files that a person deleted or had loaded again.

    Args:
        loader: Of the data directory; nothing else uses it meanwhile.
        data_dir: With spool and load.
        days: As days_aside says; a file's age is that of its last change.
        now_ms: Now.
    Returns:
        How many files were deleted.
    Raises:
        LoadError, OSError: a file cannot be looked at or written; what is done by then is done.
    """
    deleted = 0
    refused = damaged = 0
    for path in kept_files(data_dir):
        is_refused = path.parent.name == FOLDER
        with contextlib.suppress(FileNotFoundError):  # deleted by a person while we look
            file = path.stat()
            events = _events(path) if is_refused else 0
            if days and now_ms - file.st_mtime_ns // 1_000_000 > days * DAY_MS:
                path.unlink()
                deleted += 1
                held = f"{events:,} events" if is_refused else f"{file.st_size:,} bytes"
                where = f"{path.parent.name}/{path.name}"
                log.warning(
                    "%s was deleted (%s): set aside for more than %d days, it was not taken up", where, held, days
                )
                continue
            refused += events
            damaged += not is_refused
    ledger = loader.positions.ledger
    gone = max(ledger.set_aside - refused, 0)
    unreadable = 0 if damaged else ledger.damaged_bytes
    if gone or unreadable:
        loader.leave_out(gone, unreadable, erased=False)
    return deleted


def _events(path: Path) -> int:
    try:
        kept = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return 0  # somebody's own file
    return len(kept) if isinstance(kept, list) else 0
