"""Experiments and lifts: who was exposed, what followed, and the same statistics as scipy and statsmodels."""

from __future__ import annotations

import json
import math
import random
from collections import defaultdict
from typing import Any

import pytest
from sql.events import START_MS, Event, filled, insert
from sql.questions import call, meets, units, value_of
from sql.reckoning import PLAN, Sql, Z, approximately, compared, in_order, repeats, share

from collector.database.publish import record_version
from collector.database.store import Store, StoreError

DAY_MS = 86_400_000

# Variant: how many saw it, and of each ten how many bought.
SIZES = {"old": (120, 3), "new": (150, 5), "third": (90, 2)}
SHARES = {"old": 2.0, "new": 2.0, "third": 1.0}


def outcomes() -> dict[str, list[float]]:
    """What each one who saw a variant paid; 0 for who bought nothing. Made by rule, so that others can make it too."""
    return {
        variant: [i * 37 % 101 / 4 + 0.25 if i * 7 % 10 < often else 0.0 for i in range(n)]
        for variant, (n, often) in SIZES.items()
    }


# Of outcomes(), by scipy 1.17.1 and statsmodels 0.15.0, for each variant against `old`:
#   statsmodels.stats.proportion.proportions_ztest                                      z, p
#   confint_proportions_2indep(method="newcomb", compare="diff")                        interval
#   scipy.stats.ttest_ind(variant, old, equal_var=False), its confidence_interval()     t, p, interval
#   scipy.stats.ttest_ind(variant, old, equal_var=True)                                 p
#   scipy.stats.chisquare(sizes, expected by SHARES, and by equal shares)               chi2, p
GOLDEN = {
    "new": {
        **{"low": 0.42099012028854144, "high": 0.5790098797114586},
        **{"difference_low": 0.08236526085441723, "difference_high": 0.30876208169989333},
        **{"z": 3.318853472703931, "p": 0.0009038784510356143},
        **{"value_low": 0.6896892278931839, "value_high": 4.38614410544015, "t": 2.703630131566682},
        **{"value_p": 0.0072998920206357185, "value_p_equal": 0.008288253287248196},
    },
    "third": {
        **{"low": 0.13042401182717056, "high": 0.29413736351142555},
        **{"difference_low": -0.21151766179424608, "difference_high": 0.020201799206822996},
        **{"z": -1.6408253082847337, "p": 0.10083368313947776},
        **{"value_low": -3.1605801641354727, "value_high": 0.4286357196910282, "t": -1.5006910047039392},
        **{"value_p": 0.134973745488943, "value_p_equal": 0.1444330834350763},
    },
}
RATIO_WEIGHTED = (8.75, 0.012588142242433998)
# scipy.stats.chisquare of 12 variants of 40, 41, … with weights 5, 6, …
RATIO_OF_TWELVE = (43.686850008965386, 8.243302163532145e-06)

ASKED: dict[str, Any] = {
    **{"source_id": "shop", "exposure": "experiment_viewed & experiment_name=checkout", "variant": "variation_name"},
    **{"goal": "purchase", "currency": "EUR", "window_s": 5 * 86_400},
    **{"since": START_MS, "until": START_MS + 20 * DAY_MS, "counted_by": "visitor"},
}
COLUMNS = (
    *("variant", "exposed", "excluded", "converted", "rate", "low", "high", "conversions"),
    *("difference", "difference_low", "difference_high", "lift", "z", "p"),
    *("mean_value", "value_difference", "value_low", "value_high", "t", "value_p", "value_p_equal"),
    *("other_currencies", "expected", "ratio_chi2", "ratio_p", "is_ratio_broken"),
)
COMPARED: dict[str, Any] = ASKED | {"control": "old", "shares": Sql("map()")}


def seen(visitor: str, at: int, variant: str, name: str = "checkout") -> Event:
    facts = {"experiment_name": name, "variation_name": variant}
    return {
        **{"message_id": f"{visitor}-{at}-seen", "at": at, "visitor_id": visitor, "type": "track"},
        **{"event": "experiment_viewed", "properties": json.dumps(facts)},
    }


def bought(visitor: str, at: int, value: float, currency: str = "EUR", order: str = "") -> Event:
    return {
        **{"message_id": f"{visitor}-{at}-bought", "at": at, "visitor_id": visitor, "type": "track"},
        **{"event": "purchase", "event_version": 2, "conversion": "macro", "value": str(value), "currency": currency},
        "properties": json.dumps({"order_id": order} if order else {}),
    }


