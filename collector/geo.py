"""Which country an address belongs to.

    address --Geo.country--> "DE" or ""

Two sources: "registry" (the iptocc package: the country to which a regional registry gave the address; works without a
file) and MaxMind-format files that the operator supplies. Typed City, Country and Enterprise files are read with
geoip2; files with flat records, which geoip2 refuses, with maxminddb. The address itself is never kept beyond a bounded
cache in memory.

The reader maps the file into memory: put a new one in place by renaming it over the old, never by writing into it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import iptocc

# The longest address text is an IPv6 one with an embedded IPv4 and a zone; longer is garbage and not worth a lookup.
ADDRESS_MAX = 64

# Addresses repeat within a visit. 20,000 x about 200 bytes.
COUNTRY_CACHE_MAX = 20_000

# Two capital letters that stand for no country: regions that registries give addresses to, and "unknown".
_NOT_COUNTRIES = frozenset({"AP", "EU", "ZZ", "XX", "XY"})

# MaxMind's files about other things, by their type.
_WITHOUT_COUNTRIES = ("-ASN", "-ISP", "-Domain", "-Anonymous", "-Connection-Type")


class GeoError(Exception):
    """A database cannot be used. The text is one sentence for the operator."""


class Geo:
    """A source of countries. `name` is "registry" or the file's database type; `built_ms` its build time, 0 unknown."""

    def __init__(self, name: str, lookup: Callable[[str], object], built_ms: int = 0) -> None:
        """`lookup` maps a plain public address to a code or None; it may raise ValueError or LookupError for none."""
        self.name = name
        self.built_ms = built_ms
        self._lookup = lookup
        self._cached = lru_cache(maxsize=COUNTRY_CACHE_MAX)(self._country)

    def country(self, address: str) -> str:
        """ISO 3166-1 alpha-2 code of an address, "" when it has none. Never raises.

        Args:
            address: IPv4 or IPv6 text. IPv4-mapped IPv6 counts as IPv4, a zone is ignored; private, reserved and
                unreadable addresses have no country.
        """
        return self._cached(address) if len(address) <= ADDRESS_MAX else ""

    def _country(self, address: str) -> str:
        try:
            plain = _public(address)
            code = self._lookup(plain) if plain else None
        except Exception:
            return ""  # whatever a damaged file does, it costs a country, not an event
        return code if isinstance(code, str) and _is_country(code) else ""


def open_geo(setting: str) -> Geo:
    """Open what the setting names: "registry", or a path to an .mmdb file.

    Raises:
        GeoError: the file is missing, unreadable or holds no countries. The caller warns and goes on with `registry`
            or without countries: an event is never lost for want of a country.
    """
    if setting == "registry":
        return Geo("registry", iptocc.country_code)
    return _open_file(Path(setting))


def _open_file(path: Path) -> Geo:
    import geoip2.database  # noqa: PLC0415 - 9 MB in every worker, needed only for such files
    import maxminddb  # noqa: PLC0415 - comes with it

    try:
        plain = maxminddb.open_database(path)
        reader = geoip2.database.Reader(path)
    except OSError as error:
        raise GeoError(f"geo database {path} cannot be read: {error.strerror or error}; check the path") from error
    except (maxminddb.InvalidDatabaseError, ValueError) as error:
        raise GeoError(f"geo database {path} is not a complete MaxMind-format file; download it again") from error
    metadata = plain.metadata()
    kind = str(metadata.database_type)
    if any(word in kind for word in _WITHOUT_COUNTRIES):
        raise GeoError(
            f"geo database {path} is of type {kind!r}, which holds no countries; use a City or Country database"
        )
    models = {"City": reader.city, "Enterprise": reader.enterprise, "Country": reader.country}
    model = next((models[word] for word in models if word in kind), None)

    def lookup(address: str) -> object:
        try:
            code = model(address).country.iso_code if model is not None else None
        except TypeError:
            code = None  # geoip2 takes a flat record with an empty city for one without a country, and refuses others
        return code or _flat_code(plain.get(address))

    return Geo(kind, lookup, int(metadata.build_epoch) * 1000)


def _flat_code(record: Any) -> object:
    """The code in a flat record: {"country_code": "DE", …} or {"country": "DE"}."""
    return (record.get("country_code") or record.get("country")) if isinstance(record, dict) else None


def _public(address: str) -> str:
    """The address in its plain form, "" for one that is not on the public internet."""
    ip = ipaddress.ip_address(address.strip().partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return str(ip) if ip.is_global and not ip.is_multicast else ""


def _is_country(code: str) -> bool:
    return len(code) == 2 and code.isascii() and code.isalpha() and code.isupper() and code not in _NOT_COUNTRIES
