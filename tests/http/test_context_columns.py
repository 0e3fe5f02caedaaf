"""What the tag says in an event's context, and the columns that follow: the session's campaign, webdriver."""

from __future__ import annotations

import json
from typing import Any

import pytest
from serving import Serving

from collector.sources import add_source

pytestmark = pytest.mark.xdist_group("http_context")

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
HEADLESS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36"
)
PAGE = {"page": {"url": "https://a.example/x"}}
TAGGED = {"page": {"url": "https://a.example/x?utm_source=own"}}
CONTEXTS: dict[str, dict[str, Any]] = {
    "text": {**PAGE, "campaign": "utm_source=news&utm_medium=e%20mail&utm_campaign=may&gclid=Cj0K&fbclid=IwAR"},
    "question mark": {**PAGE, "campaign": "?utm_source=news"},
    "object": {**PAGE, "campaign": {"source": "news", "medium": "email", "name": "may"}},
    "own": {**TAGGED, "campaign": "utm_source=kept&gclid=Cj0K"},
    "no parameters": {**PAGE, "campaign": "hello"},
    "odd": {**PAGE, "campaign": ["utm_source=news"], "webdriver": "yes"},
    "driven": {**PAGE, "webdriver": True},
    "hinted": {**PAGE, "userAgentData": {"platform": "Linux", "platformVersion": "6.8.0", "model": ""}},
    "oddly hinted": {**PAGE, "userAgentData": {"platform": 5, "platformVersion": ["6"]}},
    "not driven": {**PAGE, "webdriver": False},
}


@pytest.fixture(scope="module")
def rows(collector: Serving) -> dict[str, dict[str, Any]]:
    source, _ = add_source(collector.data_dir, "Context", [])
    for name, context in CONTEXTS.items():
        event = {"type": "track", "event": "e", "anonymousId": "v", "messageId": name, "context": context}
        body = {"batch": [event], "writeKey": source.write_key}
        collector.request("POST", "/v1/b", json.dumps(body), {"user-agent": FIREFOX})
    event = {"type": "track", "event": "e", "anonymousId": "v", "messageId": "headless"}
    collector.request(
        "POST", "/v1/b", json.dumps({"batch": [event], "writeKey": source.write_key}), {"user-agent": HEADLESS}
    )
    collector.until_loaded()
    stored = collector.sql("SELECT * FROM events WHERE source_id = 'context'")
    return {row["message_id"]: row for row in stored}


def test_the_landing_page_s_parameters_fill_the_columns(rows: dict[str, dict[str, Any]]) -> None:
    row = rows["text"]
    assert (row["utm_source"], row["utm_medium"], row["utm_campaign"]) == ("news", "e mail", "may")
    assert (row["click_id_type"], row["click_id"]) == ("gclid", "Cj0K")
    assert rows["question mark"]["utm_source"] == "news"
    assert (row["url"], row["query"]) == ("https://a.example/x", ""), "the page's own address stays what it is"


def test_segment_s_own_form_fills_them_as_before(rows: dict[str, dict[str, Any]]) -> None:
    row = rows["object"]
    assert (row["utm_source"], row["utm_medium"], row["utm_campaign"]) == ("news", "email", "may")


def test_the_page_s_own_parameters_win(rows: dict[str, dict[str, Any]]) -> None:
    assert rows["own"]["utm_source"] == "own"


@pytest.mark.parametrize("form", ["no parameters", "odd"])
def test_what_is_no_campaign_costs_nothing_else(rows: dict[str, dict[str, Any]], form: str) -> None:
    row = rows[form]
    assert (row["utm_source"], row["click_id"], row["host"]) == ("", "", "a.example")
    assert row["is_bot"] is False


def test_a_browser_that_says_a_program_drives_it_is_a_bot(rows: dict[str, dict[str, Any]]) -> None:
    row = rows["driven"]
    assert (row["is_bot"], row["bot_reason"], row["device_class"]) == (True, "webdriver", "bot")
    assert row["browser"] == "Firefox"
    assert (rows["not driven"]["is_bot"], rows["not driven"]["bot_reason"]) == (False, "")


def test_headless_chrome_is_a_bot(rows: dict[str, dict[str, Any]]) -> None:
    assert (rows["headless"]["is_bot"], rows["headless"]["bot_reason"]) == (True, "headless")


def test_a_system_s_stated_version_is_stored(rows: dict[str, dict[str, Any]]) -> None:
    assert (rows["hinted"]["os"], rows["hinted"]["os_version"]) == ("Linux", "6.8")
    assert (rows["oddly hinted"]["os"], rows["oddly hinted"]["os_version"]) == ("Linux", "")
