"""The tag's files: stable and hashed names, compression as browsers want it, and versions that pages have pinned."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from serving import Serving, serving

from collector.app.site import site
from collector.app.tag import KEPT_MAX, TagError, built_files, chosen_coding, keep, kept_files, read_tag
from collector.paths import TAG_DIR

BUILT = sorted(path.name for path in TAG_DIR.glob("footfall*.js"))
IMMUTABLE = "public, max-age=31536000, immutable"


def hashed(name: str, content: bytes) -> str:
    return f"{name.removesuffix('.js')}.{hashlib.sha256(content).hexdigest()[:12]}.js"


@pytest.mark.parametrize("name", BUILT)
def test_every_built_file_has_a_name_for_an_hour_and_one_for_good(collector: Serving, name: str) -> None:
    content = (TAG_DIR / name).read_bytes()
    for path, kept in ((name, "public, max-age=3600"), (hashed(name, content), IMMUTABLE)):
        answer = collector.request("GET", f"/{path}")
        assert (answer.status, answer.body) == (200, content)
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["cache-control"] == kept
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["vary"] == "accept-encoding"
        assert "content-encoding" not in answer.headers


def test_a_browser_gets_it_compressed_and_asks_again_for_what_it_has(collector: Serving) -> None:
    content = (TAG_DIR / "footfall.js").read_bytes()
    packed = collector.request("GET", "/footfall.js", headers={"accept-encoding": "gzip, deflate"})
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == content
    assert len(packed.body) < len(content) * 0.6
    assert packed.headers["content-length"] == str(len(packed.body))
    plain = collector.request("GET", "/footfall.js")
    assert packed.headers["etag"] != plain.headers["etag"], "two contents need two validators"
    for have, accept, status in (
        (packed.headers["etag"], "gzip", 304),
        (packed.headers["etag"], "", 200),
        (plain.headers["etag"], "gzip", 200),
        ("*", "gzip", 304),
    ):
        asked = {"if-none-match": have, "accept-encoding": accept}
        answer = collector.request("GET", "/footfall.js", headers=asked)
        assert answer.status == status, (have, accept)
        assert answer.headers["vary"] == "accept-encoding"


def test_head_tells_of_the_compressed_file_without_sending_it(collector: Serving) -> None:
    for path in ("/footfall.js", f"/{hashed('footfall.js', (TAG_DIR / 'footfall.js').read_bytes())}"):
        answer = collector.request("HEAD", path, headers={"accept-encoding": "gzip"})
        assert (answer.status, answer.body, answer.headers["content-encoding"]) == (200, b"", "gzip")


@pytest.mark.parametrize("path", ["/footfall.0123456789ab.js", "/footfall.nothing.js", "/footfall.%2e%2e%2fsources.js"])
def test_a_file_that_is_not_there_is_a_sentence_that_nobody_caches(collector: Serving, path: str) -> None:
    answer = collector.request("GET", path)
    assert answer.status == 404
    assert answer.json["reason"] == "not_found"
    assert answer.headers["access-control-allow-origin"] == "*"
    if "%" not in path:
        assert answer.headers["cache-control"] == "no-store"
        assert "`footfall snippet`" in answer.json["error"]


SIZES = {"br": b"x", "gzip": b"xx"}


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("br;q=0.5, gzip;q=0.8", "gzip"),
        ("br;q=0.8, gzip;q=0.8", "br"),
        ("br; q=0, gzip", "gzip"),
        ("br;q=0,gzip;q=0.000", ""),
        ("*", "br"),
        ("*;q=0.1, gzip;q=0.5", "gzip"),
        ("*, br;q=0", "gzip"),
        ("identity", ""),
        ("identity;q=0.5, gzip", "gzip"),
        ("identity, gzip;q=0.5", ""),
        ("identity;q=0, *;q=0", ""),
        ("deflate, zstd", ""),
        ("", ""),
        ("gzip;q=nonsense", ""),
        ("gzip;q=nan", ""),
        (";;;,,,=", ""),
        ("zstd," * 5_000 + "gzip", ""),
    ],
)
def test_the_coding_is_the_one_the_client_likes_best_and_the_smallest_of_those(accept: str, coding: str) -> None:
    assert chosen_coding(accept, SIZES) == coding


COMPRESS = """
const { brotliCompressSync } = require("node:zlib");
const { readFileSync, writeFileSync } = require("node:fs");
const [name] = process.argv.slice(1);
writeFileSync(name + ".br", brotliCompressSync(readFileSync(name)));
"""
DECOMPRESS = """
process.stdout.write(require("node:zlib").brotliDecompressSync(require("node:fs").readFileSync(0)));
"""


@pytest.fixture
def tag_dir(tmp_path: Path) -> Path:
    """A build with the real tag, brotli and integrity, as `npm run build` leaves it."""
    folder = tmp_path / "dist"
    folder.mkdir()
    content = (TAG_DIR / "footfall.js").read_bytes()
    (folder / "footfall.js").write_bytes(content)
    (folder / "index.js").write_text("export {}")
    subprocess.run(["node", "-e", COMPRESS, str(folder / "footfall.js")], check=True, timeout=60)
    integrity = "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode()
    (folder / "integrity.json").write_text(json.dumps({"footfall.js": integrity}))
    return folder


def ask(tag_dir: Path, path: str, accept: str, kept_dir: Path | None = None) -> tuple[int, dict[str, str], bytes]:
    """One GET to the application itself, on a build of the test's own."""
    app = site("0", tag_dir, None, lambda _: "", lambda: None, lambda: ({}, {}), kept_dir)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def nothing() -> Any:
        return {"type": "http.request", "body": b""}

    headers = [(b"accept-encoding", accept.encode())]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    scope |= {"scheme": "http", "server": ("t.example", 80), "root_path": ""}
    asyncio.run(app(scope, nothing, send))
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answered, sent[1]["body"]


