"""What does enriching one event cost?

Question    CPU us per call of each enrichment function, with its caches cold and warm, and of all of them together, for
            each event a request of its own; and what memory a flood of strangers takes.
Budget      All of them warm: 3 us per event. A user agent never seen before: 60 us. A million addresses and agents, one
            event each: 150 MB, what a whole worker may have.
Method      Cold calls take inputs that no cache has seen, 5,000 a round. Warm calls repeat 200 inputs, 1,000 calls a
            round, each time as new string objects, as requests bring them. Process CPU time, not wall time; the best
            of 7 rounds, because other work on the machine only ever adds; the loop's own cost taken off. The crawler
            list is searched by our engine and by its own package in turn, on the same user agents. A shared core runs
            at half speed at times, so the two figures that have a budget are measured again, each round beside a
            yardstick of known cost: the median ratio, times the yardstick's undisturbed cost, is held to the budget.
            A database of cities is given by FOOTFALL_BENCHMARK_GEO, as the folder that `footfall geo install` made.
            The flood comes twice: to the functions, and to a worker of `footfall serve`, as batches of a server that
            speaks for a million visitors; what counts there is the worker's memory.
Run         python benchmarks/enrichment.py; with --flood also the millions, some 15 minutes
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from crawleruseragents import is_crawler
from user_agents import parse as user_agents_parse

from benchmarks import servers
from collector.enrichment import device, enrich, geo, identity, location, referrer, sensitive
from collector.sources import add_source

ROUNDS = 7
CALLS = 5_000
WARM_CALLS = 1_000
WARM_BUDGET_US = 3.0
COLD_DEVICE_BUDGET_US = 60.0
FLOOD = 1_000_000
FLOOD_BUDGET_MB = 150.0
EVENTS_PER_POST = 500
NOW_MS = 1_795_320_000_000

# Parsing this with the standard library takes 6.3 us where the budgets were set, when nothing else runs.
YARDSTICK = json.dumps({"event": "purchase", "properties": {f"name_{n}": f"value {n}" for n in range(21)}})
YARDSTICK_US = 6.3

Case = tuple[Any, ...]


def cpu_us(call: Callable[..., object], rounds: Sequence[Sequence[Case]]) -> float:
    """Best CPU us per call over rounds of argument tuples."""
    figures = []
    for cases in rounds:
        empty = _timed(lambda *_: None, cases)
        figures.append((_timed(call, cases) - empty) / len(cases) * 1e6)
    return min(figures)


class Undisturbed(NamedTuple):
    """CPU us per call as an undisturbed core would take, over rounds; `slowed` is the yardstick's own median ratio."""

    lowest: float
    middle: float
    slowed: float


def undisturbed_us(call: Callable[..., object], rounds: Sequence[Sequence[Case]]) -> Undisturbed:
    """Each round's ratio to a yardstick timed just before and after it, times the yardstick's undisturbed cost."""
    ratios, yards = [], []
    yardstick = [[(YARDSTICK,)] * 200]
    for cases in rounds:
        before = cpu_us(json.loads, yardstick)
        taken = cpu_us(call, [cases])
        yards.append((before + cpu_us(json.loads, yardstick)) / 2)
        ratios.append(taken / yards[-1])
    return Undisturbed(min(ratios) * YARDSTICK_US, median(ratios) * YARDSTICK_US, median(yards) / YARDSTICK_US)


def _timed(call: Callable[..., object], cases: Sequence[Case]) -> float:
    started = time.process_time()
    for case in cases:
        call(*case)
    return time.process_time() - started


def user_agent(number: int) -> str:
    """A browser's user agent that differs by number."""
    systems = (
        "Windows NT 10.0; Win64; x64",
        "Macintosh; Intel Mac OS X 10_15_7",
        "Linux; Android 10; K",
        "X11; Linux x86_64",
        f"Linux; Android 14; SM-{number}",
    )
    mobile = " Mobile" if number % 5 in (2, 4) else ""
    return (
        f"Mozilla/5.0 ({systems[number % 5]}) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{100 + number % 60}.0.{number}.0{mobile} Safari/537.36"
    )


def address(number: int) -> str:
    """A public IPv4 address, or every fourth time an IPv6 one, spread over the whole space by number."""
    spread = random.Random(number)
    if number % 4 == 0:
        return str(ipaddress.IPv6Address(0x2A00 << 112 | spread.getrandbits(112)))
    return str(ipaddress.IPv4Address(spread.randrange(0x0B000000, 0x60000000)))


