"""One audience as its file says it: a head of comments, and under it the SELECT.

    -- lapsing: customers who have not come back for two of their usual pauses.
    --
    -- Version      2 5b1f0e…
    -- Schedule     every day at 06:00
    -- Limits       1000000 persons, 60 s, 1000 MB
    -- Destination  https://crm.example/hooks/footfall
    -- Send         changes in batches of 500
    -- Secret       env:AUDIENCE_SECRET
    SELECT source_id, person_id, churn_risk FROM persons WHERE churn_risk > 0.8

A version is one query for good: the head holds the hash of the query beside the number, and a file in which they do not
go together is refused. The number alone would be a claim; with the hash an edited query cannot pass for the old one,
and the database refuses a number that it knows with another hash (refresh.py), as two branches of git may give.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct, structs

from collector.audience.schedule import MANUAL, Schedule, parse_schedule
from collector.files import replace_file

SUFFIX = ".sql"
FILE_BYTES_MAX = 262_144  # as a file of the plan: one of this size was not written by hand
FILES_MAX = 1_000  # each is looked at every few seconds
# An audience is evaluated beside the loader, in a store process that may have 600 MB and more than one to refresh.
ROWS_MAX = 10_000_000
SECONDS_MAX = 3_600
MEGABYTES_MAX = 1_000_000
BATCH_MAX = 10_000

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_HEAD = re.compile(r"-- (Version|Schedule|Limits|Destination|Send|Secret) +(\S.*)")
_VERSION = re.compile(r"(\d{1,9}) ([0-9a-f]{32})")
_LIMITS = re.compile(r"(\d{1,9}) persons, (\d{1,9}) s, (\d{1,9}) MB")
_SEND = re.compile(r"(changes|all) in batches of (\d{1,9})")
_SECRET = re.compile(r"env:AUDIENCE_[A-Z0-9_]{1,64}|file:/[^\s]{1,400}")


class AudienceError(Exception):
    """An audience cannot be read, refreshed or told of; the text is one sentence."""


class Limits(Struct, frozen=True):
    """What one refresh may take; above it fails and the members stay as they were."""

    persons: int = 1_000_000
    seconds: int = 60
    megabytes: int = 1_000


class Destination(Struct, frozen=True):
    """Where changes are posted. `secret` names what signs them: env:AUDIENCE_… or file:/path."""

    url: str
    secret: str
    send: str = "changes"
    batch: int = 500


class Audience(Struct, frozen=True):
    """One audience. `hash` is that of `query`, which is one SELECT."""

    name: str
    description: str
    query: str
    version: int
    schedule: str = MANUAL
    limits: Limits = Limits()
    destination: Destination | None = None

    @property
    def hash(self) -> str:
        """Of the query as it stands in the file, but for blanks around it."""
        return blake2b(self.query.strip().encode(), digest_size=16).hexdigest()

    @property
    def due(self) -> Schedule:
        """Its schedule, parsed."""
        return parse_schedule(self.schedule)


def path_of(folder: Path, name: str) -> Path:
    """Where an audience's file lies. Raises AudienceError for what is no name."""
    if not _NAME.fullmatch(name):
        raise AudienceError(
            f"audience {name!r} is not a name; use up to 64 letters a to z, digits and _, a letter first"
        )
    return folder / f"{name}{SUFFIX}"


def names_in(folder: Path) -> list[str]:
    """The names of all audiences in a folder, which need not exist, in order."""
    if not folder.is_dir():
        return []
    names = sorted(path.stem for path in folder.glob(f"*{SUFFIX}") if _NAME.fullmatch(path.stem))
    if len(names) > FILES_MAX:
        raise AudienceError(f"{folder} has {len(names):,} audiences, the limit is {FILES_MAX:,}; delete some")
    return names


def read_audience(folder: Path, name: str) -> Audience:
    """Read one audience.

    Raises:
        AudienceError: there is none, or its file does not hold together; the sentence names the file.
    """
    audience, stated = read_edited(folder, name)
    if stated != audience.hash:
        raise AudienceError(
            f"{path_of(folder, name)}: the query is not that of version {audience.version}; "
            f"run `footfall audience define {name}` to make it version {audience.version + 1}"
        )
    return audience


def read_edited(folder: Path, name: str) -> tuple[Audience, str]:
    """Read one audience whose query may be another than its version says, and the hash that its file states for that.

    Raises:
        AudienceError: as `read_audience`, but for that.
    """
    path = path_of(folder, name)
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        known = ", ".join(names_in(folder)) or "none yet; `footfall audience define NAME` makes one"
        raise AudienceError(f"there is no audience {name!r} in {folder}; known are: {known}") from None
    except OSError as error:
        raise AudienceError(f"{path} cannot be read ({error.strerror}); check it and its permissions") from error
    if len(data) > FILE_BYTES_MAX:
        raise AudienceError(f"{path} is over {FILE_BYTES_MAX:,} bytes, the limit; make the query a view and ask that")
    try:
        return _parsed(name, data.decode("utf-8"))
    except UnicodeDecodeError:
        raise AudienceError(f"{path} is not UTF-8; save it as UTF-8") from None
    except ValueError as error:
        raise AudienceError(f"{path}: {error}") from None


