"""Secrets in addresses are never stored: in an address, in a query, in raw JSON, within another address."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.enrichment.referrer import fragment_of
from collector.enrichment.sensitive import _ENDS, harmless_signs, without_secrets

quick = settings(derandomize=True, database=None, deadline=None, max_examples=150)

NAMES = [
    "token", "access_token", "id_token", "csrf-token", "resetToken", "password", "user[password]",
    "user%5Bpassword%5D", "passwd", "passphrase", "secret", "client_secret", "api_key", "apikey", "api-key",
    "aws_access_key", "private_key", "X-Amz-Signature", "session_id", "sessionid", "credentials", "X-Amz-Credential",
    "card_number", "cardno", "security_code", "email", "e-mail", "email_address", "phone", "phone_number", "pwd",
    "pass", "pw", "jwt", "otp", "totp", "mfa", "2fa", "pin", "auth", "authorization", "bearer", "sig", "hmac", "sid",
    "PHPSESSID", "jsessionid", "sessid", "cookie", "cvv", "cvv2", "cvc", "cvc2", "ccnum", "pan", "iban", "bic", "ssn",
    "passport", "magic", "magic_link", "magiclink", "ticket", "SAMLResponse", "samlrequest", "assertion", "user.pin",
    "TOKEN",
]  # fmt: skip


@pytest.mark.parametrize(
    ("address", "left"),
    [
        ("https://me:hush@a.example/x", "https://a.example/x"),
        ("https://hush@a.example", "https://a.example"),
        ("ftp://me:hu%40sh@a.example/?b=1&token=hush", "ftp://a.example/?b=1"),
        ("https://a.example/@me/post?to=you@b.example", "https://a.example/@me/post?to=you@b.example"),
        ("https://a.example?to=you@b.example", "https://a.example?to=you@b.example"),
        ("me@a.example", "me@a.example"),
    ],
)
def test_credentials_before_a_host_are_left_out_and_nothing_else_with_an_at_sign(address: str, left: str) -> None:
    assert without_secrets(address) == left
    for text in (json.dumps({"url": address, "n": [1]}), json.dumps({"url": address}).replace("/", "\\/")):
        assert json.loads(without_secrets(text)) == json.loads(text) | {"url": left}


@pytest.mark.parametrize("name", NAMES)
def test_what_a_secret_is_called(name: str) -> None:
    for address, left in (
        ("https://a.example/?{}=hush", "https://a.example/"),
        ("https://a.example/?a=1&{}=hush", "https://a.example/?a=1"),
        ("https://a.example/?{}=hush&b=2", "https://a.example/?b=2"),
        ("https://a.example/?a=1&{}=hush&{}=hush&b=2#top", "https://a.example/?a=1&b=2#top"),
        ("https://a.example/#{}=hush&b=2", "https://a.example/#b=2"),
        ("?a=1&amp;{}=hush", "?a=1"),
        ("https://a.example/in;{}=hush?b=2", "https://a.example/in"),
        ("https://a.example/?next=https%3A%2F%2Fb.example%2F%3F{}%3Dhush%26c%3D3&b=2",
         "https://a.example/?next=https%3A%2F%2Fb.example%2F%3Fc%3D3&b=2"),
    ):  # fmt: skip
        sent = address.replace("{}", name)
        assert "hush" in sent
        found = without_secrets(sent)
        assert "hush" not in found, sent
        if ";" not in address:
            assert found == left
        for text in (json.dumps({"url": sent, "why?": "a=b"}), json.dumps({"url": sent}).replace("&", "\\u0026")):
            kept = without_secrets(text)
            assert "hush" not in kept
            assert json.loads(kept).keys() == json.loads(text).keys()


@pytest.mark.parametrize(
    "text",
    [
        "https://a.example/?key=1&code=SPRING&state=NY&id=7&tokens=3&monkey=1&pinned=1&passing=2&mail=1&designer=x",
        "https://a.example/?utm_source=email&utm_medium=token&q=password&gclid=sid",
        "https://a.example/?token",
        "token=1",
        '{"text":"my password=x is no parameter","token":"a"}',
        '{"a":"?","b":"token=5"}',
        '{"a\0b":"https://a.example/?monkey=1&key=2"}',
        "",
    ],
)
def test_what_is_no_secret_is_kept_to_the_character(text: str) -> None:
    assert without_secrets(text) == text


def test_a_nul_byte_ends_no_search_for_secrets() -> None:
    assert without_secrets("\0https://a.example/?to\0ken=1&a=2&token=3\0") == "https://a.example/?a=2"


def test_what_is_kept_of_json_is_json_with_escapes_and_all() -> None:
    sent = {"url": 'https://a.example/?password=a"b\\c&x=1', "title": 'é " \\ \x01'}
    for text in (json.dumps(sent), json.dumps(sent, ensure_ascii=False)):
        assert json.loads(without_secrets(text)) == {"url": "https://a.example/?x=1", "title": sent["title"]}


@quick
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "q", "token", "email", "page[size]", "x-sig", "Password"]),
            st.text(st.characters(exclude_characters="&#%\0", exclude_categories=("Cs", "Cc", "Z")), max_size=6),
        ),
        max_size=6,
    ),
    st.booleans(),
)
def test_of_any_query_exactly_the_secret_pairs_go(pairs: list[tuple[str, str]], ascii_only: bool) -> None:
    secret = {"token", "email", "x-sig", "Password"}
    query = "&".join(f"{name}={value}" for name, value in pairs)
    text = json.dumps({"url": f"https://a.example/?{query}", "n": 1}, ensure_ascii=ascii_only)
    left = "&".join(f"{name}={value}" for name, value in pairs if name not in secret)
    expected = f"https://a.example/?{left}" if left or not pairs else "https://a.example/"
    assert json.loads(without_secrets(text)) == {"url": expected, "n": 1}


def test_the_quick_look_finds_every_name() -> None:
    """_ENDS lets an address through unread; a name that it lacks would be stored."""
    assert {name.lower().rstrip("]").removesuffix("%5d")[-3:] for name in NAMES} - set(_ENDS.split()) <= {"pw"}


@quick
@given(
    st.lists(st.sampled_from((*NAMES, "a", "utm_source", "q", "=", "]", "pw", "x]", "/", "?", "&", "#", "\u00e9"))),
    st.lists(st.sampled_from((*NAMES, "b", "utm_medium", "?", "&", "="))),
)
def test_json_of_harmless_addresses_alone_is_left_as_it_is(first: list[str], second: list[str]) -> None:
    url, referrer = "".join(first), "".join(second)
    for separators in ((",", ":"), (", ", ": ")):
        text = json.dumps({"n": 1, "url": url, "referrer": referrer}, separators=separators, ensure_ascii=False)
        if text.count("=") == harmless_signs(url, referrer):
            assert without_secrets(text) == text


def test_addresses_that_hold_a_secret_are_not_called_harmless() -> None:
    assert harmless_signs("https://a.example/?utm_source=x&q=1", "https://b.example/?s=2") == 3
    assert harmless_signs("", "") == 0
    for name in NAMES:
        if "%" not in name:
            assert harmless_signs("https://a.example/?utm_source=x", f"/?{name}=hush") == -1


def test_a_fragment_is_kept_without_its_secrets() -> None:
    assert fragment_of("https://a.example/#/route?sid=1&tab=2") == "/route?tab=2"
    assert fragment_of("https://a.example/#access_token=x&token_type=bearer") == "token_type=bearer"
    assert fragment_of("https://a.example/") == fragment_of("https://a.example/#") == ""
    assert len(fragment_of("https://a.example/#" + "x" * 10_000)) < 512


@pytest.mark.parametrize(
    "text",
    ["?" + "&a=b" * 16_000, "?token=" * 9_000, "?token=x&" * 7_000, "?%5b" * 16_000 + "%3d=", "&" * 64_000 + "sid=",
     "?" + "=".join(f"{n}token" for n in range(9_000)), "?" + "a" * 64_000 + "_sid=1", "?pin=\\" * 9_000],
    ids=lambda text: text[:8],
)  # fmt: skip
def test_64_kb_of_parameters_cost_milliseconds(text: str) -> None:
    started = time.thread_time()
    without_secrets(text)
    assert time.thread_time() - started < 0.2  # 4-20 ms; what backtracks takes seconds
