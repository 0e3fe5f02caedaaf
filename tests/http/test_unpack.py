"""Compressed bodies: what comes out is what went in, or one sentence says why it cannot be."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.app.unpack import coding_of, unpack, unpack_as
from collector.limits import BODY_BYTES_MAX, COMPRESSED_PARTS_MAX
from collector.reason import Reason, Refused


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


PACK: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "br": ("br", lambda data: brotli.compress(data, quality=5)),
    "zstd": ("zstd", zstd.compress),
}
EACH = pytest.mark.parametrize(("coding", "pack"), PACK.values(), ids=PACK.keys())
BATCH = b'{"batch":[{"type":"track","event":"e"}]}' * 20


def reason_of(body: bytes, coding: str) -> Reason:
    with pytest.raises(Refused) as caught:
        unpack(body, coding)
    assert caught.value.sentence.count(";") == 1, "what happened; what to do"
    return caught.value.reason


@EACH
def test_a_body_comes_out_as_it_went_in_up_to_the_limit(coding: str, pack: Callable[[bytes], bytes]) -> None:
    for body in (b"", b"x", BATCH, b"x" * BODY_BYTES_MAX):
        assert unpack(pack(body), coding) == body


@EACH
def test_a_bomb_is_given_up_at_the_limit_and_costs_next_to_nothing(coding: str, pack: Callable[[bytes], bytes]) -> None:
    for size in (BODY_BYTES_MAX + 1, 8_000_000):
        packed = pack(bytes(size))[:BODY_BYTES_MAX]
        begun = time.thread_time()
        assert reason_of(packed, coding) is Reason.BODY_TOO_LARGE
        assert time.thread_time() - begun < 0.15


@EACH
def test_what_is_cut_off_is_refused_wherever_it_is_cut(coding: str, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(BATCH)
    for end in range(len(packed)):
        assert reason_of(packed[:end], coding) is Reason.BAD_COMPRESSION


@EACH
def test_what_follows_the_end_is_refused(coding: str, pack: Callable[[bytes], bytes]) -> None:
    assert reason_of(pack(BATCH) + b"more", coding) is Reason.BAD_COMPRESSION
    assert reason_of(BATCH, coding) is Reason.BAD_COMPRESSION


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_body_of_several_parts_is_one(coding: str) -> None:
    pack = PACK[coding][1]
    assert unpack(pack(BATCH[:100]) + pack(b"") + pack(BATCH[100:]), coding) == BATCH
    assert unpack(pack(b"a") * COMPRESSED_PARTS_MAX, coding) == b"a" * COMPRESSED_PARTS_MAX
    assert reason_of(pack(b"") * (COMPRESSED_PARTS_MAX + 1), coding) is Reason.BAD_COMPRESSION
    half = pack(bytes(BODY_BYTES_MAX // 2))
    assert len(unpack(half * 2, coding)) == BODY_BYTES_MAX
    # The first part fills all the room there is: what follows must not have room without limit.
    assert reason_of(pack(bytes(BODY_BYTES_MAX + 1)) + pack(bytes(8_000_000)), coding) is Reason.BODY_TOO_LARGE
    assert reason_of(half * 2 + pack(bytes(8_000_000)), coding) is Reason.BODY_TOO_LARGE


@pytest.mark.parametrize("coding", ["deflate", "br"])
def test_a_coding_without_parts_has_one(coding: str) -> None:
    assert reason_of(PACK[coding][1](BATCH) * 2, coding) is Reason.BAD_COMPRESSION


def test_a_zstd_body_must_not_ask_for_more_memory_than_the_web_s_8_mb() -> None:
    for log, fits in ((23, True), (24, False), (31, False)):
        compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: log})
        packed = compressor.compress(BATCH) + compressor.flush()
        if fits:
            assert unpack(packed, "zstd") == BATCH
        else:
            assert reason_of(packed, "zstd") is Reason.BAD_COMPRESSION


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    coding=st.sampled_from(["gzip", "deflate", "br", "zstd"]),
    at=st.integers(0, 60),
    put=st.binary(min_size=1, max_size=6),
    cut=st.integers(0, 6),
)
def test_damage_is_found_or_does_not_matter(coding: str, at: int, put: bytes, cut: int) -> None:
    """gzip and zlib have checksums; br has none, so some other body may come out: its JSON is checked like any."""
    packed = PACK[coding][1](BATCH)
    try:
        found = unpack(packed[:at] + put + packed[at + cut :], coding)
    except Refused as refused:
        assert refused.reason in (Reason.BAD_COMPRESSION, Reason.BODY_TOO_LARGE)
    else:
        assert len(found) <= BODY_BYTES_MAX


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        (b"gzip", "gzip"),
        (b" X-GZIP ", "gzip"),
        (b"Deflate", "deflate"),
        (b"br", "br"),
        (b"zstd", "zstd"),
        (b"identity", ""),
        (b"", ""),
        (b", ,", ""),
        (b"identity, zstd, ", "zstd"),
    ],
)
def test_a_coding_has_its_name_in_any_case_and_identity_is_none(header: bytes, coding: str) -> None:
    assert coding_of(header) == coding


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b"compress", "compress is not known; send gzip, deflate, br, zstd or no encoding"),
        (b"rot13", "rot13 is not known"),
        (b"\xff" * 500, "\xff" * 40 + " is not known"),
        (b"gzip, br", "2 codings on top of each other, the limit is 1"),
        (b"gzip,gzip,gzip", "3 codings"),
        (b"gzip, rot13", "2 codings"),
        (b"gzip br", "gzip br is not known"),
    ],
)
def test_an_unknown_coding_and_codings_on_top_of_each_other_are_told(header: bytes, says: str) -> None:
    with pytest.raises(Refused) as caught:
        unpack_as(header, b"")
    assert caught.value.reason is Reason.WRONG_ENCODING
    assert says in caught.value.sentence
