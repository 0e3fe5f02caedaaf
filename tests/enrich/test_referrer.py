"""parse_page and classify: what an analyst sees for the addresses that sites, campaigns and attackers send."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.enrichment.referrer import NO_PAGE, Page, classify, parse_page

# Any text a JSON or header decoder can hand us, lone surrogates included.
ANY_TEXT = st.text(st.characters(exclude_categories=()))
quick = settings(derandomize=True, database=None, deadline=None, max_examples=80)


@pytest.mark.parametrize(
    ("url", "stored", "host", "path", "query"),
    [
        ("https://example.com", "https://example.com/", "example.com", "/", ""),
        ("HTTPS://WWW.Example.COM/A/b", "https://www.example.com/A/b", "www.example.com", "/A/b", ""),
        ("https://example.com?x=1", "https://example.com/?x=1", "example.com", "/", "x=1"),
        ("https://example.com/p?x=1&y=a?b#top?z", "https://example.com/p?x=1&y=a?b", "example.com", "/p", "x=1&y=a?b"),
        ("https://example.com/p?", "https://example.com/p", "example.com", "/p", ""),
        ("https://example.com#@evil.example/", "https://example.com/", "example.com", "/", ""),
        ("http://example.com:80/", "http://example.com/", "example.com", "/", ""),
        ("https://example.com:443/", "https://example.com/", "example.com", "/", ""),
        ("https://example.com:/", "https://example.com/", "example.com", "/", ""),
        ("http://localhost:8000/x", "http://localhost:8000/x", "localhost:8000", "/x", ""),
        ("http://example.com:443/", "http://example.com:443/", "example.com:443", "/", ""),
        ("https://me:secret@example.com/", "https://example.com/", "example.com", "/", ""),
        ("https://me:p@ss@example.com/a@b", "https://example.com/a@b", "example.com", "/a@b", ""),
        ("http://[2001:DB8::1]:8080/x", "http://[2001:db8::1]:8080/x", "[2001:db8::1]:8080", "/x", ""),
        (
            "https://Müller.example/straße",
            "https://xn--mller-kva.example/stra%C3%9Fe",
            "xn--mller-kva.example",
            "/stra%C3%9Fe",
            "",
        ),
        (
            "https://faß.example/?q=ö b",
            "https://xn--fa-hia.example/?q=%C3%B6%20b",
            "xn--fa-hia.example",
            "/",
            "q=%C3%B6%20b",
        ),
        (
            "https://m%C3%BCller.example:8443",
            "https://xn--mller-kva.example:8443/",
            "xn--mller-kva.example:8443",
            "/",
            "",
        ),
        ("https://xn--mller-kva.example/", "https://xn--mller-kva.example/", "xn--mller-kva.example", "/", ""),
        ("  https://example.com/a b\n", "https://example.com/a%20b", "example.com", "/a%20b", ""),
        (
            "https://example.com/a/../b/./c/%2E%2e/d?x=/../y",
            "https://example.com/b/d?x=/../y",
            "example.com",
            "/b/d",
            "x=/../y",
        ),
        ("https://example.com/..", "https://example.com/", "example.com", "/", ""),
        ("http:/example.com", "http://example.com/", "example.com", "/", ""),
        ("http:///example.com/p", "http://example.com/p", "example.com", "/p", ""),
        (r"http:\\example.com\x", "http://example.com/x", "example.com", "/x", ""),
        (
            r"https://example.com\@evil.example/",
            "https://example.com/@evil.example/",
            "example.com",
            "/@evil.example/",
            "",
        ),
        ("https://example.com/?token=t&page=2&password=p", "https://example.com/?page=2", "example.com", "/", "page=2"),
        ("https://exam\tple.com/\x00p", "https://example.com/p", "example.com", "/p", ""),
        ("https://example.com/%00%zz", "https://example.com/%00%zz", "example.com", "/%00%zz", ""),
    ],
)
def test_an_address_is_stored_without_fragment_credentials_and_default_port(
    url: str, stored: str, host: str, path: str, query: str
) -> None:
    page = parse_page(url)
    assert (page.url, page.host, page.path, page.query) == (stored, host, path, query)


@pytest.mark.parametrize(
    "url",
    [
        "/relative",
        "//example.com/",
        "example.com",
        "javascript:alert(1)",
        "JavaScript://example.com/%0aalert(1)",
        "data:text/html,<script>",
        "file:///etc/passwd",
        "about:blank",
        "http://",
        "http://@/",
        "http://exa mple.com/",
        "http://<script>/",
        "http://example.com:port/",
        "http://example.com:123456/",
        "http://example.com:65536/",
        "http://ü%00.example/",
        "https://" + "ü" * 200 + ".example/",
        "http://[::1/",
        "http://[not-v6]/",
        "http://" + "a" * 254 + "/",
        "\ud800",
    ],
)
def test_what_is_no_web_address_is_no_page_and_said_to_be_unreadable(url: str) -> None:
    assert parse_page(url) == Page(problem="unreadable")


def test_no_address_is_no_problem() -> None:
    assert parse_page("") == parse_page(" ") == NO_PAGE


def test_an_address_that_is_too_long_is_cut_and_said_to_be() -> None:
    page = parse_page("https://example.com/" + "a" * 3_000)
    assert (page.problem, len(page.url), page.host) == ("cut", 2_048, "example.com")
    assert len(parse_page("https://example.com/" + "ü" * 2_000).url) <= 2_048, "not longer by being encoded"


def test_what_a_browser_sends_is_stored_as_it_is() -> None:
    """As the URL API gives it: nothing is encoded twice, nothing that is allowed is encoded."""
    for url in (
        "https://example.com/a%20b/%C3%BC?q=a+b&c=%26#",
        "https://example.com/~user/(a)/b;c=1,2/@x:y/!$&'*+=?a[]=1&b={x}|`^'",
        "https://xn--mller-kva.example/",
    ):
        assert parse_page(url).url == url.removesuffix("#")


@pytest.mark.parametrize("label", ["xn--", "xn--abc", "xn--abc-", "xn--a", "xn--99999999", "xn--" + "a" * 100_000])
def test_punycode_that_stands_for_no_name_is_said_to_be_unreadable(label: str) -> None:
    for host in (label, f"www.{label}.example", f"{label}.example:8443"):
        page = parse_page(f"https://{host}/x")
        assert (page.problem, page.host) == ("unreadable", ""), host[:80]


def test_punycode_of_any_script_or_emoji_is_a_name() -> None:
    for host in ("xn--mller-kva.example", "xn--i-7iq.ws", "shop.xn--80aswg.xn--p1ai:8443", "axn--b.example", "a.xn-b"):
        assert (parse_page(f"https://{host}/").host, parse_page(f"https://{host}/").problem) == (host, "")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("utm_source=news&utm_medium=email", {"utm_source": "news", "utm_medium": "email"}),
        ("utm_campaign=spring+sale%21&utm_term=a%2Bb", {"utm_campaign": "spring sale!", "utm_term": "a+b"}),
        ("utm_content=%E2%82%AC", {"utm_content": "€"}),
        ("utm_source=first&utm_source=second", {"utm_source": "first"}),
        ("utm_source=&utm_source=second", {"utm_source": "second"}),
        ("a=1&amp;utm_source=escaped&amp;utm_medium=email", {"utm_source": "escaped", "utm_medium": "email"}),
        ("utm_source", {}),
        ("xutm_source=no&utm_sources=no", {}),
        ("utm_source=%FF%ED%A0%80x", {"utm_source": "\ufffd" * 4 + "x"}),
        ("utm_source=a%00b%0D%0Ac", {"utm_source": "abc"}),
        ("utm_source=%", {"utm_source": "%"}),
        ("utm_source=" + "x" * 300, {"utm_source": "x" * 256}),
        ("utm_source=a=b", {"utm_source": "a=b"}),
        ("gclid=Cj0", {"click_id_type": "gclid", "click_id": "Cj0"}),
        ("wbraid=w", {"click_id_type": "wbraid", "click_id": "w"}),
        ("li_fat_id=l", {"click_id_type": "li_fat_id", "click_id": "l"}),
        ("srsltid=s&gclid=g", {"click_id_type": "gclid", "click_id": "g"}),
        ("fbclid=f&gclid=g", {"click_id_type": "gclid", "click_id": "g"}),
        ("gclid=&msclkid=m", {"click_id_type": "msclkid", "click_id": "m"}),
        ("gclid=" + "x" * 600, {"click_id_type": "gclid", "click_id": "x" * 512}),
    ],
)
def test_campaign_words_are_read_from_the_query(query: str, expected: dict[str, str]) -> None:
    page = parse_page(f"https://example.com/?{query}")
    found = {name: getattr(page, name) for name in Page.__struct_fields__[4:-1] if getattr(page, name)}
    assert found == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/?" + "&".join(f"p{i}={i}" for i in range(10_000)),
        "https://example.com/?" + "utm_source=%41&" * 10_000,
        "https://" + "@" * 1_000_000,
        "https://" + "a." * 500_000,
        "https://example.com/" + "%" * 1_000_000,
        "https://example.com/?utm_source=" + "%F0%9F" * 200_000,
        "\x00" * 1_000_000,
        "\ud800" * 1_000_000,
        "https://" + "ü." * 500_000,
        "https://example.com" + "/.." * 300_000,
        "https://example.com/?" + "token=a&" * 100_000,
        "https://example.com/?a=1" + "%26token%3D" * 100_000,
    ],
    ids=["10,000 parameters", "10,000 utm", "@", "labels", "%", "half emoji", "NUL", "surrogates", "IDN",
         "dots", "secrets", "nested secrets"],
)  # fmt: skip
def test_a_hostile_address_costs_little_and_is_cut(url: str) -> None:
    started = time.thread_time()
    page = parse_page(url)
    classify(url, page)
    assert time.thread_time() - started < 0.05  # 0.1-2 ms; unbounded, some of these take a second
    assert len(page.url) <= 2_049  # a "/" may be added to an empty path


@quick
@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_no_text_makes_it_raise_or_give_what_cannot_be_stored(url: str, query: str, referrer: str) -> None:
    for text in (url, f"https://{url}/", f"https://example.com/{url}?utm_source={query}&gclid={query}"):
        page = parse_page(text)
        host, channel = classify(referrer, page)
        classify(f"https://{referrer}/", page)
        for value in (*(getattr(page, name) for name in Page.__struct_fields__), host, channel):
            value.encode("utf-8")
            assert "\x00" not in value


@pytest.mark.parametrize(
    ("referrer", "expected"),
    [
        ("", ("", "direct")),
        ("garbage", ("", "direct")),
        ("javascript:alert(1)", ("", "direct")),
        ("https://example.com/before", ("", "internal")),
        ("https://www.example.com/before", ("", "internal")),
        ("http://EXAMPLE.com:80/", ("", "internal")),
        ("https://blog.example.com/", ("blog.example.com", "referral")),
        ("https://notexample.com/", ("notexample.com", "referral")),
        ("https://www.google.com/", ("www.google.com", "organic_search")),
        ("https://www.google.co.uk/search?q=x", ("www.google.co.uk", "organic_search")),
        ("https://google.com.br", ("google.com.br", "organic_search")),
        ("https://google.evil.example/", ("google.evil.example", "referral")),
        ("https://www.google.com.evil.example/", ("www.google.com.evil.example", "referral")),
        ("https://notgoogle.com/", ("notgoogle.com", "referral")),
        ("https://docs.google.com/d/1", ("docs.google.com", "referral")),
        ("https://mail.google.com/", ("mail.google.com", "email")),
        ("https://gemini.google.com/app", ("gemini.google.com", "ai_assistant")),
        ("https://cn.bing.com/", ("cn.bing.com", "organic_search")),
        ("https://duckduckgo.com/", ("duckduckgo.com", "organic_search")),
        ("https://uk.search.yahoo.com/", ("uk.search.yahoo.com", "organic_search")),
        ("https://yandex.com.tr/", ("yandex.com.tr", "organic_search")),
        ("https://www.baidu.com/", ("www.baidu.com", "organic_search")),
        ("https://l.facebook.com/l.php", ("l.facebook.com", "organic_social")),
        ("https://t.co/abc", ("t.co", "organic_social")),
        ("https://x.com/", ("x.com", "organic_social")),
        ("https://netflix.com/", ("netflix.com", "referral")),
        ("https://www.linkedin.com/", ("www.linkedin.com", "organic_social")),
        ("https://br.pinterest.com/pin/1", ("br.pinterest.com", "organic_social")),
        ("https://news.ycombinator.com/", ("news.ycombinator.com", "organic_social")),
        ("https://www.youtube.com/watch?v=1", ("www.youtube.com", "video")),
        ("https://chatgpt.com/", ("chatgpt.com", "ai_assistant")),
        ("https://www.perplexity.ai/", ("www.perplexity.ai", "ai_assistant")),
        ("https://outlook.live.com/mail", ("outlook.live.com", "email")),
        ("https://webmail.host.example/", ("webmail.host.example", "email")),
        ("https://mail.ru/", ("mail.ru", "referral")),
        ("android-app://com.google.android.gm/", ("com.google.android.gm", "email")),
        ("android-app://com.google.android.googlequicksearchbox/https/www.google.com", (
            "com.google.android.googlequicksearchbox", "organic_search",
        )),
        ("https://partner.example:8443/", ("partner.example:8443", "referral")),
        ("https://www.google.com:8443/", ("www.google.com:8443", "organic_search")),
    ],
)  # fmt: skip
def test_the_referrer_names_the_channel_of_an_untagged_page(referrer: str, expected: tuple[str, str]) -> None:
    assert classify(referrer, parse_page("https://example.com/")) == expected


@pytest.mark.parametrize(
    ("query", "referrer", "channel"),
    [
        ("utm_medium=cpc&utm_source=google", "", "paid_search"),
        ("utm_medium=CPC&utm_source=Facebook", "", "paid_social"),
        ("utm_medium=cpc&utm_source=youtube", "", "video"),
        ("utm_medium=cpc&utm_source=unheard-of", "", "paid_search"),
        ("utm_medium=paid", "https://www.instagram.com/", "paid_social"),
        ("utm_medium=ppc&fbclid=x", "", "paid_social"),
        ("utm_medium=paid-social", "https://www.google.com/", "paid_social"),
        ("utm_medium=social", "", "organic_social"),
        ("utm_medium=e-mail", "https://www.google.com/", "email"),
        ("utm_medium=email&gclid=x", "", "email"),
        ("utm_medium=affiliate", "", "affiliate"),
        ("utm_medium=display", "https://partner.example/", "display"),
        ("utm_medium=video", "", "video"),
        ("utm_medium=organic&utm_source=google", "", "organic_search"),
        ("utm_medium=organic&utm_source=unheard-of", "", "organic_search"),
        ("utm_medium=organic&utm_source=facebook", "", "organic_social"),
        ("utm_medium=referral&utm_source=chatgpt.com", "", "ai_assistant"),
        ("utm_medium=sms", "", "referral"),
        ("utm_source=chatgpt.com", "", "ai_assistant"),
        ("utm_source=newsletter&fbclid=x", "https://l.facebook.com/", "email"),
        ("utm_source=www.linkedin.com", "", "organic_social"),
        ("utm_source=unheard-of", "", "referral"),
        ("utm_source=unheard-of", "https://www.google.com/", "organic_search"),
        ("utm_source=newsletter", "https://example.com/", "email"),
        ("gclid=x", "https://www.google.com/", "paid_search"),
        ("gclid=x", "https://example.com/", "paid_search"),
        ("gclid=x&utm_source=newsletter", "", "paid_search"),
        ("msclkid=x", "", "paid_search"),
        ("dclid=x", "", "display"),
        *[(f"{name}=x", "", "paid_search") for name in ("gbraid", "wbraid", "yclid", "ymclid")],
        *[(f"{name}=x", "", "display") for name in ("tblci", "dicbo", "ob_click_id")],
        *[
            (f"{name}=x", "", "paid_social")
            for name in ("twclid", "li_fat_id", "rdt_cid", "ScCid", "epik", "qclid", "ndclid")
        ],
        *[
            (f"{name}=x", "", "affiliate")
            for name in ("irclickid", "cjevent", "ranSiteID", "sscid", "clickref", "tduid")
        ],
        ("srsltid=x", "", "organic_search"),
        ("igsh=x", "", "organic_social"),
        ("utm_medium=sea&utm_source=google", "", "paid_search"),
        ("utm_source=google_ads", "", "paid_search"),
        ("utm_source=meta_ads", "", "paid_social"),
        ("utm_medium=llm", "", "ai_assistant"),
        ("ttclid=x", "", "paid_social"),
        ("awc=x", "", "affiliate"),
        ("fbclid=x", "", "organic_social"),
        ("utm_campaign=only", "", "direct"),
    ],
)
def test_campaign_words_win_over_the_referrer(query: str, referrer: str, channel: str) -> None:
    assert classify(referrer, parse_page(f"https://example.com/?{query}"))[1] == channel


def test_a_referrer_is_kept_when_the_page_is_unknown() -> None:
    assert classify("https://www.google.com/", NO_PAGE) == ("www.google.com", "organic_search")
    assert classify("", NO_PAGE) == ("", "direct")
