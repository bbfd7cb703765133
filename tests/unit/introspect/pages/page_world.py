"""A node with content, and its pages behind the app of introspect; no socket, no browser.

world = PageWorld()
page = await world.get("/ports")
page.text, page.status, page.links()
"""

from __future__ import annotations

import asyncio
import errno
import struct
import time
from collections.abc import AsyncIterator, Callable, Sequence
from html.parser import HTMLParser
from ipaddress import IPv4Address, ip_network
from typing import Any
from urllib.parse import unquote

from agent._fast.flow_pairs import FlowPairs
from agent._fast.packet import FrameBatch
from agent.errors import WireError
from agent.ifmap.from_topology import network_name, vrf_name
from agent.inputs import ArpResolved
from agent.introspect.app import Surroundings, build_app
from agent.io.bell import Bell
from agent.oper.datapath import inet_key
from agent.routes import (
    Encapsulation,
    RouteAttributes,
    RouteBatch,
    RouteFamily,
    RouteNexthop,
    RouteUpdate,
)
from agent.sandesh.vrouter import Message, VrDropStatsReq, VrInterfaceReq, VrVrfStatsReq
from agent.shm import FlowKey
from agent.telemetry.checks import watch, watch_statistics
from agent.telemetry.sample import FlowSample, Sample, Use
from agent.values import Mac
from tests.reference.flow_model import FlowModel
from tests.unit.flow.pairs_rig import MISS, TCP, Talk, split
from tests.unit.telemetry.node_world import NodeWorld

PEER = "10.0.0.250:5269"
FLOWS = 64
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
OUTER = bytes.fromhex("00005e000100 00005e000100 0800")
FAR = IPv4Address("10.0.0.2")
FAR_MAC = Mac.parse("02:00:00:00:00:99")


class Vifs:
    """`Node.datapath` that knows the vifs of a fake datapath, with counters."""

    def __init__(self, world: NodeWorld) -> None:
        self._world = world
        self.gone = False

    async def get(self, request: Message, kind: Any) -> Any:
        if self.gone or not isinstance(request, VrInterfaceReq):
            raise WireError("the datapath does not answer")
        return counted(self._world, request.vifr_idx)

    async def dump(self, request: Callable[[Any], Message], kind: Any) -> AsyncIterator[Any]:
        raise WireError("the datapath does not answer")
        yield


def counted(world: NodeWorld, index: int, times: int = 1) -> VrInterfaceReq:
    """A vif of the fake datapath with counters that tell vifs apart."""
    vif: VrInterfaceReq = world.datapath.objects["vif"][index]
    packets = 1000 * index * times
    return vif.replace(
        vifr_ipackets=packets,
        vifr_ibytes=700 * packets,
        vifr_opackets=2 * packets,
        vifr_obytes=1100 * packets,
    )


class Links(HTMLParser):
    """The addresses that a page names, and the tags that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.append((tag, values))
        if tag == "a":
            self.links.append(values["href"])


class Answered:
    """What came for one request."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.text = body.decode()

    def links(self) -> list[str]:
        return Links(self.text).links


async def get(app: Any, path: str) -> Answered:
    """Ask an app for an address, as a browser does."""
    place, _, query = path.partition("#")[0].partition("?")
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": unquote(place), "raw_path": place.encode(),
        "query_string": query.encode(), "root_path": "",
        "headers": [(b"accept", BROWSER.encode())],
        "server": ("127.0.0.1", 8085), "client": ("127.0.0.1", 1),
    }  # fmt: skip
    asked = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        return asked.pop() if asked else await asyncio.Event().wait()  # type: ignore[return-value]

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    body = b"".join(event.get("body", b"") for event in sent[1:])
    return Answered(sent[0]["status"], headers, body)


