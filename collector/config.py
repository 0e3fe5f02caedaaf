"""Settings: one TOML file, then FOOTFALL_… environment variables, then flags; the later wins.

Read once by `cli` and passed down as arguments: no other module imports this one.
"""

from __future__ import annotations

import difflib
import ipaddress
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from collector.database.store import Cluster
from collector.paths import DEFAULT_PLAN_DIR

ENVIRONMENT_PREFIX = "FOOTFALL_"
# Set by tests, benchmarks and the shell around us; they configure no collector.
_CONFIG_VARIABLE = "FOOTFALL_CONFIG"
_OTHERS_PREFIXES = ("FOOTFALL_TEST_", "FOOTFALL_BENCH")
# Settings that hold a password; each may stand in a file that NAME_file names.
SECRETS = ("clickhouse", "clickhouse_read")


class ConfigError(Exception):
    """Settings that cannot be used; the text is one sentence."""


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """Every setting with its default. The TOML file has these names at its top level."""

    data: Annotated[str, Meta(min_length=1)] = "footfall-data"
    """Data directory: spool, sources, salts and, for chDB, the database."""
    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every interface."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 8765
    """Port to listen on; 0 lets the system choose."""
    workers: Annotated[int, Meta(ge=0, le=64)] = 1
    """Worker processes that receive events; 0 for one on each core that this process may use."""
    clickhouse: str = ""
    """http(s)://user:password@host:port/database; empty for the embedded engine in the data directory."""
    clickhouse_file: str = ""
    """Path of a file that holds `clickhouse` with its password, such as a secret of Docker; empty for none."""
    clickhouse_read: str = ""
    """The same for questions, as a database user who may only read; empty for `clickhouse`, kept from writing."""
    clickhouse_read_file: str = ""
    """Path of a file that holds `clickhouse_read`; empty for none."""
    clickhouse_cluster: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{0,64}$")] = ""
    """Name of a ClickHouse cluster over which the database is spread, `clickhouse` being one of it; empty for none."""
    clickhouse_shards: list[str] = []
    """http(s)://host:port of a server of each shard; empty for the cluster's hosts on the port of `clickhouse`."""
    plan: str = ""
    """Folder of the tracking plan; empty for the one that ships."""
    geo: str = "registry"
    """`registry` for countries out of the box, or the path of a MaxMind-format .mmdb file, or of a folder of some."""
    geo_asn: str = ""
    """Path of an .mmdb file with networks (ASN); empty for none, or when it lies in the folder of `geo`."""
    bot_networks: str = ""
    """Path of a list of networks that count as bots', one a line: AS14061 or 198.51.100.0/24; empty for none."""
    channels: str = ""
    """Path of a TOML file laid over the table of channels that ships; empty for that table alone."""
    fragments: bool = False
    """Store what stands behind the # of page addresses, in the column `fragment`."""
    client_hints: bool = False
    """Have browsers tell exact versions and the device's model, in the snippet and on the collector's own pages."""
    public_url: str = ""
    """Where browsers reach the collector, for the snippet; empty for http://host:port."""
    trusted_proxies: list[str] = []
    """Networks of our own proxies, such as ["10.0.0.0/8"], whose `proxy_header` is believed."""
    proxy_header: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}$")] = "x-forwarded-for"
    """The one header in which they write their clients' addresses, in lower case; `forwarded` is that of RFC 7239."""
    without_consent: Annotated[str, Meta(pattern=r"^(drop|cookieless|counts)$")] = "drop"
    """What becomes of events without consent: drop, cookieless (stored as nobody's) or counts (only counted)."""
    consent_required: bool = False
    """Whether a browser's event that states no consent lacks it."""
    consent_purpose: Annotated[str, Meta(min_length=1, max_length=64)] = "analytics"
    """The purpose that must be granted, by the name that the site's banner gives it."""
    gpc: bool = True
    """Whether Global Privacy Control (Sec-GPC) counts as a refusal where an event states no consent."""
    dnt: bool = False
    """Whether Do Not Track counts as one, too."""
    source_rate_max: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """Events a second that one source may send; 0 for as many as come."""
    address_rate_max: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """Events a second that one address may send, but for those under a server's key; 0 for as many as come."""
    rate_burst_seconds: Annotated[int, Meta(ge=1, le=3_600)] = 10
    """For how many seconds of quiet a source or an address may send more at once."""
    spool_mb_max: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    """Megabytes that events may take while they wait for the database, then 503; 0 for four fifths of their disk."""
    free_mb_min: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 128
    """Megabytes of the disk that are left free, at most a twentieth of it; then 503."""
    load_rows_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 50_000
    """Rows of one insert into ClickHouse at most."""
    load_interval_ms: Annotated[int, Meta(ge=10, le=60_000)] = 500
    """From the begin of one insert to that of the next, while what arrives meanwhile fits into one."""
    stored_sessions_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 60
    """How often stored sessions are brought up to date; 0 for never."""
    private_webhooks: bool = False
    """Audiences may be posted to addresses that are not public, and over plain http."""

    retention: list[str] = []
    """For how many days events are kept: ["*=395", "shop/search=30"]; 0 or no rule for ever."""
    retention_failed_days: Annotated[int, Meta(ge=0, le=36_500)] = 0
    """For how many days failed events are kept; 0 for as long as events of their source."""
    set_aside_days: Annotated[int, Meta(ge=0, le=36_500)] = 90
    """For how many days files in load/refused and spool/damaged wait for a person; 0 for ever."""

    @property
    def plan_dir(self) -> Path:
        """The folder of the tracking plan: the configured one, or the one that ships."""
        return Path(self.plan) if self.plan else DEFAULT_PLAN_DIR

    @property
    def audience_dir(self) -> Path:
        """The folder of the audiences: beside the tracking plan, or in the data directory where that one ships."""
        return Path(self.plan or self.data) / "audiences"

    @property
    def dsn(self) -> str:
        """The ClickHouse to use: the configured server, or chDB in the data directory."""
        return self.clickhouse or f"chdb://{Path(self.data).absolute() / 'db'}"

    @property
    def cluster(self) -> Cluster | None:
        """The cluster over which the database is spread; None where it is on one server."""
        return Cluster(self.clickhouse_cluster, tuple(self.clickhouse_shards)) if self.clickhouse_cluster else None

    @property
    def dsn_to_ask(self) -> str:
        """The same for questions of people."""
        return self.clickhouse_read or self.dsn