def experiments_agree_with_scipy(store: Store) -> None:
    events = []
    for variant, values in outcomes().items():
        for i, value in enumerate(values):
            events.append(seen(f"{variant}-{i}", i, variant))
            if value:
                events.append(bought(f"{variant}-{i}", 1_000 + i, value))
    # One who saw two, and so counts in neither; one of another experiment.
    events += [seen("both", 1, "old"), seen("both", 2, "new"), bought("both", 3, 1_000), seen("other", 1, "x", "y")]
    insert(store, [filled(event) for event in events], "one")
    shares = Sql(f"map({', '.join(f'{name!r}, {weight}' for name, weight in SHARES.items())})")
    answer = store.rows(f"SELECT * FROM {store.database}.{call('experiments', COMPARED | {'shares': shares})}")
    rows = {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in answer}
    assert list(rows) == ["new", "old", "third"]
    control = rows["old"]
    for variant, values in outcomes().items():
        row, sold = rows[variant], [value for value in values if value]
        assert (row["exposed"], row["converted"], row["conversions"]) == (len(values), len(sold), len(sold))
        assert row["excluded"] == (variant != "third")
        assert row["rate"] == pytest.approx(len(sold) / len(values))
        assert row["mean_value"] == pytest.approx(sum(values) / len(values))
        assert row["expected"] == 360 * SHARES[variant] / 5
        assert (row["ratio_chi2"], row["ratio_p"]) == approximately(RATIO_WEIGHTED)
        assert not row["is_ratio_broken"]
    for variant, wanted in GOLDEN.items():
        row = rows[variant]
        assert {name: row[name] for name in wanted} == {name: approximately(value) for name, value in wanted.items()}
        assert row["difference"] == pytest.approx(row["rate"] - control["rate"])
        assert row["lift"] == pytest.approx(row["rate"] / control["rate"] - 1)
        assert row["value_difference"] == pytest.approx(row["mean_value"] - control["mean_value"])
    of_others = ("difference", "difference_low", "difference_high", "lift", "z", "p")
    of_values = ("value_difference", "value_low", "value_high", "t", "value_p", "value_p_equal")
    assert {control[name] for name in of_others + of_values} == {None}


def broken_assignments_are_seen(store: Store) -> None:
    events = [
        filled(seen(f"{variant}-{i}", i, f"variant-{variant:02}")) for variant in range(12) for i in range(40 + variant)
    ]
    insert(store, events, "one")
    weights = ", ".join(f"'variant-{variant:02}', {5 + variant}" for variant in range(12))
    columns = "exposed, rate, difference, lift, z, p, t, value_p, ratio_chi2, ratio_p, is_ratio_broken"
    asked = COMPARED | {"shares": Sql(f"map({weights})"), "control": "variant-00"}
    rows = store.rows(f"SELECT {columns} FROM {store.database}.{call('experiments', asked)}")
    assert [row[0] for row in rows] == list(range(40, 52))
    assert all(row[-3:-1] == approximately(RATIO_OF_TWELVE) for row in rows)
    assert all(row[-1] for row in rows)
    # Nobody bought anything: there is a difference, of nothing, and no test.
    assert {row[1:8] for row in rows[1:]} == {(0, 0, None, None, None, None, None)}
    # A variant that should not be seen at all; one that should and is not; a control that nobody knows.
    asked = COMPARED | {"shares": Sql("map('variant-00', 1, 'variant-99', 1)"), "control": "none"}
    rows = store.rows(
        "SELECT variant, exposed, rate, difference, p, expected, ratio_chi2, ratio_p "
        f"FROM {store.database}.{call('experiments', asked)} "
        "WHERE variant IN ('variant-00', 'variant-01', 'variant-99')"
    )
    assert rows == [
        ("variant-00", 40, 0, None, None, 273, None, 0),
        ("variant-01", 41, 0, None, None, 0, None, 0),
        ("variant-99", 0, None, None, None, 273, None, 0),
    ]


