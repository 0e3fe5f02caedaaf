"""`footfall spool`: what waits for the database, whether it is whole, and old segments once more."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collector.cli.options import Failure, print_json, with_data

if TYPE_CHECKING:
    from collector.config import Settings
    from collector.loading.survey import Found


@click.group()
def spool() -> None:
    """Look at what waits for the database, check it, and load old segments once more."""


@spool.command("ls")
@click.option("--quick", is_flag=True, help="Leave out what stands in the records: sources, times, damage.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_data
def spool_ls(settings: Settings, quick: bool, as_json: bool) -> None:
    """List the segments with their state, and what was set aside.

    A segment is open (a worker writes it), sealed (it waits for the loader) or loaded (it will be deleted in a moment).
    Damaged bytes are in spool/damaged, rows that the database refused in load/refused. Reads every segment; with
    --quick only as much as counting takes.
    """
    from collector.loading.survey import survey

    listed = survey(_directory(settings), quick=quick)
    if as_json:
        print_json(listed)
        return
    for found in listed:
        click.echo(_line(found))
        if found.sources:
            click.echo("  " + ", ".join(f"{source} {count:,}" for source, count in sorted(found.sources.items())))
    waiting, stored = sum(found.waiting for found in listed), sum(found.stored_bytes for found in listed)
    click.echo(f"{_files(len(listed))}, {stored / 1e6:,.1f} MB, {waiting:,} events wait for the database")


def _line(found: Found) -> str:
    parts = [f"{found.stored_bytes:,} bytes" + (f" (of {found.bytes:,}, pressed)" if found.pressed else "")]
    if found.state in ("open", "sealed"):
        parts.append(f"{100 * found.loaded_bytes // max(found.bytes, 1)}% loaded, {found.waiting:,} events wait")
    if found.events:
        kinds = {"rejected": found.rejected, "dropped": found.dropped}
        counted = [f"{found.events:,} events", *(f"{count:,} {word}" for word, count in kinds.items() if count)]
        parts.append(", ".join(counted))
    if found.first_received_ms:
        parts.append(f"{_time(found.first_received_ms)} to {_time(found.last_received_ms)}")
    if found.damaged_bytes:
        parts.append(f"{found.damaged_bytes:,} bytes damaged")
    if found.torn_bytes:
        parts.append(f"a torn tail of {found.torn_bytes:,} bytes")
    return f"{found.state:8} {found.name}  {'; '.join(parts)}"


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@spool.command("verify")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_data
def spool_verify(settings: Settings, as_json: bool) -> int:
    """Check every byte of the spool against its checksums, and the loader's state; exit 1 if something is wrong.

    One line for each finding. A torn tail is told and is none: a kill or a power loss cut it off while it was written,
    and nobody was told that it is stored.
    """
    from collector.loading.survey import verify

    looked = verify(_directory(settings))
    if as_json:
        print_json(looked)
    else:
        for finding in looked.findings:
            click.echo(f"WRONG  {finding}")
        for note in looked.notes:
            click.echo(f"note   {note}")
        says = f"{looked.segments:,} segments, {looked.records:,} records, {looked.events:,} events"
        click.echo(f"{says}: {len(looked.findings):,} findings")
    return 1 if looked.findings else 0


@spool.command("replay")
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--delete", is_flag=True, help="Delete each file of which all is stored then.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_data
def spool_replay(settings: Settings, paths: tuple[Path, ...], delete: bool, as_json: bool) -> int:
    """Load old segments once more: what the database has already is found by its id and not stored again.

    PATH is a segment, a file of spool/damaged or load/refused, or a folder of segments, such as that of a backup;
    without one it is all that was set aside. Works while a collector runs and when none does; run it again whenever you
    like. Exits 1 when some bytes could not be read.
    """
    from collector.cli.plan.reading import reading
    from collector.hindsight.respool import respool
    from collector.hindsight.segment import Replayer
    from collector.loading.ledger import read_positions
    from collector.loading.survey import kept_files

    data_dir = _directory(settings)
    files = [file for path in paths for file in _segments_of(path)] or ([] if paths else kept_files(data_dir))
    with reading(settings, "footfall spool replay", loads=True) as session:
        replayer = Replayer(data_dir)
        try:
            # What an earlier one left in the spool first, so that the ledger tells this one from it.
            if not session.load(replayer.waiting()):
                raise Failure(f"an earlier replay is not loaded yet ({session.failure() or 'it is slow'}); try again")
            before = read_positions(data_dir).ledger
            done = [respool(file, replayer) for file in files]
            replayer.seal()
            loaded = session.load(replayer.waiting())
        finally:
            replayer.close()
        after = read_positions(data_dir).ledger
    deleted = [one.path for one in done if delete and loaded and not one.unreadable_bytes]
    for name in deleted:
        Path(name).unlink()
    unreadable = sum(one.unreadable_bytes for one in done)
    outcome = {word: getattr(after, word) - getattr(before, word) for word in ("stored", "rejected", "deduplicated")}
    if as_json:
        print_json({"files": done, "events": replayer.events, "loaded": loaded, "ledger": outcome, "deleted": deleted})
    else:
        for one in done:
            lost = f", {one.unreadable_bytes:,} bytes cannot be read" if one.unreadable_bytes else ""
            click.echo(f"{one.path}: {one.events:,} events in {one.records:,} records{lost}")
        where = "are loaded" if loaded else "are in the spool, where the collector has them"
        click.echo(f"{replayer.events:,} events of {_files(len(done))} {where}")
        if loaded and replayer.events:
            told = ", ".join(f"{count:,} {word}" for word, count in outcome.items())
            click.echo(f"the ledger has grown by {told}; what a collector received meanwhile is in it")
    return 1 if unreadable else 0


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"


def _segments_of(path: Path) -> list[Path]:
    """The files that a path names. Raises Failure where a folder holds no segment."""
    from collector.spooling.spool import SUFFIX, segments

    if not path.is_dir():
        return [path]
    found = segments(path)
    if not found:
        raise Failure(f"{path} holds no file that ends in {SUFFIX}; name the spool of the backup, or single files")
    return found


def _directory(settings: Settings) -> Path:
    data_dir = Path(settings.data)
    if not data_dir.is_dir():
        raise Failure(f"there is no data directory {data_dir}; name one with --data, or start `footfall serve`")
    return data_dir
