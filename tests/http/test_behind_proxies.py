"""Whose request it is behind proxies, and what that decides: with a collector that trusts them, nginx, and Caddy."""

from __future__ import annotations

import getpass
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import segment.analytics
from serving import Answer, Serving, serving

from collector.app.address import address_of
from collector.sources import add_source

pytestmark = pytest.mark.xdist_group("http_proxies")

DOCUMENT = (Path(__file__).parents[2] / "collector" / "PROXIES.md").read_text()
TRUSTED = [ip_network("10.0.0.0/8"), ip_network("2001:db8:ffff::/48")]
PROXY = "10.0.0.1"


def client(value: str | list[str], header: str = "forwarded", peer: str = PROXY) -> str:
    """The address that is found where these headers come from a peer."""
    values = [value] if isinstance(value, str) else value
    headers = [(b"host", b"x"), *((header.encode(), each.encode("latin-1")) for each in values)]
    return address_of(peer, headers, TRUSTED, header.encode())


@pytest.mark.parametrize(
    ("forwarded", "found"),
    [
        ("for=203.0.113.7", "203.0.113.7"),
        ("For=203.0.113.7;proto=https;by=203.0.113.43", "203.0.113.7"),
        ("proto=https; for = 203.0.113.7 ;host=x", "203.0.113.7"),
        ('for="203.0.113.7:4711"', "203.0.113.7"),
        ('for="[2001:db8::7]"', "2001:db8::7"),
        ('for="[2001:db8::7]:4711"', "2001:db8::7"),
        ('for="[2001:db8::7]:_port"', "2001:db8::7"),
        ("for=[2001:db8::7]", "2001:db8::7"),
        ('for="::ffff:203.0.113.7"', "203.0.113.7"),
        ("for=6.6.6.6, for=203.0.113.7", "203.0.113.7"),
        ("for=6.6.6.6, for=203.0.113.7, for=10.0.0.2", "203.0.113.7"),
        ('for=203.0.113.7, for="[2001:db8:ffff::2]:80"', "203.0.113.7"),
        (["for=6.6.6.6", "for=203.0.113.7", "for=10.0.0.2"], "203.0.113.7"),
        ("for=10.0.0.3, for=10.0.0.2", "10.0.0.3"),
        # What a client wrote left of it does not matter, however it is broken.
        ('for="6.6.6.6, for=203.0.113.7', "203.0.113.7"),
        ('for=";,, for=203.0.113.7', "203.0.113.7"),
        ('for="a\\", for=203.0.113.7', "203.0.113.7"),
        ("=;=,for, for=203.0.113.7", "203.0.113.7"),
        ("for=6.6.6.6," * 3_000 + "for=203.0.113.7", "203.0.113.7"),
        ('"' * 5_001 + ",for=203.0.113.7", "203.0.113.7"),
        # Nobody knows whose it is.
        ("for=unknown", PROXY),
        ("for=_hidden", PROXY),
        ('for="_SEVKISEK:_8"', PROXY),
        ("for=203.0.113.7, for=unknown", PROXY),
        ("for=203.0.113.7, for=_hidden, for=10.0.0.2", PROXY),
        ("by=203.0.113.7", PROXY),
        ("proto=https", PROXY),
        ('for="203.0.113.7, 6.6.6.6"', PROXY),
        ('for="203.0.113.7', PROXY),
        ("203.0.113.7", PROXY),
        ("for=203.0.113.7,", PROXY),
        ("", PROXY),
        (",", PROXY),
        ("\xff\x00", PROXY),
    ],
)
def test_of_the_standard_s_header_the_rightmost_node_that_is_not_ours_counts(
    forwarded: str | list[str], found: str
) -> None:
    assert client(forwarded) == found
    assert client(forwarded, peer="192.0.2.1") == "192.0.2.1", "who is no proxy of ours is believed nothing"


def test_only_the_header_counts_that_our_proxies_write() -> None:
    both = [(b"forwarded", b"for=6.6.6.6"), (b"x-forwarded-for", b"203.0.113.7"), (b"cf-connecting-ip", b"1.1.1.1")]
    for header, found in (
        (b"x-forwarded-for", "203.0.113.7"),
        (b"forwarded", "6.6.6.6"),
        (b"cf-connecting-ip", "1.1.1.1"),
        (b"x-real-ip", PROXY),
    ):
        assert address_of(PROXY, both, TRUSTED, header) == found
        assert address_of(PROXY, both, (), header) == PROXY


def test_the_table_of_the_document_is_what_happens() -> None:
    rows = re.findall(r"^\| `([^`]+)`.*\| ([0-9a-f.:]+)[;|\s]", DOCUMENT, re.MULTILINE)
    assert len(rows) == 4
    for written, found in rows:
        assert client(written, "x-forwarded-for") == found
    assert client("unknown", "x-forwarded-for") == PROXY


