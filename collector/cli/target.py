"""Which database a data directory loads into.

Its spool holds events on their way there, and its ledger says what has arrived. A command that opened another database
by mistake, for want of a flag, would load them where nobody looks: so the directory remembers, and refuses.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from collector.config import Settings

FILE_NAME = "database"


class WrongTarget(Exception):
    """The settings name another database than the directory's; the text is one sentence."""


def remember(settings: Settings) -> None:
    """Bind the data directory to the configured database, or check that it is the one it is bound to.

    Raises:
        WrongTarget: saying which database the directory has, and how to name it or to move on.
    """
    path = Path(settings.data) / FILE_NAME
    target = _shown(settings)
    if not path.exists():
        path.write_text(target + "\n")
        return
    bound = path.read_text().strip()
    if bound == target:
        return
    told = "leave clickhouse empty" if bound == "embedded" else "set clickhouse (FOOTFALL_CLICKHOUSE) to it"
    raise WrongTarget(
        f"data directory {settings.data} loads into {bound}, the settings name {target}; {told}, "
        f"or delete {path} to load into another database from now on"
    )


def _shown(settings: Settings) -> str:
    """The database without credentials; the embedded one moves with its directory."""
    if not settings.clickhouse:
        return "embedded"
    parts = urlsplit(settings.clickhouse)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
