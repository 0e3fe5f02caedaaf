"""Scenarios in a browser as tests: one node process plays those of a file, a few at a time; each is one test."""

from __future__ import annotations

import json
import re
import subprocess
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def names_in(file: str) -> list[str]:
    """The scenarios of a file. Their names stand at the start of a line: `  "a page view on load": async (…`."""
    return re.findall(r'^  "([^"]+)": async', (HERE / file).read_text(), flags=re.MULTILINE)


def listed_by(file: str) -> list[str]:
    """The same, as the driver knows them."""
    arguments = ["node", str(HERE / "driver.mjs"), "--list", file]
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.splitlines()


def chosen(request: pytest.FixtureRequest, names: Iterable[str]) -> list[str]:
    """Of these scenarios those whose tests are to run, in their order."""
    parameters = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    wanted = {given.get("name") for given in parameters}
    return [name for name in names if name in wanted]


class PlayedTwice(UserWarning):
    """A scenario failed, and passed when it was played again; the run's summary names it, and it is to be mended."""


class Player:
    """The driver's process, playing scenarios of one file. They begin in the order in which they are asked for.

    One that fails is played once more: a browser that gets a tenth of a core runs into time limits that are generous
    elsewhere, and one of some three hundred scenarios would then decide about all tests. What passes only the second
    time is a warning of the run, with its error.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._known: dict[str, dict[str, object]] = {}
        self._verdicts: dict[str, dict[str, Any]] = {}

    def ask(self, names: Iterable[str], **known: object) -> None:
        """Have scenarios played; `known` is what each of them is given besides."""
        assert self._process.stdin is not None
        for name in names:
            self._known[name] = known
            self._process.stdin.write(json.dumps({"name": name, **known}) + "\n")
        self._process.stdin.flush()

    def result(self, name: str) -> Any:
        """Wait for a scenario that was asked for; what it returned. Fails as it failed."""
        verdict = self._verdict(name)
        if not verdict["ok"]:
            del self._verdicts[name]
            self.ask([name], **self._known[name])
            first, verdict = verdict, self._verdict(name)
            if verdict["ok"]:
                warnings.warn(f"{name}: failed at first: {first['error']}", PlayedTwice, stacklevel=2)
        assert verdict["ok"], verdict["error"]
        return verdict.get("result")

    def _verdict(self, name: str) -> dict[str, Any]:
        assert self._process.stdout is not None
        while name not in self._verdicts:
            line = self._process.stdout.readline()
            assert line, "the driver ended; is Chromium installed, and `npm ci` done in js_sdk?"
            verdict = json.loads(line)
            self._verdicts[verdict["name"]] = verdict
        return self._verdicts[name]


@contextmanager
def playing(file: str) -> Iterator[Player]:
    """One node process with one browser for scenarios of a file."""
    with subprocess.Popen(
        ["node", str(HERE / "driver.mjs"), file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Player(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=20)