def test_brotli_is_served_as_the_build_made_it(tag_dir: Path) -> None:
    status, headers, body = ask(tag_dir, "/footfall.js", "gzip, deflate, br, zstd")
    assert (status, headers["content-encoding"]) == (200, "br")
    assert body == (tag_dir / "footfall.js.br").read_bytes()
    unpacked = subprocess.run(["node", "-e", DECOMPRESS], input=body, capture_output=True, check=True, timeout=60)
    assert unpacked.stdout == (tag_dir / "footfall.js").read_bytes()
    assert ask(tag_dir, "/index.js", "br")[0] == 404, "what npm needs is no page's matter"


@pytest.mark.parametrize("damage", ["edited", "no integrity", "odd integrity", "not JSON"])
def test_a_stale_brotli_is_never_served(tag_dir: Path, damage: str) -> None:
    if damage == "edited":
        (tag_dir / "footfall.js").write_bytes(b"/* edited */" + (tag_dir / "footfall.js").read_bytes())
    elif damage == "no integrity":
        (tag_dir / "integrity.json").unlink()
    else:
        (tag_dir / "integrity.json").write_text("[]" if damage == "odd integrity" else "{")
    _, headers, body = ask(tag_dir, "/footfall.js", "br, gzip")
    assert headers["content-encoding"] == "gzip"
    assert gzip.decompress(body) == (tag_dir / "footfall.js").read_bytes()


def test_a_pinned_page_outlives_an_upgrade(tag_dir: Path, tmp_path: Path) -> None:
    kept_dir = tmp_path / "tags"
    former = (tag_dir / "footfall.js").read_bytes()
    pinned = hashed("footfall.js", former)
    keep(tag_dir, kept_dir)
    (tag_dir / "footfall.js").write_bytes(b"/* the next release */")
    keep(tag_dir, kept_dir)
    status, headers, body = ask(tag_dir, f"/{pinned}", "", kept_dir)
    assert (status, body, headers["cache-control"]) == (200, former, IMMUTABLE)
    assert ask(tag_dir, f"/{pinned}", "")[0] == 404
    assert ask(tag_dir, "/footfall.js", "", kept_dir)[2] == b"/* the next release */"


def test_a_kept_file_that_is_not_what_its_name_says_is_not_served(tag_dir: Path, tmp_path: Path) -> None:
    kept_dir = tmp_path / "tags"
    keep(tag_dir, kept_dir)
    (only,) = kept_dir.iterdir()
    content = only.read_bytes()
    only.write_bytes(content + b" ")
    (kept_dir / "footfall.core.0123456789ab.js").write_bytes(b"stranger")
    (kept_dir / "footfall.js").write_bytes(b"no hash")
    assert kept_files(kept_dir) == []
    keep(tag_dir, kept_dir)
    assert only.read_bytes() == content, "and it is mended"


def test_what_is_kept_is_bounded_and_the_oldest_goes(tag_dir: Path, tmp_path: Path) -> None:
    kept_dir = tmp_path / "tags"
    for release in range(KEPT_MAX + 3):
        (tag_dir / "footfall.js").write_text(f"/* release {release} */")
        keep(tag_dir, kept_dir)
        (newest,) = (path for path in kept_dir.iterdir() if path.read_text() == f"/* release {release} */")
        os.utime(newest, (release, release))
    kept = {file.content for file in kept_files(kept_dir)}
    assert len(kept) == len(list(kept_dir.iterdir())) == KEPT_MAX
    assert b"/* release 2 */" not in kept
    assert b"/* release 3 */" in kept


def test_workers_that_keep_at_the_same_moment_leave_whole_files(tag_dir: Path, tmp_path: Path) -> None:
    kept_dir = tmp_path / "tags"
    kept_dir.mkdir()
    threads = [threading.Thread(target=keep, args=(tag_dir, kept_dir)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [file.content for file in kept_files(kept_dir)] == [(tag_dir / "footfall.js").read_bytes()]


def test_a_build_without_a_tag_is_one_sentence(tmp_path: Path) -> None:
    assert built_files(tmp_path) == {}
    with pytest.raises(TagError, match="the tag is not built"):
        read_tag(tmp_path)


def test_a_collector_keeps_its_tag_in_the_data_directory_and_serves_what_is_kept(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    (data_dir / "tags").mkdir(parents=True)
    former = b"/* a former release */"
    (data_dir / "tags" / hashed("footfall.js", former)).write_bytes(former)
    with serving(data_dir) as running:
        answer = running.request("GET", f"/{hashed('footfall.js', former)}")
        assert (answer.status, answer.body) == (200, former)
    assert (data_dir / "tags" / hashed("footfall.js", (TAG_DIR / "footfall.js").read_bytes())).is_file()
