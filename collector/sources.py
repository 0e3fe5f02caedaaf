"""Sources: the sites and servers that may send events, and their keys.

They live in one small file of the data directory, `sources.json`, replaced atomically. A browser's write key is public
(it stands in the page) and bound to origins; a server key is secret, is shown once when it is made, and is kept only as
a hash. Running workers see a change at once for a key they do not know, and within CHECK_MS otherwise.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, structs

from collector.consent import MODES, PURPOSE_CHARS_MAX, Overrides
from collector.files import replace_file

FILE_NAME = "sources.json"
CHECK_MS = 200
NAME_CHARS_MAX = 64
PROD = "prod"
_ENVIRONMENT = re.compile(r"[a-z][a-z0-9_-]{0,31}")
# Labels of letters, digits and hyphens, two at least: browsers keep no cookie for all of `.example`.
_DOMAIN = re.compile(r"(?=.{3,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])")
SOURCES_MAX = 10_000
OLD_KEYS_MAX = 10  # of a source; each is looked up like a new one
DAY_MS = 86_400_000


class SourceError(Exception):
    """Sources cannot be read or changed as asked; the text is one sentence."""


class OldKey(Struct):
    """A key that another has taken the place of and that still opens: a write key, or the hash of a server key."""

    key: str
    until_ms: int
    is_server: bool = False


class Source(Struct):
    """One site or server.

    `origins` empty means that browsers may send from any. `cookie_domain`, where it is not empty, lets the collector
    set the visitor's id as a cookie of that domain for pages of `origins` within it. `environment` says which of the
    plan's rules hold: prod, or another that the plan names. `consent` is what it has otherwise than the settings.
    """

    id: str
    name: str
    write_key: str
    server_key_hash: str
    origins: list[str] = []
    enabled: bool = True
    cookie_domain: str = ""
    environment: str = PROD
    old_keys: list[OldKey] = []
    consent: Overrides = Overrides()


class Access(Struct, frozen=True):
    """What a presented key opens. `cookie_origins` are those of the origins that get the visitor's id as a cookie.

    `until_ms` is when a key that was replaced ends; 0 for one that does not.
    """

    source_id: str
    origins: frozenset[str]
    enabled: bool
    is_server: bool
    environment: str = PROD
    cookie_domain: str = ""
    cookie_origins: frozenset[str] = frozenset()
    until_ms: int = 0
    consent: Overrides | None = None


class _File(Struct):
    format: int
    sources: list[Source]


def key_hash(key: str) -> str:
    """How a server key is kept: SHA-256, which is enough for 160 random bits."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


@contextlib.contextmanager
def _alone(data_dir: Path, *, make: bool = False) -> Iterator[None]:
    """Keep others from changing the file between our reading and our writing it; `make` a folder that is missing."""
    try:
        if make:
            data_dir.mkdir(parents=True, exist_ok=True)
        elif not data_dir.is_dir():  # then there is no file either, and what follows says so
            yield
            return
        descriptor = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SourceError(f"{data_dir} cannot be written: {error.strerror}; check the data directory") from error


def read_sources(data_dir: Path) -> list[Source]:
    """All sources, in the order they were added; empty where there is no file yet. Raises SourceError."""
    path = data_dir / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File).sources
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read: {error}; restore it from a backup") from error


def add_source(
    data_dir: Path, name: str, origins: list[str], cookie_domain: str = "", environment: str = PROD
) -> tuple[Source, str]:
    """Add a source and return it with its server key, which cannot be had again. Raises SourceError."""
    name = name.strip()
    if not name or len(name) > NAME_CHARS_MAX or not name.isprintable():
        raise SourceError(f"a source's name has 1 to {NAME_CHARS_MAX} printable characters; choose another")
    settings = _checked([normal_origin(origin) for origin in origins], normal_domain(cookie_domain), environment)
    server_key = _new_server_key()
    with _alone(data_dir, make=True):
        sources = read_sources(data_dir)
        if any(known.name == name for known in sources):
            raise SourceError(f"there is a source named {name!r} already; choose another name")
        if len(sources) >= SOURCES_MAX:
            raise SourceError(f"there are {SOURCES_MAX:,} sources, the limit; disable and reuse one")
        source = Source(
            id=_free_id(name, {known.id for known in sources}),
            name=name,
            write_key=_new_write_key(),
            server_key_hash=key_hash(server_key),
            **settings,
        )
        _write(data_dir, [*sources, source])
    return source, server_key


def renew_server_key(data_dir: Path, source_id: str) -> str:
    """Give a source a new server key, which ends the old one, and return it. Raises SourceError."""
    with _alone(data_dir):
        sources = read_sources(data_dir)
        for source in sources:
            if source.id == source_id:
                server_key = _new_server_key()
                source.server_key_hash = key_hash(server_key)
                _write(data_dir, sources)
                return server_key
    raise SourceError(f"there is no source {source_id!r}")