def page(number: int) -> str:
    """A landing page with campaign parameters and a click id."""
    return (
        f"https://www.example.com/shop/item-{number}?utm_source=google&utm_medium=cpc&utm_campaign=spring%20{number}"
        f"&gclid=Cj0KCQ{number}"
    )


def plain_page(number: int) -> str:
    """A page without a query."""
    return f"https://www.example.com/shop/item-{number}"


def site(number: int) -> str:
    """A referring page, of a site that differs by number."""
    return f"https://host-{number}.example/page" if number % 2 else f"https://www.google.com/url?n={number}"


def fresh(make: Callable[[int], Case], start: int, calls: int = CALLS) -> list[list[Case]]:
    """Rounds of cases that never repeat."""
    return [[make(start + index * calls + number) for number in range(calls)] for index in range(ROUNDS)]


def repeated(make: Callable[[int], Case], start: int) -> list[list[Case]]:
    """Rounds over the same 200 cases, in new objects."""
    return [[make(start + number % 200) for number in range(WARM_CALLS)] for _ in range(ROUNDS)]


def main() -> int:
    """Print the table; exit 1 when a budget is broken."""
    started = time.process_time()
    device.prepare()
    print(f"engines loaded in {time.process_time() - started:.2f} s CPU\n")
    registry = geo.open_geo("registry")
    with tempfile.TemporaryDirectory() as folder:
        salts = identity.Salts(Path(folder) / "salts")
        salts.visitor_id(NOW_MS, "site", "", "")
        return report(registry, salts, resident_mb())


def report(registry: geo.Geo, salts: identity.Salts, before_mb: float) -> int:
    """Measure and print everything. `before_mb`: what the process took with its engines loaded and its caches empty."""
    hints = ("?0", '"Windows"', '"Chromium";v="156", "Google Chrome";v="156", "Not?A_Brand";v="99"')
    addresses, locator = referrer.shipped_addresses(), location.shipped_locator()
    landing = addresses.parse_page(page(1))
    if cities := os.environ.get("FOOTFALL_BENCHMARK_GEO"):
        extra = {f"Geo.place ({Path(cities).name})": (geo.open_geo(cities).place, lambda n: (address(n),))}
    else:
        extra = {}
    noise = os.urandom(10)
    cases: dict[str, tuple[Callable[..., object], Callable[[int], Case]]] = {
        "parse_device": (device.parse_device, lambda n: (user_agent(n), *hints)),
        "Geo.place (registry)": (registry.place, lambda n: (address(n),)),
        "parse_page, campaign": (addresses.parse_page, lambda n: (page(n),)),
        "parse_page, no query": (addresses.parse_page, lambda n: (plain_page(n),)),
        "classify": (addresses.classify, lambda n: (site(n), landing)),
        "locate": (locator.locate, lambda n: (page(n), site(n), None)),
        "properties, 3 parameters": (sensitive.without_secrets, lambda n: (page_properties(n),)),
        "properties, no parameter": (sensitive.without_secrets, lambda n: (page_properties(n).replace("=", "-"),)),
        "visitor_id": (salts.visitor_id, lambda n: (NOW_MS, "site", address(n), user_agent(n))),
        "message_id": (identity.message_id, lambda n: (NOW_MS + n, noise)),
        "client_address, 1 proxy": (
            identity.client_address,
            lambda n: ("10.0.0.1", address(n), (ipaddress.ip_network("10.0.0.0/8"),)),
        ),
        **extra,
    }
    print(f"{'us CPU per call':28}{'cold':>8}{'warm':>8}")
    warm: dict[str, float] = {}
    cold: dict[str, float] = {}
    for index, (name, (call, make)) in enumerate(cases.items()):
        cold[name] = cpu_us(call, fresh(make, index * 1_000_000))
        cpu_us(call, repeated(make, 900_000_000))
        warm[name] = cpu_us(call, repeated(make, 900_000_000))
        print(f"{name:28}{cold[name]:8.2f}{warm[name]:8.2f}")

    known = enrich.Context()

    def all_five(request: enrich.Request, url: str, came_from: str) -> None:
        enrich.sender_columns(request, known, registry)
        locator.locate(url, came_from, None)
        salts.visitor_id(NOW_MS, "site", request.address, request.user_agent)

    def event(n: int) -> Case:
        return enrich.Request(NOW_MS, "site", False, address(n), user_agent(n), hints), page(n), site(n)

    all_cold = cpu_us(all_five, fresh(event, 500_000_000))
    cpu_us(all_five, repeated(event, 700_000_000))
    all_warm = cpu_us(all_five, repeated(event, 700_000_000))
    print(f"{'an event, device to visitor':28}{all_cold:8.2f}{all_warm:8.2f}\n")

    agents = [[(user_agent(800_000_000 + n),) for n in range(500)]] * ROUNDS
    ours = cpu_us(device._bots().extract, agents)
    theirs = cpu_us(is_crawler, agents)
    print(f"crawler list: our engine {ours:.1f}, its own package {theirs:.1f} us (1 : {theirs / ours:.0f})")
    slow = cpu_us(user_agents_parse, fresh(lambda n: (user_agent(n),), 810_000_000, 200))
    print(f"cold user agent: parse_device {cold['parse_device']:.1f}, user_agents.parse {slow:.1f} us")
    print(f"64 KB user agent: {worst(device.parse_device, 'Mozilla/5.0 (' + 'a; ' * 21_840):.0f} us")
    print(f"10,000-parameter URL: {worst(addresses.parse_page, page(1) + '&a=b' * 10_000):.0f} us\n")

    warm_event = undisturbed_us(all_five, repeated(event, 700_000_000) * 5)
    cold_device = undisturbed_us(device.parse_device, fresh(lambda n: (user_agent(n), *hints), 820_000_000, 1_000))
    met = warm_event.middle <= WARM_BUDGET_US and cold_device.middle <= COLD_DEVICE_BUDGET_US
    if "--flood" in sys.argv:
        met = flood(all_five, event, before_mb) <= FLOOD_BUDGET_MB and met
        met = flood_worker() <= FLOOD_BUDGET_MB and met
    print(f"budgets {'met' if met else 'BROKEN'}, as an undisturbed core would take:")
    for name, figures, budget in (
        ("warm event", warm_event, WARM_BUDGET_US),
        ("cold user agent", cold_device, COLD_DEVICE_BUDGET_US),
    ):
        print(
            f"{name:16} {figures.middle:6.2f} us (lowest {figures.lowest:.2f}) of {budget:g}; "
            f"the core was slowed {figures.slowed:.2f} times"
        )
    return 0 if met else 1


