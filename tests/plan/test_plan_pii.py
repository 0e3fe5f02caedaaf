"""Personal data: what the plan declares is handled before anything is stored, and what it does not is found."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import Any

import pytest
from msgspec import UNSET
from plan.built import compiled, event, listing, number, plan_of, rules, text, thing

from collector.plan import Checked, CompiledPlan, pii
from collector.plan.model import Action, Pii, Property, Type
from collector.plan.pii import blanked, masked_text, personal, personal_within

A = Action
CARD = "4111 1111 1111 1111"
IBAN = "DE89 3704 0044 0532 0130 00"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"


def judged(plan: CompiledPlan, sent: Any, **how: Any) -> Checked:
    document = sent.encode() if isinstance(sent, str) else json.dumps(sent).encode()
    return plan.check(how.pop("event", "e"), None, document, **how)


def handled(sent: Any, *properties: Property) -> Any:
    """The properties as they are stored."""
    return handled_by(compiled(*properties), sent)


def handled_by(plan: CompiledPlan, sent: Any) -> Any:
    checked = judged(plan, sent)
    assert not checked.violations
    return sent if checked.properties is None else json.loads(checked.properties)


def sha256(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


# Declared


@pytest.mark.parametrize(
    ("facts", "sent", "kept"),
    [
        ({"handling": "keep"}, "a@b.example", "a@b.example"),
        ({"handling": "sha256"}, " Ann ", sha256("Ann")),
        ({"handling": "sha256", "pii_class": "email"}, " Ann@B.Example ", sha256("ann@b.example")),
        ({"handling": "mask"}, "Ann", "***"),
        ({"handling": "mask"}, "", ""),
        ({"handling": "mask_detected"}, f"mail a@b.example or {CARD}", "mail [email] or [card]"),
        ({"handling": "mask_detected"}, "red shoes 42", "red shoes 42"),
    ],
)
def test_a_declared_text_is_handled_as_it_is_declared(facts: Any, sent: str, kept: str) -> None:
    assert handled({"t": sent, "n": 1}, text("t", **facts), number("n")) == {"t": kept, "n": 1}


def test_a_dropped_value_is_gone_and_its_neighbours_keep_their_bytes() -> None:
    checked = judged(compiled(text("t", "drop"), text("u")), '{"t": "secret",  "u": "\\u00e9" , "v":1.50}')
    assert checked.properties == b'{"u":"\\u00e9","v":1.50}'


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("https://a.example/p?utm_source=x&email=a%40b.example#top", "https://a.example/p?utm_source=x"),
        ("https://a.example/p?email=x", "https://a.example/p"),
        ("https://a.example/p?UTM_SOURCE=x&utm%5Fsource=y", "https://a.example/p?utm%5Fsource=y"),
        ("https://ann:pw@a.example/p", "https://a.example/p"),
        ("?utm_source=x&q=1", "?utm_source=x"),
        ("", ""),
        ("/p;a=1#?utm_source=x", "/p;a=1"),
    ],
)
def test_an_address_keeps_the_parameters_that_are_named(sent: str, kept: str) -> None:
    declared = text("u", "strip_query_except", keep=("utm_source",))
    assert handled({"u": sent}, declared) == {"u": kept}


ADDRESSES = [
    "https://a.example/",
    "https://a.example/p?q=1",
    "/p?utm_source=x",
    "/p?utm_source=x&id=7",
    "?id=7",
    "",
    None,
]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_addresses_of_one_event_are_each_handled_as_if_they_stood_alone_however_often_they_come(count: int) -> None:
    names = [f"u{number}" for number in range(count)]
    declared = [text(name, "strip_query_except", keep=("utm_source",), nullable=True) for name in names]
    plan, alone = compiled(*declared), compiled(declared[0])
    kept = {sent: handled_by(alone, {"u0": sent})["u0"] for sent in ADDRESSES}
    assert kept["/p?utm_source=x&id=7"] == "/p?utm_source=x"
    for values in 2 * list(itertools.product(ADDRESSES, repeat=min(count, 3))):
        sent = dict(zip(names, values, strict=False))
        if count == 4:
            sent["u3"] = values[0]
        assert handled_by(plan, sent) == {name: kept[value] for name, value in sent.items()}
    assert handled_by(plan, {}) == {}


def test_addresses_with_different_lists_keep_what_their_own_list_says() -> None:
    declared = [text("a", "strip_query_except", keep=("x",)), text("b", "strip_query_except", keep=("y",))]
    plan = compiled(*declared)
    for _ in range(2):
        assert handled_by(plan, {"a": "/?x=1", "b": "/?x=1"}) == {"a": "/?x=1", "b": "/"}
        assert handled_by(plan, {"a": "/?y=1", "b": "/?y=1"}) == {"a": "/", "b": "/?y=1"}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ('{"u":"/?id=1","t":"/?id=1"}', '{"u":"/","t":"/?id=1"}'),
        ('{"t":"/?id=1","u":"/?id=1"}', '{"t":"/?id=1","u":"/"}'),
        ('{"r":"/?id=1","u":"/?id=1"}', '{"r":"/","u":"/"}'),
        ('{"u":"/?id=1","r":"/?id=1","n":1.50}', '{"u":"/","r":"/","n":1.50}'),
        ('{ "u" : "/?id=1" , "n":1.50}', '{"u":"/","n":1.50}'),
        ('{"u":"\\u002f?id=1","n":1.50}', '{"u":"/","n":1.50}'),
        ('{"deep":{"u":"/?id=1"},"u":"/?id=1"}', '{"deep":{"u":"/?id=1"},"u":"/"}'),
        ('{"u":"/?id=1","deep":{"u":"/?id=1"}}', '{"u":"/","deep":{"u":"/?id=1"}}'),
        ('{"deep":{"t":1.50},"u":"/?id=1"}', '{"deep":{"t":1.50},"u":"/"}'),
        ('{"t":"u","u":"/?id=1"}', '{"t":"u","u":"/"}'),
        ('{"u":"/?id=2","u":"/?id=1"}', '{"u":"/"}'),
    ],
)
def test_of_an_address_and_its_neighbours_only_the_address_is_changed(sent: str, kept: str) -> None:
    addresses = [text(name, "strip_query_except", nullable=True) for name in ("u", "r")]
    for plan in (compiled(*addresses), compiled(*addresses, text("m", "mask"))):  # edited, and taken apart
        checked = judged(plan, sent)
        assert not checked.rejected
        assert checked.properties is not None
        assert checked.properties.decode() == kept


def test_addresses_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pii, "ADDRESSES_MAX", 10)
    edits = pii.Stripper(("keep",)).edits
    for number_ in range(25):
        assert edits[f"/{number_}?keep=1"] is None
        assert edits[f"/{number_}?id=1"] == (f"/{number_}", b'"/%d?id=1"' % number_, b'"/%d"' % number_)
        assert len(edits) <= 10
    assert {None, UNSET, "", "/24?id=1"} <= edits.keys()
    assert edits["/" + "x" * pii.ADDRESS_CHARS_MAX] is None
    assert max(len(entry) for entry in edits if isinstance(entry, str)) < 20


def test_personal_data_is_handled_inside_objects_lists_and_maps() -> None:
    mail = Type(kind="string", max_length=99, pii=Pii(pii_class="email", handling="mask"))
    gone = Type(kind="string", max_length=99, pii=Pii(pii_class="x", handling="drop"))
    line = Type(kind="object", properties=(Property(name="mail", type=mail, aliases=("e_mail",)), number("n")))
    properties = (
        listing("lines", line),
        listing("mails", mail),
        listing("gone", gone),
        Property(name="map", type=Type(kind="map", values=mail)),
        thing("deep", thing("er", Property(name="mail", type=mail))),
        Property(name="any", type=Type(kind="any", pii=Pii(pii_class="x", handling="mask"))),
    )
    sent = {
        "lines": [{"mail": "a", "n": 1}, {"e_mail": "b"}],
        "mails": ["a", "b"],
        "gone": ["a", "b"],
        "map": {"k": "a"},
        "deep": {"er": {"mail": "a"}},
        "any": {"list": ["a", 5, None, True, {"k": "v"}]},
    }
    assert handled(sent, *properties) == {
        "lines": [{"mail": "***", "n": 1}, {"e_mail": "***"}],
        "mails": ["***", "***"],
        "gone": [None, None],
        "map": {"k": "***"},
        "deep": {"er": {"mail": "***"}},
        "any": {"list": ["***", "***", None, True, {"k": "***"}]},
    }


def test_a_value_of_another_type_is_handled_all_the_same() -> None:
    secret = text("t", "mask")
    lenient = rules({"wrong_type": A.FLAG})
    for sent, kept in ((5, "***"), ({"a": "b"}, {"a": "***"}), (["x", 1.5], ["***", "***"])):
        checked = judged(compiled(secret, rules=lenient), {"t": sent})
        assert checked.properties is not None
        assert json.loads(checked.properties) == {"t": kept}


def test_both_of_a_name_that_stands_twice_are_handled() -> None:
    for sent in ('{"t":"secret","t":"other"}', '{"t":"secret","t":"***"}', r'{"\u0074":"secret","t":"***"}'):
        assert judged(compiled(text("t", "mask")), sent).properties == b'{"t":"***"}'


def test_a_rejected_event_s_properties_are_handled_and_else_whole() -> None:
    plan = compiled(text("t", "mask"), number("n", maximum=3), rules=rules({"wrong_type": A.STRIP}))
    checked = judged(plan, {"t": "secret", "n": 4, "x": 1})
    assert checked.rejected is not None
    assert checked.properties is not None
    assert json.loads(checked.properties) == {"t": "***", "n": 4, "x": 1}
    assert checked.extra == {}


def test_what_moves_to_extra_is_handled_first() -> None:
    plan = compiled(text("t", "mask", max_length=3), rules=rules({"constraint": A.STRIP}))
    assert judged(plan, {"t": "too long"}).extra == {"t": b'"***"'}


def test_a_personal_value_is_not_repeated_in_what_the_sender_is_told() -> None:
    plan = compiled(text("t", "mask", max_length=3), number("n"))
    for sent in ({"t": "secret"}, {"x": "a@b.example"}, {"x": ["a@b.example"]}):
        assert all("secret" not in found.fix and "@" not in found.fix for found in judged(plan, sent).violations)


def test_what_was_handled_before_is_valid_and_stays_as_it_is() -> None:
    mail = text("mail", "sha256", pii_class="email", max_length=20, required=True)
    plan = compiled(mail, text("gone", "drop", required=True), number("n"))
    first = judged(plan, {"mail": "a@b.example", "gone": "x", "n": "1"})
    assert first.properties is not None
    assert first.rejected is not None
    again = json.loads(first.properties) | {"n": 1}
    checked = judged(plan, again, handled=True)
    assert (checked.violations, checked.properties) == ((), None)
    assert json.loads(first.properties)["mail"] == sha256("a@b.example")


def test_an_unplanned_event_is_handled_as_any_event_that_declares_the_name() -> None:
    plan = CompiledPlan(plan_of(event(text("mail", "mask"), name="sign_up")))
    for name in ("sing_up", "e"):
        checked = judged(plan, {"mail": "a@b.example", "n": 1}, event=name)
        assert checked.properties == b'{"mail":"***","n":1}'
        assert [found.word() for found in checked.violations] == ["unknown_event:/event"]


# Not declared


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        ("ann@shop.example", "email"),
        ("https://a.example/?q=ann%40shop.example&x=1", "email"),
        ("write to Änn.Müller+x@mail.shop.example.", "email"),
        (CARD, "card"),
        ("4111111111111111", "card"),
        ("378282246310005", "card"),
        (IBAN, "iban"),
        ("GB82WEST12345698765432", "iban"),
        (TOKEN, "token"),
        ("sk_live_" + "a1" * 12, "token"),
        ("@handle", ""),
        ("a@b", ""),
        ("2x@1.5", ""),
        ("4111111111111112", ""),
        ("1790000000000", ""),
        ("order 4242-4242", ""),
        ("DE89370400440532013001", ""),
        ("550e8400-e29b-41d4-a716-446655440000", ""),
        ("+49 170 1234567", ""),
        ("eyJ", ""),
        ("", ""),
    ],
)
def test_what_gives_personal_data_away(sent: str, kind: str) -> None:
    assert personal(sent) == kind


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("call +49 170 1234567 or (030) 123456-7", "call [phone] or [phone]"),
        (f"pay {CARD} from {IBAN}", "pay [card] from [iban]"),
        (f"Bearer {TOKEN}", "Bearer [token]"),
        ("a@b.example,c@d.example", "[email],[email]"),
        ("size 42, order 100-200, 2026-11-22, 12.50", "size 42, order 100-200, 2026-11-22, 12.50"),
    ],
)
def test_free_text_keeps_what_is_not_personal(sent: str, kept: str) -> None:
    assert masked_text(sent) == kept


@pytest.mark.parametrize(
    ("action", "kept", "moved"),
    [
        (A.ALLOW, {"x": "a@b.example", "n": 1}, {"x": "a@b.example"}),
        (A.FLAG, {"x": "a@b.example", "n": 1}, {"x": "a@b.example"}),
        (A.STRIP, {"n": 1}, {"x": "[email]"}),
        (A.QUARANTINE, {"x": "[email]", "n": 1}, {}),
        (A.DROP, {"x": "[email]", "n": 1}, {}),
    ],
)
def test_undeclared_personal_data_follows_its_rule(action: Action, kept: Any, moved: Any) -> None:
    plan = compiled(number("n"), rules=rules({"undeclared_pii": action}))
    checked = judged(plan, {"x": "a@b.example", "n": 1})
    assert json.loads(checked.properties or b'{"x": "a@b.example", "n": 1}') == kept
    assert {name: json.loads(part) for name, part in checked.extra.items()} == moved
    assert (checked.rejected is not None, checked.dropped is not None) == (action is A.QUARANTINE, action is A.DROP)
    listed = [found.word() for found in checked.violations]
    assert ("undeclared_pii:/properties/x" in listed) == (action is not A.ALLOW)


def test_it_is_found_in_unplanned_events_and_in_extra_and_deep_inside() -> None:
    stripping = rules({"undeclared_pii": A.STRIP})
    plan = CompiledPlan(plan_of(event(number("n"), rules=stripping), rules=stripping))
    checked = judged(plan, {"a": {"b": ["x", {"c": "a@b.example"}]}}, event="new")
    assert (checked.properties, checked.extra) == (b"{}", {"a": b'{"b":["x",{"c":"[email]"}]}'})
    checked = judged(plan, {"n": 1}, extra=b'{"mail":"a@b.example","colour":"red"}')
    assert [found.word() for found in checked.violations] == ["undeclared_pii:/extra/mail"]
    assert checked.extra == {"mail": b'"[email]"', "colour": b'"red"'}
    assert checked.properties is None


def test_a_card_sent_as_a_number_is_found() -> None:
    assert personal_within({"a": [4111111111111111]}) == "card"
    assert personal_within([4111111111111112, 5, True, None, 1.5]) == ""


def test_what_was_meant_for_extra_is_no_violation() -> None:
    plan = compiled(number("n"))
    checked = judged(plan, {"n": 1, "colour": "red"}, extra=b'{"colour":"blue","size":1.50}')
    assert [found.word() for found in checked.violations] == ["unknown_property:/properties/colour"]
    assert checked.extra == {"colour": b'"red"', "size": b"1.50"}
    for odd in (b"5", b"[1]", b'"x"'):
        assert judged(plan, {"n": 1}, extra=odd).extra == {"extra": odd}


@pytest.mark.parametrize(
    "hostile",
    [
        "a" * 30_000,
        "a@" * 15_000,
        "1 " * 15_000,
        "4" * 30_000,
        "DE89" * 7_000,
        "eyJ" * 10_000,
        "+1(" * 10_000,
        ".%40" * 7_000,
    ],
    ids=lambda value: value[:4],
)
def test_looking_takes_no_longer_than_reading(hostile: str) -> None:
    import time

    begun = time.thread_time()
    personal(hostile)
    masked_text(hostile)
    assert time.thread_time() - begun < 1.0, "a text of 30 KB: 10 ms were measured, backtracking would take minutes"


# Where nothing can be told apart


def test_in_bytes_that_are_no_json_declared_names_and_what_looks_personal_are_masked() -> None:
    raw = b'{"mail": "secret \\" x", "e": "a@b.example", "n": 12}, "mail":5 "mail": "cut'
    kept = blanked(raw, ["mail"])
    assert kept == b'{"mail": "***", "e": "[email]", "n": 12}, "mail":"***" "mail": "***"'
    assert blanked(b"\xff\x00 a@b.example", []) == b"\xff\x00 [email]"


@pytest.mark.parametrize("depth", [20, 40, 2_000, 100_000])
def test_a_declared_value_is_handled_however_deep_it_is_sent(depth: int) -> None:
    lenient = rules({"wrong_type": A.FLAG})
    plan = compiled(text("t", "mask"), number("n"), rules=lenient)
    deep = b'{"n":1,"t":' + b"[" * depth + b'"secret"' + b"]" * depth + b"}"
    for properties in (plan.check("e", None, deep).properties, plan.kept("e", None, deep)):
        assert properties is not None
        assert b"secret" not in properties
        assert b'"n":1' in properties