# With a collector, and with nginx before it


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A collector that trusts one address of this machine; 100 events a second of a source, one of an address."""
    settings: dict[str, Any] = {
        "FOOTFALL_TRUSTED_PROXIES": f"{OURS}/32",
        "FOOTFALL_SOURCE_RATE_MAX": "100",
        "FOOTFALL_ADDRESS_RATE_MAX": "1",
        "FOOTFALL_RATE_BURST_SECONDS": "2",
    }
    data_dir = tmp_path_factory.mktemp("proxies") / "data"
    with serving(data_dir, **settings) as running:
        yield running
        assert "Traceback" not in running.log()


OURS, THEIRS = "127.0.0.2", "127.0.0.1"  # a proxy of ours, and a client


def ask(
    port: int, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, by: str = OURS
) -> Answer:
    """One request from an address of this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(by, 0))
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def send(
    collector: Serving, port: int, name: str, key: str = "", by: str = OURS, count: int = 1, **headers: str
) -> Answer:
    events = [{"type": "track", "event": "e", "messageId": f"{name}-{n}", "anonymousId": "v"} for n in range(count)]
    body = json.dumps({"batch": events, "writeKey": key or collector.write_key}).encode()
    return ask(port, "POST", "/v1/batch", body, {name.replace("_", "-"): value for name, value in headers.items()}, by)


MANY = 40  # so that its address has nothing left for a while, however slow this machine is


def test_an_address_that_sends_too_much_is_told_when_to_come_again_and_others_are_not(behind: Serving) -> None:
    assert send(behind, behind.port, "one", count=MANY, x_forwarded_for="198.51.100.1").status == 200
    refused = send(behind, behind.port, "two", x_forwarded_for="198.51.100.1")
    assert (refused.status, refused.json["reason"]) == (429, "rate_limited")
    assert 0 < int(refused.headers["retry-after"]) <= MANY
    assert refused.headers["access-control-expose-headers"] == "retry-after"
    assert "connection" not in refused.headers, "it may come again on the same one"
    assert send(behind, behind.port, "other", x_forwarded_for="198.51.100.2").status == 200
    assert send(behind, behind.port, "forged", x_forwarded_for="6.6.6.6, 198.51.100.1").status == 429
    assert behind.metric('footfall_refused_total{reason="rate_limited"}') >= 2


def test_a_pixel_is_an_image_all_the_same_and_says_why_not_with_ack(behind: Serving) -> None:
    headers = {"x-forwarded-for": "198.51.100.3"}
    path = f"/v1/p.gif?event=e&writeKey={behind.write_key}"
    assert send(behind, behind.port, "before", count=MANY, x_forwarded_for="198.51.100.3").status == 200
    assert ask(behind.port, "GET", path, headers=headers).headers["content-type"] == "image/gif"
    told = ask(behind.port, "GET", f"{path}&ack=1", headers=headers)
    assert (told.status, told.json["reason"]) == (429, "rate_limited")


def test_a_server_sends_for_many_from_one_address(behind: Serving) -> None:
    _, server_key = add_source(behind.data_dir, "Server", [])
    for number in range(2):
        headers = {"x_forwarded_for": "198.51.100.4"}
        assert send(behind, behind.port, f"server-{number}", server_key, count=MANY, **headers).status == 200


def test_segment_s_client_waits_and_loses_nothing(behind: Serving) -> None:
    source, server_key = add_source(behind.data_dir, "Limited", [])
    problems: list[Any] = []
    before = behind.metric('footfall_refused_total{reason="rate_limited"}')
    # 200 are the burst; the debt takes five seconds to pay, and the client comes before that.
    assert send(behind, behind.port, "debt", server_key, count=700).status == 200
    client_ = segment.analytics.Client(server_key, host=behind.url, on_error=lambda error, _: problems.append(error))
    for number in range(3):
        client_.track(user_id="u", event="Item Bought", properties={"number": number})
    client_.shutdown()
    assert problems == []
    assert behind.metric('footfall_refused_total{reason="rate_limited"}') > before
    behind.until_loaded()
    (row,) = behind.sql(
        f"SELECT uniqExact(message_id) AS found, count() AS n FROM events WHERE source_id = '{source.id}'"
    )
    assert (int(row["found"]), int(row["n"])) == (703, 703)


