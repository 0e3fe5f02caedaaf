"""What all commands share: their settings, their one kind of failure, and JSON output."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
import msgspec

from collector.config import Settings, load_settings
from collector.spooling.room import Room


class Failure(Exception):
    """A command cannot do what was asked; the text is one sentence."""


def settings_of(**flags: Any) -> Settings:
    """The settings in force: flags over environment over the file that --config or FOOTFALL_CONFIG names."""
    config = flags.pop("config", None) or os.environ.get("FOOTFALL_CONFIG")
    return load_settings(Path(config) if config else None, os.environ, flags)


def room_of(settings: Settings) -> Room:
    """What the spool of a data directory may take."""
    return Room(
        Path(settings.data) / "spool",
        spool_bytes_max=settings.spool_mb_max * 1_000_000,
        free_bytes_kept=settings.free_mb_min * 1_000_000,
    )


def with_data(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --data and --config, and hand the settings over as the first argument."""

    @click.option("--data", metavar="DIR", help="Data directory (default: footfall-data).")
    @click.option("--config", metavar="FILE", help="TOML file of settings.")
    @wraps(function)
    def wrapped(data: str | None, config: str | None, **rest: Any) -> Any:
        return function(settings_of(data=data, config=config), **rest)

    return wrapped


def with_server(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags of `serve`, and hand the settings over as the first argument."""

    @click.option("--data", metavar="DIR", help="Data directory (default: footfall-data).")
    @click.option("--host", metavar="ADDRESS", help="Address to listen on (default: 127.0.0.1).")
    @click.option("--port", metavar="P", type=int, help="Port to listen on, 0 for any (default: 8765).")
    @click.option(
        "--workers", metavar="N", type=int, help="Processes that receive events, 0 for one a core (default: 1)."
    )
    @click.option("--config", metavar="FILE", help="TOML file of settings.")
    @click.option("--clickhouse", metavar="DSN", help="ClickHouse server (default: embedded chDB).")
    @click.option("--plan", metavar="DIR", help="Folder of the tracking plan (default: the one that ships).")
    @wraps(function)
    def wrapped(
        data: str | None,
        host: str | None,
        port: int | None,
        workers: int | None,
        config: str | None,
        clickhouse: str | None,
        plan: str | None,
        **rest: Any,
    ) -> Any:
        settings = settings_of(
            data=data, host=host, port=port, workers=workers, config=config, clickhouse=clickhouse, plan=plan
        )
        return function(settings, **rest)

    return wrapped


def print_json(value: object) -> None:
    """Print a value as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
