"""Pages for people of a host with 2,000 ports and 100,000 routes: what one costs the agent.

Beside the time of a page stands the longest slice of work between two turns of the loop (CPU time
of the thread): so long do others wait.
"""

from __future__ import annotations

import asyncio
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from bench_introspect import ROUTES, attributes
from telemetry_site import sample, world

sys.path.insert(0, str(Path(__file__).parents[1]))

from agent.ifmap.from_topology import vrf_name
from agent.introspect.app import Surroundings, build_app
from agent.io.bell import Bell
from agent.routes import InetKey, RouteBatch, RouteFamily, RouteUpdate
from tests.unit.introspect.pages.page_world import get
from tests.unit.telemetry.node_world import NodeWorld

PORTS = 2000
PATHS = {
    "overview": "/",
    "ports": "/ports",
    "a port": "/ports/{port}",
    "a VRF": "/vrfs/{vrf}",
    "an address in a VRF": "/vrfs/{vrf}?filter=11.0.200.5",
    "topology": "/topology",
    "a search": "/search?q=vm1500",
}


class Site:
    """The app of a node, and the CPU seconds of each slice of its work."""

    def __init__(self, made: NodeWorld) -> None:
        self.slices: list[float] = []
        self.errors: list[BaseException] = []
        self._begun = 0.0
        compiler = made.node.compiler
        [row] = [one for one in compiler.vrfs() if one.name == vrf_name("net0")]
        self.names = {"port": compiler.vmis()[PORTS // 2].uuid, "vrf": row.index}
        around = Surroundings(time.monotonic, self._pause, self.errors.append, Bell)
        self._app = build_app(made.node, around)

    async def _pause(self) -> None:
        self.slices.append(time.thread_time() - self._begun)
        await asyncio.sleep(0)
        self._begun = time.thread_time()

    async def page(self, path: str) -> int:
        """How long the page is, in characters."""
        self._begun = time.thread_time()
        answer = await get(self._app, path.format_map(self.names))
        self.slices.append(time.thread_time() - self._begun)
        assert (answer.status, self.errors) == (200, [])
        return len(answer.text)


@cache
def site() -> Site:
    made = world(PORTS)
    hosts = [attributes(host) for host in range(2, 66)]
    keys = [InetKey((0x0B000000 + at).to_bytes(4, "big"), 32) for at in range(ROUTES)]
    updates = [RouteUpdate(key, hosts[at % len(hosts)]) for at, key in enumerate(keys)]
    compiler = made.node.compiler
    compiler.routes("10.0.0.250:5269", RouteBatch(RouteFamily.INET, vrf_name("net0"), updates))
    while compiler.pending:
        compiler.commit()
    for round_ in (1, 2):
        made.node.statistics.sample(sample(made, round_), 10.0 * round_)
    return Site(made)


@pytest.mark.parametrize("title", PATHS)
def test_page(contest: Any, title: str) -> None:
    made, path = site(), PATHS[title]
    asyncio.run(made.page(path))  # templates are compiled
    made.slices.clear()
    size = asyncio.run(made.page(path))
    contest(
        f"page: {title}, of {PORTS:,} ports and {ROUTES:,} routes",
        "vrouter",
        longest_slice_ms=round(max(made.slices) * 1e3, 2),
        document_kb=round(size / 1e3),
    ).pedantic(lambda: asyncio.run(made.page(path)), rounds=5)
