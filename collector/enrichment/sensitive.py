"""Parts of addresses that are never stored, whatever the tracking plan says: passwords, tokens, sessions, cards.

    https://me:hush@a.example/in?token=eyJ0&page=2 --without_secrets--> https://a.example/in?page=2

The plan's allow-list (`strip_query_except`) is what keeps a site's other parameters out. This is the net below it: for
plans without one, for events that no plan knows, for the referrers of other people's sites, for fragments in which
log-ins hand tokens over (RFC 6749, section 4.2.2), and for an address within an address. It works on an address and on
the raw JSON that holds some, so that the rest keeps its bytes.
"""

from __future__ import annotations

import re
from functools import lru_cache

NAME_CHARS_MAX = 64
NAMES_CACHED = 2_048  # names of parameters repeat within a site; x about 200 bytes

# Names that end in one of these, as in reset_token, user[password] and client-secret, and some that stand alone. Not
# here are `code`, `key`, `state` and `id`, which name coupons and articles as often.
_SECRET = re.compile(
    r".*(?:token|password|passwd|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key|signature|session[_-]?id"
    r"|credentials?|card[_-]?(?:number|no)|security[_-]?code|e-?mail(?:[_-]?address)?|phone(?:[_-]?number)?)"
    r"|(?:.*[\[._-])?(?:pwd|pass|pw|jwt|otp|totp|mfa|2fa|pin|auth|authorization|bearer|sig|hmac|sid|phpsessid|jsessionid"
    r"|sessid|cookie|cvv2?|cvc2?|ccnum|pan|iban|bic|ssn|passport|magic(?:[_-]?link)?|ticket|samlresponse|samlrequest"
    r"|assertion)",
    re.ASCII,
)

# The last three characters of such names, and of what may stand behind them: most addresses end here, after 0.1
# us for each of their parameters. tests/enrich/test_sensitive.py holds it to _SECRET.
_ENDS = (
    "ken ord swd ase ret key ure _id -id nid sid ial als ber _no -no dno ode ail ess one pwd ass jwt otp mfa 2fa pin "
    "uth ion rer sig mac kie cvv vv2 cvc vc2 num pan ban bic ssn ort gic ink ket nse est"
)
# The = first and the look back after it: the engine then jumps from one = to the next.
_MAYBE = re.compile(rf"=(?<=(?:{'|'.join(_ENDS.split())}|[^a-z]pw|..\]|%5d)=)")

# & as JSON and HTML may spell it, and as it stands in an address that is a parameter of another.
_AND = r"(?:&(?:amp;)?|\\u0026|%26)"
_BEFORE = rf"(?:[?#;]|{_AND}|%3[fF]|%23)"
_NAME = re.compile(rf"({_BEFORE})((?:[\w.\[\]-]|%5[bBdD]){{1,{NAME_CHARS_MAX}}})(?:=|%3[dD])")
_VALUE = re.compile(r"(?:(?!%26|%23)[^&#\s\"\\]|\\(?!u0026).)*")
# Name and password before a host (RFC 3986, section 3.2.1); in JSON a slash may have a backslash before it.
_CREDENTIALS = re.compile(r"(:\\?/\\?/)[^/?#@\s\"<>\\]{1,512}@")
# Stands for a pair that was taken out until what is left is joined; no address and no JSON holds one.
_GONE = "\0"
_JOINT = re.compile(rf"({_BEFORE}){_GONE}(?:{_AND}{_GONE})*({_AND})?")


def without_secrets(text: str) -> str:
    """An address, a query with its `?`, or raw JSON, without what is never stored of addresses. Never raises.

    Cost: 0.1 us where no parameter is, and as much for each that is harmless.
    """
    if "@" in text:
        text = _CREDENTIALS.sub(r"\1", text)
    if "=" not in text:
        return text
    lower = text.lower()
    if _MAYBE.search(lower) is None and "%3d" not in lower:
        return text
    kept: list[str] = []
    at = 0
    for found in _NAME.finditer(text):
        if found.start() >= at and _is_secret(found[2]):
            kept += text[at : found.end(1)], _GONE
            value = _VALUE.match(text, found.end())
            assert value is not None  # it may be empty
            at = value.end()
    if not at:
        return text
    if _GONE in text:
        return without_secrets(text.replace(_GONE, ""))
    kept.append(text[at:])
    return _JOINT.sub(_joined, "".join(kept))


def harmless_signs(*addresses: str) -> int:
    """How many = these addresses have, all of which are harmless wherever in a text they stand in quotes; else -1.

    `without_secrets` leaves JSON that holds these addresses as it is, if it has no other =, no @, no %3 and no escapes.
    """
    signs = 0
    for address in addresses:
        if "=" in address:
            if _MAYBE.search(f':"{address.lower()}') is not None:
                return -1
            signs += address.count("=")
    return signs


def _joined(found: re.Match[str]) -> str:
    """What stands in the place of secrets: what stood before them, if something comes after."""
    return found[1] if found[2] else ""


@lru_cache(maxsize=NAMES_CACHED)
def _is_secret(name: str) -> bool:
    """Is it the name of such a parameter?"""
    return _SECRET.fullmatch(name.lower().replace("%5b", "[").replace("%5d", "]").rstrip("]")) is not None
