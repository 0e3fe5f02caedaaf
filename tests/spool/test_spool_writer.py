"""What an acknowledgement promises: the record is synced, and a reader finds it whatever becomes of the writer."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from spool.segments import DEADLINE_SECONDS, payloads_of, read_all, uncounted, until, written

from collector.spooling.spool import (
    PENDING_BYTES_MAX,
    RECORD_BYTES_MAX,
    Record,
    SpoolUnavailable,
    SpoolWriter,
    count_spooled,
    frame,
    is_sealed,
    segments,
)


def test_records_are_read_back_in_order_with_their_counts(tmp_path: Path) -> None:
    payloads = [os.urandom(size) for size in (0, 1, 19, 20, 4_096, 100_000, *range(1_000, 1_400), 0)]

    async def use(writer: SpoolWriter) -> None:
        for number, payload in enumerate(payloads):
            await writer.append(frame(payload, accepted=number, rejected=2, dropped=70_000))

    written(tmp_path, use)
    (path,) = segments(tmp_path)
    items = [item for item in read_all(path) if isinstance(item, Record)]
    assert [item.payload for item in items] == payloads
    assert [item.accepted for item in items] == list(range(len(payloads)))
    assert {(item.rejected, item.dropped) for item in items} == {(2, 70_000)}
    assert count_spooled(tmp_path, {}) == sum(range(len(payloads))) + len(payloads) * 70_002
    assert count_spooled(tmp_path, {path.name: items[-2].end}) == len(payloads) - 1 + 70_002


class HeldSync:
    """A disk that takes as long as the test wants, and then as long as it needs."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()

    def __call__(self, descriptor: int) -> None:
        self.entered.set()
        assert self.released.wait(DEADLINE_SECONDS)
        os.fdatasync(descriptor)


def test_what_arrives_during_a_sync_shares_the_next_one_and_nothing_is_acked_before_its_own(tmp_path: Path) -> None:
    commits: list[int] = []

    async def main() -> None:
        sync = HeldSync()
        writer = SpoolWriter(tmp_path, "worker-0", lambda records, _: commits.append(records), sync=sync)
        futures = [writer.append(frame(b"first", 1, 0))]
        await asyncio.to_thread(sync.entered.wait, DEADLINE_SECONDS)
        futures += [writer.append(frame(b"%d" % number, 1, 0)) for number in range(500)]
        assert not any(future.done() for future in futures)
        sync.released.set()
        await asyncio.gather(*futures)
        await asyncio.to_thread(writer.close)

    asyncio.run(main())
    assert commits == [1, 500]
    assert payloads_of(tmp_path) == [b"first", *(b"%d" % number for number in range(500))]


def test_a_client_that_goes_away_leaves_its_neighbours_alone(tmp_path: Path) -> None:
    async def use(writer: SpoolWriter) -> None:
        gone, stays = writer.append(frame(b"gone", 1, 0)), writer.append(frame(b"stays", 1, 0))
        gone.cancel()
        await stays

    written(tmp_path, use)
    assert payloads_of(tmp_path) == [b"gone", b"stays"]


