"""`footfall sources`: the sites and servers that may send, and their keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from collector.cli.options import Failure, print_json, with_data
from collector.config import Settings


@click.group()
def sources() -> None:
    """List, add, change and disable the sites and servers that may send."""


@sources.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_data
def sources_list(settings: Settings, as_json: bool) -> None:
    """Show all sources with their public write keys."""
    from collector.sources import read_sources

    found = [_shown(source) for source in read_sources(Path(settings.data))]
    if as_json:
        print_json(found)
        return
    for source in found:
        state = "enabled" if source["enabled"] else "disabled"
        origins = ", ".join(source["origins"]) or "any origin"
        cookie = f"  cookie of {source['cookie_domain']}" if source["cookie_domain"] else ""
        facts = f"{state}  {source['environment']}  {origins}{cookie}"
        click.echo(f"{source['id']}  {source['write_key']}  {facts}  {source['name']}")
    if not found:
        click.echo("no sources yet; `footfall sources add NAME` adds one")


@sources.command("add")
@click.argument("name")
@click.option("--origin", "origins", metavar="URL", multiple=True, help="Origin that browsers may send from.")
@click.option(
    "--cookie-domain", metavar="DOMAIN", default="", help="Domain for which the collector sets the id's cookie."
)
@click.option("--environment", metavar="WORD", default="prod", help="Whose rules of the plan hold (default: prod).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_data
def sources_add(
    settings: Settings, name: str, origins: tuple[str, ...], cookie_domain: str, environment: str, as_json: bool
) -> None:
    """Add a source and show its keys; the server key is shown only here.

    With a cookie domain, pages of its origins get the visitor's id as a first-party cookie that lives for 400 days. The
    collector must be reached under that domain too, as t.shop.example is under shop.example.
    """
    from collector.sources import add_source

    source, server_key = add_source(Path(settings.data), name, list(origins), cookie_domain, environment)
    shown = _shown(source)
    shown = {"id": shown.pop("id"), "name": shown.pop("name"), "write_key": shown.pop("write_key")} | {
        "server_key": server_key,
        **shown,
    }
    if as_json:
        print_json(shown)
        return
    click.echo(f"source      {source.id}")
    click.echo(f"write key   {source.write_key}   for browsers, public")
    click.echo(f"server key  {server_key}   secret, shown only now")


@sources.command("set")
@click.argument("source")
@click.option("--without-consent", metavar="MODE", help="Of its events without consent: drop, cookieless or counts.")
@click.option("--consent-required/--consent-assumed", default=None, help="Whether what states no consent lacks it.")
@click.option("--consent-purpose", metavar="WORD", help="The purpose that must be granted (analytics).")
@click.option("--gpc/--no-gpc", default=None, help="Whether Global Privacy Control counts as a refusal.")
@click.option("--dnt/--no-dnt", default=None, help="Whether Do Not Track counts as one.")
@click.option("--consent-as-set", is_flag=True, help="All of these as the settings have them.")
@click.option("--origin", "origins", metavar="URL", multiple=True, help="Origins from now on; those there were go.")
@click.option("--any-origin", is_flag=True, help="Browsers may send from any origin.")
@click.option("--cookie-domain", metavar="DOMAIN", help='Domain of the id\'s cookie; "" for no cookie.')
@click.option("--environment", metavar="WORD", help="Whose rules of the plan hold.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_data
def sources_set(
    settings: Settings,
    source: str,
    origins: tuple[str, ...],
    any_origin: bool,
    cookie_domain: str | None,
    environment: str | None,
    as_json: bool,
    without_consent: str | None,
    consent_required: bool | None,
    consent_purpose: str | None,
    gpc: bool | None,
    dnt: bool | None,
    consent_as_set: bool,
) -> None:
    """Change a source; what is not named stays. SOURCE is its id or name."""
    from collector.consent import Overrides
    from collector.sources import change_source

    own = Overrides(without_consent, consent_required, gpc, dnt, consent_purpose)
    changes_consent = own != Overrides()
    if any_origin and origins:
        raise Failure("--any-origin and --origin contradict each other; give one of them")
    if consent_as_set and changes_consent:
        raise Failure("--consent-as-set and a rule of consent contradict each other; give one of them")
    names_nothing = not origins and not any_origin and cookie_domain is None and environment is None
    if names_nothing and not changes_consent and not consent_as_set:
        raise Failure("nothing to change; give --origin, --cookie-domain, --environment, a rule of consent, …")
    changed = change_source(
        Path(settings.data),
        source,
        origins=list(origins) if origins or any_origin else None,
        cookie_domain=cookie_domain,
        environment=environment,
        consent=Overrides() if consent_as_set else own if changes_consent else None,
    )
    if as_json:
        print_json(_shown(changed))
    else:
        click.echo(f"source {changed.id} is changed; running collectors follow at once")


@sources.command("rotate")
@click.argument("source")
@click.option("--server", is_flag=True, help="The secret server key (the default is the browsers' write key).")
@click.option("--keep-days", metavar="N", type=click.FloatRange(0, 3_650), default=7.0, show_default=True,
              help="For how long the old key still opens; 0 ends all old ones at once.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_data
def sources_rotate(settings: Settings, source: str, server: bool, keep_days: float, as_json: bool) -> None:
    """Give a source a new key. SOURCE is its id or name.

    The old one opens for some days more, in which pages and servers get the new one; no collector is restarted. A key
    that leaked ends with --keep-days 0, at once.
    """
    from collector.ingest.clock import now_ms
    from collector.sources import rotate_key

    changed, key = rotate_key(Path(settings.data), source, server=server, keep_days=keep_days, now_ms=now_ms())
    if as_json:
        print_json({**_shown(changed), "server_key" if server else "write_key": key})
        return
    click.echo(f"server key  {key}   secret, shown only now" if server else f"write key   {key}   for browsers, public")
    click.echo(f"the old one opens for {keep_days:g} days more" if keep_days else "all old ones are ended")


@sources.command("enable")
@click.argument("source")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_data
def sources_enable(settings: Settings, source: str, as_json: bool) -> None:
    """Take a disabled source's events again. SOURCE is its id or name."""
    from collector.sources import change_source

    enabled = change_source(Path(settings.data), source, enabled=True)
    if as_json:
        print_json(_shown(enabled))
    else:
        click.echo(f"source {enabled.id} is enabled")


@sources.command("disable")
@click.argument("source")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_data
def sources_disable(settings: Settings, source: str, as_json: bool) -> None:
    """Refuse a source's events from now on. SOURCE is its id or name."""
    from collector.sources import disable_source

    disabled = disable_source(Path(settings.data), source)
    if as_json:
        print_json(_shown(disabled))
    else:
        click.echo(f"source {disabled.id} is disabled; what it sent stays")


def _shown(source: Any) -> dict[str, Any]:
    """A source as people see it: without its server key's hash."""
    return {
        "id": source.id,
        "name": source.name,
        "write_key": source.write_key,
        "origins": source.origins,
        "enabled": source.enabled,
        "cookie_domain": source.cookie_domain,
        "environment": source.environment,
        "consent": msgspec.to_builtins(source.consent),
    }
