"""Geo: places from the registry table and from MaxMind-format files built here."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdb_writer import MMDBWriter
from netaddr import IPSet  # type: ignore[import-untyped]  # mmdb_writer takes networks as these; no types exist

from collector.enrichment.geo import LOOK_SECONDS, PLACE_CACHE_MAX, Geo, GeoError, LiveGeo, Place, open_geo
from collector.enrichment.networks import Networks, NetworksError, read_networks

ANY_TEXT = st.text(st.characters(exclude_categories=()))
quick = settings(derandomize=True, database=None, deadline=None, max_examples=80)

# Google's resolvers, and an address range long held by a British network.
AMERICAN, AMERICAN_V6, BRITISH = "8.8.8.8", "2001:4860:4860::8888", "2.125.160.216"


def build(path: Path, kind: str, records: dict[str, dict[str, Any]]) -> Path:
    """Write an .mmdb file that holds these records, by network."""
    version = 4 if kind.endswith("ipv4") else 6
    writer = MMDBWriter(
        ip_version=version, ipv4_compatible=version == 6, database_type=kind, description="made by a test"
    )
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
    assert geo.place(AMERICAN).flags == geo.place(BRITISH).flags == ""
    assert (geo.built_ms > 1_700_000_000_000) == (geo.name != "registry")


@quick
@given(ANY_TEXT | st.ip_addresses().map(str))
def test_no_address_makes_it_raise(text: str) -> None:
    country = open_geo("registry").country(text)
    assert country == "" or (len(country) == 2 and country.isupper())


def test_a_flood_of_addresses_stays_within_the_cache() -> None:
    geo = Geo("any", lambda _: None)
    for number in range(PLACE_CACHE_MAX + 500):
        geo.country(f"9.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert geo._cached.cache_info().currsize == PLACE_CACHE_MAX


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
    assert geo.place(AMERICAN).flags in ("geo_broken", "place_unknown")


@pytest.mark.parametrize(
    ("address", "flag"),
    [
        ("", "address_missing"),
        ("garbage", "address_unreadable"),
        ("8.8.8.8.8", "address_unreadable"),
        ("1" * 100_000, "address_unreadable"),
        ("10.1.2.3", "address_not_public"),
        ("::ffff:192.168.1.1", "address_not_public"),
        ("fe80::1%eth0", "address_not_public"),
        ("203.0.113.7", "address_not_public"),
        ("224.0.0.1", "address_not_public"),
        ("2001:db8::1", "address_not_public"),
    ],
)
def test_an_address_that_is_nowhere_says_why(geo: Geo, address: str, flag: str) -> None:
    assert geo.place(address) == Place(flags=flag)


def names(text: str) -> dict[str, Any]:
    return {"names": {"en": text, "de": f"{text} (de)"}}


CAMBRIDGE = {
    "country": {"iso_code": "GB", **names("United Kingdom")},
    "subdivisions": [{"iso_code": "ENG", **names("England")}, {"iso_code": "CAM", **names("Cambridgeshire")}],
    "city": {"geoname_id": 2653941, **names("Cambridge")},
    "postal": {"code": "CB1"},
    "location": {"latitude": 52.2, "longitude": 0.1, "time_zone": "Europe/London"},
}
CAMBRIDGE_FLAT = {
    "country_code": "GB", "state1": "England", "state2": "Cambridgeshire", "city": "Cambridge", "postcode": "CB1",
    "latitude": 52.2, "longitude": 0.1, "timezone": "Europe/London",
}  # fmt: skip
IN_CAMBRIDGE = Place("GB", "England", "Cambridge", "CB1", "Europe/London")


def asn(number: object, name: str) -> dict[str, Any]:
    return {"autonomous_system_number": number, "autonomous_system_organization": name}


def test_typed_and_flat_cities_tell_the_same(tmp_path: Path) -> None:
    for kind, record in (("GeoLite2-City", CAMBRIDGE), ("DBIP-City-Lite", CAMBRIDGE), ("city ipv4", CAMBRIDGE_FLAT)):
        geo = open_geo(str(build(tmp_path / f"{kind}.mmdb", kind, {"2.125.160.0/24": record})))
        for address in (BRITISH, f"::ffff:{BRITISH}", f" {BRITISH} "):
            assert geo.place(address) == IN_CAMBRIDGE, kind
        assert geo.place(AMERICAN) == Place(flags="place_unknown")
        assert geo.place(AMERICAN_V6) == Place(flags="place_unknown"), "a file of IPv4 alone knows no IPv6"


def test_the_whole_address_is_looked_up_and_not_the_network_that_is_hashed(tmp_path: Path) -> None:
    records = {
        "2.125.160.0/25": {"country_code": "GB", "city": "A"},
        "2.125.160.128/25": {"country_code": "GB", "city": "B"},
    }
    geo = open_geo(str(build(tmp_path / "some.mmdb", "city", records)))
    assert [geo.place(f"2.125.160.{last}").city for last in (127, 128)] == ["A", "B"]


def test_a_folder_may_hold_both_families_cities_countries_and_networks(tmp_path: Path) -> None:
    build(tmp_path / "a-country.mmdb", "GeoLite2-Country", {"2.125.160.0/24": typed("IE"), "9.9.9.0/24": typed("CH")})
    build(tmp_path / "b-v4.mmdb", "city ipv4", {"2.125.160.0/24": CAMBRIDGE_FLAT})
    build(tmp_path / "b-v6.mmdb", "city ipv6", {"2001:4860::/32": {"country_code": "US", "city": "Mountain View"}})
    build(
        tmp_path / "c-asn.mmdb",
        "GeoLite2-ASN",
        {"2.125.160.0/22": asn(5089, "Virgin Media"), "1.1.1.0/24": asn(13335, "Cloudflare")},
    )
    (tmp_path / "readme.txt").write_text("not a database")
    geo = open_geo(str(tmp_path))
    assert geo.place(BRITISH) == Place(*IN_CAMBRIDGE.columns[:5], 5089, "Virgin Media"), "cities come before countries"
    assert geo.place(AMERICAN_V6) == Place("US", city="Mountain View")
    assert geo.place("9.9.9.9") == Place("CH")
    assert geo.place("1.1.1.1") == Place(asn=13335, network="Cloudflare")
    assert geo.name == "city ipv4 and city ipv6 and GeoLite2-Country and GeoLite2-ASN"


def test_networks_may_stand_beside_the_registry_and_are_read_however_they_are_spelled(tmp_path: Path) -> None:
    records = {
        "8.8.8.0/24": asn(15169, "Google"),
        "2.125.160.0/24": {"asn": "AS5089", "as_name": "Virgin Media"},
        "9.9.9.0/24": {"asn": "AS" + "9" * 99, "as_name": 5},
    }
    file = build(tmp_path / "asn.mmdb", "some ASN", records)
    geo = open_geo("registry", str(file))
    assert geo.place(AMERICAN) == Place("US", asn=15169, network="Google")
    assert geo.place(BRITISH) == Place("GB", asn=5089, network="Virgin Media")
    assert geo.place("9.9.9.9").asn == 0
    assert geo.name == "registry and some ASN"


def test_an_operator_s_list_names_the_networks_of_bots(tmp_path: Path) -> None:
    file = tmp_path / "networks.txt"
    file.write_text("# clouds\nAS15169 Google\n2.125.160.0/25\n\n2001:4860::/32  # v6\n13335\n")
    networks = build(
        tmp_path / "asn.mmdb", "ASN", {"8.8.8.0/24": asn(15169, "Google"), "9.9.9.0/24": asn(19281, "Quad9")}
    )
    geo = open_geo("registry", str(networks), str(file))
    found = {
        address: geo.place(address).is_bot_network
        for address in (AMERICAN, "2.125.160.5", AMERICAN_V6, "9.9.9.9", BRITISH)
    }
    assert found == {AMERICAN: True, "2.125.160.5": True, AMERICAN_V6: True, "9.9.9.9": False, BRITISH: False}
    assert geo.place(AMERICAN).country == "US", "flagged and known all the same"
    for line, says in (
        ("AS12x", "networks.txt:1: 'AS12x' is no network"),
        ("1.2.3.4/33", "is no network"),
        ("\xff" * 3, "is no network"),
    ):
        file.write_text(line)
        with pytest.raises(NetworksError, match=says):
            read_networks(file)
        with pytest.raises(GeoError, match=says):
            open_geo("registry", "", str(file))
    with pytest.raises(NetworksError, match="cannot be read"):
        read_networks(tmp_path)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(NetworksError, match="not UTF-8"):
        read_networks(file)
    assert not Networks()


def test_settings_that_hold_no_places_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    networks = build(tmp_path / "asn.mmdb", "GeoLite2-ASN", {"8.8.8.0/24": asn(15169, "Google")})
    places = build(tmp_path / "country.mmdb", "GeoLite2-Country", {"8.8.8.0/24": typed("US")})
    crowd = tmp_path / "crowd"
    crowd.mkdir()
    for number in range(17):
        (crowd / f"{number}.mmdb").write_bytes(b"")
    for setting, of_networks, says in (
        (str(empty), "", "folder without .mmdb files"),
        (str(networks), "", "holds no countries"),
        (str(places), str(places), "holds no networks"),
        (str(places), str(tmp_path / "none.mmdb"), "cannot be read"),
        (str(crowd), "", "17 .mmdb files, the limit is 16"),
    ):
        with pytest.raises(GeoError, match=says):
            open_geo(setting, of_networks)


@pytest.mark.parametrize(
    "record",
    [
        {"country": {"iso_code": 5, "names": {"en": 7}}, "city": {"names": {"en": ["x"]}}, "postal": {"code": 9}},
        {"country": {"iso_code": "US"}, "city": 5, "subdivisions": "x"},
        {"country": {"iso_code": "US", "names": 5}},
        {"country_code": 5, "city": {"deep": 1}, "postcode": 12345, "asn": -1},
        {"country_code": "US", "city": "x" * 100_000},
        [1, 2],
        "text",
    ],
    ids=range(7),
)
def test_whatever_a_record_holds_it_costs_no_event(tmp_path: Path, record: Any) -> None:
    geo = open_geo(
        str(build(tmp_path / "odd.mmdb", "Some-City", {"8.8.8.0/24": record, "2.125.160.0/24": typed("GB")}))
    )
    place = geo.place(AMERICAN)
    assert place.country in ("", "US")
    assert place.flags in ("", "place_unknown", "geo_broken")
    assert all(isinstance(value, str) and len(value) <= 128 for value in place.columns if value != place.asn)
    assert geo.country(BRITISH) == "GB", "its neighbours are found"


def settle(geo: LiveGeo) -> bool:
    """Look as often as it takes for a change to be seen whole."""
    return [geo.look(), geo.look()][-1]


def test_a_file_that_is_replaced_is_used_without_a_restart(tmp_path: Path) -> None:
    path = build(tmp_path / "city.mmdb", "City", {"8.8.8.0/24": typed("US")})
    geo = LiveGeo(str(path))
    assert (geo.country(AMERICAN), geo.country(BRITISH)) == ("US", "")
    build(tmp_path / "new", "newer City", {"8.8.8.0/24": typed("CA"), "2.125.160.0/24": typed("GB")}).replace(path)
    assert not geo.look(), "perhaps it is still being written"
    assert geo.country(AMERICAN) == "US"
    assert geo.look()
    assert (geo.country(AMERICAN), geo.country(BRITISH), geo.name) == ("CA", "GB", "newer City")
    assert not settle(geo), "nothing has changed since"
    (tmp_path / "text").write_text("not a database")
    (tmp_path / "text").replace(path)
    assert not settle(geo)
    assert (geo.country(AMERICAN), geo.place(AMERICAN).flags, geo.failures) == ("CA", "", 1), "what was there goes on"
    assert not settle(geo)
    assert geo.failures == 1, "said once"
    path.unlink()
    assert not settle(geo)
    assert geo.country(AMERICAN) == "CA"
    build(tmp_path / "new", "newest City", {"8.8.8.0/24": typed("MX")}).replace(path)
    assert settle(geo)
    assert (geo.country(AMERICAN), geo.reloads) == ("MX", 2)


def test_a_missing_database_flags_every_place_until_it_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "geo"
    geo = LiveGeo(str(folder))
    assert geo.place(AMERICAN) == Place("US", flags="geo_missing"), "the registry's country, and said to be no more"
    assert geo.place("10.0.0.1").flags == "address_not_public"
    folder.mkdir()
    assert not settle(geo)
    build(folder / "a.mmdb", "City", {"8.8.8.0/24": CAMBRIDGE})
    assert settle(geo)
    assert geo.place(AMERICAN) == IN_CAMBRIDGE
    build(folder / "b.mmdb", "ASN", {"8.8.8.0/24": asn(15169, "Google")})
    assert settle(geo)
    assert geo.place(AMERICAN).network == "Google", "a file that is added is seen, too"
    assert LiveGeo("a\0b").place(AMERICAN).flags == "geo_missing"


def test_following_ends_when_it_is_told_to(tmp_path: Path) -> None:
    stop = threading.Event()
    following = LiveGeo("registry").follow(stop)
    stop.set()
    following.join(LOOK_SECONDS)
    assert not following.is_alive()
