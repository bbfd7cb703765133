"""A host whose flows count: oper, a flow engine, a real datapath's table, and sessions of them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, ip_address
from uuid import UUID

from agent._fast.flow_pairs import FlowPairs
from agent._fast.forwarding import Datapath
from agent._fast.packet import FrameBatch
from agent.flow import FlowEngine
from agent.oper import Compiler
from agent.routes import (
    Encapsulation,
    InetKey,
    RouteAttributes,
    RouteBatch,
    RouteFamily,
    RouteNexthop,
    RouteUpdate,
)
from agent.settings import parse
from agent.shm import FlowTable
from agent.telemetry.sessions import Session, Sessions
from agent.telemetry.sessions.routing import Target
from tests.graph.policies import GLOBAL, node
from tests.graph.worlds import SETTINGS, full, move
from tests.graph.worlds import Datapath as Model
from tests.graph.worlds import World as State
from tests.unit.flow.glue_rig import parsed

RED1, RED2, BLUE1, FAR = "10.1.1.3", "10.1.1.4", "10.2.2.3", "10.1.1.99"
FAR_HOST = "10.0.0.2"
RUN = UUID("11111111-2222-4333-8444-555555555555")
MAIN, TOTAL = 1024, 2048
WALL = 1_700_000_000.0
"""The time of day while the pairs' clock stands at 0."""
TCP, UDP, ICMP = 6, 17, 1
_MISS, _HOLD, _ACTIVE, _NONE, _GENERATION = 6, 1, 1, 0xFFFFFFFF, 1


class Flows:
    """Flows of a host that `compiler` configures and `engine` decides on; time stands."""

    def __init__(self, compiler: Compiler, engine: FlowEngine, now: float) -> None:
        self.compiler, self.engine, self.now = compiler, engine, now
        self._next = 0
        self.memory = bytearray(TOTAL * 256)
        self.datapath = Datapath(
            flow_table=self.memory, flow_entries=MAIN, bridge_table=bytearray(2048 * 64),
            bridge_entries=1024, seed=1,
        )  # fmt: skip
        engine.open(FlowTable(self.memory, MAIN), now, anew=True)
        engine.ready()
        engine.settled()
        self.pairs.connected(now)

    @property
    def pairs(self) -> FlowPairs:
        """Its pairs."""
        assert self.engine.pairs is not None
        return self.engine.pairs

    def connect(
        self, source: str, destination: str, proto: int = TCP, sport: int = 40000, dport: int = 80
    ) -> int:
        """The first packet of a flow is trapped at the source's port; the pair's number."""
        row = next(one for one in self.compiler.vmis() if str(one.ip) == source)
        assert row.vrf is not None
        nexthop = self.engine.feed.key_nexthop(row.vif_index)
        inner = _packet(source, destination, proto, sport, dport)
        ether = bytes(6) + bytes(row.mac) + b"\x08\x00"
        key = _key(source, destination, proto, sport, dport, nexthop)
        return self._trap((row.vif_index, row.vrf.index), ether + inner, key)

    def arrive(
        self, source: str, destination: str, proto: int = TCP, sport: int = 40000, dport: int = 80
    ) -> int:
        """The first packet of a flow comes out of the tunnel; the pair's number."""
        row = next(one for one in self.compiler.vmis() if str(one.ip) == destination)
        assert row.vrf is not None
        nexthop = self.engine.feed.key_nexthop(row.vif_index)
        label = self.engine.feed.label(nexthop)
        assert label is not None
        inner = _packet(source, destination, proto, sport, dport)
        key = _key(source, destination, proto, sport, dport, nexthop)
        return self._trap((0, 0), _tunnelled(label, inner), key)

    def _hold(self, key: bytes, vif: int) -> int:
        """The datapath has an entry that waits for a decision; its index."""
        while self.memory[self._next * 256 + 20]:
            self._next += 1  # the datapath has something there
        index, at = self._next, self._next * 256
        self.memory[at + 20] = 1
        self.memory[at + 24 : at + 44] = key
        struct.pack_into("<BB", self.memory, at + 68, 20, _GENERATION)
        struct.pack_into("<IH", self.memory, at + 84, _NONE, _ACTIVE)
        struct.pack_into("<BBHI", self.memory, at + 116, 0, _HOLD, 0, vif)
        return index

    def _trap(self, place: tuple[int, int], packet: bytes, key: bytes) -> int:
        (nexthop,) = struct.unpack_from("<I", key, 8)
        index = self._hold(key, place[0])
        header = struct.pack(">HHHII", *place, _MISS, index, nexthop) + bytes(12)
        batch = FrameBatch(1)
        batch.fill([_OUTER + header + bytes((_GENERATION, 0, 0, 0)) + packet])
        assert self.pairs.traps(batch, self.now) == []
        self._pump()
        number = self.pairs.find(key)
        assert number is not None, "no flow was made of the packet"
        return number

    def _pump(self) -> None:
        while True:
            while self.engine.turn(self.now):
                pass
            frames = bytes(self.pairs.take_output(1 << 16, self.now))
            if not frames:
                return
            _, replies = self.datapath.flow_serve(frames, 1 << 20)
            self.pairs.answers(replies, self.now)

    def count(self, pair: int, forward: int, reverse: int, packets: tuple[int, int]) -> None:
        """What the datapath counted on a pair so far."""
        described = self.pairs.describe(pair)
        for side, octets, seen in zip(
            ("forward", "reverse"), (forward, reverse), packets, strict=True
        ):
            at = described[side]
            assert isinstance(at, dict)
            if at["index"] is not None:
                struct.pack_into("<II", self.memory, at["index"] * 256 + 104, octets, seen)

    def end(self, pair: int) -> None:
        """A flow ends."""
        self.pairs.end(pair, self.now)
        self._pump()

    def wait(self, seconds: float) -> None:
        """Time passes, and the table is read."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + 0.5, end)
            self._pump()


class Site(Flows):
    """red1, red2 and blue1 on one host; `more` is added to what a topology says of them."""

    def __init__(self, *more: object, topology: dict[str, object] | None = None) -> None:
        compiler = Compiler(SETTINGS)
        self._model = Model(compiler)
        super().__init__(compiler, FlowEngine(parse(""), compiler, pid=7), 1000.0)
        move(compiler, State(), full(parsed(**(topology or {}))) | list(more))
        self.commit()
        self.sessions = Sessions(self.engine, self.compiler, run=RUN, seed=5)
        self.sessions.targets = (Target("file", sample=True, slo=True),)

    def commit(self) -> None:
        """Flows learn what the compiler has changed, until nothing waits."""
        while True:
            delta = self.compiler.commit()
            self._model.apply(delta)
            self.engine.follow(delta)
            if not self.compiler.pending:
                return

    def learn(
        self, address: str, network: str, *, length: int = 32, tags: tuple[int, ...] = ()
    ) -> None:
        """A controller tells of a route in red to the far host."""
        vrf = "default-domain:default-project:red:red"
        way = RouteNexthop(
            IPv4Address(FAR_HOST), 77, (Encapsulation.UDP,), network, tags=tags
        )  # fmt: skip
        key = InetKey(ip_address(address).packed, length)
        path = RouteAttributes((way,), network)
        batch = RouteBatch(RouteFamily.INET, vrf, [RouteUpdate(key, path)])
        self.compiler.routes("control1", batch)
        self.commit()

    def tell(self) -> list[Session]:
        """All sessions that are to be told now."""
        self.sessions.begin(self.now)
        told, more = self.sessions.step(self.now, self.now + WALL)
        while more:
            found, more = self.sessions.step(self.now, self.now + WALL)
            told += found
        return told


_OUTER = bytes.fromhex("00005e000100 00005e000100 0800")


_PLAIN = parsed()


def interface(vm: str) -> tuple[str, str]:
    """The node of a VM's interface."""
    name = f"default-domain:default-project:{_PLAIN.vms[vm].port}"
    return ("virtual-machine-interface", name)


