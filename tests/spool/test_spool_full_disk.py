"""A full disk: nothing acked is lost, nothing refused is left behind, and the spool recovers by itself."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from spool.disk import fill, tiny_disk
from spool.segments import payloads_of, uncounted, until

from collector.spooling.spool import SpoolUnavailable, SpoolWriter, frame

DISK_BYTES = 2 * 1024 * 1024

# The kernel itself cuts the write short and then fails it, as a disk without room does: EFBIG in place of ENOSPC.
_WRITE_PAST_THE_LIMIT = """
import asyncio, os, resource, sys, threading
from pathlib import Path
from collector.spooling.spool import SpoolUnavailable, SpoolWriter, frame, is_sealed, segments

async def main():
    folder = Path(sys.argv[1])
    entered, released = threading.Event(), threading.Event()

    def sync(descriptor):
        entered.set()
        released.wait()
        os.fdatasync(descriptor)

    writer = SpoolWriter(folder, "worker-0", lambda *_: None, sync=sync)
    first = writer.append(frame(b"acked 0", 1, 0))
    await asyncio.to_thread(entered.wait)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))
    (path,) = segments(folder)
    size = path.stat().st_size
    # One commit of three records: the first is written whole, the second in part.
    refused = [writer.append(frame(bytes(100_000), 1, 0)) for _ in range(3)]
    released.set()
    await first
    refused = await asyncio.gather(*refused, return_exceptions=True)
    assert [type(error) for error in refused] == [SpoolUnavailable] * 3, refused
    assert "File too large" in writer.failure, writer.failure
    assert path.stat().st_size == size, "refused records were left in the segment"
    while writer.failure is not None:
        await asyncio.sleep(0.01)
    for number in range(1, 4):
        await writer.append(frame(b"acked %d" % number, 1, 0))
    # The loader may have read the first refused record before it was cut off, and stands behind it now. Were the
    # segment written again, its position would lie inside a record that was acknowledged.
    assert path.stat().st_size == size, "a segment was written again after it had been cut back"
    assert is_sealed(path)
    await asyncio.to_thread(writer.close)

asyncio.run(main())
"""


def test_a_write_cut_short_is_taken_back_and_its_segment_never_written_again(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WRITE_PAST_THE_LIMIT, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(payloads_of(tmp_path)) == [b"acked %d" % number for number in range(4)]


def test_a_filling_disk_keeps_room_for_the_loader_and_is_used_again_once_there_is_more(tmp_path: Path) -> None:
    with tiny_disk(tmp_path / "disk", DISK_BYTES) as disk:
        acked: list[bytes] = []

        async def write_until_refused(writer: SpoolWriter) -> None:
            while True:
                payload = os.urandom(10_000)
                await writer.append(frame(payload, 1, 0))
                acked.append(payload)

        async def main() -> None:
            filler = disk / "filler"
            filler.write_bytes(bytes(DISK_BYTES // 2))
            writer = SpoolWriter(disk / "spool", "worker-0", uncounted)
            with pytest.raises(SpoolUnavailable, match="would stay free"):
                await write_until_refused(writer)
            assert len(acked) > 50
            free = os.statvfs(disk)
            assert free.f_bavail * free.f_frsize >= DISK_BYTES // 20
            assert writer.failure is not None
            filler.unlink()
            await until(lambda: writer.failure is None, "the spool finds out that there is room again")
            with pytest.raises(SpoolUnavailable):
                await write_until_refused(writer)
            assert len(acked) > 150
            await asyncio.to_thread(writer.close)

        asyncio.run(main())
        assert sorted(payloads_of(disk / "spool")) == sorted(acked)


def test_a_disk_without_any_room_refuses_and_leaves_no_segment_behind_for_each_refusal(tmp_path: Path) -> None:
    with tiny_disk(tmp_path / "disk", DISK_BYTES) as disk:

        async def main() -> None:
            writer = SpoolWriter(disk / "spool", "worker-0", uncounted)
            filler = fill(disk)
            for _ in range(100):
                with pytest.raises(SpoolUnavailable):
                    await writer.append(frame(b"refused", 1, 0))
            assert list((disk / "spool").iterdir()) == []
            filler.unlink()
            await until(lambda: writer.failure is None, "the spool finds out that there is room again")
            await writer.append(frame(b"acked", 1, 0))
            await asyncio.to_thread(writer.close)

        asyncio.run(main())
        assert payloads_of(disk / "spool") == [b"acked"]