def flood(call: Callable[..., object], make: Callable[[int], Case], before_mb: float) -> float:
    """MB of the process once a million events have come, no two of one visitor."""
    started = time.process_time()
    for number in range(FLOOD):
        call(*make(1_000_000_000 + number))
        if number % 100_000 == 99_999:
            now = resident_mb()
            print(
                f"{number + 1:9,} addresses, agents, pages and sites: {now:.0f} MB, {now - before_mb:+.0f} since the "
                f"start; {(time.process_time() - started) / (number + 1) * 1e6:.0f} us each, with making them up",
                flush=True,
            )
    return resident_mb()


def flood_worker() -> float:
    """The most MB that a worker had while a million visitors' events came, each of an address and agent of its own."""
    largest = 0.0
    with servers.footfall(loading=True, pinned=False) as server:
        (worker,) = server.pids
        _, key = add_source(server.data_dir, "flood", [])
        before_mb = servers.resident_mb(worker)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for first in range(0, FLOOD, EVENTS_PER_POST):
            post = [sent(1_000_000_000 + first + number) for number in range(EVENTS_PER_POST)]
            while True:
                connection.request("POST", "/v1/batch", json.dumps({"writeKey": key, "batch": post}))
                answer = connection.getresponse()
                said = answer.read()
                if answer.status == 200:
                    break
                assert answer.status == 503, said  # the spool is full until some of it is loaded
                time.sleep(1)
            largest = max(largest, servers.resident_mb(worker))
            if (count := first + EVENTS_PER_POST) % 100_000 == 0:
                print(
                    f"{count:9,} visitors of a server: the worker has {servers.resident_mb(worker):.0f} MB, at most "
                    f"{largest:.0f}, {largest - before_mb:+.0f} since the start",
                    flush=True,
                )
    return largest


def sent(number: int) -> dict[str, Any]:
    """A page view as a server sends it for a visitor."""
    return {
        "type": "page",
        "messageId": f"flood-{number}",
        "anonymousId": f"visitor-{number}",
        "properties": {"url": page(number), "referrer": site(number)},
        "context": {"ip": address(number), "userAgent": user_agent(number)},
    }


def resident_mb() -> float:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def page_properties(number: int) -> str:
    """The properties of a page view, as JSON."""
    return json.dumps({"url": page(number), "path": f"/shop/item-{number}", "title": f"Item {number}", "load_ms": 812})


def worst(call: Callable[[str], object], text: str) -> float:
    """CPU us of a call with a hostile text, none of its 100 variants cached; the text is varied at its start."""
    return cpu_us(
        call, [[(f"{text[:12]}{round_}{number}{text[12:]}",) for number in range(100)] for round_ in range(5)]
    )


if __name__ == "__main__":
    sys.exit(main())
