"""Bodies that come compressed: gzip, deflate, br and zstd, each unpacked no further than the limit.

A small bomb must not become a large buffer, nor cost much time: output is asked for piece by piece and given up as soon
as it is too long, and a body has few parts. The libraries of br and zstd are loaded by the first body that needs them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from collector.limits import BODY_BYTES_MAX, COMPRESSED_PARTS_MAX, ZSTD_WINDOW_LOG_MAX
from collector.reason import Reason, Refused
from collector.spooling.pressed import zstd_library

# As an answer of status 415 names them (RFC 9110, section 12.5.3).
ACCEPTED_CODINGS = b"gzip, deflate, br, zstd"
_ROOM = BODY_BYTES_MAX + 1  # one byte more than allowed tells that there is more


def coding_of(header: bytes) -> str:
    """The one coding that a Content-Encoding names, in its short form; "" for none.

    Raises:
        Refused: WRONG_ENCODING for one that is not known, and for several on top of each other.
    """
    named = [name for part in header.lower().split(b",") if (name := part.strip()) not in (b"", b"identity")]
    if not named:
        return ""
    if len(named) > 1:
        raise Refused(
            Reason.WRONG_ENCODING,
            f"content encoding has {len(named)} codings on top of each other, the limit is 1; compress the body once",
        )
    coding = named[0].decode("latin-1").removeprefix("x-")  # x-gzip is gzip (RFC 9110, section 8.4.1.3)
    if coding not in _UNPACK:
        raise Refused(
            Reason.WRONG_ENCODING,
            f"content encoding {coding[:40]} is not known; send {ACCEPTED_CODINGS.decode()} or no encoding",
        )
    return coding


def unpack(body: bytes, coding: str) -> bytes:
    """The body as it was before a coding of `coding_of`.

    Raises:
        Refused: BODY_TOO_LARGE once it passes BODY_BYTES_MAX; BAD_COMPRESSION where it is damaged, ends too early, is
            followed by something else, or has more than COMPRESSED_PARTS_MAX parts.
    """
    unpacked = _UNPACK[coding](body)
    if len(unpacked) > BODY_BYTES_MAX:
        raise Refused(
            Reason.BODY_TOO_LARGE,
            f"body unpacks to more than {BODY_BYTES_MAX:,} bytes, the limit; send smaller batches",
        )
    return unpacked


def unpack_as(header: bytes, body: bytes) -> bytes:
    """The body as it was before the coding that a Content-Encoding names. Raises Refused, as the two it is made of."""
    coding = coding_of(header)
    return unpack(body, coding) if coding else body


def _bad(coding: str, what: str) -> Refused:
    return Refused(Reason.BAD_COMPRESSION, f"{coding} body {what}; send it whole or uncompressed")


def _gzip(body: bytes) -> bytes:
    """One or more members, of which the content is one (RFC 1952, section 2.2)."""
    return _parts("gzip", body, _gzip_member)


def _gzip_member(body: bytes, room: int) -> tuple[bytes, bytes | None]:
    return _inflated("gzip", body, room, 31)


def _deflate(body: bytes) -> bytes:
    """The zlib format, as the name means (RFC 9110, section 8.4.1.2), or the bare stream that many send under it."""
    is_zlib = len(body) >= 2 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0  # RFC 1950, section 2.2
    data, left = _inflated("deflate", body, _ROOM, 15 if is_zlib else -15)
    if left:
        raise _bad("deflate", f"goes on for {len(left):,} bytes behind its end")
    return data


def _inflated(coding: str, body: bytes, room: int, window: int) -> tuple[bytes, bytes | None]:
    """At most `room` bytes of one stream, and what follows it; None where the stream is longer than that."""
    stream = zlib.decompressobj(wbits=window)
    try:
        data = stream.decompress(body, room)
    except zlib.error as error:
        raise _bad(coding, f"is damaged ({error})") from error
    if stream.eof:
        return data, stream.unused_data
    if len(data) < room:
        raise _bad(coding, "ends too early")
    return data, None


def _br(body: bytes) -> bytes:
    """One stream (RFC 7932); its window has 16 MB at most."""
    import brotli  # type: ignore[import-untyped]  # noqa: PLC0415 - no types; see the module's text

    stream = brotli.Decompressor()
    try:
        data: bytes = stream.process(body, output_buffer_limit=_ROOM)
        while len(data) < _ROOM and not stream.is_finished():
            if stream.can_accept_more_data():
                raise _bad("br", "ends too early")
            data += stream.process(b"", output_buffer_limit=_ROOM - len(data))
    except brotli.error as error:
        raise _bad("br", "is damaged, or goes on behind its end") from error
    return data


def _zstd(body: bytes) -> bytes:
    """One or more frames, of which the content is one (RFC 8878, section 3)."""
    return _parts("zstd", body, _zstd_frame)


def _zstd_frame(body: bytes, room: int) -> tuple[bytes, bytes | None]:
    zstd = zstd_library()
    frame = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG_MAX})
    try:
        data: bytes = frame.decompress(body, room)
    except zstd.ZstdError as error:
        raise _bad("zstd", f"is damaged, or asks for a window over {2**ZSTD_WINDOW_LOG_MAX >> 20} MB") from error
    if frame.eof:
        return data, frame.unused_data
    if len(data) < room:
        raise _bad("zstd", "ends too early")
    return data, None


def _parts(coding: str, body: bytes, part: Callable[[bytes, int], tuple[bytes, bytes | None]]) -> bytes:
    """The content of all parts of a body; longer than allowed, a piece of it that is."""
    found, left = part(body, _ROOM)
    if left == b"":
        return found  # nearly always
    parts, size = [found], len(found)
    while left and size < _ROOM:  # zlib takes room for nothing as room without limit
        if len(parts) == COMPRESSED_PARTS_MAX:
            raise _bad(coding, f"has more than {COMPRESSED_PARTS_MAX} parts, the limit")
        found, left = part(left, _ROOM - size)
        parts.append(found)
        size += len(found)
    return b"".join(parts)


_UNPACK: dict[str, Callable[[bytes], bytes]] = {"gzip": _gzip, "deflate": _deflate, "br": _br, "zstd": _zstd}
