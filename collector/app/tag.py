"""The built tag as it is served: each file under a stable name and under one that says what is in it.

    footfall.core.js                 changes with every release; browsers look again after an hour
    footfall.core.3f9c21d07ab4.js    never changes; pages pin it, with its integrity

A pinned page must outlive an upgrade of the collector, so the files that a snippet can pin are kept in the data
directory, and answer under their names for good. A name that is neither here nor kept is not answered with another
version: a page that pins would refuse it, and one that does not has asked for what it did not get.

Compressed once at the start: gzip here, brotli by the build (`footfall.js.br`), which is used only where the build's
integrity.json is of this very file, so that a stale one is never served.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from collector.files import replace_file

TAG_FILE = "footfall.js"
CORE_FILE = "footfall.core.js"
INTEGRITY_FILE = "integrity.json"
PINNED = (TAG_FILE, CORE_FILE)  # what a snippet can pin; the rest is fetched by the tag, under stable names

HASH_CHARS = 12  # 48 bits: two of a thousand builds agree with a chance of 1 in 10^9
STABLE_SECONDS = 3_600
IMMUTABLE_SECONDS = 31_536_000
# 32 releases of two files, some 10 KB each with their compressed copies: under 1 MB in each worker.
KEPT_MAX = 64
KEPT_BYTES_MAX = 262_144  # a larger file in the folder is none of ours
ACCEPT_CHARS_MAX = 1_024

_STABLE = re.compile(r"footfall(?:\.[a-z]+)?\.js")
_KEPT = re.compile(rf"(footfall(?:\.[a-z]+)?)\.([0-9a-f]{{{HASH_CHARS}}})\.js")

Headers = dict[str, str]


class TagError(Exception):
    """The tag is not there as asked; the text is one sentence."""


class TagFile(Struct, frozen=True):
    """One file of the tag, and the same compressed, by content coding."""

    name: str
    content: bytes
    packed: dict[str, bytes]

    @property
    def digest(self) -> str:
        """The first HASH_CHARS of its SHA-256 in hex."""
        return hashlib.sha256(self.content).hexdigest()[:HASH_CHARS]

    @property
    def hashed_name(self) -> str:
        """The name that pins it: `footfall.js` -> `footfall.3f9c21d07ab4.js`."""
        return f"{self.name.removesuffix('.js')}.{self.digest}.js"

    @property
    def integrity(self) -> str:
        """Its value for `integrity=`: SHA-384, as the SRI specification recommends."""
        return integrity_of(self.content)


class Tag(Struct, frozen=True):
    """All files by the names under which they are answered."""

    files: dict[str, TagFile]
    headers: dict[str, Headers]

    def answer(self, name: str, accept_encoding: str, if_none_match: str) -> tuple[int, Headers, bytes] | None:
        """Status, headers and body for a name; None for one that is not here."""
        file = self.files.get(name)
        if file is None:
            return None
        coding = chosen_coding(accept_encoding, file.packed)
        etag = f'"{file.digest}-{coding}"' if coding else f'"{file.digest}"'
        headers = {**self.headers[name], "etag": etag}
        # Weakened (W/) where a proxy has touched it, and possibly one of several (RFC 9110, section 13.1.2).
        known = {part.strip().removeprefix("W/") for part in if_none_match.split(",")}
        if etag in known or "*" in known:
            return 304, headers, b""
        if not coding:
            return 200, headers, file.content
        return 200, {**headers, "content-encoding": coding}, file.packed[coding]


def read_tag(tag_dir: Path, kept_dir: Path | None = None) -> Tag:
    """Read the built files, and those of former versions that are kept.

    Raises:
        TagError: the tag is not built.
    """
    built = built_files(tag_dir)
    if TAG_FILE not in built:
        raise TagError(f"the tag is not built: {tag_dir} has no {TAG_FILE}; run `npm ci && npm run build` in js_sdk")
    kept = {file.hashed_name: file for file in kept_files(kept_dir)} if kept_dir else {}
    hashed = kept | {file.hashed_name: file for file in built.values()}
    headers = dict.fromkeys(hashed, _headers(IMMUTABLE_SECONDS, ", immutable"))
    return Tag(hashed | built, headers | dict.fromkeys(built, _headers(STABLE_SECONDS)))


def built_files(tag_dir: Path) -> dict[str, TagFile]:
    """The files of a build by their names; those that only npm needs are left out."""
    stated = _stated_integrity(tag_dir)
    found: dict[str, TagFile] = {}
    for path in sorted(tag_dir.glob("footfall*.js")):
        if not _STABLE.fullmatch(path.name):
            continue
        content = path.read_bytes()
        packed = {}
        brotli = path.with_name(f"{path.name}.br")
        if stated.get(path.name) == integrity_of(content) and brotli.is_file():
            packed["br"] = brotli.read_bytes()
        found[path.name] = _file(path.name, content, packed)
    return found


def keep(tag_dir: Path, kept_dir: Path) -> None:
    """Keep the files that pages may pin, so that they are answered after an upgrade too. Raises OSError.

    Every worker may do so at the same moment: a file's content follows from its name, and it is put there whole.
    """
    kept_dir.mkdir(exist_ok=True)
    built = built_files(tag_dir)
    for file in (built[name] for name in PINNED if name in built):
        path = kept_dir / file.hashed_name
        if path.is_file() and path.read_bytes() == file.content:
            continue
        replace_file(path, file.content)
    for path in _newest(kept_dir)[KEPT_MAX:]:
        path.unlink(missing_ok=True)


def kept_files(kept_dir: Path) -> list[TagFile]:
    """The kept files whose content is what their names say; others were damaged or are none of ours."""
    found = []
    for path in _newest(kept_dir)[:KEPT_MAX]:
        named = _KEPT.fullmatch(path.name)
        try:
            content = path.read_bytes() if path.stat().st_size <= KEPT_BYTES_MAX else b""
        except OSError:
            continue
        if named and (file := _file(f"{named[1]}.js", content, {})).digest == named[2]:
            found.append(file)
    return found


def chosen_coding(accept: str, offered: Mapping[str, bytes]) -> str:
    """The content coding to answer with, "" for none; of equally welcome ones the smallest (RFC 9110, 12.5.3)."""
    welcome = dict(_weights(accept[:ACCEPT_CHARS_MAX].lower().split(",")))
    others = welcome.get("*", 0.0)
    ranked = [(welcome.get(coding, others), -len(packed), coding) for coding, packed in offered.items()]
    weight, _, coding = max(ranked, default=(0.0, 0, ""))
    # Unless it says otherwise a client takes the plain file too, but would rather have what it has named.
    return coding if weight > 0 and weight >= welcome.get("identity", 0.0) else ""


def integrity_of(content: bytes) -> str:
    """The Subresource Integrity value of some bytes."""
    return "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode()


def _weights(parts: Iterable[str]) -> Iterable[tuple[str, float]]:
    for part in parts:
        coding, _, parameter = part.partition(";")
        name, _, value = parameter.partition("=")
        try:
            yield coding.strip().replace("x-gzip", "gzip"), float(value) if name.strip() == "q" else 1.0
        except ValueError:
            yield coding.strip(), 0.0  # a weight that cannot be read is no welcome


def _file(name: str, content: bytes, packed: dict[str, bytes]) -> TagFile:
    packed["gzip"] = gzip.compress(content, 9, mtime=0)  # the same bytes in every worker, as the ETag says
    return TagFile(name, content, {coding: small for coding, small in packed.items() if len(small) < len(content)})


def _stated_integrity(tag_dir: Path) -> dict[str, str]:
    try:
        stated = json.loads((tag_dir / INTEGRITY_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return stated if isinstance(stated, dict) else {}


def _newest(kept_dir: Path) -> list[Path]:
    """The kept files, newest first; the name decides between those of one moment."""
    try:
        found = [(path.stat().st_mtime_ns, path) for path in kept_dir.glob("footfall*.js") if path.is_file()]
    except OSError:  # another worker has just removed one
        found = [(0, path) for path in kept_dir.glob("footfall*.js")]
    return [path for _, path in sorted(found, reverse=True)]


def _headers(seconds: int, more: str = "") -> Headers:
    return {
        "content-type": "text/javascript; charset=utf-8",
        "cache-control": f"public, max-age={seconds}{more}",
        "vary": "accept-encoding",
        "access-control-allow-origin": "*",
        "cross-origin-resource-policy": "cross-origin",
        "x-content-type-options": "nosniff",
    }
