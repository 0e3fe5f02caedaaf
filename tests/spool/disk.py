"""A real disk that is small enough to fill: a tmpfs, which only root may mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHUNK_BYTES = 4_096


@contextmanager
def tiny_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """Mount an empty disk of `size_bytes` for the length of a with block; skips the test where that is not allowed."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small tmpfs to fill it")
    folder.mkdir()
    options = f"size={size_bytes},mode=0700"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small tmpfs cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        # Lazily: a process that a failed test left behind must not keep the mount for ever.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take all the space there is with one file, and return the file: deleting it makes room again."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(CHUNK_BYTES))
        except OSError:
            return filler
