"""Where an address is: country, region, city, postal code, time zone, and the network it belongs to.

    address --Geo.place--> Place

Three sources. "registry" (the iptocc package: the country to which a regional registry gave the address; works without
a file). MaxMind-format files that the operator supplies, whose typed records geoip2's models read. And such files with
flat records, as of the npm packages @ip-location-db, which geoip2 refuses. A folder may hold several: one for IPv4 and
one for IPv6, one for cities and one for networks. The address itself is never kept beyond a bounded cache in memory.

`LiveGeo` follows the files: it looks at them in a thread of its own, and puts a new database in the place of the old
between two look-ups. The reader maps a file into memory: put a new one in place by renaming it over the old, never by
writing into it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import iptocc
from msgspec import Struct

from collector.enrichment.networks import Networks, NetworksError, read_networks
from collector.files import Signature, signature

log = logging.getLogger("footfall.geo")

REGISTRY = "registry"

# The longest address text is an IPv6 one with an embedded IPv4 and a zone; longer is garbage and not worth a lookup.
ADDRESS_MAX = 64

# Addresses repeat within a visit. 20,000 x about 500 bytes.
PLACE_CACHE_MAX = 20_000

NAME_CHARS_MAX = 128  # of a region, a city, a network: databases are other people's files
FILES_MAX = 16  # of one folder: a pair for each family of four databases would be 8

# A stat of each file costs 2 us. A file that has changed is opened at the second look that finds it the same.
LOOK_SECONDS = 5.0

# Two capital letters that stand for no country: regions that registries give addresses to, and "unknown".
_NOT_COUNTRIES = frozenset({"AP", "EU", "ZZ", "XX", "XY"})

# English first; of a file without it, the languages that most others have.
_LANGUAGES = ("en", "de", "fr", "es", "pt-BR", "ru", "ja", "zh-CN")

_editions = itertools.count()

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


class GeoError(Exception):
    """A database cannot be used. The text is one sentence for the operator."""


class Place(Struct, frozen=True, gc=False):
    """What is known of an address; "" and 0 for what is not.

    `flags` is one word about the look-up, or "": address_missing, address_unreadable, address_not_public (private,
    reserved, multicast), place_unknown (no database has it), geo_broken (a database failed at it), geo_missing (the
    database that is configured cannot be used). `is_bot_network`: the operator's list has it.
    """

    country: str = ""
    region: str = ""
    city: str = ""
    postal_code: str = ""
    time_zone: str = ""
    asn: int = 0
    network: str = ""
    flags: str = ""
    is_bot_network: bool = False

    @property
    def columns(self) -> tuple[str, str, str, str, str, int, str]:
        """The values of country, region, city, postal_code, place_time_zone, asn, network."""
        return self.country, self.region, self.city, self.postal_code, self.time_zone, self.asn, self.network


_MISSING = Place(flags="address_missing")
_UNREADABLE = Place(flags="address_unreadable")
_NOT_PUBLIC = Place(flags="address_not_public")


class Geo:
    """A source of places. `name` is "registry" or the files' types; `built_ms` the oldest build time, 0 unknown.

    What is kept of its answers elsewhere holds for one `edition`: a number that no other database of the process has.
    """

    def __init__(
        self,
        name: str,
        lookup: Callable[[str], object],
        built_ms: int = 0,
        networks: Networks | None = None,
        flag: str = "",
    ) -> None:
        """Make one.

        Args:
            name: For people.
            lookup: Maps a plain public address to a Place, to the code of a country, or to None; it may raise.
            built_ms: When its data was made.
            networks: Those of bots.
            flag: A word for every place it finds.
        """
        self.name = name
        self.built_ms = built_ms
        self.edition = next(_editions)
        self._lookup = lookup
        self._networks = networks or Networks()
        self._flag = flag
        self._cached = lru_cache(maxsize=PLACE_CACHE_MAX)(self._place)

    def place(self, address: str) -> Place:
        """Where an address is. Never raises.

        Args:
            address: IPv4 or IPv6 text. IPv4-mapped IPv6 counts as IPv4, a zone is ignored; private, reserved and
                unreadable addresses are nowhere.
        """
        return self._cached(address) if len(address) <= ADDRESS_MAX else _UNREADABLE

    def country(self, address: str) -> str:
        """ISO 3166-1 alpha-2 code of an address, "" when it has none. Never raises."""
        return self.place(address).country

    def _place(self, address: str) -> Place:
        if not address:
            return _MISSING
        try:
            ip = _plain(address)
        except ValueError:
            return _UNREADABLE
        if not ip.is_global or ip.is_multicast:
            return _NOT_PUBLIC
        broken = ""
        found: object = None
        try:
            found = self._lookup(str(ip))
        except (LookupError, ValueError):
            pass  # how some sources say that they know nothing of it
        except Exception:  # whatever a damaged file does, it costs a place, not an event
            broken = "geo_broken"
        place = found if isinstance(found, Place) else Place(country=_country_code(found))
        flags = self._flag or broken or ("" if place.country or place.city or place.asn else "place_unknown")
        is_bot_network = bool(self._networks) and self._networks.holds(ip, place.asn)
        if flags or is_bot_network:
            return Place(*place.columns, flags, is_bot_network)
        return place


def open_geo(setting: str, asn: str = "", bot_networks: str = "") -> Geo:
    """Open what the settings name.

    Args:
        setting: "registry", the path of an .mmdb file, or that of a folder of such files.
        asn: Path of another file, or folder, with networks by address; empty for none.
        bot_networks: Path of a list of networks that are bots'; empty for none.
    Raises:
        GeoError: a file is missing, unreadable, or holds nothing about places. The caller warns and goes on with
            `registry`: an event is never lost for want of a place.
    """
    try:
        networks = read_networks(Path(bot_networks)) if bot_networks else Networks()
    except NetworksError as error:
        raise GeoError(str(error)) from error
    files = [_File(path) for where in (setting, asn) if where not in (REGISTRY, "") for path in _files_of(where)]
    if asn and not any(file.has_networks for file in files):
        raise GeoError(f"geo database {asn} holds no networks (ASN); use an ASN database")
    places = sorted((file for file in files if not file.has_networks), key=lambda file: not file.has_cities)
    if setting != REGISTRY and not places:
        kinds = " and ".join(sorted({file.kind for file in files}))
        raise GeoError(
            f"geo database {setting} is of type {kinds!r}, which holds no countries; use a City or Country database"
        )
    if not files:
        return Geo(REGISTRY, iptocc.country_code, networks=networks)
    registry: list[_File | _Registry] = [] if places else [_Registry()]
    sources = [*registry, *places, *(file for file in files if file.has_networks)]
    name = " and ".join(dict.fromkeys(source.kind for source in sources))
    built_ms = min(file.built_ms for file in files)
    return Geo(name, lambda address: _merged(sources, address), built_ms, networks)


class LiveGeo(Geo):
    """The places of one process, and the eye on their files. What cannot be opened changes nothing but flags.

    Without a database that can be used, countries are the registry's and every place is flagged geo_missing.
    """

    def __init__(self, setting: str, asn: str = "", bot_networks: str = "") -> None:
        """Open what the settings name; the log says what cannot be."""
        self._settings = (setting, asn, bot_networks)
        self._seen = self._signatures()
        self._settling: tuple[Signature | None, ...] | None = None
        self.reloads = 0
        self.failures = 0
        try:
            found = open_geo(setting, asn, bot_networks)
        except GeoError as error:
            self.failures += 1
            log.warning("%s; countries come from the registry table until then", error)
            found = Geo(REGISTRY, iptocc.country_code, flag="geo_missing")
        self._adopt(found)

    def look(self) -> bool:
        """Look at the files once; True when another database took the place of the one before. Never raises."""
        now = self._signatures()
        if now == self._seen:
            self._settling = None
            return False
        if now != self._settling:
            self._settling = now  # perhaps still being written: if so, the next look finds it changed again
            return False
        self._seen, self._settling = now, None
        try:
            found = open_geo(*self._settings)
        except GeoError as error:
            self.failures += 1
            log.warning("%s; places come from %s as before", error, self.name)
            return False
        except Exception:
            self.failures += 1
            log.exception("the geo database cannot be opened; places come from %s as before", self.name)
            return False
        self._adopt(found)
        self.reloads += 1
        log.info("the geo database is now %s", self.name)
        return True

    def follow(self, stop: threading.Event) -> threading.Thread:
        """Look every LOOK_SECONDS in a thread of its own, until `stop` is set."""

        def run() -> None:
            while not stop.wait(LOOK_SECONDS):
                self.look()

        thread = threading.Thread(target=run, name="geo-watch", daemon=True)
        thread.start()
        return thread

    def _adopt(self, found: Geo) -> None:
        self.name, self.built_ms = found.name, found.built_ms
        self._cached = found._cached  # one assignment: a look-up is answered by the old one whole, or by the new
        self.edition = found.edition  # after it: an answer of the old one is kept under the old number at worst

    def _signatures(self) -> tuple[Signature | None, ...]:
        paths: list[Path] = []
        for where in self._settings:
            if where not in (REGISTRY, ""):
                paths.append(Path(where))
                with contextlib.suppress(GeoError):
                    paths += _files_of(where)
        return tuple(_signature(path) for path in paths)


def _signature(path: Path) -> Signature | None:
    try:
        return signature(path)
    except ValueError:  # a NUL in its name
        return None


class _Registry:
    """The registry table beside files that know networks alone."""

    kind = REGISTRY
    has_networks = False

    def find(self, address: str) -> Place | None:
        code = _country_code(iptocc.country_code(address))
        return Place(country=code) if code else None


class _File:
    """One file of MaxMind's format."""

    def __init__(self, path: Path) -> None:
        import maxminddb  # noqa: PLC0415 - needed only for such files
        from geoip2.models import City  # noqa: PLC0415 - 9 MB in every worker, needed only for such files

        try:
            self._reader = maxminddb.open_database(path)
        except OSError as error:
            raise GeoError(f"geo database {path} cannot be read: {error.strerror or error}; check the path") from error
        except (maxminddb.InvalidDatabaseError, ValueError) as error:
            raise GeoError(f"geo database {path} is not a complete MaxMind-format file; download it again") from error
        self._city: Any = City
        metadata = self._reader.metadata()
        self.kind = str(metadata.database_type)
        self.built_ms = int(metadata.build_epoch) * 1000
        self.has_networks = any(word in self.kind.upper() for word in ("ASN", "-ISP"))
        self.has_cities = any(word in self.kind.upper() for word in ("CITY", "ENTERPRISE"))
        self._is_ipv4_only = metadata.ip_version == 4
        if any(word in self.kind for word in ("-Domain", "-Anonymous", "-Connection-Type")):
            raise GeoError(
                f"geo database {path} is of type {self.kind!r}, which holds no countries; use a City or Country one"
            )

    def find(self, address: str) -> Place | None:
        if self._is_ipv4_only and ":" in address:
            return None
        record = self._reader.get(address)
        if not isinstance(record, dict):
            return None
        nested = any(isinstance(record.get(name), dict) for name in ("country", "registered_country", "city", "traits"))
        return self._typed(address, record) if nested else _flat(record)

    def _typed(self, address: str, record: dict[str, Any]) -> Place:
        """A record of MaxMind's own form."""
        found = self._city(_LANGUAGES, ip_address=address, **record)
        region = found.subdivisions[0].name if found.subdivisions else ""  # the largest: a state, not a county
        return Place(
            country=_country_code(found.country.iso_code),
            region=_name(region),
            city=_name(found.city.name),
            postal_code=_name(found.postal.code),
            time_zone=_name(found.location.time_zone),
            asn=_number(found.traits.autonomous_system_number),
            network=_name(found.traits.autonomous_system_organization),
        )