def test_a_disk_that_does_not_keep_up_is_told_to_clients_before_memory_fills(tmp_path: Path) -> None:
    async def main() -> None:
        sync = HeldSync()
        writer = SpoolWriter(tmp_path, "worker-0", uncounted, sync=sync)
        record = frame(bytes(8 * 1024 * 1024), 1, 0)
        taken = [writer.append(record) for _ in range(PENDING_BYTES_MAX // len(record))]
        with pytest.raises(SpoolUnavailable, match="not keeping up"):
            await writer.append(record)
        sync.released.set()
        await asyncio.gather(*taken)
        await writer.append(record)
        await asyncio.to_thread(writer.close)

    asyncio.run(main())
    assert len(payloads_of(tmp_path)) == 8


def test_a_record_that_a_reader_would_refuse_is_not_acked(tmp_path: Path) -> None:
    async def use(writer: SpoolWriter) -> None:
        with pytest.raises(SpoolUnavailable, match="is over"):
            await writer.append(frame(bytes(RECORD_BYTES_MAX), 1, 0))
        await writer.append(frame(b"small", 1, 0))

    written(tmp_path, use)
    assert payloads_of(tmp_path) == [b"small"]


def test_a_full_segment_is_sealed_and_the_next_one_is_not(tmp_path: Path) -> None:
    async def main() -> None:
        writer = SpoolWriter(tmp_path, "worker-0", uncounted, segment_bytes_max=1_000)
        for number in range(18):
            await writer.append(frame(b"%3d" % number * 100, 1, 0))
        sealed = [is_sealed(path) for path in segments(tmp_path)]
        assert sorted(sealed) == [False, True, True, True, True]  # four records each; the last has two
        await asyncio.to_thread(writer.close)
        assert all(is_sealed(path) for path in segments(tmp_path))

    asyncio.run(main())
    assert sorted(payloads_of(tmp_path)) == [b"%3d" % number * 100 for number in range(18)]


def test_a_segments_name_is_never_used_again(tmp_path: Path) -> None:
    names: list[str] = []

    async def use(writer: SpoolWriter) -> None:
        await writer.append(frame(b"x", 1, 0))

    for _ in range(50):
        written(tmp_path, use)
        (path,) = segments(tmp_path)
        names.append(path.name)
        path.unlink()  # as the loader does; its position for this name may live on
    assert len(set(names)) == 50


_WRITE_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from collector.spooling.spool import SpoolWriter, frame

async def main():
    writer = SpoolWriter(Path(sys.argv[1]), "worker-0", lambda *_: None)
    number = 0
    while True:
        await asyncio.gather(*(writer.append(frame(b"%d" % (number + i), 1, 0)) for i in range(10)))
        number += 10
        print(number, flush=True)

asyncio.run(main())
"""


def test_a_living_writers_segment_is_not_sealed_and_a_killed_ones_is_with_all_that_was_acked(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", _WRITE_UNTIL_KILLED, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    acked = 0
    while acked < 2_000:
        acked = int(process.stdout.readline())
    (path,) = segments(tmp_path)
    assert not is_sealed(path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    acked = int((process.stdout.read().splitlines() or [b"%d" % acked])[-1])
    process.stdout.close()
    assert is_sealed(path)
    found = payloads_of(tmp_path)
    assert found == [b"%d" % number for number in range(len(found))]
    assert len(found) >= acked

    async def use(writer: SpoolWriter) -> None:
        await writer.append(frame(b"next", 1, 0))
        assert is_sealed(path)

    before = path.read_bytes()
    written(tmp_path, use)
    assert path.read_bytes() == before, "a new writer wrote into another's segment"
    assert len(segments(tmp_path)) == 2


class FailingSync:
    """A disk whose sync fails while `broken`, and which remembers the files it was asked to sync."""

    def __init__(self) -> None:
        self.broken = False
        self.synced: list[tuple[int, bool]] = []

    def __call__(self, descriptor: int) -> None:
        self.synced.append((os.fstat(descriptor).st_ino, self.broken))
        if self.broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        os.fdatasync(descriptor)


def test_after_a_failed_sync_the_file_is_never_synced_again_and_the_spool_recovers_without_traffic(
    tmp_path: Path,
) -> None:
    sync = FailingSync()

    async def main() -> None:
        writer = SpoolWriter(tmp_path, "worker-0", uncounted, sync=sync)
        await writer.append(frame(b"before", 1, 0))
        sync.broken = True
        with pytest.raises(SpoolUnavailable, match="Input/output error"):
            await writer.append(frame(b"refused", 1, 0))
        assert writer.failure is not None
        with pytest.raises(SpoolUnavailable):
            await writer.append(frame(b"refused too", 1, 0))
        sync.broken = False
        await until(lambda: writer.failure is None, "the spool finds out that the disk works again")
        await writer.append(frame(b"after", 1, 0))
        await asyncio.to_thread(writer.close)

    asyncio.run(main())
    failed = {inode for inode, broken in sync.synced if broken}
    assert failed
    for inode in failed:
        outcomes = [broken for file, broken in sync.synced if file == inode]
        assert outcomes.index(True) == len(outcomes) - 1, "a file was synced again after its sync had failed"
    assert sorted(payloads_of(tmp_path)) == [b"after", b"before"]