def load_settings(file: Path | None, environment: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """Lay file, environment and flags over the defaults.

    Args:
        file: The TOML file, or None for none.
        environment: All environment variables; those that start with FOOTFALL_ count. Lists are comma-separated.
        flags: Values given on the command line; None means not given.
    Raises:
        ConfigError: naming the file or variable, what was found, and the nearest known name.
    """
    values: dict[str, Any] = {}
    if file is not None:
        for name, value in _read(file).items():
            values[_known(name, f"{file}")] = value
            _checked({name: value}, f"{file}")
    for variable in sorted(environment):
        if variable == _CONFIG_VARIABLE or variable.startswith(_OTHERS_PREFIXES):
            continue
        if variable.startswith(ENVIRONMENT_PREFIX):
            name = _known(variable.removeprefix(ENVIRONMENT_PREFIX).lower(), "the environment", variable)
            values[name] = _from_text(name, environment[variable], variable)
            _checked({name: values[name]}, variable)
    values.update({name: value for name, value in flags.items() if value is not None})
    _read_secrets(values)
    return _checked(values, "the command line")


def _read_secrets(values: dict[str, Any]) -> None:
    """Put what a file of a secret holds in the place of the setting that it is for."""
    for name in SECRETS:
        path = values.pop(f"{name}_file", "")
        if not path:
            continue
        if values.get(name):
            raise ConfigError(f"{name} and {name}_file are both set; leave one of them empty")
        try:
            values[name] = Path(path).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise ConfigError(
                f"{name}_file {path} cannot be read: {why}; give the path of a file with one line"
            ) from error
        if not values[name]:
            raise ConfigError(f"{name}_file {path} is empty; write the address with user and password into it")


def masked(settings: Settings) -> dict[str, Any]:
    """The settings as `footfall config` shows them: passwords replaced by ***."""
    shown = msgspec.structs.asdict(settings)
    shown["clickhouse"] = _masked(settings.dsn)
    shown["clickhouse_read"] = _masked(settings.clickhouse_read)
    return shown


def _masked(dsn: str) -> str:
    try:
        parts = urlsplit(dsn)
    except ValueError:
        return "***"  # who knows where the password stands in it
    if parts.password is None:
        return dsn
    return parts._replace(netloc=f"{parts.username or ''}:***@{parts.netloc.rpartition('@')[2]}").geturl()


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}; give the path of a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from error


def _known(name: str, where: str, shown: str | None = None) -> str:
    if name in Settings.__struct_fields__:
        return name
    near = difflib.get_close_matches(name, Settings.__struct_fields__, n=1, cutoff=0.0)[0]
    if shown is not None:
        shown_near = ENVIRONMENT_PREFIX + near.upper()
        raise ConfigError(f"{where} has an unknown setting {shown}; did you mean {shown_near}?")
    raise ConfigError(f"{where} has an unknown setting {name!r}; did you mean {near!r}?")


def _from_text(name: str, text: str, variable: str) -> Any:
    if isinstance(getattr(Settings(), name), list):
        return [part.strip() for part in text.split(",") if part.strip()]
    if isinstance(getattr(Settings(), name), bool):
        if text.lower() not in ("true", "false"):
            raise ConfigError(f"{variable} is {text!r}; it must be true or false")
        return text.lower() == "true"
    if isinstance(getattr(Settings(), name), int):
        try:
            return int(text)
        except ValueError as error:
            raise ConfigError(f"{variable} is {text!r}; it must be a whole number") from error
    return text


def _checked(values: dict[str, Any], where: str) -> Settings:
    try:
        settings = msgspec.convert(values, Settings)
    except msgspec.ValidationError as error:
        text, _, at = str(error).partition(" - at `$.")
        raise ConfigError(f"{where}: setting {at.rstrip('`')!r}: {text}") from error
    for name in SECRETS:
        dsn = getattr(settings, name)
        if dsn and _scheme(dsn) not in ("chdb", "http", "https"):
            shown = _masked(dsn)
            raise ConfigError(f"{where}: {name} is {shown!r}; it must start with http://, https:// or chdb://")
    for address in settings.clickhouse_shards:
        if _scheme(address) not in ("http", "https") or "@" in address:
            shown = _masked(address)
            raise ConfigError(
                f"{where}: clickhouse_shards has {shown!r}; give http://host:port or https://host:port, "
                "the user is that of clickhouse"
            )
    for network in settings.trusted_proxies:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise ConfigError(
                f"{where}: trusted_proxies has {network!r}; give networks such as 10.0.0.0/8 or ::1"
            ) from error
    return settings


def _scheme(dsn: str) -> str:
    try:
        return urlsplit(dsn).scheme
    except ValueError:  # brackets that hold no IPv6 address
        return ""
