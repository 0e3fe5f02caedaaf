"""What is bought together, what is bought next, and whether a discount wins customers: as mlxtend and sets say."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from itertools import permutations
from typing import Any

import pytest
from sql.events import START_MS, Event, filled, insert
from sql.questions import call, meets, units
from sql.reckoning import PLAN, approximately, compared, in_order, order_of, repeats, share, wilson

from collector.database.publish import record_version
from collector.database.store import Store, StoreError

DAY_MS = 86_400_000

# Every second basket holds bread, and so on; made by rule, so that others can make them too.
EVERY = {"bread": 2, "butter": 4, "milk": 3, "jam": 5, "salt": 7}
# association_rules(apriori(…, min_support=0.09, max_len=2), metric="support", min_threshold=0) of mlxtend 0.25.0:
# support, confidence, lift, leverage, conviction (inf there where it is NULL here).
MLXTEND = {
    ("bread", "butter"): (0.3238095238095238, 0.5, 1.5441176470588234, 0.11410430839002267, 1.3523809523809525),
    ("butter", "bread"): (0.3238095238095238, 1.0, 1.5441176470588234, 0.11410430839002267, None),
    ("bread", "salt"): (
        *(0.09523809523809523, 0.14705882352941174, 0.7720588235294117, -0.028117913832199554, 0.9490968801313628),
    ),
    ("salt", "bread"): (0.09523809523809523, 0.5, 0.7720588235294117, -0.028117913832199554, 0.7047619047619047),
    ("bread", "milk"): (
        *(0.20952380952380953, 0.3235294117647059, 0.7549019607843138, -0.06802721088435373, 0.8447204968944099),
    ),
    ("butter", "milk"): (
        *(0.10476190476190476, 0.3235294117647059, 0.7549019607843138, -0.03401360544217687, 0.8447204968944099),
    ),
    ("milk", "bread"): (
        *(0.20952380952380953, 0.48888888888888893, 0.7549019607843137, -0.06802721088435373, 0.6894409937888198),
    ),
    ("milk", "butter"): (
        *(0.10476190476190476, 0.24444444444444446, 0.7549019607843137, -0.03401360544217687, 0.8949579831932774),
    ),
    ("jam", "bread"): (
        *(0.12380952380952381, 0.48148148148148157, 0.7434640522875818, -0.042721088435374144, 0.679591836734694),
    ),
    ("bread", "jam"): (
        *(0.12380952380952381, 0.19117647058823528, 0.7434640522875817, -0.042721088435374144, 0.9184415584415585),
    ),
}

BASKETS: dict[str, Any] = {
    **{"source_id": "shop", "event": "purchase", "items": "items", "product": "sku", "basket": "order_id"},
    **{"since": START_MS, "until": START_MS + 60 * DAY_MS, "counted_by": "person"},
}
TOGETHER: dict[str, Any] = BASKETS | {"min_support": 0.0}
NEXT: dict[str, Any] = BASKETS | {"within_days": 20, "min_buyers": 1}
DISCOUNT: dict[str, Any] = {
    **{"source_id": "shop", "order_event": "purchase", "discount": "coupon", "within_days": [10, 30, 60]},
    **{"since": START_MS, "until": START_MS + 90 * DAY_MS, "counted_by": "person"},
}


def bought(visitor: str, at: int, number: int, facts: dict[str, Any]) -> Event:
    return {
        **{"message_id": f"m-{number}", "at": at, "visitor_id": visitor, "type": "track", "event": "purchase"},
        **{"event_version": 2, "conversion": "macro", "value": "5", "currency": "EUR", "properties": json.dumps(facts)},
    }


def rules_of_mlxtend(store: Store) -> None:
    made = [[name for name, every in EVERY.items() if i % every == 0 and i % 11] for i in range(150)]
    # Texts, not objects; each twice; and events of the same name without any product, which are no baskets.
    insert(store, [filled(bought("ann", i, i, {"products": names * 2})) for i, names in enumerate(made)], "one")
    asked = TOGETHER | {"items": "products", "product": "", "basket": "", "min_support": 0.09}
    rows = store.rows(f"SELECT * FROM {store.database}.{call('products_together', asked)}")
    assert {row[:2]: row[6:] for row in rows} == {pair: approximately(rule) for pair, rule in MLXTEND.items()}
    assert {row[2] for row in rows} == {105}
    for product, other, _, of_product, of_other, together, *_ in rows:
        counts = [sum(1 for names in made if wanted <= set(names)) for wanted in ({product}, {other}, {product, other})]
        assert [of_product, of_other, together] == counts


@pytest.fixture(scope="module")
def crowd() -> list[Event]:
    """200 visitors of 100 people who buy up to six times, in baskets that two events may tell of."""
    chance = random.Random(12)
    events: list[Event] = []
    for visitor in range(200):
        at = chance.randrange(40 * DAY_MS)
        for _ in range(chance.choice((1, 2, 3, 6))):
            skus = chance.sample(("A", "B", "C", "D", 7), chance.choice((0, 1, 1, 2, 3)))
            lines: list[Any] = [{"sku": sku} for sku in skus] + chance.choice(([], [{"name": "x"}], ["y"]))
            facts: dict[str, Any] = {"items": lines} if chance.random() < 0.7 else {}
            if chance.random() < 0.5:
                facts["order_id"] = f"O-{visitor // 2}-{chance.randrange(3)}"
            if chance.random() < 0.7:
                facts["coupon"] = chance.choice(("SPRING", "", "0", 0, 5, False, None, "0.00"))
            event = bought(f"visitor-{visitor}", at, len(events), facts)
            others = {"event": "add_to_cart", "conversion": ""} if chance.random() < 0.1 else {}
            events.append(filled(event | others | {"user_id": chance.choice(("", f"user-{visitor // 2}"))}))
            at += chance.choice((0, 1, DAY_MS, 9 * DAY_MS, 20 * DAY_MS, 31 * DAY_MS))
    return events


def baskets_of(events: list[Event], asked: dict[str, Any], until: int) -> list[tuple[str, int, frozenset[str]]]:
    """(counted_id, bought_at, products)"""
    owner = {id(e): unit for (unit,), history in units(events, asked["counted_by"]).items() for e in history}
    lines: dict[str, set[str]] = defaultdict(set)
    first: dict[str, tuple[str, int]] = {}
    for event in in_order(e for e in events if id(e) in owner):
        if not meets(event, asked["event"]) or not asked["since"] <= event["event_time"] < until:
            continue
        name = json.loads(event["properties"]).get("order_id") or f"message {event['message_id']}"
        first.setdefault(name, (owner[id(event)], event["event_time"]))
        for line in json.loads(event["properties"]).get("items", []):
            if isinstance(line, dict) and "sku" in line:
                lines[name].add(str(line["sku"]))
    return [(*first[name], frozenset(skus)) for name, skus in lines.items() if skus]


def products_together_agree(store: Store, crowd: list[Event]) -> None:
    baskets = [skus for _, _, skus in baskets_of(crowd, BASKETS, BASKETS["until"])]
    rows = store.rows(
        f"SELECT arraySort(products) FROM {store.database}.{call('baskets', BASKETS)}",
    )
    assert Counter(frozenset(skus) for (skus,) in rows) == Counter(baskets)
    singles = Counter(sku for skus in baskets for sku in skus)
    pairs = Counter(pair for skus in baskets for pair in permutations(skus, 2))
    rows = store.rows(f"SELECT * FROM {store.database}.{call('products_together', TOGETHER)}")
    assert {row[:2]: row[2:6] for row in rows} == {
        (one, other): (len(baskets), singles[one], singles[other], together) for (one, other), together in pairs.items()
    }
    assert len(pairs) == 20


def next_products_agree(store: Store, crowd: list[Event]) -> None:
    asked = NEXT | {"until": START_MS + 30 * DAY_MS}
    reach = asked["within_days"] * DAY_MS
    histories: dict[str, list[tuple[int, frozenset[str]]]] = defaultdict(list)
    for unit, at, skus in baskets_of(crowd, asked, asked["until"] + reach + 1):
        histories[unit].append((at, skus))
    buyers: Counter[str] = Counter()
    followed: Counter[tuple[str, str]] = Counter()
    for history in histories.values():
        starts = [(at, skus) for at, skus in history if at < asked["until"]]
        firsts = {sku: min(at for at, skus in starts if sku in skus) for _, skus in starts for sku in skus}
        if starts:
            firsts["any"] = min(at for at, _ in starts)
        for sku, start in firsts.items():
            buyers[sku] += 1
            followed.update({(sku, after) for at, skus in history if start < at <= start + reach for after in skus})
    everybody = buyers.pop("any")
    expected = []
    for sku in sorted(buyers):
        after = sorted((-n, other) for (one, other), n in followed.items() if one == sku)
        for rank, (negative, other) in enumerate(after, 1):
            n, base = -negative, followed["any", other] / everybody
            rates = (n / buyers[sku], *wilson(n, buyers[sku]), base, n / buyers[sku] / base)
            expected.append((sku, other, rank, buyers[sku], n, *approximately(rates)))
    rows = store.rows(f"SELECT * FROM {store.database}.{call('next_products', asked)}")
    assert rows == expected
    assert len(rows) > 15


def discounts_agree(store: Store, crowd: list[Event]) -> None:
    """Judged by first orders whose time is over."""
    asked = DISCOUNT | {"since": START_MS + 2 * DAY_MS}
    again = repeats(crowd)
    firsts = []
    for history in units(crowd, "person").values():
        known = [e for e in in_order(history) if e["event_time"] < asked["until"] and e["message_id"] not in again]
        orders = [e for e in known if e["event"] == "purchase"]
        if orders and orders[0]["event_time"] >= asked["since"]:
            coupon = json.loads(orders[0]["properties"]).get("coupon")
            nexts = orders[1]["event_time"] - orders[0]["event_time"] if orders[1:] else None
            firsts.append((orders[0]["event_time"], coupon in ("SPRING", 5), nexts))
    expected = []
    for days in asked["within_days"]:
        known_firsts = [first for first in firsts if first[0] + days * DAY_MS <= asked["until"]]
        groups = [
            [
                nexts is not None and nexts <= days * DAY_MS
                for _, discounted, nexts in known_firsts
                if discounted is wanted
            ]
            for wanted in (True, False)
        ]
        (n, hits), (other_n, other_hits) = ((len(group), sum(group)) for group in groups)
        assert min(hits, other_hits) > 0
        rates = (share(hits, n), *wilson(hits, n)), (share(other_hits, other_n), *wilson(other_hits, other_n))
        test = compared(hits, n, other_hits, other_n)
        expected.append(
            (days, n, hits, *approximately(rates[0]), other_n, other_hits, *approximately((*rates[1], *test)))
        )
    rows = store.rows(f"SELECT * FROM {store.database}.{call('discount_effect', asked)}")
    assert rows == expected
    assert {order_of(event) for event in crowd if event["message_id"] in again}


# A database costs as much as its questions: those that can be asked of one are asked of one.
def test_products_and_discounts_agree_with_mlxtend_and_with_sets(store: Store, crowd: list[Event]) -> None:
    record_version(store, PLAN, START_MS)
    rules_of_mlxtend(store)
    store.command(f"TRUNCATE TABLE {store.database}.events")
    insert(store, crowd, "crowd")
    products_together_agree(store, crowd)
    next_products_agree(store, crowd)
    discounts_agree(store, crowd)


@pytest.mark.parametrize("place", ["chdb"], indirect=True)
def test_what_is_not_known_is_null_and_what_cannot_be_asked_is_said(store: Store) -> None:
    assert store.rows(f"SELECT * FROM {store.database}.{call('next_products', NEXT)}") == []
    columns = "days, discounted, discounted_rate, discounted_low, full_price, full_price_rate, difference, z, p"
    rows = store.rows(f"SELECT {columns} FROM {store.database}.{call('discount_effect', DISCOUNT)}")
    assert rows == [(days, 0, None, None, 0, None, None, None, None) for days in (10, 30, 60)]
    insert(store, [filled(bought("ann", 0, 1, {"items": [{"sku": "A"}, {"sku": "B"}]}))], "one")
    for view, asked, sentence in (
        ("products_together", TOGETHER | {"min_support": 5.0}, "min_support is a share of baskets"),
        ("next_products", NEXT | {"within_days": 0}, "within_days must be at least 1"),
        ("discount_effect", DISCOUNT | {"within_days": []}, "within_days must hold at least one number"),
    ):
        with pytest.raises(StoreError, match=sentence):
            store.rows(f"SELECT * FROM {store.database}.{call(view, asked)}")
