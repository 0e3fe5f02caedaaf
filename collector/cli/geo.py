"""`footfall geo`: databases of places, and what they say of an address."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from msgspec import structs

from collector.cli.options import Failure, print_json, with_data
from collector.config import Settings

_SAYS = {
    "address_unreadable": "this is no IP address",
    "address_not_public": "a private or reserved address; it is nowhere",
    "place_unknown": "no database knows it",
    "geo_broken": "the database is damaged where this address stands; install it again",
}


@click.group()
def geo() -> None:
    """Work on databases of places."""


@geo.command("install")
@click.argument("name", required=False)
@click.option("--to", metavar="DIR", help="Folder of its files (default: geo/NAME in the data directory).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_data
def install(settings: Settings, name: str | None, to: str | None, as_json: bool) -> None:
    """Get a free database from npm's registry; without a NAME, list them.

    Its sha512 is verified, and it is put in place at once: a running collector goes on with it. The registry, proxy and
    credentials are those of npm's own settings. Run it again each month for a newer one.
    """
    from collector.cli import geodata  # noqa: PLC0415 - quick start of the other commands
    from collector.cli.npm import Npm, read_settings  # noqa: PLC0415 - as above

    if name is None:
        for each, database in geodata.DATABASES.items():
            click.echo(f"{each:14}{database.holds} ({database.licence})")
        return
    if name not in geodata.DATABASES:
        raise Failure(f"there is no database {name!r}; known are: {', '.join(geodata.DATABASES)}")
    folder = Path(to) if to else Path(settings.data) / "geo" / name
    npm = Npm(read_settings(os.environ, Path.home(), Path.cwd()))
    try:
        installed = geodata.install(name, folder, npm, _progress)
    except OSError as error:
        raise Failure(
            f"{error.filename or folder} cannot be written ({error.strerror}); choose another with --to"
        ) from error
    if as_json:
        print_json(installed)
        return
    click.echo(f"installed {name} {installed.version}, data of {installed.built}, in {installed.folder}")
    click.echo(
        f'use it     {installed.setting} = "{installed.folder}"   '
        "(a collector that has it set follows within a quarter minute)"
    )
    if (days := installed.age_days(datetime.now(UTC))) > geodata.OLD_DAYS:
        click.echo(
            f"age        {days} days: its maker says that these npm packages are no longer renewed, and have errors; a "
            "newer .mmdb of"
        )
        click.echo(
            "           DB-IP (db-ip.com) or MaxMind (maxmind.com) is read as well: name its path in the setting"
        )
    click.echo(f"licence    {installed.licence}; pages that show what comes from it must link back:")
    click.echo(f"           {installed.attribution}")


@geo.command("lookup")
@click.argument("address")
@click.option("--geo", "source", metavar="PATH", help="A database or folder to try, in place of the setting.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_data
def lookup(settings: Settings, address: str, source: str | None, as_json: bool) -> None:
    """Where an IP ADDRESS is, as events from there are stored."""
    from collector.enrichment.geo import open_geo  # noqa: PLC0415 - quick start of the other commands

    found = open_geo(source or settings.geo, settings.geo_asn, settings.bot_networks)
    place = found.place(address)
    built = datetime.fromtimestamp(found.built_ms / 1000, UTC).date().isoformat() if found.built_ms else ""
    if as_json:
        print_json({**structs.asdict(place), "source": found.name, "built": built})
        return
    for name, value in structs.asdict(place).items():
        if name not in ("flags", "is_bot_network") and value:
            click.echo(f"{name:12} {value}")
    if place.is_bot_network:
        click.echo("bot_network  events from there are flagged as a bot's")
    if place.flags:
        click.echo(f"{'nothing':12} {_SAYS.get(place.flags, place.flags)}")
    click.echo(f"{'source':12} {found.name}{f', data of {built}' if built else ''}")


def _progress(size: int) -> None:
    """Say how far it is, where a person watches."""
    if sys.stderr.isatty():
        click.echo(f"\r{size / 1e6:.0f} MB", err=True, nl=False)
