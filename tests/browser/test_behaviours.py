"""Every behaviour that the tag promises has a scenario that shows it: this is the list, and where to look.

Two lists: the checks that the project counts for every tag of the field, by number, and further behaviours by name.
Files are those of this folder; `stored` judges by rows in the database, the others by what a collector received.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent

FILES = {
    "scenarios": HERE / "scenarios.mjs",
    "features": HERE / "features.mjs",
    "extras": HERE / "extras.mjs",
    "stored": HERE / "stored.mjs",
    "link": HERE.parent / "http" / "test_link_tokens.py",
}

# The names in stored.mjs that several behaviours share.
LOAD = "stored: a load, a link, a way back and a reload are four page views of one session"
ADDRESS = "stored: each way to change the address counts as the visitor saw it"
HASH = "stored: routes in the fragment count where the site says so, and a base element changes no address"
PRERENDER = "stored: a prerendered page is stored once it is shown, and never if it is not"
EARLY = "stored: what the page calls before the script comes is stored in order; a script that never comes harms nobody"
CLICKS = "stored: clicks are stored as what they were, through children, shadow roots and pictures, once each"
ANGER = "stored: a click in anger, and one without an answer, are stored as such"
FORMS = "stored: forms are stored by the names of their fields; what was typed, chosen or private is nowhere"
ATTENTION = "stored: attention is stored by page, without time asleep or hidden, once each hide, with the depth seen"
LEAVING = "stored: events of the moment in which a page is left or closed are stored once"
KILLED = (
    "stored: a frozen tab that the browser discards, or that is killed in the middle of a request, loses and doubles "
    "nothing"
)
FAILING = "stored: 503, an answer that is lost, a cut line and a slow server: each event is stored once"
PARTS = "stored: 413 is met with smaller batches, and over 64 KiB goes out in parts; all is stored"
STORAGE = "stored: storage denied, full or cleared costs nothing but memory"
TABS = "stored: two tabs share one queue and one visitor, and neither loses nor doubles"
CONSENT = "stored: consent pending: nothing until granted, then all with its own time; denied: nothing ever"
REFUSED = "stored: Global Privacy Control, Do Not Track and an opt-out that lasts store nothing"
COOKIELESS = "stored: cookieless: one visitor for the day, named by the collector, and nothing kept in the browser"
PEOPLE = "stored: identify, group and alias hold on later pages; after reset the device is somebody else's"
LINK = "stored: a link to a listed domain carries the visitor; to another, or forged, it carries nobody"
CAMPAIGN = "stored: the landing page's campaign and click id are columns of every later event of the session"
PUBLIC = "stored: a site on the public web is production, and one without https loses nothing"
HOSTILE = "stored: hostile properties: what can be kept is stored, the rest harms nobody"
BROKEN = "stored: a plugin may change and drop events; neither what it throws nor a page that breaks JSON harms anybody"
STATUS = "stored: status() and the debug overlay say what was stored"

CHECKS: dict[int, list[str]] = {
    1: [LOAD, "scenarios: one page view on load, promptly and whole (1)"],
    2: [ADDRESS],
    3: [ADDRESS],
    4: [ADDRESS],
    5: [ADDRESS],
    6: [ADDRESS],
    7: [HASH],
    8: ["scenarios: a jump to an anchor adds no view (8)"],
    9: [LOAD],
    10: [PRERENDER],
    11: ["stored: a page opened in a background tab is stored when it is looked at"],
    12: [ADDRESS],
    13: [ATTENTION],
    14: [ATTENTION, "features: a change within a single-page site tells of the old page, and begins anew (14)"],
    15: [ATTENTION],
    16: ["features: a page without the focus stands still (16)"],
    17: ["features: a glance under a second tells nothing, unless the visitor scrolled (17)"],
    18: ["features: a page whose view is not counted tells of no engagement (18)"],
    19: [ATTENTION],
    20: [ATTENTION],
    21: [CLICKS],
    22: [CLICKS],
    23: ["features: links of an SVG are links (23)"],
    24: [CLICKS],
    25: ["features: a marked element sends its event with its properties, and nothing else (25)"],
    26: ["features: Enter on a link or button is a click (26)"],
    27: ["features: elements that came after the tag are heard (27)"],
    28: ["features: a link is followed at once, however slow the collector, and its click arrives (28)"],
    29: ["features: an invalid form is not submitted, with novalidate it is; Enter and requestSubmit are ways to (29)"],
    30: [CLICKS],
    31: [ANGER, "features: the third click within a second at one place is one rage click (31)"],
    32: [ANGER, "features: a click that is answered, or not meant as one, is not dead (32)"],
    33: [LEAVING],
    34: [LEAVING],
    35: [FAILING],
    36: ["stored: offline, then online: all is stored with the time at which it happened"],
    37: ["scenarios: what a closed page could not send, the next page sends once (37)"],
    38: [TABS],
    39: [PARTS],
    40: [STORAGE],
    41: ["scenarios: no request asks for permission first, carries credentials or a header of ours (41)"],
    42: [EARLY],
    43: ["stored: two tags on a page store once each, in their own source, for their own visitor"],
    44: [REFUSED],
    45: [CONSENT],
    46: ["scenarios: consent withdrawn silences all tabs at once and leaves nothing but the answer"],
    47: [REFUSED],
    48: [COOKIELESS],
    49: [PEOPLE],
    50: ["stored: subdomains share one visitor by a cookie", TABS],
    51: ["stored: a driven browser is flagged, kept, and counts in no session", LOAD],
    52: ["stored: a strict content security policy with nonces and Trusted Types is kept"],
}

BEHAVIOURS: dict[str, list[str]] = {
    "load": [LOAD],
    "load in a background tab": ["stored: a page opened in a background tab is stored when it is looked at"],
    "prerender then activation": [PRERENDER],
    "prerender never activated": [PRERENDER],
    "bfcache restore": [LOAD],
    "reload": [LOAD],
    "pushState new path": [ADDRESS],
    "pushState same path": [ADDRESS],
    "pushState new query": [ADDRESS],
    "pushState new hash": [ADDRESS],
    "replaceState same": [ADDRESS],
    "replaceState new": [ADDRESS],
    "back and forward": [ADDRESS],
    "a router that calls pushState then replaceState": [ADDRESS],
    "title set after navigation": [ADDRESS],
    "hash routing by choice": [HASH],
    "<base>": [HASH],
    "iframe": ["stored: a frame without the tag adds nothing; one with it counts its own page, for the same visitor"],
    "two tags on one page": ["stored: two tags on a page store once each, in their own source, for their own visitor"],
    "snippet stub before the script arrives": [EARLY],
    "script blocked": [EARLY],
    "script twice": ["stored: a script that is there twice stores once"],
    "click on nested element": [CLICKS],
    "click in open shadow root": [CLICKS],
    "click on SVG": [CLICKS],
    "click on disabled button": [CLICKS],
    "ctrl- and middle-click outbound": [CLICKS],
    "download": [CLICKS],
    "mailto and tel": [CLICKS],
    "preventDefault before us": [CLICKS],
    "form submit by Enter": [FORMS],
    "form abandonment": [FORMS],
    "input values never sent": [FORMS],
    "private subtree never sent": [FORMS],
    "scroll depth on short page": [ATTENTION],
    "scroll depth on growing page": [ATTENTION],
    "engaged time with focus lost": [ATTENTION, "features: a page without the focus stands still (16)"],
    "engaged time with tab hidden": [ATTENTION],
    "engaged time with laptop slept": [ATTENTION],
    "each hide sends once": [ATTENTION],
    "unload": [LEAVING],
    "close": [LEAVING],
    "mobile-like freeze (Page Lifecycle API)": ["stored: a frozen page goes on where it was when it thaws"],
    "discard": [KILLED],
    "left before the second part came": [
        "stored: who leaves in a moment, or without having done anything, is stored with the view and the time"
    ],
    "first click before the second part came": [
        "stored: the first clicks, fields and submits are stored with their element, though what describes it came "
        "after"
    ],
    "second part fetched late": [
        "features: the second part is fetched once: at the first move, key, scroll or press, or some seconds after the "
        "start",
        "features: a page that nobody touches gets the second part some seconds after its first paint",
    ],
    "second part cannot be had": [
        "stored: where the second part cannot be had, views, marks, links, submits and attention are stored",
        "features: a second part that could not be had is asked for again, after half a minute",
    ],
    "bfcache restore before the second part came": [
        "stored: a page brought back by the back/forward cache before the second part came is told twice, each with "
        "its own time"
    ],
    "offline then online": ["stored: offline, then online: all is stored with the time at which it happened"],
    "503 then recovery": [FAILING],
    "429 with Retry-After": ["stored: 429 with Retry-After is waited out, on the next page too"],
    "slow server": [FAILING],
    "413": [PARTS],
    "network drop mid-request": [FAILING],
    "queue full": ["stored: a full queue gives up the oldest and says how many"],
    "localStorage denied": [STORAGE],
    "localStorage full": [STORAGE],
    "localStorage cleared": [STORAGE],
    "two tabs with one queue": [TABS],
    "tab killed mid-send": [KILLED],
    "clock 3 h wrong": ["stored: a clock that is three hours off, either way, is put right by the collector"],
    "DST": ["stored: the hour that comes twice in autumn keeps events in order and apart"],
    "consent pending then granted": [CONSENT],
    "consent pending then denied": [CONSENT],
    "consent withdrawn": ["stored: consent withdrawn ends it in all tabs; who opts in again is somebody new"],
    "consent by category": ["stored: what a category was not granted for is not stored; what was said is"],
    "GPC": [REFUSED],
    "opt-out": [REFUSED],
    "cookieless": [COOKIELESS],
    "cross-domain link with listed domain": [LINK],
    "cross-domain link without listed domain": [LINK],
    "cross-domain link expired": ["link: test_a_token_ends"],
    "cross-domain link forged": [LINK, "link: test_a_forged_token_names_nobody"],
    "subdomain cookie": ["stored: subdomains share one visitor by a cookie"],
    "identify, alias": [PEOPLE],
    "reset on shared device": [PEOPLE],
    "UTM kept for the session": [CAMPAIGN],
    "click ids": [CAMPAIGN],
    "referrer policies": ["stored: the referrer is what the page before allowed to be told"],
    "strict CSP": [
        "stored: a strict content security policy with nonces and Trusted Types is kept",
        "stored: where a policy forbids requests but not images, events come as images, once each, and leave the queue",
    ],
    "Trusted Types": ["stored: a strict content security policy with nonces and Trusted Types is kept"],
    "old browser without fetch keepalive": [
        "stored: a browser whose fetch cannot outlive its page leaves by beacon; the copy it keeps is not stored twice"
    ],
    "webdriver flag": ["stored: a driven browser is flagged, kept, and counts in no session"],
    "localhost flag": [LOAD, PUBLIC],
    "payload over 64 KiB split": [PARTS],
    "200 events in one tick": ["stored: 200 events of one moment are stored once each, in their order"],
    "property with cycle": [HOSTILE],
    "property with BigInt": [HOSTILE],
    "property with DOM node": [HOSTILE],
    "property with throwing getter": [HOSTILE],
    "property with lone surrogate": [HOSTILE],
    "plugin that throws": [BROKEN],
    "page that overrides JSON, Date, fetch or Array.prototype": [
        BROKEN,
        "scenarios: a page that replaces JSON, fetch, Promise and Date after the tag began loses nothing",
    ],
    "debug overlay": [STATUS],
    "status()": [STATUS],
    "each generated helper": [
        "stored: each helper generated from the plan stores its event in the version it was generated for"
    ],
    "noscript pixel": ["stored: without script the page's image counts the view, and an e-mail's its opening"],
    "e-mail pixel": ["stored: without script the page's image counts the view, and an e-mail's its opening"],
    "site search and 404": ["stored: a search on the site and a page that is not there are stored with their view"],
    "media": ["features: a sound that is played tells 0, 25, 50, 75 and 100 percent, once each"],
    "a site without https": [PUBLIC],
}


@pytest.fixture(scope="module")
def known() -> set[str]:
    """`file: name` of every scenario there is."""
    found = set()
    for file, path in FILES.items():
        pattern = r"^def (test_\w+)" if path.suffix == ".py" else r'^  "([^"]+)": (?:async|\{)'
        found |= {f"{file}: {name}" for name in re.findall(pattern, path.read_text(), flags=re.MULTILINE)}
    return found


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_a_scenario_shows(behaviour: str, known: set[str]) -> None:
    assert BEHAVIOURS[behaviour]
    assert not set(BEHAVIOURS[behaviour]) - known


def test_every_check_has_its_scenario(known: set[str]) -> None:
    assert sorted(CHECKS) == list(range(1, 53))
    assert {name for names in CHECKS.values() for name in names} <= known
    assert all(CHECKS.values())


def test_every_stored_scenario_shows_a_behaviour(known: set[str]) -> None:
    named = {name for names in [*CHECKS.values(), *BEHAVIOURS.values()] for name in names}
    assert {name for name in known if name.startswith("stored: ")} <= named
