"""Packages of the npm registry, without npm: a collector's machine seldom has it.

    name --package--> version, tarball, sha512 --download--> a file whose bytes have that sha512

The registry, its credentials, certificates and proxies are those of npm's own settings, where a machine has some: the
environment (npm_config_…), then the .npmrc of the folder, of the user and of the machine.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import http.client
import re
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct

METADATA_BYTES_MAX = 20_000_000  # a package of a thousand versions has 5 MB
TARBALL_BYTES_MAX = 1_000_000_000
RC_BYTES_MAX = 1_000_000
SILENCE_SECONDS = 30.0  # without a byte
DOWNLOAD_SECONDS_MAX = 3_600.0
ASK_NPM_SECONDS_MAX = 30.0
_PIECE = 1_048_576

_GLOBAL_FILES = ("/usr/local/etc/npmrc", "/usr/etc/npmrc", "/etc/npmrc")
_VARIABLE = re.compile(r"\$\{([^}]{1,100})\}")


class NpmError(Exception):
    """A package cannot be had; the text is one sentence."""


class Package(Struct, frozen=True):
    """The newest version of a package. `sha512` is the digest that the registry states for its tarball.

    `tarballs` are the addresses to try. A mirror may hand on those of the registry that it mirrors, so the same path at
    the registry itself comes first.
    """

    name: str
    version: str
    tarballs: tuple[str, ...]
    sha512: bytes


class _Dist(Struct):
    tarball: str
    integrity: str = ""


class _Version(Struct):
    dist: _Dist


class _Metadata(Struct):
    versions: dict[str, _Version]
    tags: dict[str, str] = msgspec.field(name="dist-tags")


class Npm:
    """The npm registry, as this machine is set up to reach it."""

    def __init__(self, settings: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        """`settings` as `read_settings` gives them."""
        self._settings = settings
        self._clock = clock
        self._opened: urllib.request.OpenerDirector | None = None  # certificates take a moment to read

    def package(self, name: str) -> Package:
        """Look the newest version of a package up.

        Raises:
            NpmError: the registry cannot be reached, does not have it, or states no sha512 of it.
        """
        registry = self._registry(name)
        data = b"".join(
            self._read(f"{registry}{quote(name, safe='@')}", METADATA_BYTES_MAX, f"the description of {name}")
        )
        try:
            metadata = msgspec.json.decode(data, type=_Metadata)
            version = metadata.tags["latest"]
            dist = metadata.versions[version].dist
        except (msgspec.MsgspecError, UnicodeDecodeError, KeyError) as error:
            raise NpmError(f"{_shown(registry)} does not describe {name} as npm registries do: {error}") from error
        return Package(name, version, _addresses(dist.tarball, registry), _sha512(name, dist.integrity))

    def download(self, package: Package, into: Path, progress: Callable[[int], None] = lambda _: None) -> None:
        """Write a package's tarball to a file, and verify it.

        Args:
            package: As `package` found it.
            into: The file; what is in it is of no use after an error.
            progress: Called with the number of bytes that have arrived.
        Raises:
            NpmError: it cannot be had whole, or its bytes are not those that the registry states.
            OSError: the file cannot be written.
        """
        *others, last = package.tarballs
        for address in others:
            try:
                self._download(package, address, into, progress)
            except NpmError:
                continue
            return
        self._download(package, last, into, progress)

    def _download(self, package: Package, address: str, into: Path, progress: Callable[[int], None]) -> None:
        digest = hashlib.sha512()
        size = 0
        with into.open("wb") as file:
            for piece in self._read(address, TARBALL_BYTES_MAX, f"{package.name} {package.version}"):
                digest.update(piece)
                file.write(piece)
                size += len(piece)
                progress(size)
        if digest.digest() != package.sha512:
            raise NpmError(
                f"{package.name} {package.version} arrived ({size:,} bytes) with another sha512 than is stated; "
                "nothing was installed, try again"
            )

    def _registry(self, name: str) -> str:
        scope = name.partition("/")[0] if name.startswith("@") else ""
        found = self._settings.get(f"{scope}:registry") or self._settings.get("registry") or _registry_of_npm()
        if not found:
            raise NpmError(
                "no npm registry is known: npm is not installed here and its setting registry is not made; set the "
                "environment variable npm_config_registry to the address of one"
            )
        if urlsplit(found).scheme not in ("http", "https"):
            raise NpmError(f"the npm setting registry is {found!r}; it must start with https:// or http://")
        return found.rstrip("/") + "/"

    def _read(self, url: str, bytes_max: int, what: str) -> Iterator[bytes]:
        """The body of an answer, piece by piece."""
        if urlsplit(url).scheme not in ("http", "https"):
            raise NpmError(
                f"{what} lies at {_shown(url)!r}, which is neither https:// nor http://; nothing was fetched"
            )
        request = urllib.request.Request(url, headers={"Accept": "application/json, */*", "User-Agent": "footfall"})  # noqa: S310 - the scheme was just looked at
        if credentials := self._credentials(url):
            # Not handed on to where a redirect leads.
            request.add_unredirected_header("Authorization", credentials)
        deadline = self._clock() + DOWNLOAD_SECONDS_MAX
        try:
            with self._opener().open(request, timeout=SILENCE_SECONDS) as answer:
                size = 0
                while piece := answer.read(_PIECE):
                    size += len(piece)
                    if size > bytes_max:
                        raise NpmError(f"{what} is larger than {bytes_max:,} bytes, the limit; nothing was installed")
                    if self._clock() > deadline:
                        raise NpmError(f"{what} took longer than {DOWNLOAD_SECONDS_MAX:,.0f} s; try again")
                    yield piece
        except urllib.error.HTTPError as error:
            hint = "log in with npm, or check its setting registry" if error.code in (401, 403) else "try again later"
            raise NpmError(f"{_shown(url)} answered {error.code} to the request for {what}; {hint}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise NpmError(
                f"{_shown(url)} cannot be reached for {what}: {reason}; check the network, and npm's settings registry "
                "and https-proxy"
            ) from error

    def _opener(self) -> urllib.request.OpenerDirector:
        if self._opened is not None:
            return self._opened
        proxies = urllib.request.getproxies()
        for scheme, keys in (("https", ("https-proxy", "proxy")), ("http", ("proxy",))):
            for key in keys:
                if self._settings.get(key, "") not in ("", "null", "false"):
                    proxies[scheme] = self._settings[key]
                    break
        authorities = self._settings.get("cafile") or None
        try:
            context = ssl.create_default_context(cafile=authorities)
        except OSError as error:
            raise NpmError(
                f"the npm setting cafile is {authorities}, which cannot be read: {error}; correct it"
            ) from error
        self._opened = urllib.request.build_opener(
            urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=context)
        )
        return self._opened

    def _credentials(self, url: str) -> str:
        """What the settings say for this host and path, the longest path first."""
        parts = urlsplit(url)
        path = parts.path
        while True:
            path = path.rpartition("/")[0]
            place = f"//{parts.netloc}{path}/"
            for key, scheme in (("_authToken", "Bearer"), ("_auth", "Basic")):
                if value := self._settings.get(f"{place}:{key}"):
                    return f"{scheme} {value}"
            if not path:
                return ""


def read_settings(environment: Mapping[str, str], home: Path, folder: Path) -> dict[str, str]:
    """What npm is set to on this machine.

    Args:
        environment: All environment variables; npm_config_… count.
        home: Of the user; holds .npmrc.
        folder: Where we are; may hold one, too.
    Returns:
        Values by name; the environment's win over the folder's, the user's and the machine's.
    """
    prefix = "npm_config_"
    said: dict[str, str] = {}
    for variable, value in environment.items():
        name = variable[len(prefix) :]
        if variable.lower().startswith(prefix) and value:
            said[name if name.startswith(("@", "//")) else name.lower().replace("_", "-")] = value
    user = Path(said.get("userconfig") or home / ".npmrc")
    machine = [Path(said["globalconfig"])] if said.get("globalconfig") else [Path(name) for name in _GLOBAL_FILES]
    found: dict[str, str] = {}
    for file in (*machine, user, folder / ".npmrc"):
        found |= _read_rc(file, environment)
    return found | said


def _registry_of_npm() -> str:
    """The registry that an installed npm asks by itself; empty without npm."""
    npm = shutil.which("npm")
    if npm is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - npm as PATH has it, and no input of others
            [npm, "config", "get", "registry"], capture_output=True, text=True, timeout=ASK_NPM_SECONDS_MAX, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _addresses(tarball: str, registry: str) -> tuple[str, ...]:
    parts = urlsplit(tarball)
    if parts.netloc == urlsplit(registry).netloc:
        return (tarball,)
    return registry + parts.path.lstrip("/"), tarball


def _read_rc(file: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """An .npmrc: `name = value` by line, ${VARIABLE} within. Empty for a file that is not there or cannot be read."""
    try:
        with file.open("rb") as opened:
            text = opened.read(RC_BYTES_MAX).decode("utf-8", "replace")
    except OSError:
        return {}
    found = {}
    for line in text.splitlines():
        name, sign, value = line.partition("=")
        if sign and not line.lstrip().startswith((";", "#", "[")):
            value = _VARIABLE.sub(lambda match: environment.get(match[1], ""), value.strip().strip("\"'"))
            found[name.strip()] = value
    return found


def _sha512(name: str, integrity: str) -> bytes:
    """The digest that a Subresource Integrity string states."""
    for part in integrity.split():
        algorithm, _, value = part.partition("-")
        if algorithm == "sha512":
            try:
                digest = base64.b64decode(value.partition("?")[0], validate=True)
            except (binascii.Error, ValueError):
                break
            if len(digest) == hashlib.sha512().digest_size:
                return digest
    raise NpmError(f"the registry states no sha512 of {name}, so it cannot be verified; nothing was installed")


def _shown(url: str) -> str:
    """An address for people: without credentials, which may stand in a proxy's or a registry's."""
    parts: Any = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:200]