def what_is_both_is_not_after_itself(store: Store) -> None:
    """As with the shipped plan, where a purchase itself says which variant its visitor saw."""
    facts = json.dumps({"experiment_id": "checkout", "variant": "new"})
    events = [bought("once", 0, 5), bought("twice", 0, 5), bought("twice", 1, 7)]
    insert(store, [filled(event | {"properties": facts}) for event in events], "one")
    asked = ASKED | {"exposure": "* & experiment_id=checkout", "variant": "variant"}
    columns = "counted_id, variants, converted_at IS NULL, conversions, toFloat64(value)"
    rows = store.rows(f"SELECT {columns} FROM {store.database}.{call('experiment_units', asked)} ORDER BY counted_id")
    assert rows == [("once", ["new"], 1, 0, 0), ("twice", ["new"], 0, 1, 7)]


@pytest.fixture(scope="module")
def crowd() -> list[Event]:
    """300 visitors, many of two devices, who see variants, switch them and buy before and after; some orders twice."""
    chance = random.Random(3)
    events: list[Event] = []
    for visitor in range(300):
        name, variant, at = f"visitor-{visitor}", chance.choice(("old", "new")), chance.randrange(19 * DAY_MS)
        for _ in range(chance.choice((1, 3, 6, 9))):
            facts = chance.choice(
                (
                    seen(name, at, variant),
                    seen(
                        name,
                        at,
                        chance.choice((variant, variant, variant, "old", "")),
                        chance.choice(("checkout", "x")),
                    ),
                    bought(name, at, chance.choice((0, 5, 12.5)), chance.choice(("EUR", "EUR", "USD"))),
                    bought(name, at, 20, "EUR", f"O-{visitor // 2}-{chance.randrange(2)}"),
                    {"message_id": f"{name}-{at}-page", "at": at, "visitor_id": name},
                    {
                        "message_id": f"{name}-{at}-search",
                        "at": at,
                        "visitor_id": name,
                        "type": "track",
                        "event": "search",
                    },
                    {"message_id": f"{name}-{at}-help", "at": at, "visitor_id": name, "type": "track", "event": "help"},
                )
            )
            user = chance.choice(("", "", f"user-{visitor // 2}"))
            events.append(filled(facts | {"user_id": user, "is_bot": chance.random() < 0.02}))
            at += chance.choice((1, 1_000, 600_000, DAY_MS, 3 * DAY_MS, 5 * DAY_MS))
            # Who searches buys more often, later.
            if facts.get("event") == "search" and chance.random() < 0.6:
                events.append(filled(bought(name, at + 2 * DAY_MS, 7)))
    return list({event["message_id"]: event for event in events}.values())


