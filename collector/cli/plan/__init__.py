"""`footfall plan`: work on the tracking plan. One module per command, each quick to import."""

from __future__ import annotations

from typing import Any

import click

from collector.cli.options import Failure
from collector.cli.plan.check import check
from collector.cli.plan.codegen import codegen
from collector.cli.plan.diff import diff
from collector.cli.plan.docs import docs
from collector.cli.plan.export import export
from collector.cli.plan.import_ import import_
from collector.cli.plan.infer import infer
from collector.cli.plan.init import init
from collector.cli.plan.release import release
from collector.cli.plan.replay import replay
from collector.cli.plan.simulate import simulate
from collector.cli.plan.status import status
from collector.cli.plan.test import test


class _Commands(click.Group):
    """Commands on files of the user's choice: what is wrong with one is a sentence, not a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OSError as error:
            if error.filename is None:  # no file's: a closed pipe, a connection
                raise
            problem = f"{error.filename} cannot be read or written ({error.strerror})"
            raise Failure(f"{problem}; check its name and permissions, or name another") from error


@click.group(cls=_Commands)
def plan() -> None:
    """Work on the tracking plan."""


for _each in (init, check, test, diff, release, status, simulate, replay, infer, codegen, import_, export, docs):
    plan.add_command(_each)
