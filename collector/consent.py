"""What a visitor has agreed to, and what becomes of an event that lacks it.

    context.consent --read_stated--> Stated   \\
    Sec-GPC, DNT, the opt-out's cookie: signals --why_not--> "" or a word that says what is lacking
    Rules of the source, consent: of the plan /

Nothing here does work on events; judge.py drops them, stores them without whom they are of, or has them counted alone.
A server's key speaks for its visitor: what it states counts, what it leaves out was its own to ask for.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from msgspec import Struct, structs

# What becomes of an event without consent.
DROP = "drop"  # only how many there were is known, in /metrics
COOKIELESS = "cookieless"  # stored without ids, traits and click ids; a visitor for one day (identity.py)
COUNTS = "counts"  # counted by day, event and page, in a table that has nobody in it
MODES = (DROP, COOKIELESS, COUNTS)

# What may be lacking. An opt-out is dropped whatever the mode is.
OPT_OUT = "opt_out"
GPC = "gpc"
DNT = "dnt"
DENIED = "consent_denied"
PENDING = "consent_pending"
UNSTATED = "consent_unstated"
PURPOSE = "consent_purpose"
WORDS = {
    OPT_OUT: "the visitor has opted out of statistics",
    GPC: "the browser sends Global Privacy Control and the event states no consent",
    DNT: "the browser sends Do Not Track and the event states no consent",
    DENIED: "the visitor did not agree to it (context.consent)",
    PENDING: "the visitor has not answered yet (context.consent)",
    UNSTATED: "the event states no consent, and this source needs one",
    PURPOSE: "the plan names a purpose for this event that the visitor did not agree to",
}
_ENDS = {
    DROP: "it is not stored",
    COOKIELESS: "it is stored without whom it is of",
    COUNTS: "it is only counted",
}

PURPOSES_MAX = 32  # a banner names a dozen; the rest of a longer list is not looked at
PURPOSE_CHARS_MAX = 64

_GRANTED, _DENIED, _PENDING = "granted", "denied", "pending"
_LACKING = {_DENIED: DENIED, _PENDING: PENDING}
_YES = frozenset({"granted", "true", "yes", "1", "accepted", "allow", "allowed", "opt_in"})
_NOT_YET = frozenset({"pending", "unknown", "unset"})
_NO = frozenset({"denied", "false", "no", "0", "rejected", "deny", "opt_out"})
# Members of a statement that are no purpose.
_ABOUT = frozenset({"version", "categorypreferences"})


class Rules(Struct, frozen=True):
    """When an event of a browser counts as agreed to, and what becomes of others.

    `required`: what states no consent lacks it. `purpose` names the one that analytics is, in the site's own words.
    """

    mode: str = DROP
    required: bool = False
    gpc: bool = True
    dnt: bool = False
    purpose: str = "analytics"


class Overrides(Struct, frozen=True, omit_defaults=True):
    """What a source has otherwise than the settings; None for as they say."""

    mode: str | None = None
    required: bool | None = None
    gpc: bool | None = None
    dnt: bool | None = None
    purpose: str | None = None


@lru_cache(maxsize=1_024)
def laid_over(rules: Rules, own: Overrides) -> Rules:
    """The rules of a source: its own over those of the settings."""
    return structs.replace(rules, **{name: value for name, value in structs.asdict(own).items() if value is not None})


class Stated(Struct, frozen=True, gc=False):
    """What an event states: a word for everything, or one for each purpose, by its name in lower case."""

    word: str = ""
    purposes: dict[str, str] = {}

    def of(self, purpose: str) -> str:
        """granted, denied or pending; empty where nothing is said of it."""
        return self.purposes.get(purpose, "") if self.purposes else self.word


NOTHING_STATED = Stated()


def read_stated(consent: Any, management: Any = None) -> Stated:
    """What a context says of consent. Never raises; of what is unreadable, a refusal is taken for one.

    Args:
        consent: context.consent, decoded: our tag's word or {purpose: bool}, Segment's {categoryPreferences: {…}},
            or words in the place of booleans, as Google's consent mode has them.
        management: context.consentManagement, decoded: RudderStack's lists of allowed and denied ids.
    """
    if isinstance(consent, dict):
        segments = consent.get("categoryPreferences")
        given = segments if isinstance(segments, dict) else consent
        purposes = {
            name: _word(answer)
            for name, answer in ((_name(name), answer) for name, answer in list(given.items())[:PURPOSES_MAX])
            if name not in _ABOUT
        }
        return Stated("", purposes) if purposes else NOTHING_STATED
    if isinstance(consent, bool | str):
        word = _word(consent, otherwise="")
        return Stated(word) if word else NOTHING_STATED
    if isinstance(management, dict):
        purposes = {}
        for member, word in (("allowedConsentIds", _GRANTED), ("deniedConsentIds", _DENIED)):
            ids = management.get(member)
            if isinstance(ids, list):
                purposes |= {_name(each): word for each in ids[:PURPOSES_MAX] if isinstance(each, str)}
        return Stated("", purposes) if purposes else NOTHING_STATED
    return NOTHING_STATED


def _name(name: str) -> str:
    return name[:PURPOSE_CHARS_MAX].lower()


def _word(answer: object, otherwise: str = _DENIED) -> str:
    said = str(answer)[:PURPOSE_CHARS_MAX].lower()
    return _GRANTED if said in _YES else _PENDING if said in _NOT_YET else _DENIED if said in _NO else otherwise


def why_not(
    rules: Rules, signals: tuple[str, ...], stated: Stated, needs: tuple[str, ...] = (), *, is_server: bool = False
) -> str:
    """What an event lacks; empty when nothing.

    What is stated of analytics counts for more than the browser's signals: a visitor who agrees to this site after all
    has said so to it.

    Args:
        rules: Of its source.
        signals: What the request says: OPT_OUT, GPC, DNT.
        stated: By the event.
        needs: Further purposes, of the plan. Where purposes are stated each of them must be among the granted.
        is_server: It came with a server's key.
    """
    if OPT_OUT in signals:
        return OPT_OUT
    said = stated.of(rules.purpose)
    lacking = _LACKING.get(said, "") if said or is_server else _without_a_word(rules, signals)
    if not lacking and needs and (stated.purposes or stated.word):
        lacking = PURPOSE if any(stated.of(need.lower()) != _GRANTED for need in needs) else ""
    return lacking


def _without_a_word(rules: Rules, signals: tuple[str, ...]) -> str:
    if signals and rules.gpc and GPC in signals:
        return GPC
    if signals and rules.dnt and DNT in signals:
        return DNT
    return UNSTATED if rules.required else ""


def mode_of(rules: Rules, lacking: str) -> str:
    """What becomes of an event that lacks this."""
    return DROP if lacking == OPT_OUT else rules.mode


def sentence(lacking: str, mode: str, needs: tuple[str, ...] = ()) -> str:
    """Why, and what became of it, for the developer who looks."""
    named = f" ({', '.join(needs)})" if lacking == PURPOSE and needs else ""
    return f"{WORDS[lacking]}{named}, so {_ENDS[mode]}; nothing to do"