def rate(sessions: int) -> Iterable[object]:
    """Configuration that wants so many sessions a second."""
    return [node(*GLOBAL, flow_export_rate=sessions)]


def _packet(source: str, destination: str, proto: int, sport: int, dport: int) -> bytes:
    """The IPv4 packet from its header on."""
    payload = struct.pack(">HHHH", sport, dport, 8, 0)
    if proto == TCP:
        payload = struct.pack(">HHIIBBHHH", sport, dport, 1, 0, 0x50, 2, 0, 0, 0)
    elif proto == ICMP:
        payload = struct.pack(">BBHHH", 8, 0, 0, sport, 1)
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, proto, 0)
    return head + ip_address(source).packed + ip_address(destination).packed + payload


def _key(source: str, destination: str, proto: int, sport: int, dport: int, nexthop: int) -> bytes:
    head = struct.pack("<BBH", 2, proto, 0) + struct.pack(">HH", sport, dport)
    ends = ip_address(source).packed + ip_address(destination).packed
    return head + struct.pack("<I", nexthop) + ends


def _tunnelled(label: int, inner: bytes) -> bytes:
    """MPLS over UDP from the far host, from the outer Ethernet header on."""
    mpls = struct.pack(">I", label << 12 | 1 << 8 | 63)
    udp = struct.pack(">HHHH", 50000, 6635, 8 + len(mpls) + len(inner), 0)
    size = 20 + len(udp) + len(mpls) + len(inner)
    ends = ip_address(FAR_HOST).packed + ip_address("10.0.0.1").packed
    ip = struct.pack(">BBHHHBBH", 0x45, 0, size, 1, 0, 64, UDP, 0) + ends
    return bytes.fromhex("020000000001 020000000002 0800") + ip + udp + mpls + inner
