"""`footfall grants`: a role and a user for analysts who may read and nothing else."""

from __future__ import annotations

import os
import secrets
from contextlib import closing

import click

from collector.cli.options import Failure, settings_of

PASSWORD_VARIABLE = "ANALYST_PASSWORD"  # noqa: S105 - the variable's name
PASSWORD_BYTES = 24


@click.command()
@click.option("--user", metavar="NAME", default="analyst", show_default=True, help='User to make; "" for none.')
@click.option("--no-identities", is_flag=True, help="Only views whose answers name no person, device or session.")
@click.option("--seconds", metavar="N", type=click.IntRange(1, 86_400), default=60, help="Of one question (60).")
@click.option("--megabytes", metavar="N", type=click.IntRange(10), default=4_000, help="Of one question (4000).")
@click.option("--queries", metavar="N", type=click.IntRange(1), default=2_000, help="In an hour (2000).")
@click.option("--hour-seconds", metavar="N", type=click.IntRange(1), default=1_800, help="Of work in an hour (1800).")
@click.option("--apply", "applied", is_flag=True, help="Run the statements on the server instead of printing them.")
@click.option("--clickhouse", metavar="DSN", help="The server, with a user who may make users.")
@click.option("--config", metavar="FILE", help="TOML file of settings.")
def grants(
    user: str,
    no_identities: bool,
    seconds: int,
    megabytes: int,
    queries: int,
    hour_seconds: int,
    applied: bool,
    clickhouse: str | None,
    config: str | None,
) -> None:
    """Print, or apply, the SQL that lets analysts read a ClickHouse server's views and change nothing.

    The password is that of the environment's ANALYST_PASSWORD, or a random one that is told once, on standard error.
    """
    from collector.database.catalogue import catalogue  # noqa: PLC0415 - what few other commands need
    from collector.database.cluster import shards  # noqa: PLC0415
    from collector.database.grants import Limits, access, open_views  # noqa: PLC0415
    from collector.database.store import Store, database_of  # noqa: PLC0415

    settings = settings_of(clickhouse=clickhouse, config=config)
    if settings.dsn.startswith("chdb:"):
        raise Failure(
            "the embedded engine has no users; name a ClickHouse server with --clickhouse, "
            "or let analysts use `footfall sql`"
        )
    database = database_of(settings.dsn)
    given = os.environ.get(PASSWORD_VARIABLE, "")
    password = given or secrets.token_urlsafe(PASSWORD_BYTES)
    limits = Limits(seconds, megabytes, queries, hour_seconds)
    statements = open_views(catalogue(), database) if no_identities else []
    spread = settings.cluster is not None
    statements += access(database, user, password, limits, no_identities=no_identities, spread=spread)
    if applied:
        with closing(Store(settings.dsn, cluster=settings.cluster)) as store:
            servers = shards(store)
            for server in servers:
                for statement in statements:
                    server.command(statement)
        click.echo(f"applied {len(statements)} statements" + (f" on {len(servers)} shards" if spread else ""))
    else:
        if spread:
            click.echo(f"-- For each shard of cluster {settings.clickhouse_cluster}.")
        click.echo("".join(f"{statement};\n" for statement in statements), nl=False)
    if user and not given:
        click.echo(f"password of {user}: {password}   shown only now", err=True)
