from __future__ import annotations

import ipaddress
import itertools
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import iptocc
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.enrichment.device import parse_device
from collector.simulate.people import DAYS, SESSION_GAP_MS, VISITORS_MAX, visitors, visits_of_visitors
from collector.simulate.world import BOT_COUNTRY, BOTS, COUNTRIES, DEVICES, PRODUCTS, SHOP

Event = dict[str, Any]

NOW_MS = 1_795_352_000_000  # 22 November 2026, 12:53 UTC
SEED = 11
COUNT = 2_000
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def crowd() -> list[list[list[Event]]]:
    return list(visits_of_visitors(COUNT, SEED, NOW_MS))


@pytest.fixture(scope="module")
def human_visits(crowd: list[list[list[Event]]]) -> list[list[Event]]:
    return [visit for visits in crowd for visit in visits if not _is_bot(visit[0])]


def _is_bot(event: Event) -> bool:
    return parse_device(event["context"]["userAgent"]).is_bot


def _at_ms(event: Event) -> int:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["timestamp"])
    return (datetime.fromisoformat(event["timestamp"]) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _name(event: Event) -> str:
    return str(event.get("event") or event["type"])


def _source(landing: Event) -> str:
    page = landing["context"]["page"]
    query, host = parse_qs(page["search"].lstrip("?")), urlsplit(page["referrer"]).hostname or ""
    if query.get("utm_medium"):
        return {"cpc": "paid_search", "email": "email", "social": "social"}[query["utm_medium"][0]]
    if host in ("chatgpt.com", "www.perplexity.ai", "gemini.google.com"):
        return "ai_assistant"
    if host in ("www.google.com", "www.bing.com", "duckduckgo.com", "www.ecosia.org"):
        return "organic_search"
    if host in ("www.facebook.com", "www.reddit.com", "t.co"):
        return "social"
    return "referral" if host else "direct"


def _shares(values: list[str]) -> dict[str, float]:
    return {value: count / len(values) for value, count in Counter(values).items()}


class TestDeterminism:
    def test_same_arguments_give_the_same_bytes(self) -> None:
        first, second = (msgspec.json.encode(list(visitors(60, 5, NOW_MS))) for _ in range(2))
        assert first == second

    def test_another_seed_gives_other_visitors_and_other_message_ids(self) -> None:
        ids = [{event["messageId"] for visitor in visitors(60, seed, NOW_MS) for event in visitor} for seed in (5, 6)]
        assert not ids[0] & ids[1]

    def test_a_smaller_count_gives_the_same_first_visitors(self) -> None:
        assert list(visitors(20, 5, NOW_MS)) == list(visitors(60, 5, NOW_MS))[:20]

    def test_visitors_are_its_visits_one_after_the_other(self) -> None:
        joined = [[event for visit in visits for event in visit] for visits in visits_of_visitors(30, 5, NOW_MS)]
        assert list(visitors(30, 5, NOW_MS)) == joined

    def test_the_events_are_the_ones_of_this_release(self) -> None:
        # A change of the world changes what a demo shows; it should be meant. Count, kinds and money of one seed.
        events = [event for visitor in visitors(200, 1, NOW_MS) for event in visitor]
        turnover = round(sum(event["properties"]["value"] for event in events if _name(event) == "purchase"), 2)
        assert (len(events), Counter(map(_name, events))["page"], turnover) == GOLDEN


GOLDEN = (1_838, 990, 1_570.2)


class TestTime:
    @given(seed=st.integers(), now_ms=st.integers(20 * DAY_MS, 4_000_000_000_000))
    @settings(max_examples=40, deadline=None)
    def test_events_are_in_order_and_within_the_two_weeks_before_now(self, seed: int, now_ms: int) -> None:
        for events in visitors(12, seed, now_ms):
            times = [_at_ms(event) for event in events]
            assert times
            assert all(earlier < later for earlier, later in itertools.pairwise(times))
            assert now_ms - DAYS * DAY_MS <= times[0]
            assert times[-1] < now_ms

    def test_the_session_rule_finds_exactly_the_visits(self, crowd: list[list[list[Event]]]) -> None:
        for visits in crowd:
            times = [_at_ms(event) for visit in visits for event in visit]
            gaps = sum(later - earlier > SESSION_GAP_MS for earlier, later in itertools.pairwise(times))
            assert gaps + 1 == len(visits)

    def test_nights_are_quiet_and_evenings_busy_by_the_local_clock(self, human_visits: list[list[Event]]) -> None:
        offsets = {country.time_zone: country.utc_offset_hours for country in COUNTRIES}
        hours = Counter(
            (_at_ms(visit[0]) // 3_600_000 + offsets[visit[0]["context"]["timezone"]]) % 24 for visit in human_visits
        )
        assert sum(hours[hour] for hour in range(1, 5)) * 6 < sum(hours[hour] for hour in range(18, 22))

    def test_pages_are_read_for_human_lengths_of_time(self, human_visits: list[list[Event]]) -> None:
        views = [[_at_ms(event) for event in visit if event["type"] == "page"] for visit in human_visits]
        dwell = sorted(later - earlier for times in views for earlier, later in itertools.pairwise(times))
        assert 10_000 < dwell[len(dwell) // 2] < 45_000
        assert dwell[-1] - dwell[0] > 120_000


class TestWire:
    def test_message_ids_are_unique_version_7_uuids_of_their_moment(self, crowd: list[list[list[Event]]]) -> None:
        events = [event for visits in crowd for visit in visits for event in visit]
        shape = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
        assert len({event["messageId"] for event in events}) == len(events)
        for event in events:
            assert shape.fullmatch(event["messageId"])
            assert int(event["messageId"].replace("-", "")[:12], 16) == _at_ms(event)

    def test_sequence_counts_the_events_of_each_page(self, crowd: list[list[list[Event]]]) -> None:
        for visits in crowd:
            for visit in visits:
                expected = 0
                for event in visit:
                    expected = 1 if event["type"] == "page" else expected + 1
                    assert event["sequence"] == expected

    def test_every_visit_starts_with_a_page_and_each_page_names_the_one_before(
        self, crowd: list[list[list[Event]]]
    ) -> None:
        for visits in crowd:
            for visit in visits:
                pages = [event["context"]["page"] for event in visit if event["type"] == "page"]
                assert visit[0]["type"] == "page"
                assert all(page["url"].startswith(SHOP) for page in pages)
                assert not pages[0]["referrer"].startswith(SHOP)
                for before, page in itertools.pairwise(pages):
                    assert page["referrer"] == before["url"]

    def test_campaign_and_url_agree_and_end_with_the_landing_page(self, human_visits: list[list[Event]]) -> None:
        names = {"source": "utm_source", "medium": "utm_medium", "name": "utm_campaign", "term": "utm_term"}
        seen = 0
        for visit in human_visits:
            for event in visit:
                query = parse_qs(urlsplit(event["context"]["page"]["url"]).query)
                campaign = event["context"].get("campaign", {})
                seen += bool(campaign)
                for name, utm in names.items():
                    assert campaign.get(name) == query.get(utm, [None])[0]
        assert seen > 100

    def test_a_known_person_stays_known_and_identify_follows_sign_up(self, crowd: list[list[list[Event]]]) -> None:
        for visits in crowd:
            events = [event for visit in visits for event in visit]
            users = [event.get("userId") for event in events]
            first = next((index for index, user in enumerate(users) if user), len(users))
            assert len({event["anonymousId"] for event in events}) == 1
            assert len(set(users[first:])) <= 1
            for event, after in itertools.pairwise(events):
                assert (after["type"] == "identify") == (_name(event) == "sign_up")

    def test_a_purchase_is_worth_its_items(self, human_visits: list[list[Event]]) -> None:
        purchases = [event["properties"] for visit in human_visits for event in visit if _name(event) == "purchase"]
        for bought in purchases:
            total = sum(round(item["price"] * 100) * item["quantity"] for item in bought["items"])
            assert round(bought["value"] * 100) == total > 0
            assert bought["currency"] == "EUR"
        assert len({bought["order_id"] for bought in purchases}) == len(purchases) > 20

    def test_every_event_passes_the_default_tracking_plan(self, crowd: list[list[list[Event]]]) -> None:
        from collector.paths import DEFAULT_PLAN_DIR
        from collector.plan import compile_plan, load_plan

        plan = compile_plan(load_plan(DEFAULT_PLAN_DIR))
        checked = Counter[str]()
        for visits in crowd[:600]:
            for event in (event for visit in visits for event in visit if event["type"] != "identify"):
                name = "page_view" if event["type"] == "page" else event["event"]
                verdict = plan.check(name, None, msgspec.Raw(msgspec.json.encode(event["properties"])))
                assert verdict.rejected is None, (name, verdict.rejected)
                assert not verdict.violations, (name, verdict.violations)
                assert verdict.event_version > 0, name
                checked[name] += 1
        assert set(checked) == {
            "page_view",
            "click",
            "search",
            "product_viewed",
            "add_to_cart",
            "checkout_started",
            "purchase",
            "sign_up",
            "nps_response",
        }


class TestWorld:
    def test_the_collector_finds_the_device_class_each_user_agent_stands_for(self) -> None:
        for device in (*DEVICES, *BOTS):
            assert parse_device(device.user_agent).device_class == device.kind, device.user_agent

    def test_every_network_lies_whole_in_its_country(self) -> None:
        for country in (*COUNTRIES, BOT_COUNTRY):
            for network in country.networks:
                found = {iptocc.country_code(f"{network}.{third}.{third}") for third in range(256)}
                assert found == {country.code}, network

    def test_about_ten_countries_and_at_least_five_user_agents_for_desktop(self) -> None:
        assert len({country.code for country in COUNTRIES}) == 12
        assert Counter(device.kind for device in DEVICES).keys() == {"desktop", "mobile", "tablet"}

    def test_a_visitor_lives_where_its_address_is_and_keeps_it(self, crowd: list[list[list[Event]]]) -> None:
        zones = {country.code: country.time_zone for country in COUNTRIES}
        for visits in crowd:
            contexts = [event["context"] for visit in visits for event in visit]
            assert len({(context["ip"], context["userAgent"]) for context in contexts}) == 1
            assert ipaddress.ip_address(contexts[0]["ip"]).is_global
            if not _is_bot(visits[0][0]):
                assert zones[iptocc.country_code(contexts[0]["ip"])] == contexts[0]["timezone"]


class TestShares:
    def test_four_in_ten_visits_bounce(self, human_visits: list[list[Event]]) -> None:
        assert 0.36 <= sum(len(visit) == 1 for visit in human_visits) / len(human_visits) <= 0.45

    def test_all_sources_bring_visits_in_about_their_shares(self, human_visits: list[list[Event]]) -> None:
        shares = _shares([_source(visit[0]) for visit in human_visits])
        bounds = {
            "organic_search": (0.24, 0.34),
            "paid_search": (0.09, 0.17),
            "social": (0.07, 0.15),
            "email": (0.09, 0.18),
            "direct": (0.18, 0.28),
            "referral": (0.04, 0.10),
            "ai_assistant": (0.02, 0.07),
        }
        assert shares.keys() == bounds.keys()
        for source, (low, high) in bounds.items():
            assert low <= shares[source] <= high, source

    def test_paid_clicks_carry_a_click_id_of_their_own(self, human_visits: list[list[Event]]) -> None:
        paid = [visit[0]["context"]["page"] for visit in human_visits if _source(visit[0]) == "paid_search"]
        ids = {parse_qs(page["search"][1:])["gclid"][0] for page in paid}
        assert len(ids) == len(paid)

    def test_eager_sources_sell_more_than_idle_ones(self) -> None:
        bought, visited = Counter[str](), Counter[str]()
        for visits in visits_of_visitors(4_000, SEED, NOW_MS):
            for visit in visits:
                visited[_source(visit[0])] += 1
                bought[_source(visit[0])] += any(_name(event) == "purchase" for event in visit)
        rates = {source: bought[source] / visited[source] for source in visited}
        assert rates["email"] > 2 * rates["social"]
        assert rates["direct"] > rates["social"]

    def test_each_funnel_step_loses_some_and_keeps_some(self, human_visits: list[list[Event]]) -> None:
        steps = ("page", "product_viewed", "add_to_cart", "checkout_started", "purchase")
        reached = [sum(any(_name(event) == step for event in visit) for visit in human_visits) for step in steps]
        for before, after in itertools.pairwise(reached):
            assert 0.2 * before < after < 0.85 * before
        assert 0.015 <= reached[-1] / reached[0] <= 0.05

    def test_germany_leads_and_every_country_is_there(self, crowd: list[list[list[Event]]]) -> None:
        people = [visits[0][0]["context"]["ip"] for visits in crowd if not _is_bot(visits[0][0])]
        shares = _shares([str(iptocc.country_code(ip)) for ip in people])
        assert shares.keys() == {country.code for country in COUNTRIES}
        assert 0.28 <= shares["DE"] <= 0.40
        assert max(shares, key=lambda code: shares[code]) == "DE"

    def test_devices_are_mixed_and_a_few_are_bots(self, crowd: list[list[list[Event]]]) -> None:
        shares = _shares([parse_device(visits[0][0]["context"]["userAgent"]).device_class for visits in crowd])
        assert 0.45 <= shares["mobile"] <= 0.60
        assert 0.33 <= shares["desktop"] <= 0.48
        assert 0.02 <= shares["tablet"] <= 0.09
        assert 0.01 <= shares["bot"] <= 0.05

    def test_bots_only_look(self, crowd: list[list[list[Event]]]) -> None:
        for visits in crowd:
            if _is_bot(visits[0][0]):
                assert {event["type"] for visit in visits for event in visit} == {"page"}

    def test_about_a_third_come_back_and_some_are_logged_in(self, crowd: list[list[list[Event]]]) -> None:
        assert 0.22 <= sum(len(visits) > 1 for visits in crowd) / len(crowd) <= 0.40
        known = sum(any("userId" in event for visit in visits for event in visit) for visits in crowd)
        assert 0.10 <= known / len(crowd) <= 0.25

    def test_popular_products_are_viewed_far_more_than_the_rest(self, human_visits: list[list[Event]]) -> None:
        views = Counter(
            event["properties"]["sku"] for visit in human_visits for event in visit if _name(event) == "product_viewed"
        )
        ranks = [views[product.sku] for product in PRODUCTS]
        assert min(ranks) > 0
        assert ranks[0] > 1.4 * ranks[1]
        assert sum(ranks[:5]) > 0.5 * sum(ranks)

    def test_people_go_back_and_forth(self, human_visits: list[list[Event]]) -> None:
        def returns(visit: list[Event]) -> bool:
            paths = [event["context"]["page"]["path"] for event in visit if event["type"] == "page"]
            return any(one == three != two for one, two, three in zip(paths, paths[1:], paths[2:], strict=False))

        assert sum(map(returns, human_visits)) > 0.1 * len(human_visits)


class TestLimits:
    @pytest.mark.parametrize("count", [-1, VISITORS_MAX + 1])
    def test_a_count_out_of_range_is_refused_before_anything_is_made(self, count: int) -> None:
        with pytest.raises(ValueError, match=r"the limit is 1,000,000; ask for fewer"):
            next(visitors(count, 1, NOW_MS))

    def test_seconds_taken_for_milliseconds_are_refused(self) -> None:
        with pytest.raises(ValueError, match="pass milliseconds, not seconds"):
            next(visitors(1, 1, 1_000_000_000))

    def test_no_visitors_are_no_visitors(self) -> None:
        assert list(visitors(0, 1, NOW_MS)) == []

    def test_a_million_visitors_cost_nothing_until_they_are_asked_for(self) -> None:
        assert next(visitors(VISITORS_MAX, 1, NOW_MS)) == next(visitors(1, 1, NOW_MS))