# What other makers of flat records call the same thing; the first that is there counts.
_FLAT = {
    "country": ("country_code", "country", "country_iso_code"),
    "region": ("state1", "region", "region_name", "stateprov", "subdivision"),
    "city": ("city", "city_name"),
    "postal_code": ("postcode", "postal_code", "postal", "zip_code", "zip"),
    "time_zone": ("timezone", "time_zone"),
    "asn": ("autonomous_system_number", "asn", "as_number"),
    "network": ("autonomous_system_organization", "as_name", "as_organization", "organization", "isp"),
}


def _flat(record: dict[str, Any]) -> Place:
    """A flat record: {"country_code": "DE", "state1": "Bavaria", …} or {"country": "DE"}."""
    said = {name: next((record[key] for key in keys if record.get(key)), "") for name, keys in _FLAT.items()}
    return Place(
        country=_country_code(said["country"]),
        region=_name(said["region"]),
        city=_name(said["city"]),
        postal_code=_name(said["postal_code"]),
        time_zone=_name(said["time_zone"]),
        asn=_number(said["asn"]),
        network=_name(said["network"]),
    )


def _merged(sources: Iterable[_File | _Registry], address: str) -> Place | None:
    """What the sources say together: the place of the first that knows one, and the network of the first that does."""
    place: Place | None = None
    asn, network, failed = 0, "", None
    for source in sources:
        try:
            found = source.find(address)
        except Exception as error:  # a damaged file; others may still know
            failed = error
            continue
        if found is None:
            continue
        if place is None and (found.country or found.city):
            place = found
        if not asn and found.asn:
            asn, network = found.asn, found.network
    if place is None and not asn:
        if failed is not None:
            raise RuntimeError("a database is damaged") from failed
        return None
    place = place or Place()
    return Place(*place.columns[:5], asn, network)


