"""Telling of a host with 2,000 ports and 500 k flows: one scrape, one round of statistics.

The peer of the scrape is prometheus-client, given the same samples as ready objects. A round is
all that is done in an interval of 10 s: the datapath's answers decoded and taken over, and the
part of the walk over the flow table that falls into it; reading the same memory in a plain loop
stands beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bench_flow_scan import ENTRIES, LIVE, Walk, c_loop  # noqa: F401 (a fixture)
from telemetry_site import sample, world

from agent.sandesh.vrouter import VrInterfaceReq, decode_messages, encode_many
from agent.telemetry.gather import flow_sample
from agent.telemetry.prometheus import exposition
from agent.telemetry.sample import Sample
from tests.unit.telemetry.node_world import NodeWorld

PORTS = 2000
INTERVAL = 10.0
SHARE = 0.05
"""Of a core, for statistics."""
VIFS_A_PAGE = 5
SCRAPE = f"telemetry: /metrics of {PORTS} ports and 500 k flows"
ROUND = f"telemetry: a round of statistics, {PORTS} ports and 500 k flows"


class Site:
    """The agent, its flows, and pages of the datapath's answers for each of two rounds."""

    def __init__(self) -> None:
        self.world: NodeWorld = world(PORTS)
        self.walk = Walk(LIVE)
        node = self.world.node
        node.flows.pairs, node.flows.scanner = self.walk.pairs, self.walk.scanner
        self._rounds = [sample(self.world, number) for number in (1, 2)]
        self._pages = [list(pages(one)) for one in self._rounds]
        self.number = 0
        self.round()

    def round(self) -> None:
        """One interval's work."""
        self.number += 1
        taken, node = self._rounds[self.number % 2], self.world.node
        vifs: list[Any] = []
        for page in self._pages[self.number % 2]:
            vifs += decode_messages(page)
        self.walk.now += INTERVAL
        self.walk.scanner.slice(self.walk.now, 1 << 40)
        drops = taken.vif_drops if self.number % 3 == 0 else None
        flows = flow_sample(node.flows, node.compiler)
        now = self.number * INTERVAL
        node.statistics.sample(Sample(vifs, drops, None, taken.drops, None, flows), now)
        for _ in node.statistics.ports.steps(node.flows.pairs):
            pass


def pages(taken: Sample) -> Iterator[bytes]:
    """The answers to a dump of interfaces, as many on a page as fit."""
    rows: list[VrInterfaceReq] = list(taken.vifs)
    for start in range(0, len(rows), VIFS_A_PAGE):
        yield encode_many(rows[start : start + VIFS_A_PAGE])


@pytest.fixture(scope="module")
def site() -> Site:
    return Site()


def test_scrape_vrouter(contest: Any, site: Site) -> None:
    text = b"".join(exposition(site.world.node))
    assert text.count(b"\nvrouter_port_in_bytes_total{") == PORTS
    contest(
        SCRAPE, "vrouter", aim_ns=50e6, bytes=len(text), lines=text.count(b"\n"),
        longest_piece_ms=round(longest_piece(site) * 1e3, 2),
    )(lambda: b"".join(exposition(site.world.node)))  # fmt: skip


def longest_piece(site: Site) -> float:
    """What others wait for at most while a scrape is made: seconds, of the best of five."""

    def once() -> float:
        began, longest = time.process_time(), 0.0
        for _ in exposition(site.world.node):
            now = time.process_time()
            longest, began = max(longest, now - began), now
        return longest

    return min(once() for _ in range(5))


def test_scrape_prometheus_client(contest: Any, site: Site, peer: Any) -> None:
    client = peer("prometheus_client")
    parser = peer("prometheus_client.parser")
    text = b"".join(exposition(site.world.node)).decode()

    families = list(parser.text_string_to_metric_families(text))

    class Ready:
        """Families with their samples, made before."""

        def collect(self) -> list[Any]:
            return families

    registry = client.CollectorRegistry()
    registry.register(Ready())
    assert client.generate_latest(registry).count(b"\nvrouter_port_in_bytes_total{") == PORTS
    contest(SCRAPE, "prometheus-client").pedantic(
        client.generate_latest, args=(registry,), rounds=5, warmup_rounds=1
    )


def test_round_vrouter(contest: Any, site: Site) -> None:
    before = site.world.node.statistics.rounds
    site.round()
    statistics = site.world.node.statistics
    assert statistics.rounds == before + 1
    assert statistics.flows.active == LIVE
    assert len(list(statistics.vifs())) == PORTS
    contest(
        ROUND, "vrouter", aim_ns=SHARE * INTERVAL * 1e9,
        share_of_a_core=f"time of a round / {INTERVAL:g} s",
    ).pedantic(site.round, rounds=10, warmup_rounds=1)  # fmt: skip


def test_round_c_loop(contest: Any, site: Site, c_loop: Callable[..., int]) -> None:  # noqa: F811
    """The bare reading of as many entries of the flow table, without ports or meaning."""
    share = INTERVAL / site.walk.scanner.period

    def run() -> int:
        return c_loop(site.walk.memory)

    assert run() > 0
    contest(
        ROUND, "C loop over the table", entries=ENTRIES, share_of_the_table=f"{share:.2f} a round"
    )(run)