def write_audience(folder: Path, audience: Audience) -> Path:
    """Write an audience's file and return its path. A reader sees the old one or the whole new one."""
    path = path_of(folder, audience.name)
    try:
        replace_file(path, written(audience).encode())
    except OSError as error:
        raise AudienceError(f"{path} cannot be written ({error.strerror}); check the folder's permissions") from error
    return path


def written(audience: Audience) -> str:
    """An audience as the text of its file."""
    limits, to = audience.limits, audience.destination
    head = {
        "Version": f"{audience.version} {audience.hash}",
        "Schedule": audience.schedule,
        "Limits": f"{limits.persons} persons, {limits.seconds} s, {limits.megabytes} MB",
    }
    if to is not None:
        head |= {"Destination": to.url, "Send": f"{to.send} in batches of {to.batch}", "Secret": to.secret}
    lines = [f"-- {audience.name}: {audience.description}", "--"]
    lines += [f"-- {key:12} {value}" for key, value in head.items()]
    return "\n".join([*lines, audience.query.strip(), ""])


def checked(audience: Audience) -> Audience:
    """The audience, if what it says can be kept in a file and acted on.

    Raises:
        ValueError: the sentence says what is wrong.
    """
    parse_schedule(audience.schedule)
    limits, to = audience.limits, audience.destination
    for what, value, most in (
        ("persons", limits.persons, ROWS_MAX),
        ("seconds", limits.seconds, SECONDS_MAX),
        ("megabytes", limits.megabytes, MEGABYTES_MAX),
        ("batch", to.batch if to else 1, BATCH_MAX),
    ):
        if not 1 <= value <= most:
            raise ValueError(f"{what} is {value:,}; it must be 1 to {most:,}")
    if not audience.query.strip():
        raise ValueError("there is no query under the comments; write one SELECT with a column person_id")
    if audience.query.strip().startswith("--"):
        raise ValueError("the query begins with a comment, which would pass for the file's head; put it further down")
    if "\n" in audience.description or not audience.description.strip():
        raise ValueError("the description must be one line; say who is in the audience")
    if to is not None:
        if urlsplit(to.url).scheme not in ("https", "http") or re.search(r"\s", to.url):
            raise ValueError(
                f"destination {to.url!r} is no address; write one such as https://crm.example/hooks/footfall"
            )
        if not _SECRET.fullmatch(to.secret):
            raise ValueError(
                f"secret {to.secret!r} is neither env:AUDIENCE_NAME nor file:/path; "
                "name the variable or the file that holds it, never the secret itself"
            )
        if to.send not in ("changes", "all"):
            raise ValueError(f"send is {to.send!r}; it must be changes or all")
    return audience


def _parsed(name: str, text: str) -> tuple[Audience, str]:
    """An audience, and the hash that its head states. Raises ValueError."""
    lines = text.splitlines()
    count = next((number for number, line in enumerate(lines) if not line.startswith("--")), len(lines))
    head = {found[1]: found[2].strip() for line in lines[:count] if (found := _HEAD.fullmatch(line.rstrip()))}
    title = re.fullmatch(r"-- (\w+): (\S.*)", lines[0].rstrip()) if lines else None
    if title is None or title[1] != name:
        raise ValueError(f"the first line must be `-- {name}: ` and who is in the audience")
    version = _VERSION.fullmatch(head.get("Version", ""))
    if version is None:
        raise ValueError(f"there is no line `-- Version`; run `footfall audience define {name}`, which writes it")
    audience = Audience(name, title[2], "\n".join(lines[count:]).strip(), int(version[1]), head.get("Schedule", MANUAL))
    if "Limits" in head:
        limits = _LIMITS.fullmatch(head["Limits"])
        if limits is None:
            raise ValueError("the line `-- Limits` must read such as: 1000000 persons, 60 s, 1000 MB")
        audience = structs.replace(audience, limits=Limits(*map(int, limits.groups())))
    if "Destination" in head:
        send = _SEND.fullmatch(head.get("Send", "changes in batches of 500"))
        if send is None:
            raise ValueError("the line `-- Send` must read such as: changes in batches of 500")
        to = Destination(head["Destination"], head.get("Secret", ""), send[1], int(send[2]))
        audience = structs.replace(audience, destination=to)
    return checked(audience), version[2]