def program_of(name: str, package: str) -> str:
    """Where a proxy's program is; skips where it is not installed."""
    program = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip(f"{name} is not installed, so the documented file cannot be tried (Debian: {package})")
    return program


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def listening(command: Sequence[str], port: int, log: Path, **environment: str) -> Iterator[int]:
    """A proxy's process, from when it takes connections on a port of this machine."""
    with log.open("a") as errors:
        process = subprocess.Popen(command, stderr=errors, env=os.environ | environment)
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            with suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def nginx(behind: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """nginx with the document's own file, but for the certificate and the ports."""
    program = program_of("nginx", "nginx-light")
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    (documented,) = re.findall(r"```nginx\n(upstream.*?)```", DOCUMENT, re.DOTALL)
    configured = documented.replace("127.0.0.1:8765", f"127.0.0.1:{behind.port}")
    configured = configured.replace("listen 443 ssl http2;", f"listen 127.0.0.1:{port};")
    configured = configured.replace("proxy_pass", f"proxy_bind {OURS}; proxy_pass")
    configured = re.sub(r" *(listen \[::\]|ssl_certificate).*\n", "", configured)
    (folder / "nginx.conf").write_text(
        f"user {getpass.getuser()}; daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n{configured}\n}}"
    )
    command = [program, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    with listening(command, port, folder / "error.log"):
        yield port


def assert_a_client_is_known(collector: Serving, port: int, name: str, by: str) -> None:
    """Through a proxy: its address has its limit whatever it makes up, and another's has one of its own."""
    assert send(collector, port, name, by=by, count=MANY).status == 200
    for number, made_up in enumerate(("6.6.6.6", "6.6.6.6, 7.7.7.7", "garbage, , ,", f"8.8.8.8, {OURS}")):
        headers: dict[str, Any] = {"x_forwarded_for": made_up, "forwarded": "for=8.8.8.8", "x_real_ip": "9.9.9.9"}
        assert send(collector, port, f"{name}-{number}", by=by, **headers).status == 429, made_up
    assert send(collector, port, f"{name}-other", by="127.0.0.9").status == 200


def assert_refusals_are_the_collector_s_own(port: int, by: str) -> None:
    """Through a proxy, which adds none and lets through what is no refusal."""
    large = ask(port, "POST", "/v1/batch", b"x" * 700_000, by=by)
    assert (large.status, large.json["reason"]) == (413, "body_too_large")
    long = ask(port, "GET", "/v1/p.gif?" + "a" * 9_000, by=by)
    assert (long.status, long.json["reason"]) == (414, "url_too_long")
    assert ask(port, "GET", "/v1/p.gif?event=e", by=by).headers["content-type"] == "image/gif"
    assert ask(port, "GET", "/livez", by=by).status == 200


def test_behind_nginx_as_documented_a_client_is_known_whatever_it_makes_up(behind: Serving, nginx: int) -> None:
    assert_a_client_is_known(behind, nginx, "nginx", by=THEIRS)


def test_behind_nginx_as_documented_refusals_are_the_collector_s_own(nginx: int) -> None:
    assert_refusals_are_the_collector_s_own(nginx, by=THEIRS)
    assert [ask(nginx, "GET", "/metrics", by=by).status for by in (THEIRS, OURS)] == [200, 403]


@pytest.fixture(scope="module")
def before_caddy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A collector that trusts Caddy, which comes from this machine's first address: no setting chooses another."""
    program_of("caddy", "caddy")
    limits: dict[str, Any] = {"FOOTFALL_ADDRESS_RATE_MAX": "1", "FOOTFALL_RATE_BURST_SECONDS": "2"}
    data_dir = tmp_path_factory.mktemp("caddy") / "data"
    with serving(data_dir, FOOTFALL_TRUSTED_PROXIES="127.0.0.1/32", **limits) as running:
        yield running


@pytest.fixture(scope="module")
def caddy(before_caddy: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Caddy with the document's own file, but for the name, and with it the certificate, and the ports."""
    folder, port = tmp_path_factory.mktemp("caddy"), free_port()
    (documented,) = re.findall(r"```caddy\n(.*?)```", DOCUMENT, re.DOTALL)
    configured = documented.replace("127.0.0.1:8765", f"127.0.0.1:{before_caddy.port}")
    configured = configured.replace("t.example.com", f"http://127.0.0.1:{port}")
    file = folder / "Caddyfile"
    file.write_text(f"{{\n\tadmin off\n}}\n{configured}")
    command = [program_of("caddy", "caddy"), "run", "--adapter", "caddyfile", "--config", str(file)]
    with listening(command, port, folder / "error.log", HOME=str(folder)):
        yield port


def test_behind_caddy_as_documented_a_client_is_known_whatever_it_makes_up(before_caddy: Serving, caddy: int) -> None:
    assert_a_client_is_known(before_caddy, caddy, "caddy", by=OURS)


def test_behind_caddy_as_documented_refusals_are_the_collector_s_own(caddy: int) -> None:
    assert_refusals_are_the_collector_s_own(caddy, by=OURS)
    assert [ask(caddy, "GET", path).status for path in ("/metrics", "/readyz")] == [403, 403]
