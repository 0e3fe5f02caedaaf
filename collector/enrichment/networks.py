"""Networks that an operator counts as bots': data centres by the numbers of their networks, or by address.

# one a line
AS14061            DigitalOcean
198.51.100.0/24
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

LINES_MAX = 200_000  # as integers in sets: some 20 MB; the longest public lists of clouds have 100,000
FILE_BYTES_MAX = 16_000_000

_NUMBER = re.compile(r"(?:AS)?([0-9]{1,10})", re.IGNORECASE)


class NetworksError(Exception):
    """A list of networks cannot be used; the text is one sentence."""


class Networks:
    """A set of networks: by number (autonomous systems) and by address. Empty without a file."""

    def __init__(self) -> None:
        self.numbers: set[int] = set()
        # Prefixes as integers, by version and length: a look-up costs as many steps as there are lengths, 161 at most.
        self._prefixes: dict[tuple[int, int], set[int]] = {}

    def __bool__(self) -> bool:
        return bool(self.numbers or self._prefixes)

    def add(self, network: str) -> None:
        """Add one, such as AS14061 or 192.0.2.0/24. Raises ValueError: it is neither."""
        if number := _NUMBER.fullmatch(network):
            self.numbers.add(int(number[1]))
            return
        found = ipaddress.ip_network(network, strict=False)
        shift = found.max_prefixlen - found.prefixlen
        self._prefixes.setdefault((found.version, found.prefixlen), set()).add(int(found.network_address) >> shift)

    def holds(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, number: int) -> bool:
        """Is this one of their addresses, or their network's number?"""
        if number in self.numbers and number:
            return True
        value, bits = int(address), address.max_prefixlen
        return any(
            version == address.version and value >> (bits - length) in prefixes
            for (version, length), prefixes in self._prefixes.items()
        )


def read_networks(file: Path) -> Networks:
    """Read a text file of networks, one a line; what follows the first blank or # is a remark.

    Raises:
        NetworksError: it cannot be read, or a line is no network; the sentence names the line.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(FILE_BYTES_MAX + 1)
        lines = data.decode().splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise NetworksError(f"{file} cannot be read: {reason}; check the setting `bot_networks`") from error
    if len(data) > FILE_BYTES_MAX or len(lines) > LINES_MAX:
        raise NetworksError(f"{file} has too many networks, the limit is {LINES_MAX:,} lines; name fewer")
    networks = Networks()
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            networks.add(words[0])
        except ValueError as error:
            raise NetworksError(
                f"{file}:{number}: {words[0][:60]!r} is no network; give one such as AS64500 or 192.0.2.0/24"
            ) from error
    return networks
