"""Segments as files: plain, as a worker writes them, or pressed, as the store process keeps those that must wait.

    plain    what spool.py says
    pressed  frame* index          zstd frames of whole records; put together they are the plain segment, byte for byte
    index    a skippable frame: (pressed_bytes u32, plain_bytes u32, events u32)*, frames u32, crc32 u32, magic(8)

A pressed segment stands under the name it had, in whose place it came whole, and every position counts plain bytes: who
reads need not know which it is, and the loader goes on in the one where it stopped in the other. `zstd -dc` prints the
plain segment, because skippable frames are skipped (RFC 8878, section 3.1.2).

The index says where a byte is and how many events lie behind it without unpacking what comes before. Where it cannot be
read, it is found anew from the frames. A frame that cannot be unpacked reads as bytes that are no record, as many as it
held, so that it costs what it held and nothing else.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, TracebackType
from typing import NamedTuple

PLAIN_MAGIC = b"FFSP"  # the first half of spool.SEGMENT_MAGIC
FRAME_MAGIC = b"\x28\xb5\x2f\xfd"
INDEX_MAGIC = b"FFPRESS1"
LEVEL = 3  # 350 MB of plain bytes a second, to a tenth; level 6 takes four times as long for a quarter less
_SKIPPABLE = struct.Struct("<4sI")
_SKIPPABLE_MAGIC = b"\x5d\x2a\x4d\x18"
_ENTRY = struct.Struct("<III")
_FOOTER = struct.Struct("<II8s")
_SIZE_BYTES_MAX = 1 << 31  # of the plain bytes of a frame; more is a damaged head
UNREADABLE = b"\xff"  # begins no record, and is not what a crash leaves behind either


class Frame(NamedTuple):
    """One zstd frame: where it lies in the file, which plain bytes it holds, and how many events (-1: not known)."""

    at: int
    pressed_bytes: int
    start: int
    end: int
    events: int


class SegmentFile:
    """One segment, open for reading by plain bytes. As a context manager it is closed at the end."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self.file: io.FileIO = path.open("rb", buffering=0)
        self._descriptor = self.file.fileno()
        self._stored_bytes = os.fstat(self._descriptor).st_size
        self.frames: list[Frame] | None = None
        self._last: tuple[int, bytes] = (-1, b"")
        try:
            if self._stored_bytes >= _FOOTER.size:
                self.frames = _index(self._descriptor, self._stored_bytes)
        except BaseException:
            self.file.close()
            raise

    @property
    def is_pressed(self) -> bool:
        """True for a pressed segment."""
        return self.frames is not None

    @property
    def size(self) -> int:
        """How many plain bytes there are; of a live segment, by now."""
        if self.frames is None:
            return os.fstat(self._descriptor).st_size
        return self.frames[-1].end if self.frames else 0

    def read(self, start: int, length: int) -> bytes:
        """Plain bytes from `start` on, fewer than `length` only at the end. Raises OSError."""
        if self.frames is None:
            return _pread(self._descriptor, start, length)
        stop = start + length
        return b"".join(
            self._plain(frame)[max(start - frame.start, 0) : stop - frame.start]
            for frame in self.frames
            if frame.start < stop and start < frame.end
        )

    def kept(self, start: int, end: int) -> Iterator[bytes]:
        """What to keep of bytes that are no record: themselves, or as stored the frames that cannot be unpacked."""
        for frame in self.frames or ():
            if frame.end > start and frame.start < end and _unpacked(self._stored(frame), frame) is None:
                yield self._stored(frame)
                start = frame.end
        if self.frames is None or start < end:
            yield self.read(start, end - start)

    def sync(self) -> None:
        """Make durable what was written so far."""
        os.fdatasync(self._descriptor)

    def _stored(self, frame: Frame) -> bytes:
        return _pread(self._descriptor, frame.at, frame.pressed_bytes)

    def _plain(self, frame: Frame) -> bytes:
        if self._last[0] != frame.at:
            data = _unpacked(self._stored(frame), frame)
            self._last = frame.at, UNREADABLE * (frame.end - frame.start) if data is None else data
        return self._last[1]

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()

    def __enter__(self) -> SegmentFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class Presser:
    """Writes a pressed segment to a file that is its own until the caller gives it its name."""

    def __init__(self, file: io.BufferedWriter, level: int = LEVEL) -> None:
        self._file = file
        self._level = level
        self._entries = bytearray()
        self.plain_bytes = self.pressed_bytes = 0

    def add(self, plain: bytes, events: int) -> None:
        """Write one frame. Raises OSError."""
        zstd = zstd_library()
        compressor = zstd.ZstdCompressor(
            options={
                zstd.CompressionParameter.compression_level: self._level,
                zstd.CompressionParameter.checksum_flag: 1,
            }
        )
        data = compressor.compress(plain, mode=zstd.ZstdCompressor.FLUSH_FRAME)
        self._file.write(data)
        self._entries += _ENTRY.pack(len(data), len(plain), events)
        self.plain_bytes += len(plain)
        self.pressed_bytes += len(data)

    def end(self) -> None:
        """Write the index and make all of it durable. Raises OSError."""
        body = bytes(self._entries) + _FOOTER.pack(
            len(self._entries) // _ENTRY.size, zlib.crc32(self._entries), INDEX_MAGIC
        )
        self._file.write(_SKIPPABLE.pack(_SKIPPABLE_MAGIC, len(body)) + body)
        self._file.flush()
        os.fsync(self._file.fileno())
        self.pressed_bytes += _SKIPPABLE.size + len(body)


