"""`footfall snippet`: the HTML to paste, for pages, e-mails and AMP pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from collector.cli.options import Failure, with_data
from collector.config import Settings


@click.command()
@click.option("--source", metavar="ID", help="Source whose write key to use (default: the first).")
@click.option("--url", metavar="URL", help="Where browsers reach the collector.")
@click.option("--core", is_flag=True, help="The small tag: page views, track, identify and consent.")
@click.option(
    "--pin", is_flag=True, help="This version of the tag for good, by its hash (SRI); footfall.more.js is not pinned."
)
@click.option("--extras", metavar="NAMES", default="", help="Extras to load, such as vitals,errors.")
@click.option("--nonce", metavar="TEXT", default="", help="What your template writes where a CSP nonce belongs.")
@click.option("--noscript/--no-noscript", default=True, help="Count pages without script by an image (default: yes).")
@click.option("--email", is_flag=True, help="Print the pixel for e-mails instead.")
@click.option("--amp", is_flag=True, help="Print the pixel for AMP pages instead.")
@click.option("--csp", is_flag=True, help="Print the Content-Security-Policy that the snippet needs instead.")
@with_data
def snippet(
    settings: Settings,
    source: str | None,
    url: str | None,
    core: bool,
    pin: bool,
    extras: str,
    nonce: str,
    noscript: bool,
    email: bool,
    amp: bool,
    csp: bool,
) -> None:
    """Print the HTML to paste into the head of every page.

    A pinned tag is answered by the collector for good, also after an upgrade. What it fetches itself is not pinned:
    footfall.more.js and its extras.
    """
    from collector.app import snippet as make
    from collector.app.tag import CORE_FILE, TAG_FILE

    if email + amp + csp > 1:
        raise Failure("--email, --amp and --csp each print something of their own; give one of them")
    found = _source(settings, source)
    base = url or settings.public_url or f"http://{settings.host}:{settings.port}"
    if email:
        click.echo(make.email_pixel(base, found.write_key))
    elif amp:
        click.echo(make.amp_pixel(base, found.write_key))
    elif csp:
        click.echo(make.policy(base, nonce))
    else:
        file = CORE_FILE if core else TAG_FILE
        choices = make.Choices(
            file=file,
            pinned=_built(file) if pin else None,
            extras=_extras(extras),
            collector_cookie=bool(found.cookie_domain),
            nonce=nonce,
            noscript=noscript,
            hints=settings.client_hints,
        )
        click.echo(make.snippet(base, found.write_key, choices))


def _source(settings: Settings, wanted: str | None) -> Any:
    from collector.sources import read_sources

    found = read_sources(Path(settings.data))
    if not found:
        raise Failure(f"{settings.data} has no source yet; start `footfall serve`, or `footfall sources add NAME`")
    for source in found:
        if wanted is None or wanted in (source.id, source.name):
            return source
    raise Failure(f"there is no source {wanted!r}; known are: {', '.join(source.id for source in found)}")


def _built(file: str) -> Any:
    """A file of the built tag, with its hash."""
    from collector.app.tag import built_files
    from collector.paths import TAG_DIR

    found = built_files(TAG_DIR).get(file)
    if found is None:
        raise Failure(f"the tag is not built: {TAG_DIR} has no {file}; run `npm ci && npm run build` in js_sdk")
    return found


def _extras(names: str) -> tuple[str, ...]:
    """The extras named, separated by commas or blanks; each is a file of the built tag."""
    from collector.app.tag import CORE_FILE, TAG_FILE, built_files
    from collector.paths import TAG_DIR

    if not names:
        return ()
    files = built_files(TAG_DIR).keys() - {TAG_FILE, CORE_FILE}
    known = sorted(file.removeprefix("footfall.").removesuffix(".js") for file in files)
    wanted = tuple(names.replace(",", " ").split())
    for name in wanted:
        if name not in known:
            raise Failure(f"there is no extra {name!r}; known are: {', '.join(known) or 'none, the tag is not built'}")
    return wanted
