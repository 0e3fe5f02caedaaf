"""`footfall snippet`: what people paste is whole, fits what is served, and is allowed by what --csp prints."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from serving import Serving, footfall, serving

from collector.paths import TAG_DIR
from collector.sources import add_source

EXTRAS = sorted(path.name.split(".")[1] for path in TAG_DIR.glob("footfall.*.js") if path.name != "footfall.core.js")


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("snippet") / "data") as running:
        yield running


class Elements(HTMLParser):
    """The elements of a snippet: their names with their attributes, and the text within scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data)

    def of(self, tag: str) -> list[dict[str, Any]]:
        return [dict(attributes) for name, attributes in self.found if name == tag]


def printed(collector: Serving, *options: str) -> str:
    done = footfall("snippet", "--data", collector.data_dir, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_plain_one_is_a_stub_a_tag_and_an_image_for_those_without_script(collector: Serving) -> None:
    html = Elements(printed(collector, "--url", "https://t.example/"))
    stub, tag = html.of("script")
    assert stub == {}
    assert len(html.texts[0]) < 100
    assert tag == {"defer": None, "src": "https://t.example/footfall.js", "data-write-key": collector.write_key}
    (image,) = html.of("img")
    assert image["src"] == f"https://t.example/v1/p.gif?writeKey={collector.write_key}"
    assert image["referrerpolicy"] == "no-referrer-when-downgrade", "or the page's path would not come with it"
    assert html.of("noscript") == [{}]


def test_a_pinned_tag_is_what_the_collector_serves_for_good(collector: Serving) -> None:
    _, tag = Elements(printed(collector, "--pin", "--url", collector.url)).of("script")
    answer = collector.request("GET", urlsplit(tag["src"]).path)
    assert (answer.status, answer.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
    digest = base64.b64encode(hashlib.sha384(answer.body).digest()).decode()
    assert (tag["integrity"], tag["crossorigin"]) == (f"sha384-{digest}", "anonymous")
    assert answer.headers["access-control-allow-origin"] == "*", "which integrity needs"
    assert hashlib.sha256(answer.body).hexdigest()[:12] in tag["src"]


def test_the_core_is_another_file(collector: Serving) -> None:
    _, tag = Elements(printed(collector, "--core", "--url", "https://t.example")).of("script")
    assert tag["src"] == "https://t.example/footfall.core.js"
    done = footfall("snippet", "--core", "--pin", "--data", collector.data_dir)
    if (TAG_DIR / "footfall.core.js").is_file():
        assert "footfall.core." in done.stdout
    else:
        assert (done.returncode, "no footfall.core.js" in done.stderr) == (2, True)


def test_the_image_may_be_left_out(collector: Serving) -> None:
    assert "<img" not in printed(collector, "--no-noscript")


@pytest.mark.parametrize("separator", [",", " ", ", "])
def test_extras_are_named_for_the_tag_to_load(collector: Serving, separator: str) -> None:
    if not EXTRAS:
        pytest.skip("the built tag has no extras")
    _, tag = Elements(printed(collector, "--extras", separator.join(EXTRAS))).of("script")
    assert tag["data-extras"] == " ".join(EXTRAS)


def test_an_extra_that_does_not_exist_is_refused(collector: Serving) -> None:
    done = footfall("snippet", "--extras", "vitals,nonsense", "--data", collector.data_dir)
    assert done.returncode == 2
    assert done.stderr.startswith("footfall: there is no extra ")


def test_a_source_with_a_cookie_domain_has_it_in_its_snippet(collector: Serving) -> None:
    source, _ = add_source(collector.data_dir, "Cookie shop", ["https://shop.example"], "shop.example")
    _, tag = Elements(printed(collector, "--source", source.id)).of("script")
    assert (tag["data-write-key"], tag["data-cookie"]) == (source.write_key, "collector")
    _, plain = Elements(printed(collector)).of("script")
    assert "data-cookie" not in plain


def test_the_policy_allows_the_snippet_and_nothing_inline_besides(collector: Serving) -> None:
    html = Elements(printed(collector, "--url", "https://t.example/"))
    policy = printed(collector, "--csp", "--url", "https://t.example/").strip()
    directives = {words[0]: words[1:] for words in (part.split() for part in policy.split(";"))}
    stub = base64.b64encode(hashlib.sha256(html.texts[0].encode()).digest()).decode()
    assert directives == {
        "script-src": [f"'sha256-{stub}'", "https://t.example"],
        "connect-src": ["https://t.example"],
        "img-src": ["https://t.example"],
    }


def test_with_a_nonce_both_scripts_and_the_policy_have_it(collector: Serving) -> None:
    html = Elements(printed(collector, "--nonce", '{{ "n" }}', "--pin"))
    assert [script["nonce"] for script in html.of("script")] == ['{{ "n" }}'] * 2
    policy = printed(collector, "--csp", "--nonce", "NONCE", "--url", "https://t.example")
    assert "script-src 'nonce-NONCE' 'strict-dynamic'; connect-src https://t.example" in policy


def test_the_pixel_of_an_e_mail_is_an_event_of_its_reader(collector: Serving) -> None:
    html = printed(collector, "--email", "--url", collector.url)
    (image,) = Elements(html).of("img")
    assert (image["alt"], image["width"], image["height"]) == ("", "1", "1")
    filled = image["src"].replace("USER_ID", "snippet-reader").replace("CAMPAIGN", "may")
    path = filled.removeprefix(collector.url)
    assert collector.request("GET", path).status == 200
    collector.until_loaded()
    (row,) = collector.sql("SELECT event, properties FROM events WHERE user_id = 'snippet-reader'")
    assert row["event"] == "email_opened"
    assert json.loads(row["properties"]) == {"campaign": "may"}


def test_the_pixel_of_an_amp_page_has_amp_s_own_words(collector: Serving) -> None:
    (pixel,) = Elements(printed(collector, "--amp", "--url", "https://t.example")).of("amp-pixel")
    assert pixel["layout"] == "nodisplay"
    assert "=CLIENT_ID(footfall_id)" in pixel["src"], "AMP replaces no word that is percent-encoded"
    asked = parse_qs(urlsplit(pixel["src"]).query)
    assert asked == {
        "writeKey": [collector.write_key],
        "url": ["SOURCE_URL"],
        "title": ["TITLE"],
        "referrer": ["DOCUMENT_REFERRER"],
        "anonymousId": ["CLIENT_ID(footfall_id)"],
    }


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--amp"], "AMP pages load from https only"),
        (["--amp", "--csp"], "give one of them"),
        (["--email", "--csp"], "give one of them"),
        (["--source", "nobody"], "there is no source 'nobody'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_printed_is_one_sentence(collector: Serving, options: list[str], says: str) -> None:
    done = footfall("snippet", "--data", collector.data_dir, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_address_from_outside_cannot_break_out_of_its_attribute(collector: Serving) -> None:
    html = printed(collector, "--url", 'https://t.example/"><script>alert(1)</script>')
    assert len(Elements(html).of("script")) == 2