def exposed(events: list[Event], asked: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What experiment_units says of each unit."""
    again = repeats(events)
    found = {}
    for (unit,), history in units(events, asked["counted_by"]).items():
        known = [e for e in in_order(history) if e["event_time"] <= asked["until"] + asked["window_s"] * 1_000]
        known = [e for e in known if e["event_time"] >= asked["since"]]
        sights = [e for e in known if meets(e, asked["exposure"]) and value_of(e, asked["variant"])]
        if not sights or sights[0]["event_time"] >= asked["until"]:
            continue
        start, first_at = known.index(sights[0]), sights[0]["event_time"]
        goals = [
            e
            for e in known[start + 1 :]
            if meets(e, asked["goal"])
            and e["event_time"] <= first_at + asked["window_s"] * 1_000
            and e["message_id"] not in again
        ]
        found[unit] = {
            "exposed_at": first_at,
            "variants": sorted({value_of(e, asked["variant"]) for e in sights}),
            "converted_at": goals[0]["event_time"] if goals else None,
            "conversions": len(goals),
            "value": sum(float(e["value"]) for e in goals if e["currency"] == asked["currency"]),
            "other_currencies": sum(float(e["value"]) > 0 for e in goals if e["currency"] != asked["currency"]),
        }
    return found


def experiments_agree(store: Store, crowd: list[Event]) -> None:
    """Only conversions after the first exposure count, and orders count once."""
    asked = ASKED | {"counted_by": "person", "since": START_MS + 2 * DAY_MS}
    computed = exposed(crowd, asked)
    milliseconds = ("exposed_at", "converted_at")
    names = list(next(iter(computed.values())))
    columns = ", ".join(f"toUnixTimestamp64Milli({name})" if name in milliseconds else name for name in names)
    rows = store.rows(f"SELECT counted_id, {columns} FROM {store.database}.{call('experiment_units', asked)}")
    assert {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows} == {
        unit: {name: approximately(value) if name == "value" else value for name, value in facts.items()}
        for unit, facts in computed.items()
    }
    assert sum(len(facts["variants"]) > 1 for facts in computed.values()) > 5
    assert sum(facts["other_currencies"] for facts in computed.values()) > 5
    assert repeats(crowd)
    rows = store.rows(
        "SELECT variant, exposed, excluded, converted, conversions, other_currencies, expected, difference, "
        "difference_low, difference_high, z, p, mean_value "
        f"FROM {store.database}.{call('experiments', COMPARED | asked)}"
    )
    of: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for facts in computed.values():
        for variant in facts["variants"]:
            of[variant].append(facts)
    sound = {variant: [facts for facts in group if len(facts["variants"]) == 1] for variant, group in of.items()}
    hits = {variant: sum(facts["conversions"] > 0 for facts in group) for variant, group in sound.items()}
    total = sum(map(len, sound.values()))
    none = (None,) * 5
    assert rows == [
        (
            *(variant, len(sound[variant]), len(of[variant]) - len(sound[variant]), hits[variant]),
            sum(facts["conversions"] for facts in sound[variant]),
            sum(facts["other_currencies"] for facts in sound[variant]),
            total / len(of),
            *approximately(
                none
                if variant == "old"
                else compared(hits[variant], len(sound[variant]), hits["old"], len(sound["old"]))
            ),
            approximately(math.fsum(facts["value"] for facts in sound[variant]) / len(sound[variant])),
        )
        for variant in sorted(of)
    ]


LIFTED: dict[str, Any] = {
    **{"source_id": "shop", "features": ["search", "help", "experiment_viewed", "page_view", "never"]},
    **{"goal": "purchase", "outcome": "conversion", "try_s": 86_400, "window_s": 7 * 86_400},
    **{"since": START_MS, "until": START_MS + 30 * DAY_MS, "counted_by": "visitor"},
}
LIFT = "feature, with_feature, with_reached, with_rate, without_feature, without_reached, without_rate, base_rate"
TESTED = "difference, difference_low, difference_high, z, p, lift, lift_low, lift_high, p_adjusted"


def lifts(events: list[Event], asked: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    """The rows of feature_lift by its definitions."""
    counted: list[tuple[set[str], bool]] = []
    for history in units(events, asked["counted_by"]).values():
        known = [e for e in history if e["event_time"] < asked["until"]]
        if not known:
            continue
        first_at = min(e["event_time"] for e in known)
        tried, ends = first_at + asked["try_s"] * 1_000, first_at + (asked["try_s"] + asked["window_s"]) * 1_000
        goals = [e["event_time"] for e in known if meets(e, asked["goal"])]
        if first_at < asked["since"] or ends > asked["until"]:
            continue
        if asked["outcome"] == "conversion" and any(at <= tried for at in goals):
            continue
        early = [e for e in known if e["event_time"] <= tried]
        used = {feature for feature in asked["features"] if any(meets(e, feature) for e in early)}
        counted.append((used, any(tried < at <= ends for at in goals)))
    rows = {}
    for feature in asked["features"]:
        groups = [[reached for used, reached in counted if (feature in used) is wanted] for wanted in (True, False)]
        (n, hits), (other_n, other_hits) = ((len(group), sum(group)) for group in groups)
        shares = share(hits, n), share(other_hits, other_n)
        lift = None if shares[0] is None or not shares[1] else shares[0] / shares[1]
        reach = math.sqrt(1 / hits - 1 / n + 1 / other_hits - 1 / other_n) if hits and other_hits else None
        limits = [lift * math.exp(side * Z * reach) if lift and reach is not None else None for side in (-1, 1)]
        rows[feature] = (
            *(n, hits, shares[0], other_n, other_hits, shares[1], (hits + other_hits) / len(counted)),
            *compared(hits, n, other_hits, other_n),
            *(lift, *limits),
        )
    p_of = {feature: row[11] for feature, row in rows.items() if row[11] is not None}
    ranked = sorted(p_of.values())
    adjusted = {
        feature: min(1.0, *(q * len(ranked) / (rank + 1) for rank, q in enumerate(ranked) if q >= p))
        for feature, p in p_of.items()
    }
    return {feature: (*row, adjusted.get(feature)) for feature, row in rows.items()}


def lifts_agree(store: Store, crowd: list[Event]) -> None:
    for changed in (
        {},
        {"goal": "*", "outcome": "retention", "counted_by": "person", "try_s": 2 * 86_400, "since": START_MS + DAY_MS},
    ):
        asked = LIFTED | changed
        computed = lifts(crowd, asked)
        rows = store.rows(f"SELECT {LIFT}, {TESTED} FROM {store.database}.{call('feature_lift', asked)}")
        assert {row[0]: row[1:] for row in rows} == {
            feature: approximately(row) for feature, row in computed.items()
        }, changed
        assert len({row[-1] for row in computed.values()}) > 3


def lift_agrees_with_scipy(store: Store) -> None:
    """And use after the goal is no use."""
    # 75 of the 150 with the feature reached the goal, and 36 of the 120 others: scipy.stats.contingency.relative_risk
    # of scipy 1.17.1 gives the interval of lift; that of the difference, z and p are those of the shares in GOLDEN.
    # The others use it after the goal, or too late; one had reached the goal before use was looked at.
    events = [filled({"message_id": "early", "at": 0, "visitor_id": "early", "type": "track", "event": "purchase"})]
    for visitor in range(270):
        uses, buys = visitor < 150, visitor < 75 or 150 <= visitor < 186
        facts = {"visitor_id": f"visitor-{visitor}", "type": "track"}
        moments = [
            (0, "hello"),
            (600_000 if uses else 7_200_001, "search"),
            (7_200_000, "purchase" if buys else "hello"),
        ]
        events += [filled(facts | {"message_id": f"{visitor}-{at}", "at": at, "event": name}) for at, name in moments]
    insert(store, events, "one")
    asked = LIFTED | {"features": ["search", "never"], "try_s": 600, "window_s": 7_200}
    rows = store.rows(f"SELECT {LIFT}, {TESTED} FROM {store.database}.{call('feature_lift', asked)}")
    golden = GOLDEN["new"]
    assert rows == [
        (
            *("search", 150, 75, 0.5, 120, 36, 0.3, 111 / 270),
            *(approximately(0.2), *(approximately(golden[name]) for name in ("difference_low", "difference_high"))),
            *(approximately(golden[name]) for name in ("z", "p")),
            *approximately((1.6666666666666667, 1.214237562766136, 2.287672415148948, golden["p"])),
        ),
        ("never", 0, 0, None, 270, 111, 111 / 270, 111 / 270, *(None,) * 9),
    ]


# A database costs as much as its questions: those that can be asked of one are asked of one.
def test_experiments_and_lift_say_what_scipy_and_statsmodels_say(store: Store) -> None:
    checks = experiments_agree_with_scipy, broken_assignments_are_seen, lift_agrees_with_scipy
    for agree in (*checks, what_is_both_is_not_after_itself):
        agree(store)
        store.command(f"TRUNCATE TABLE {store.database}.events")


def test_experiments_and_lift_agree_with_an_independent_computation(store: Store, crowd: list[Event]) -> None:
    record_version(store, PLAN, START_MS)
    insert(store, crowd, "crowd")
    experiments_agree(store, crowd)
    lifts_agree(store, crowd)


@pytest.mark.parametrize("place", ["chdb"], indirect=True)
def test_what_is_not_known_is_null_and_what_cannot_be_asked_is_said(store: Store) -> None:
    assert store.rows(f"SELECT * FROM {store.database}.{call('experiments', COMPARED)}") == []
    rows = store.rows(
        f"SELECT with_feature, with_rate, base_rate, p FROM {store.database}.{call('feature_lift', LIFTED)}"
    )
    assert rows == [(0, None, None, None)] * 5
    insert(store, [filled(seen("ann", 0, "old"))], "one")
    for view, asked, sentence in (
        ("experiment_units", ASKED | {"counted_by": "session"}, "counted_by is visitor or person"),
        ("experiments", COMPARED | {"shares": Sql("map('old', 0, 'new', 0)")}, "shares must not be negative"),
        ("feature_lift", LIFTED | {"outcome": "luck"}, "outcome is conversion or retention"),
        ("feature_lift", LIFTED | {"try_s": 0}, "try_s and window_s must be at least 1"),
    ):
        with pytest.raises(StoreError, match=sentence):
            store.rows(f"SELECT * FROM {store.database}.{call(view, asked)}")