class PageWorld(NodeWorld):
    """The four ports of one-host.yaml, a route to another host, and ten minutes of traffic."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.plug()
        self.vifs = Vifs(self)
        self.table = FlowModel(FLOWS)
        self.node.datapath = self.vifs
        watch(self.node.health, self.node, lambda: True)
        watch_statistics(self.node.health, self.node, self.node.statistics, lambda: 10)
        self.errors: list[BaseException] = []
        around = Surroundings(time.monotonic, lambda: asyncio.sleep(0), self.errors.append, Bell)
        self.app = build_app(self.node, around)

    def remote(self, prefixes: Sequence[str], network: str = "red") -> None:
        """A controller says that these are behind another host, which is resolved."""
        way = RouteNexthop(FAR, 17, (Encapsulation.UDP,), network_name(network))
        via = RouteAttributes((way,), virtual_network=network_name(network), local_preference=100)
        updates = [RouteUpdate(inet_key(ip_network(one)), via) for one in prefixes]
        self.routes(PEER, [RouteBatch(RouteFamily.INET, vrf_name(network), updates)])
        self.core.learned([ArpResolved(0, FAR, FAR_MAC, 0)])
        self.turn()

    def lose_link(self, vm: str) -> None:
        """The device of a VM's port is gone from the host."""
        row = next(one for one in self.node.compiler.vmis() if one.vm_name == vm)
        self.core.links([], [row.name])
        self.turn()

    def refuse_route(self, prefix: str) -> None:
        """The datapath has no room for a route."""
        self.datapath.fail("vr_route_req", errno.ENOSPC)
        self.remote([prefix])

    def traffic(self, rounds: int = 60) -> None:
        """So many rounds of sampling, ten seconds apart."""
        for at in range(1, rounds + 1):
            self.now += 10.0
            vifs = [counted(self, index, at * at) for index in self.datapath.objects["vif"]]
            flows = FlowSample(counters={"pairs_created": 50 * at, "pairs_ended": 45 * at})
            self.node.meters.lagged(0.0004 * (1 + at % 7))
            drops = VrDropStatsReq(vds_flow_action_drop=3 * at, vds_invalid_arp=at)
            vrf = VrVrfStatsReq(vsr_vrf=2, vsr_encaps=40 * at)
            used = {"nexthop": Use(40, 1000), "label": Use(90, 100)}
            sample = Sample(vifs, {3: drops}, [vrf], drops, flows=flows, used=used)
            self.node.statistics.sample(sample, self.now)
            self.node.recent.take(self.node.statistics, self.node.meters, self.now)

    def flow(self, vm: str, destination: str, sport: int, dport: int) -> None:
        """The first TCP packet of a VM's connection is decided on and programmed."""
        row = next(one for one in self.node.compiler.vmis() if one.vm_name == vm)
        assert row.ip is not None
        assert row.vrf is not None
        flows, ends = self.core.flows, (row.ip, IPv4Address(destination))
        nexthop = flows.feed.key_nexthop(row.vif_index)
        if flows.pairs is None:
            flows.pairs = FlowPairs(flows.world, table_entries=FLOWS)
            flows.pairs.connected(self.now)
        key = FlowKey(nexthop, *ends, TCP, sport, dport).pack()
        place = self.table.packet(key, row.vif_index, row.vrf.index)
        assert place is not None
        header = struct.pack(">HHHII", row.vif_index, row.vrf.index, MISS, place[0], nexthop)
        talk = Talk(str(ends[0]), destination, TCP, sport, dport)
        ether = bytes(6) + bytes(row.mac) + b"\x08\x00"
        batch = FrameBatch(1)
        batch.fill([OUTER + header + bytes(12) + bytes((place[1], 0, 0, 0)) + ether + talk.inner])
        assert flows.pairs.traps(batch, self.now) == []
        self._program(flows.pairs)

    def _program(self, pairs: FlowPairs) -> None:
        """Carry requests and answers until nothing is left to say."""
        while True:
            while pairs.turn(self.now):
                pass
            frames = split(bytes(pairs.take_output(1 << 20, self.now)))
            if not frames:
                return
            for frame in frames:
                for reply in self.table.serve(frame):
                    pairs.answers(reply, self.now)

    async def get(self, path: str) -> Answered:
        """Ask for an address; errors of ours are raised."""
        answer = await get(self.app, path)
        if self.errors:
            raise self.errors.pop()
        return answer