def _files_of(where: str) -> Sequence[Path]:
    """The file, or those of the folder, by name."""
    path = Path(where)
    try:
        if not path.is_dir():
            return (path,)
        files = sorted(path.glob("*.mmdb"))
    except (OSError, ValueError) as error:
        raise GeoError(f"geo database {where!r} cannot be read: {error}; check the path") from error
    if not files:
        raise GeoError(f"geo database {where} is a folder without .mmdb files; put some there, or name a file")
    if len(files) > FILES_MAX:
        raise GeoError(f"geo database {where} has {len(files)} .mmdb files, the limit is {FILES_MAX}; name one")
    return files


def _plain(address: str) -> Address:
    """An address without zone, IPv4 where it is one in the dress of IPv6. Raises ValueError."""
    ip = ipaddress.ip_address(address.strip().partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip


def _country_code(code: object) -> str:
    """ISO 3166-1 alpha-2, or "" for what is none."""
    if isinstance(code, str) and len(code) == 2 and code.isascii() and code.isalpha() and code.isupper():
        return "" if code in _NOT_COUNTRIES else code
    return ""


def _name(text: object) -> str:
    return text[:NAME_CHARS_MAX].replace("\0", "") if isinstance(text, str) else ""


def _number(value: object) -> int:
    """The number of a network, which is an integer or text such as AS15169; 0 for what is none."""
    if isinstance(value, str):
        digits = value.upper().removeprefix("AS")
        value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else 0
    return value if isinstance(value, int) and 0 < value < 2**32 else 0
