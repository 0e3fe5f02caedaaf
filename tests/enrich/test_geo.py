"""Geo: countries from the registry table and from MaxMind-format files built here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]  # mmdb_writer takes networks as these; no types exist

from collector.geo import COUNTRY_CACHE_MAX, Geo, GeoError, open_geo

ANY_TEXT = st.text(st.characters(exclude_categories=()))
quick = settings(derandomize=True, database=None, deadline=None, max_examples=150)

# Google's resolvers, and an address range long held by a British network.
AMERICAN, AMERICAN_V6, BRITISH = "8.8.8.8", "2001:4860:4860::8888", "2.125.160.216"


def build(path: Path, kind: str, records: dict[str, dict[str, Any]]) -> Path:
    """Write an .mmdb file that holds these records, by network."""
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type=kind, description="made by a test")
    for network, record in records.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    return path


def typed(code: str, **more: object) -> dict[str, Any]:
    return {"country": {"iso_code": code, "geoname_id": 1, "names": {"en": code}}, **more}


CITY = {"city": {"names": {"en": "Town"}}, "location": {"latitude": 1.5, "longitude": 2.5}}
FILES: dict[str, dict[str, dict[str, Any]]] = {
    "GeoLite2-Country": {"8.8.8.0/24": typed("US"), "2001:4860::/32": typed("US"), "2.125.160.0/24": typed("GB")},
    "GeoLite2-City": {
        "8.8.8.0/24": typed("US", **CITY),
        "2001:4860::/32": typed("US", **CITY),
        "2.125.160.0/24": typed("GB", **CITY),
    },
    "DBIP-City-Lite (flat)": {
        "8.8.8.0/24": {"country_code": "US", "city": "Town", "latitude": 1.5},
        "2001:4860::/32": {"country_code": "US", "city": ""},
        "2.125.160.0/24": {"country_code": "GB", "city": "Box"},
    },
    "flat Country": {
        "8.8.8.0/24": {"country": "US"},
        "2001:4860::/32": {"country": "US"},
        "2.125.160.0/24": {"country": "GB"},
    },
}


@pytest.fixture(scope="module", params=["registry", *FILES])
def geo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Geo:
    kind = str(request.param)
    if kind == "registry":
        return open_geo("registry")
    return open_geo(str(build(tmp_path_factory.mktemp("geo") / "some.mmdb", kind, FILES[kind])))


@pytest.mark.parametrize(
    ("address", "country"),
    [
        (AMERICAN, "US"),
        (AMERICAN_V6, "US"),
        (BRITISH, "GB"),
        (f"::ffff:{BRITISH}", "GB"),
        (f" {AMERICAN} ", "US"),
        (f"{AMERICAN_V6}%eth0", "US"),
        ("fe80::1%eth0", ""),
        ("10.1.2.3", ""),
        ("::ffff:192.168.1.1", ""),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("169.254.1.1", ""),
        ("100.64.0.1", ""),
        ("203.0.113.7", ""),
        ("2001:db8::1", ""),
        ("fd00::1", ""),
        ("224.0.0.1", ""),
        ("0.0.0.0", ""),
        ("255.255.255.255", ""),
        ("", ""),
        ("unknown", ""),
        ("8.8.8", ""),
        ("8.8.8.8.8", ""),
        ("08.8.8.8", ""),
        ("134744072", ""),
        ("٨.٨.٨.٨", ""),
        ("8.8.8.8\x00", ""),
        ("\ud800", ""),
        ("1" * 100_000, ""),
    ],
)
def test_every_source_answers_alike(geo: Geo, address: str, country: str) -> None:
    assert geo.country(address) == country


def test_a_source_has_a_name_for_doctor(geo: Geo) -> None:
    assert geo.name in {"registry", *FILES}
    assert (geo.built_ms > 1_700_000_000_000) == (geo.name != "registry")


@quick
@given(ANY_TEXT | st.ip_addresses().map(str))
def test_no_address_makes_it_raise(text: str) -> None:
    country = open_geo("registry").country(text)
    assert country == "" or (len(country) == 2 and country.isupper())


def test_a_flood_of_addresses_stays_within_the_cache() -> None:
    geo = open_geo("registry")
    for number in range(COUNTRY_CACHE_MAX + 500):
        geo.country(f"9.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert geo._cached.cache_info().currsize == COUNTRY_CACHE_MAX


@pytest.mark.parametrize("code", ["EU", "AP", "ZZ", "us", "USA", "", "U1", "ÄÖ"])
def test_a_code_that_is_no_country_is_no_country(tmp_path: Path, code: str) -> None:
    records = {"8.8.8.0/24": {"country_code": code}, BRITISH: {"country_code": "GB"}}
    geo = open_geo(str(build(tmp_path / "codes.mmdb", "flat", records)))
    assert (geo.country(AMERICAN), geo.country(BRITISH)) == ("", "GB")


def test_an_address_outside_the_file_has_no_country(tmp_path: Path) -> None:
    for kind in ("GeoLite2-Country", "flat Country"):
        geo = open_geo(str(build(tmp_path / f"{kind}.mmdb", kind, {"2.125.160.0/24": FILES[kind]["8.8.8.0/24"]})))
        assert geo.country("1.1.1.1") == ""


def test_a_record_without_a_country_has_no_country(tmp_path: Path) -> None:
    records = {"8.8.8.0/24": {"continent": {"code": "NA"}}, BRITISH: typed("GB")}
    geo = open_geo(str(build(tmp_path / "some.mmdb", "GeoLite2-Country", records)))
    assert (geo.country(AMERICAN), geo.country(BRITISH)) == ("", "GB")


def test_a_file_that_cannot_serve_is_refused_in_one_sentence(tmp_path: Path) -> None:
    good = build(tmp_path / "good.mmdb", "GeoLite2-Country", FILES["GeoLite2-Country"]).read_bytes()
    cases = {
        "missing.mmdb": None,
        "empty.mmdb": b"",
        "text.mmdb": b"not a database\n" * 100,
        "half.mmdb": good[: len(good) // 2],
        "tail.mmdb": good[-len(good) // 3 :],
        "asn.mmdb": build(
            tmp_path / "x.mmdb", "GeoLite2-ASN", {"8.8.8.0/24": {"autonomous_system_number": 1}}
        ).read_bytes(),
    }
    for name, content in cases.items():
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(GeoError) as refused:
            open_geo(str(path))
        assert str(path) in str(refused.value), name
        assert "\n" not in str(refused.value)
    with pytest.raises(GeoError):
        open_geo(str(tmp_path))
    with pytest.raises(GeoError):
        open_geo("a\0b")


@pytest.mark.parametrize("part", ["tree", "data"])
def test_a_file_with_a_hole_gives_an_error_or_no_country_but_never_raises(tmp_path: Path, part: str) -> None:
    content = build(tmp_path / "good.mmdb", "GeoLite2-Country", FILES["GeoLite2-Country"]).read_bytes()
    data = content.index(b"\x00" * 16)  # the separator between the search tree and the data section
    hole = slice(0, data) if part == "tree" else slice(data + 16, content.index(b"\xab\xcd\xefMaxMind.com"))
    broken = bytearray(content)
    broken[hole] = b"\x00" * len(broken[hole])
    path = tmp_path / "hole.mmdb"
    path.write_bytes(broken)
    geo = open_geo(str(path))
    assert [geo.country(address) for address in (AMERICAN, AMERICAN_V6, BRITISH)] == ["", "", ""]