def rotate_key(data_dir: Path, id_or_name: str, *, server: bool, keep_days: float, now_ms: int) -> tuple[Source, str]:
    """Give a source a new server key or write key; the old one opens for some days more, so that nobody is locked out.

    Args:
        data_dir: With the sources.
        id_or_name: The source.
        server: Its server key, else its write key.
        keep_days: For how long the old key still opens; with 0 it ends at once, as do those before it.
        now_ms: Now.
    Returns:
        The source and the new key; a server key cannot be had again.
    Raises:
        SourceError: there is no such source, or it has OLD_KEYS_MAX keys that still open.
    """
    with _alone(data_dir):
        sources = read_sources(data_dir)
        source = next((one for one in sources if id_or_name in (one.id, one.name)), None)
        if source is None:
            known = ", ".join(one.id for one in sources[:10]) or "none yet"
            raise SourceError(f"there is no source {id_or_name!r}; known are: {known}")
        kept = [old for old in source.old_keys if old.until_ms > now_ms and (old.is_server != server or keep_days > 0)]
        if keep_days > 0:
            replaced = source.server_key_hash if server else source.write_key
            kept.append(OldKey(replaced, now_ms + int(keep_days * DAY_MS), server))
        if len(kept) > OLD_KEYS_MAX:
            raise SourceError(
                f"source {source.id} has {OLD_KEYS_MAX} old keys that still open, the limit; --keep-days 0 ends them"
            )
        key = _new_server_key() if server else _new_write_key()
        if server:
            source.server_key_hash = key_hash(key)
        else:
            source.write_key = key
        source.old_keys = kept
        _write(data_dir, sources)
    return source, key


def change_source(
    data_dir: Path,
    id_or_name: str,
    *,
    origins: list[str] | None = None,
    cookie_domain: str | None = None,
    environment: str | None = None,
    enabled: bool | None = None,
    consent: Overrides | None = None,
) -> Source:
    """Change what is not None, and return the source. Disabled, its events are refused; what is stored stays.

    Of `consent` what is not None is laid over what it has; empty ones take all of it back.

    Raises:
        SourceError: there is no such source, or it would not hold together, such as a cookie's domain without origin.
    """
    with _alone(data_dir):
        sources = read_sources(data_dir)
        for source in sources:
            if id_or_name in (source.id, source.name):
                settings = _checked(
                    source.origins if origins is None else [normal_origin(origin) for origin in origins],
                    source.cookie_domain if cookie_domain is None else normal_domain(cookie_domain),
                    source.environment if environment is None else environment,
                )
                for name, value in settings.items():
                    setattr(source, name, value)
                source.enabled = source.enabled if enabled is None else enabled
                if consent is not None:
                    source.consent = _checked_consent(source.consent, consent)
                _write(data_dir, sources)
                return source
    known = ", ".join(source.id for source in sources[:10]) or "none yet"
    raise SourceError(f"there is no source {id_or_name!r}; known are: {known}")


def disable_source(data_dir: Path, id_or_name: str) -> Source:
    """Refuse events of a source from now on; its stored events stay. Raises SourceError."""
    return change_source(data_dir, id_or_name, enabled=False)


def normal_domain(domain: str) -> str:
    """`.Shop.example` -> `shop.example`, as it stands in a cookie; empty for empty. Raises SourceError."""
    text = domain.strip().strip(".").lower()
    with contextlib.suppress(UnicodeError):
        text = text if text.isascii() else text.encode("idna").decode()
    if text and not _DOMAIN.fullmatch(text):
        raise SourceError(f"{domain!r} is not a domain for cookies; give one such as shop.example")
    return text


def normal_origin(origin: str) -> str:
    """`https://Shop.example:443/` -> `https://shop.example`, as a browser's Origin header spells it.

    International names become punycode (RFC 3490).

    Raises:
        SourceError: it is not an origin.
    """
    no_origin = SourceError(f"{origin!r} is not an origin; give scheme and host, such as https://shop.example")
    try:
        parts = urlsplit(origin.strip())
        host, port = parts.hostname or "", parts.port
        host = host if host.isascii() else host.encode("idna").decode()
    except ValueError as error:  # a port or an IPv6 address that is none, a name that IDNA does not allow
        raise no_origin from error
    more = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    if parts.scheme not in ("http", "https") or not host or more:
        raise no_origin
    host = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port and port != default else "")