def zstd_library() -> ModuleType:
    """The library of zstd, loaded by the first that needs it: most processes see nothing compressed."""
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415 - see above
    else:
        from backports import zstd  # noqa: PLC0415 - see above
    return zstd


def _pread(descriptor: int, start: int, length: int) -> bytes:
    """One read takes 2 GB at most, which is more than anybody asks for here; at a file's end it is short."""
    return os.pread(descriptor, length, start) if length > 0 else b""


def _unpacked(stored: bytes, frame: Frame) -> bytes | None:
    """The plain bytes of a frame; None where it is damaged."""
    zstd = zstd_library()
    room = frame.end - frame.start
    try:
        data: bytes = zstd.ZstdDecompressor().decompress(stored, room + 1)
    except zstd.ZstdError:
        return None
    return data if len(data) == room else None


def _index(descriptor: int, stored_bytes: int) -> list[Frame] | None:
    """The frames of a pressed segment; None for a plain one."""
    head = _pread(descriptor, 0, len(FRAME_MAGIC))
    if head == PLAIN_MAGIC:  # whatever its end looks like: what stands there, clients choose
        return None
    count, checksum, magic = _FOOTER.unpack(_pread(descriptor, stored_bytes - _FOOTER.size, _FOOTER.size))
    if magic == INDEX_MAGIC:
        entries_bytes = count * _ENTRY.size
        entries_at = stored_bytes - _FOOTER.size - entries_bytes
        entries = _pread(descriptor, entries_at, entries_bytes) if entries_at >= 0 else b""
        if len(entries) == entries_bytes and zlib.crc32(entries) == checksum:
            return list(_frames(entries))
    return _found(descriptor, stored_bytes) if head == FRAME_MAGIC else None


def _frames(entries: bytes) -> Iterator[Frame]:
    at = start = 0
    for pressed_bytes, plain_bytes, events in _ENTRY.iter_unpack(entries):
        yield Frame(at, pressed_bytes, start, start + plain_bytes, events)
        at += pressed_bytes
        start += plain_bytes


def _found(descriptor: int, stored_bytes: int) -> list[Frame]:
    """The frames as they lie there, for want of an index; what follows one that cannot be told apart is one more."""
    zstd = zstd_library()
    data = _pread(descriptor, 0, stored_bytes)
    frames: list[Frame] = []
    at = start = 0
    while data[at : at + len(FRAME_MAGIC)] == FRAME_MAGIC:
        try:
            pressed_bytes = zstd.get_frame_size(data[at:])
            plain_bytes = zstd.get_frame_info(data[at:]).decompressed_size
        except zstd.ZstdError:
            break
        if plain_bytes is None or plain_bytes > _SIZE_BYTES_MAX:
            break
        frames.append(Frame(at, pressed_bytes, start, start + plain_bytes, -1))
        at += pressed_bytes
        start += plain_bytes
    if at < stored_bytes and data[at : at + len(_SKIPPABLE_MAGIC)] != _SKIPPABLE_MAGIC:
        frames.append(Frame(at, stored_bytes - at, start, start + stored_bytes - at, -1))
    return frames
