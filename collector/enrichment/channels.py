"""Which sites, words and click ids stand for which channel: channels.toml, and what an operator lays over it.

    channels.toml, a file of one's own --read_channels--> Table

Read once by each process that receives events; the files say what their sections mean.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct

CHANNELS = (
    "direct", "internal", "referral", "organic_search", "paid_search", "organic_social", "paid_social", "email",
    "display", "affiliate", "video", "ai_assistant",
)  # fmt: skip

SHIPPED_FILE = Path(__file__).with_name("channels.toml")

# Matomo's list of spammers, the longest that is about, has 2,400 lines.
FILE_BYTES_MAX = 4_000_000
ENTRIES_MAX = 100_000

_PAID = "paid"  # a medium that only says that a click was paid for
_SECTIONS = ("hosts", "sources", "mediums", "click_ids", "spam")
_SPAM_KEYS = ("hosts", "except", "lists")
_HOST = re.compile(r"[^\s/?#@:\[\]<>\"\\^`{|}%*,]{1,253}")
_WORLDWIDE = re.compile(r"[a-z0-9-]{1,63}\.\*")
_CLICK_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class ChannelsError(Exception):
    """A table cannot be used; the text is one sentence."""


class Table(Struct, frozen=True, gc=False):
    """What stands for which channel. Hosts, sources and mediums are in lower case.

    `brands` are the sites with one address per country; `click_ids` are in the order of their rank.
    """

    hosts: dict[str, str]
    brands: dict[str, str]
    sources: dict[str, str]
    mediums: dict[str, str]
    paid_mediums: frozenset[str]
    click_ids: dict[str, str]
    spam: frozenset[str]


@cache
def shipped_table() -> Table:
    """The table that ships."""
    return read_channels(None)


def read_channels(own: Path | None) -> Table:
    """The table that ships, with a file of the operator's laid over it.

    Args:
        own: A TOML file with any of the sections of channels.toml; None for none.
    Raises:
        ChannelsError: the file cannot be read, or says what nobody understands; the sentence names the place.
    """
    read = _Reader()
    read.lay_over(SHIPPED_FILE)
    if own is not None:
        read.lay_over(own)
    paid = frozenset(word for word, channel in read.mediums.items() if channel == _PAID)
    return Table(
        hosts={host: channel for host, channel in read.hosts.items() if not host.endswith(".*")},
        brands={host[:-2]: channel for host, channel in read.hosts.items() if host.endswith(".*")},
        sources=read.sources,
        mediums={word: channel for word, channel in read.mediums.items() if channel != _PAID},
        paid_mediums=paid,
        click_ids=read.click_ids,
        spam=frozenset(read.spam),
    )


class _Reader:
    def __init__(self) -> None:
        self.hosts: dict[str, str] = {}
        self.sources: dict[str, str] = {}
        self.mediums: dict[str, str] = {}
        self.click_ids: dict[str, str] = {}
        self.spam: set[str] = set()

    def lay_over(self, file: Path) -> None:
        said = _toml(file)
        for section in said:
            _known(section, _SECTIONS, f"{file} has an unknown section")
        for section, found in (
            ("hosts", self.hosts),
            ("sources", self.sources),
            ("mediums", self.mediums),
            ("click_ids", self.click_ids),
        ):
            words = (*CHANNELS, _PAID) if section == "mediums" else CHANNELS
            for channel, entries in _members(file, said, section).items():
                _known(channel, words, f"{file}: {section} has an unknown channel")
                for entry in _texts(file, f"{section}.{channel}", entries):
                    found[_entry(file, section, entry)] = channel
        spam = _members(file, said, "spam")
        for key, entries in spam.items():
            _known(key, _SPAM_KEYS, f"{file}: spam has an unknown key")
            for entry in _texts(file, f"spam.{key}", entries):
                if key == "lists":
                    self.spam.update(_listed(file.parent / entry))
                elif key == "hosts":
                    self.spam.add(_entry(file, "hosts", entry))
        self.spam.difference_update(entry.lower() for entry in spam.get("except", ()))
        if sum(map(len, (self.hosts, self.sources, self.mediums, self.click_ids, self.spam))) > ENTRIES_MAX:
            raise ChannelsError(f"{file} has too many entries, the limit is {ENTRIES_MAX:,}; take some out")


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ChannelsError(f"{file} cannot be read: {reason}; check the setting `channels`") from error
    if len(data) > FILE_BYTES_MAX:
        raise ChannelsError(f"{file} is larger than {FILE_BYTES_MAX:,} bytes, which is the limit; split or shorten it")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ChannelsError(f"{file} is not UTF-8; save it as UTF-8") from error


def _toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_read(file))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ChannelsError(f"{file} is not TOML: {error or 'too deeply nested'}") from error


def _members(file: Path, said: dict[str, Any], section: str) -> dict[str, Any]:
    found = said.get(section, {})
    if not isinstance(found, dict):
        raise ChannelsError(f"{file}: {section} must be a section, such as [{section}]")
    return found


def _texts(file: Path, where: str, entries: Any) -> list[str]:
    if not isinstance(entries, list) or not all(isinstance(entry, str) and entry for entry in entries):
        raise ChannelsError(f'{file}: {where} must be a list of texts, such as ["example.com"]')
    return entries


def _entry(file: Path, section: str, entry: str) -> str:
    """An entry as it is looked up. Click ids are as networks spell them, ScCid for one."""
    if section == "click_ids":
        if not _CLICK_ID.fullmatch(entry):
            raise ChannelsError(f"{file}: {entry!r} is no name of a parameter; give it as it stands in addresses")
        return entry
    entry = entry.strip().lower()
    if section == "mediums":
        return medium_word(entry)
    if section == "hosts" and not (_HOST.fullmatch(entry) or _WORLDWIDE.fullmatch(entry)):
        raise ChannelsError(f"{file}: {entry!r} is no host; give one such as example.com, or example.* for all lands")
    return entry.removeprefix("www.") if section == "hosts" else entry


def medium_word(medium: str) -> str:
    """A utm_medium as the table spells it."""
    return medium.lower().replace("-", "_").replace(" ", "_")


def _listed(file: Path) -> list[str]:
    """A text file of hosts, one a line; what follows a # is a remark."""
    hosts = (line.partition("#")[0].strip().lower() for line in _read(file).splitlines())
    return [_entry(file, "hosts", host) for host in hosts if host]


def _known(name: str, words: tuple[str, ...], sentence: str) -> None:
    if name not in words:
        near = difflib.get_close_matches(name, words, n=1, cutoff=0.0)[0]
        raise ChannelsError(f"{sentence} {name!r}; did you mean {near!r}?")
