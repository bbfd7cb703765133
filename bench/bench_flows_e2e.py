"""First packets of flows: from a VM's interface through trap, decision and set-up to another's.

What is measured is several processes on their real sockets: a forwarder, what answers its traps
(the agent with a hundred rules of each direction at every port, or a C loop with the same pair
for every flow, `bench/flows/answer.c`), and a load that sends packets of flows that nobody has
seen (`bench/flows/load.c`). As a suite it compares the two; as a script it prints more:

    .venv/bin/python bench/bench_flows_e2e.py [--answerer agent] [--rates 20000,200000]
        [--seconds 3] [--flood 100000]

The script prints one JSON object. `arrived_per_second` is what came through while the load
lasted and a little longer; `extra_us` is how much later than a second packet of their flows (half
of those) the first ones came; `cpu_us` and `bytes` are what a flow cost the processes, of which
`bytes` are of each direction. `traps` are runs without guests' packets (`bench/flows/trap.c`):
from the frame on pkt0 until the datapath acknowledged both directions. `flood`: how long first
packets of one VM take at 500 a second, alone and while another VM begins flows at the rate that
is given, and how many flows that one got, of which its limit allows `limit`.

It needs root. Rates are by the wall clock, so the machine must be idle: on two cores the load
takes its share as well.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

from flow_site import ANSWERERS, FLOW_ENTRIES, Answerer, FlowSite

from agent.shm.geometry import overflow_entries

SATURATING, FLOWS, ROUNDS = 200_000, 200_000, 3
LATENCY_RATE = 20_000
TRAPS = 60_000  # for more the audit would come across entries that are held for long
PROBE_RATE, PROBE_SECONDS = 500, 4
LIMIT_PERCENT = 5.0
ENTRIES = FLOW_ENTRIES + overflow_entries(FLOW_ENTRIES)


# --- The suite


class LoadClock:
    """Counts only the time that a load says that its flows took."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


CLOCK = LoadClock()


def opened(answerer: Answerer, *, traps: bool = False) -> Iterator[FlowSite]:
    """A site that is up, until it is done with."""
    if os.geteuid():
        pytest.skip("only root may open packet sockets")
    made = FlowSite(answerer, traps=traps)
    try:
        made.up()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module", params=ANSWERERS)
def site(request: pytest.FixtureRequest) -> Iterator[FlowSite]:
    """A host with either answerer."""
    yield from opened(request.param)


def compete(site: FlowSite, contest: Any, group: str, per: int, **aims: Any) -> Any:
    """Take part in a group; only the agent has aims."""
    if site.answerer == "agent":
        return contest(group, "vrouter", per=per, **aims)
    return contest(group, site.answerer, per=per)


@pytest.fixture(scope="module", params=ANSWERERS)
def trapped(request: pytest.FixtureRequest) -> Iterator[FlowSite]:
    """A host with either answerer that gets traps alone."""
    yield from opened(request.param, traps=True)


@pytest.mark.benchmark(timer=CLOCK)
def test_trap_to_pair(trapped: FlowSite, contest: Any) -> None:
    """From the frame on pkt0 to both directions in the datapath, as many as go."""

    def run() -> None:
        came = trapped.trap(rate=0, count=TRAPS)
        assert came["set_up"] > TRAPS * 0.9
        CLOCK.now += TRAPS / came["set_up_per_second"]

    aims = {"aim_ns": 10_000, "aim_ratio": ("c-loop", 2.0)}
    group = "flows: trapped frame to acknowledged pair"
    compete(trapped, contest, group, TRAPS, **aims).pedantic(run, rounds=ROUNDS)


@pytest.mark.benchmark(timer=CLOCK)
def test_trap_delay(trapped: FlowSite, contest: Any) -> None:
    """What one of a hundred traps waits for its pair at 20 000 flows/s."""

    def run() -> None:
        CLOCK.now += trapped.trap(rate=LATENCY_RATE, count=TRAPS)["us"]["p99"] / 1e6

    group = "flows: trapped frame to pair, 1 in 100 at 20 k/s"
    compete(trapped, contest, group, 1, aim_ns=1e6).pedantic(run, rounds=ROUNDS)


@pytest.mark.benchmark(timer=CLOCK)
def test_set_up(site: FlowSite, contest: Any) -> None:
    """As many flows a second as get through when more are offered."""

    def run() -> None:
        came = site.load("one", "two", rate=SATURATING, count=FLOWS)
        assert came["arrived"] > FLOWS / 10
        CLOCK.now += FLOWS / came["arrived_per_second"]

    aims = {"aim_ns": 10_000, "aim_ratio": ("c-loop", 2.0)}
    compete(site, contest, "flows: set up end to end", FLOWS, **aims).pedantic(run, rounds=ROUNDS)