class Directory:
    """Keys to sources, as a worker looks them up; follows the file."""

    def __init__(self, data_dir: Path, now_ms: Callable[[], int]) -> None:
        self._path = data_dir / FILE_NAME
        self._data_dir = data_dir
        self._now_ms = now_ms
        self._checked_ms = 0
        self._version: tuple[int, int, int] | None = None
        self._of_key: dict[str, Access] = {}
        self._of_hash: dict[str, Access] = {}

    def access(self, key: str) -> Access | None:
        """What this key opens; None when no source has it."""
        now_ms = self._now_ms()
        if now_ms - self._checked_ms > CHECK_MS or now_ms < self._checked_ms:
            self._checked_ms = now_ms
            self._follow()
        found = self._of_hash.get(key_hash(key)) if key.startswith("fs_") else self._of_key.get(key)
        if found is None and self._follow():
            return self.access(key)
        return None if found is not None and 0 < found.until_ms <= now_ms else found

    def sites(self) -> frozenset[str]:
        """The origins that enabled sources list."""
        self.access("")
        return frozenset().union(*(each.origins for each in self._of_key.values() if each.enabled))

    def _follow(self) -> bool:
        """Read the file again when it has changed. A file that cannot be read leaves what is known."""
        try:
            stat = self._path.stat()
            version = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if version == self._version:
                return False
            sources = read_sources(self._data_dir)
        except (OSError, SourceError):
            return False
        # Apart, or the hash that stands in the file would itself open what its key opens.
        of_key: dict[str, Access] = {}
        of_hash: dict[str, Access] = {}
        for source in sources:
            origins = frozenset(source.origins)
            own = None if source.consent == Overrides() else source.consent
            browser = Access(
                source.id,
                origins,
                source.enabled,
                is_server=False,
                environment=source.environment,
                cookie_domain=source.cookie_domain,
                cookie_origins=frozenset(_within(source.origins, source.cookie_domain)),
                consent=own,
            )
            server = Access(
                source.id, origins, source.enabled, is_server=True, environment=source.environment, consent=own
            )
            for old in source.old_keys:
                access = structs.replace(server if old.is_server else browser, until_ms=old.until_ms)
                (of_hash if old.is_server else of_key)[old.key] = access
            of_key[source.write_key], of_hash[source.server_key_hash] = browser, server
        self._of_key, self._of_hash = of_key, of_hash
        self._version = version
        return True


def _checked(origins: list[str], cookie_domain: str, environment: str) -> dict[str, Any]:
    """The settings of a source as they are kept; raises SourceError where they do not fit together."""
    if not _ENVIRONMENT.fullmatch(environment):
        raise SourceError(f"environment {environment[:40]!r} is no plain word; choose one such as prod, staging or dev")
    if cookie_domain and not _within(origins, cookie_domain):
        raise SourceError(
            f"cookie domain {cookie_domain} has none of the source's origins within it; "
            f"add one, such as --origin https://{cookie_domain}"
        )
    return {"origins": origins, "cookie_domain": cookie_domain, "environment": environment}


def _checked_consent(known: Overrides, given: Overrides) -> Overrides:
    """A source's own rules of consent with others laid over them; none for empty ones. Raises SourceError."""
    if given == Overrides():
        return given
    if given.mode not in (None, *MODES):
        raise SourceError(f"{given.mode!r} cannot be done to events without consent; choose one of {', '.join(MODES)}")
    purpose = given.purpose and given.purpose.strip().lower()
    if given.purpose is not None and not (purpose and len(purpose) <= PURPOSE_CHARS_MAX):
        raise SourceError(f"a purpose has 1 to {PURPOSE_CHARS_MAX} characters; give one such as analytics")
    changes = {name: value for name, value in structs.asdict(given).items() if value is not None}
    return structs.replace(known, **changes | ({"purpose": purpose} if purpose else {}))


def _within(origins: list[str], domain: str) -> list[str]:
    """The origins whose host is the domain or under it; none for an empty one."""
    hosts = [(origin, urlsplit(origin).hostname or "") for origin in origins if domain]
    return [origin for origin, host in hosts if host == domain or host.endswith(f".{domain}")]


def _new_write_key() -> str:
    return "fw_" + secrets.token_urlsafe(15)


def _new_server_key() -> str:
    return "fs_" + secrets.token_urlsafe(24)


def _free_id(name: str, taken: set[str]) -> str:
    base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "source"
    candidate, number = base, 2
    while candidate in taken:
        candidate, number = f"{base}-{number}", number + 1
    return candidate


def _write(data_dir: Path, sources: list[Source]) -> None:
    path = data_dir / FILE_NAME
    content = msgspec.json.format(msgspec.json.encode(_File(1, sources)), indent=2)
    try:
        replace_file(path, content + b"\n", 0o600)
    except OSError as error:
        raise SourceError(f"{path} cannot be written: {error.strerror}; check the data directory") from error
