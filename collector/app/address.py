"""Whose request it is, behind proxies: the rightmost address that is not one of ours.

Each proxy writes behind what it was sent: `client, proxy 1, proxy 2`. What stands left of the first that is not ours is
only what the client says. One header is read, the one that the operator's proxies are known to write: others they pass
on as the client sent them, and a client that may choose which one counts may choose its address.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

from collector.app.head import Headers
from collector.enrichment.identity import FORWARDED_MAX, client_address

X_FORWARDED_FOR = b"x-forwarded-for"
FORWARDED = b"forwarded"  # has a form of its own (RFC 7239); any other header is a list of addresses


def address_of(peer: str, headers: Headers, trusted: Sequence[IPv4Network | IPv6Network], header: bytes) -> str:
    """The client's address: that of the connection, or the one that our own proxies vouch for.

    Args:
        peer: Address of the connection.
        headers: Of the request, names in lower case.
        trusted: Networks of our proxies; with none, the connection's address is the client's.
        header: The one that they write, in lower case.
    """
    if not trusted:
        return peer
    # Each proxy may add a header of its own (RFC 9110, section 5.3).
    hops = b",".join([value for name, value in headers if name == header]).decode("latin-1")
    if header == FORWARDED:
        hops = _forwarded_for(hops)
    return client_address(peer, hops, trusted) if hops else peer


def _forwarded_for(forwarded: str) -> str:
    """The nodes of a Forwarded header as X-Forwarded-For has them: `for="[2001:db8::7]:47"` -> `[2001:db8::7]:47`.

    `unknown` and hidden names such as `_proxy` stay as they are; an element without `for` is unknown, too. It is read
    from the right, where our proxies write: a quote that a client leaves open ends with what the client wrote.
    """
    found: list[str] = []
    element = ""
    for part in reversed(forwarded[-FORWARDED_MAX:].split(",")):
        element = f"{part},{element}" if element else part
        if element.count('"') % 2 == 0:
            found.append(_node(element))
            element = ""
    return ",".join(reversed(found))


def _node(element: str) -> str:
    for pair in element.split(";"):
        name, _, value = pair.partition("=")
        if name.strip().lower() == "for":
            # A comma can stand only in quotes, and no address has one: it must not look like two.
            return value.strip().strip('"').replace(",", " ")
    return "unknown"