@pytest.mark.benchmark(timer=CLOCK)
def test_extra_delay(site: FlowSite, contest: Any) -> None:
    """What the slowest first packet of a hundred waits at 20 000 flows/s."""

    def run() -> None:
        came = site.load("one", "two", rate=LATENCY_RATE, count=LATENCY_RATE * 3)
        CLOCK.now += came["extra_us"]["p99"] / 1e6

    group = "flows: extra delay of 1 in 100 at 20 k/s"
    compete(site, contest, group, 1, aim_ns=1e6).pedantic(run, rounds=ROUNDS)


# --- The script


def steady(site: FlowSite, rates: list[int], seconds: float) -> Iterator[dict[str, Any]]:
    """One run for each rate, each of flows that are new."""
    for rate in rates:
        used, table = site.used(), site.table()
        run = site.load("one", "two", rate=rate, count=int(rate * seconds))
        flows = max(run["arrived"], 1)
        now, told = site.used(), site.table()
        run["cpu_us"] = {
            name: round((now[name].cpu - used[name].cpu) / flows * 1e6, 2) for name in now
        }
        run["bytes"] = {
            name: round((now[name].memory - used[name].memory) / flows / 2) for name in now
        }
        run["table"] = {name: told[name] - table[name] for name in told}
        yield run


def trapped_runs(site: FlowSite) -> Iterator[dict[str, Any]]:
    """At a steady rate, and three times as fast as it goes."""
    for rate in (LATENCY_RATE, 0, 0, 0):
        used = site.used()
        run = site.trap(rate=rate, count=TRAPS)
        now = site.used()
        run["cpu_us"] = {
            name: round((now[name].cpu - used[name].cpu) / max(run["set_up"], 1) * 1e6, 2)
            for name in now
            if name != "c-loop"  # it begins anew with every run
        }
        yield run


def flood(site: FlowSite, rate: int) -> dict[str, Any]:
    """What a flood of one VM does to another one."""

    def probe() -> dict[str, Any]:
        return site.load("three", "four", rate=PROBE_RATE, count=PROBE_RATE * PROBE_SECONDS)

    alone = probe()
    before = site.table()["created"]
    flooding = site.start_load("one", "two", rate=rate, count=rate * (PROBE_SECONDS + 6))
    beside = probe()
    flooded = site.finish_load(flooding)
    ratio = {
        part: round(beside["first_us"][part] / max(alone["first_us"][part], 1.0), 2)
        for part in ("p50", "p99")
    }
    return {
        "rate": flooded["rate_sent"],
        "alone": alone["first_us"],
        "beside": beside["first_us"],
        "lost": beside["sent"] - beside["arrived"],
        "ratio": ratio,
        "limit": int(ENTRIES * LIMIT_PERCENT / 100) // 2,
        "flooder": flooded["arrived"],
        "entries_made": site.table()["created"] - before,
    }


def measure(answerer: Answerer, rates: list[int], seconds: float, flooded: int) -> dict[str, Any]:
    """All figures of one answerer."""
    figures: dict[str, Any] = {}
    with ExitStack() as stack:
        site = FlowSite(answerer)
        stack.callback(site.close)
        site.up()
        figures["runs"] = list(steady(site, rates, seconds))
    with ExitStack() as stack:
        site = FlowSite(answerer, traps=True)
        stack.callback(site.close)
        site.up()
        figures["traps"] = list(trapped_runs(site))
    if flooded and answerer == "agent":
        with ExitStack() as stack:
            site = FlowSite(answerer, vm_flows_percent=LIMIT_PERCENT)
            stack.callback(site.close)
            site.up()
            figures["flood"] = flood(site, flooded)
    return figures


def best(runs: list[dict[str, Any]], rate: str) -> float:
    """The highest rate of some runs."""
    return float(max(run[rate] for run in runs))


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--answerer", choices=(*ANSWERERS, "both"), default="both")
    options.add_argument("--rates", default="20000,200000", help="flows a second, one run each")
    options.add_argument("--seconds", type=float, default=3.0, help="how long each run sends")
    options.add_argument("--flood", type=int, default=100_000, help="flows a second; 0: none")
    chosen = options.parse_args()
    rates = [int(rate) for rate in chosen.rates.split(",")]
    wanted = ANSWERERS if chosen.answerer == "both" else (chosen.answerer,)
    figures: dict[str, Any] = {
        name: measure(name, rates, chosen.seconds, chosen.flood) for name in wanted
    }
    if len(wanted) > 1:
        figures["agent_to_c_loop"] = {
            kind: round(best(figures["agent"][kind], rate) / best(figures["c-loop"][kind], rate), 2)
            for kind, rate in (("runs", "arrived_per_second"), ("traps", "set_up_per_second"))
        }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
