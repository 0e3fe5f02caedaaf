"""One signed POST to an address that somebody wrote into a file.

    url --resolve--> addresses, all public --connect to these--> TLS --POST--> taken? again later? refused?

The name is resolved once, all its addresses must be public, and the connection goes to one of these and to no other: a
name cannot point elsewhere between the look and the connection. No redirect is followed and no proxy of the environment
is used, as either could lead to a neighbour that only this machine can reach. `private` lifts that for operators whose
receiver is a neighbour; it also allows plain http.

Signed as standardwebhooks.com describes, so that its libraries verify it: webhook-id, webhook-timestamp and
webhook-signature, `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`. The id stays the same for every try of one
batch and is the idempotency key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from collector.audience.definition import AudienceError

TRIES_MAX = 5
FIRST_PAUSE_S = 1.0
PAUSE_S_MAX = 60.0  # also of Retry-After: whoever wants more time gets it at the next round
SILENCE_S = 10.0  # without a byte
ANSWER_BYTES_MAX = 2_000  # only its first words are shown
SECRET_BYTES = range(16, 4_097)

# A later try of the same may be taken: timeouts, too early, too many, and what went wrong at the receiver's.
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524})
# Networks of IPv6 that hold addresses of IPv4, which may be anybody's: 6to4, Teredo, and RFC 6052's translation.
_TRANSLATED = tuple(map(ipaddress.ip_network, ("2002::/16", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48")))

Resolve = Callable[[str, int], list[str]]


class Outcome(Struct, frozen=True):
    """What became of a POST. `failure` is empty when it was taken."""

    tries: int
    failure: str = ""


class Webhook(Struct, frozen=True):
    """Where to, signed with what, and whether it may be a neighbour."""

    url: str
    secret: bytes
    private: bool = False


def secret_of(reference: str, environment: Mapping[str, str]) -> bytes:
    """The secret that a file names as env:AUDIENCE_NAME or file:/path.

    A secret that starts with whsec_ is base64, as standardwebhooks.com has it; any other is taken as it is.

    Raises:
        AudienceError: there is none, or it is none that would protect anything.
    """
    kind, _, name = reference.partition(":")
    if kind == "env":
        text = environment.get(name, "")
        if not text:
            raise AudienceError(f"the secret is not set: put it into the environment variable {name}")
    else:
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8"
            raise AudienceError(f"the secret's file {name} cannot be read ({why}); check it") from error
    text = text.strip()
    secret = text.encode()
    if text.startswith("whsec_"):
        try:
            secret = base64.b64decode(text.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            raise AudienceError(
                f"the secret of {reference} starts with whsec_ and is not base64; copy it again"
            ) from None
    if len(secret) not in SECRET_BYTES:
        raise AudienceError(
            f"the secret of {reference} has {len(secret)} bytes; "
            f"it must have {SECRET_BYTES[0]} to {SECRET_BYTES[-1]:,}, best 32 random ones"
        )
    return secret


def signature(secret: bytes, message_id: str, timestamp_s: int, body: bytes) -> str:
    """What stands in webhook-signature. Source: standardwebhooks.com, symmetric signatures."""
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def post(
    hook: Webhook,
    message_id: str,
    body: bytes,
    *,
    now_ms: Callable[[], int],
    wait: Callable[[float], bool],
    resolve: Resolve | None = None,
) -> Outcome:
    """Post a body until it is taken, refused, or TRIES_MAX is reached.

    Args:
        hook: Where to.
        message_id: The same for every try of these bytes, now and later.
        body: JSON.
        now_ms: The clock, for the signature's timestamp.
        wait: Waits for so many seconds; True when it is time to stop instead.
        resolve: Gives the addresses of a host; the system's resolver when None.
    Returns:
        How it went; it never raises for what the receiver or the network does.
    """
    pause, failure = FIRST_PAUSE_S, ""
    for tried in range(1, TRIES_MAX + 1):
        try:
            answer = _once(hook, message_id, body, now_ms() // 1_000, resolve or _resolved)
        except _Refused as error:
            return Outcome(tried, str(error))
        except (OSError, http.client.HTTPException) as error:
            failure, asked_s = f"{_host_of(hook.url)} cannot be reached ({error or type(error).__name__})", 0.0
        else:
            if 200 <= answer.status < 300:
                return Outcome(tried)
            failure, asked_s = answer.says(), answer.retry_after_s
            if answer.status not in _AGAIN:
                return Outcome(tried, failure)
        if tried < TRIES_MAX and wait(min(max(pause, asked_s), PAUSE_S_MAX)):
            return Outcome(tried, f"{failure}; stopped before the next try")
        pause *= 2
    return Outcome(TRIES_MAX, f"{failure}; {TRIES_MAX} tries")


# One try


class _Refused(Exception):
    """This address is not posted to, now or later; the text is one sentence."""


class _Answer(Struct, frozen=True):
    status: int
    text: str
    retry_after_s: float

    def says(self) -> str:
        if 300 <= self.status < 400:
            return f"the webhook answered {self.status}; redirects are not followed, so name the address itself"
        text = f": {self.text}" if self.text else ""
        return f"the webhook answered {self.status}{text}"


def _once(hook: Webhook, message_id: str, body: bytes, timestamp_s: int, resolve: Resolve) -> _Answer:
    connection, path = _connection(hook, resolve)
    try:
        connection.request(
            "POST",
            path,
            body,
            {
                "Content-Type": "application/json",
                "User-Agent": "footfall",
                "Idempotency-Key": message_id,
                "webhook-id": message_id,
                "webhook-timestamp": str(timestamp_s),
                "webhook-signature": signature(hook.secret, message_id, timestamp_s, body),
            },
        )
        answered = connection.getresponse()
        text = " ".join(answered.read(ANSWER_BYTES_MAX).decode("utf-8", "replace").split())[:200]
        after = answered.getheader("Retry-After", "")
        return _Answer(answered.status, text, float(after) if after.isdigit() else 0.0)
    finally:
        connection.close()


def _connection(hook: Webhook, resolve: Resolve) -> tuple[http.client.HTTPConnection, str]:
    """An open connection to one of the host's addresses, and the path to ask for."""
    try:
        parts = urlsplit(hook.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise _Refused(f"destination {hook.url} is no address ({error})") from None
    host = parts.hostname or ""
    if not host or parts.username is not None:
        raise _Refused("the destination has no host, or a user name in it; write https://host/path")
    if parts.scheme != "https" and not hook.private:
        raise _Refused(f"destination {hook.url} is not https; persons are not sent in the clear")
    addresses = resolve(host, port)
    if not hook.private:
        for address in addresses:
            if not _is_public(address):
                raise _Refused(
                    f"{host} is {address}, which is not public; an operator allows it with private_webhooks = true"
                )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    opened = _open(addresses, port)
    try:
        opened.settimeout(SILENCE_S)
        if parts.scheme == "https":
            opened = ssl.create_default_context().wrap_socket(opened, server_hostname=host)
    except BaseException:
        opened.close()
        raise
    connection = http.client.HTTPConnection(host, port, timeout=SILENCE_S)
    connection.sock = opened
    if port == (443 if parts.scheme == "https" else 80):
        connection.port = 80  # http.client leaves the port out of Host where it is its own default
    return connection, path


def _open(addresses: list[str], port: int) -> socket.socket:
    failure: OSError = OSError("no address")
    for address in addresses:
        try:
            return socket.create_connection((address, port), timeout=SILENCE_S)
        except OSError as error:
            failure = error
    raise failure


def _resolved(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_public(str(address.ipv4_mapped))
        if any(address in network for network in _TRANSLATED):
            return False
    return address.is_global and not address.is_multicast


def _host_of(url: str) -> str:
    return urlsplit(url).hostname or url
