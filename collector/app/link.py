"""Short-lived signed tokens that carry a visitor's id from one site to another of the same collector.

    page of a.example ── POST /v1/link ──> token ──> link to b.example?… ──> GET /v1/link ──> the same id there

A token is the moment it ends, the id, and an HMAC-SHA256 of both. Its key follows from the salt of the day it was made
(identity.Salts), so all workers have it and it is destroyed within two days; collectors with a data directory of their
own do not take each other's. A token names no source, because the two sites may have one each: any write key of the
collector may spend what any other was given. That makes nobody richer: whoever has a write key, which is public, can
send events under any id. What the signature is for is the link: an address that is passed on, stored or guessed names
nobody two minutes later.
"""

from __future__ import annotations

import base64
import binascii
import hmac

from collector.enrichment.identity import Salts
from collector.limits import ID_CHARS_MAX
from collector.reason import Reason, Refused

TOKEN_SECONDS = 120  # from a click to the page it leads to, on a bad line and a slow phone
CLOCK_SECONDS = 5  # a clock that was set back in between must not undo a link

_PURPOSE = b"link"
_END_BYTES = 5  # seconds since the epoch, for the next 34,000 years
_MAC_BYTES = 16  # 128 of HMAC-SHA256's 256 bits, as RFC 2104 allows: a link should stay short
_TOKEN_CHARS_MAX = (_END_BYTES + 4 * ID_CHARS_MAX + _MAC_BYTES) * 4 // 3 + 4


def make_token(salts: Salts, now_ms: int, visitor_id: str) -> str:
    """A url-safe token for this visitor, good for TOKEN_SECONDS.

    Args:
        salts: Of this collector.
        now_ms: The collector's clock.
        visitor_id: 1 to ID_CHARS_MAX characters.
    Raises:
        Refused: LINK_INVALID, the id is empty or too long.
        OSError: as Salts.visitor_id.
    """
    if not 0 < len(visitor_id) <= ID_CHARS_MAX:
        raise Refused(
            Reason.LINK_INVALID, f"anonymousId has {len(visitor_id):,} characters; send 1 to {ID_CHARS_MAX} of them"
        )
    now_s = now_ms // 1_000
    signed = (now_s + TOKEN_SECONDS).to_bytes(_END_BYTES, "big") + visitor_id.encode("utf-8", "replace")
    token = signed + _mac(salts, now_s, signed)
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def read_token(salts: Salts, now_ms: int, token: str) -> str:
    """The visitor a token was made for.

    Raises:
        Refused: BAD_QUERY for what is no token at all; LINK_INVALID for one that has ended or was not made here.
        OSError: as Salts.visitor_id.
    """
    content = _decoded(token)
    signed, mac = content[:-_MAC_BYTES], content[-_MAC_BYTES:]
    end_s, now_s = int.from_bytes(signed[:_END_BYTES], "big"), now_ms // 1_000
    # Before the key is looked for: there is one for today and yesterday only, and asking for another would make it.
    if end_s < now_s:
        raise Refused(
            Reason.LINK_INVALID, f"the link's token is over {TOKEN_SECONDS} s old, the limit; follow the link again"
        )
    made_s = end_s - TOKEN_SECONDS
    if made_s > now_s + CLOCK_SECONDS or not hmac.compare_digest(mac, _mac(salts, made_s, signed)):
        raise Refused(
            Reason.LINK_INVALID, "the link's token was changed or made by another collector; follow the link again"
        )
    return signed[_END_BYTES:].decode()


def _decoded(token: str) -> bytes:
    text = token if len(token) <= _TOKEN_CHARS_MAX else ""
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if len(content) <= _END_BYTES + _MAC_BYTES:
        raise Refused(Reason.BAD_QUERY, "token is none of a link; ask for one by POST /v1/link")
    return content


def _mac(salts: Salts, made_s: int, signed: bytes) -> bytes:
    return hmac.digest(salts.secret(made_s * 1_000, _PURPOSE), signed, "sha256")[:_MAC_BYTES]
