"""Setting up flows, from the trapped frame to the acknowledged pair, without any socket.

The peer is the same protocol written plainly in Python: a dict of pairs by key, the messages of
`agent.sandesh`. Both decide with the same world and talk to the same canned answers. The other
groups are single steps of the pairs: answers, changes, what a flood costs.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import pytest

from agent._fast.classifier import Classifier
from agent._fast.flow_pairs import FlowPairs
from agent._fast.flow_world import Decision, Packet, World, encode_flow
from agent._fast.packet import FrameBatch
from agent.sandesh.framing import FrameReader, reply_frame, request_frame
from agent.sandesh.vrouter import (
    VrFlowResponse,
    VrNexthopReq,
    VrResponse,
    VrRouteReq,
    decode_messages,
    encode_many,
)

BATCH, FLOWS, ENTRIES = 64, 4096, 1 << 20
FRAME = 300
ONE, TWO = bytes((15, 0, 0, 3)), bytes((15, 0, 0, 4))
VIF, OTHER, NEXTHOP, OTHER_NEXTHOP = 3, 4, 24, 25


def put_other(world: World, *, allowed: bool = True) -> None:
    """The second VM's port; not `allowed`: nothing may come in."""
    key = OTHER_NEXTHOP
    world.put_port(
        OTHER, vrf=1, key_nexthop=key, vm=2, grouped=not allowed, bridged=False, address=TWO
    )


@pytest.fixture(scope="module")
def world() -> World:
    made = World(Classifier())
    made.set_host(bytes((10, 0, 0, 1)), 1, 0)
    made.put_vrf(1, "default-domain:demo:red:red")
    made.put_port(VIF, vrf=1, key_nexthop=NEXTHOP, vm=1, bridged=False, address=ONE)
    put_other(made)
    for vif, nexthop, address in ((VIF, NEXTHOP, ONE), (OTHER, OTHER_NEXTHOP, TWO)):
        made.add(
            VrNexthopReq(
                nhr_id=nexthop, nhr_type=2, nhr_family=2, nhr_flags=3, nhr_vrf=1,
                nhr_encap_oif_id=(vif,),
            )
        )  # fmt: skip
        route = VrRouteReq(
            rtr_vrf_id=1, rtr_family=2, rtr_prefix=address, rtr_prefix_len=32, rtr_nh_id=nexthop
        )
        made.put_routes([(route, 0)])
    return made


def trap(flow: int) -> bytes:
    """The first packet of a UDP flow, held in entry `flow`."""
    header = struct.pack(">HHHII", VIF, 1, 6, flow, NEXTHOP) + bytes(12) + bytes((1, 0, 0, 0))
    ether = bytes(12) + b"\x08\x00"
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 28, 1, 0, 64, 17, 0) + ONE + TWO
    udp = struct.pack(">HHHH", flow & 0xFFFF, 1000 + (flow >> 16), 8, 0)
    return bytes(12) + b"\x08\x00" + header + ether + ip + udp


def batches() -> list[FrameBatch]:
    made = []
    for start in range(0, FLOWS, BATCH):
        batch = FrameBatch(BATCH)
        batch.fill([trap(flow) for flow in range(start, start + BATCH)])
        made.append(batch)
    return made


class Answers:
    """Canned replies: a reverse flow gets the next free entry, all else is done as asked."""

    def __init__(self) -> None:
        code = VrResponse(h_op=4)
        answer = VrFlowResponse(fresp_index=0x01020304, fresp_gen_id=1)
        self.frame = bytearray(
            reply_frame(encode_many([code, answer]), family=24, seq=0, more=False)
        )
        self.at = self.frame.index(b"\x01\x02\x03\x04")
        self.free = ENTRIES // 2

    def to(self, frames: bytes | memoryview) -> bytes:
        replies = []
        for start in range(0, len(frames), FRAME):
            self.frame[8:12] = frames[start + 8 : start + 12]
            index = bytes(frames[start + 54 : start + 58])
            if index == b"\xff\xff\xff\xff":
                index = struct.pack(">I", self.free)
                self.free += 1
            self.frame[self.at : self.at + 4] = index
            replies.append(bytes(self.frame))
        return b"".join(replies)


def exchange(pairs: FlowPairs, answers: Answers) -> None:
    """Requests out and answers in until there are none."""
    while True:
        while pairs.turn(1.0):
            pass
        frames = pairs.take_output(1 << 18, 1.0)
        if not frames:
            return
        pairs.answers(answers.to(frames), 1.0)


@dataclass
class Plain:
    """What a careful Python program would do: one object a pair, dicts, decoded messages."""

    world: World
    pairs: dict[bytes, PlainPair] = field(default_factory=dict)
    asked: dict[int, tuple[PlainPair, int]] = field(default_factory=dict)
    seq: int = 0
    out: list[bytes] = field(default_factory=list)

    def trap(self, frame: bytes) -> None:
        vif, vrf, _, index, nexthop = struct.unpack_from(">HHHII", frame, 14)
        source, destination = frame[70:74], frame[74:78]
        sport, dport = struct.unpack_from(">HH", frame, 78)
        packet = Packet(vif, vrf, nexthop, frame[67], source, destination, sport, dport)
        decision = self.world.decide(packet)
        pair = PlainPair(decision, [(index, frame[40]), None])
        self.pairs[decision.forward.key] = self.pairs[decision.reverse.key] = pair
        self.ask(pair, 1)

    def ask(self, pair: PlainPair, side: int) -> None:
        index, gen_id = pair.entries[side] or (None, 0)
        partner = pair.entries[1 - side]
        message = encode_flow(pair.decision, side, index, gen_id, partner[0] if partner else None)
        self.asked[self.seq] = (pair, side)
        self.out.append(request_frame(message, family=24, seq=self.seq, pid=1))
        self.seq += 1

    def answers(self, data: bytes) -> None:
        reader = FrameReader()
        reader.feed(data)
        for frame in reader:
            _, response = decode_messages(frame.payload)
            assert isinstance(response, VrFlowResponse)
            pair, side = self.asked.pop(frame.seq)
            if side == 1:
                pair.entries[1] = (response.fresp_index, response.fresp_gen_id)
                self.ask(pair, 0)

    def take_output(self) -> bytes:
        taken, self.out = b"".join(self.out), []
        return taken


@dataclass
class PlainPair:
    decision: Decision
    entries: list[tuple[int, int] | None]


SET_UP = "flow pairs: set up a flow: trap, decision, two requests, two answers"


def test_set_up_vrouter(contest: Any, world: World) -> None:
    trapped = batches()

    def run(pairs: FlowPairs) -> None:
        answers = Answers()
        for batch in trapped:
            pairs.traps(batch, 1.0)
        exchange(pairs, answers)
        assert len(pairs) == FLOWS

    contest(SET_UP, "vrouter", per=FLOWS).pedantic(run, setup=fresh(world), rounds=10)


def test_set_up_plain_python(contest: Any, world: World) -> None:
    frames = [trap(flow) for flow in range(FLOWS)]

    def run() -> None:
        plain, answers = Plain(world), Answers()
        for frame in frames:
            plain.trap(frame)
        while data := plain.take_output():
            plain.answers(answers.to(data))
        assert len(plain.pairs) == 2 * FLOWS

    contest(SET_UP, "plain Python, same decisions", per=FLOWS).pedantic(run, rounds=3)


def fresh(world: World, trapped: Sequence[FrameBatch] = ()) -> Callable[[], tuple[Any, Any]]:
    """Set-up of a round: pairs without any flow, with `trapped` in their queues."""

    def setup() -> tuple[Any, Any]:
        pairs = FlowPairs(world, table_entries=ENTRIES, window=8192, share=8192, queue=8192)
        pairs.connected(1.0)
        for batch in trapped:
            pairs.traps(batch, 1.0)
        return (pairs,), {}

    return setup


def test_trap_into_queue(contest: Any, world: World) -> None:
    trapped = batches()

    def run(pairs: FlowPairs) -> None:
        for batch in trapped:
            pairs.traps(batch, 1.0)

    benchmark = contest("flow pairs: parse a trap into its queue", "vrouter", per=FLOWS)
    benchmark.pedantic(run, setup=fresh(world), rounds=20)


def test_decision_and_request(contest: Any, world: World) -> None:
    def run(pairs: FlowPairs) -> None:
        while pairs.turn(1.0):
            pass
        while pairs.take_output(1 << 18, 1.0):
            pass

    benchmark = contest("flow pairs: decide, make the pair, encode", "vrouter", per=FLOWS)
    benchmark.pedantic(run, setup=fresh(world, batches()), rounds=20)


def test_change(contest: Any, world: World) -> None:
    (pairs,), _ = fresh(world, batches())()
    exchange(pairs, Answers())
    allowed = cycle((False, True))

    def run() -> None:
        put_other(world, allowed=next(allowed))
        while pairs.turn(1.0):
            pass

    contest("flow pairs: decide anew after a change", "vrouter", per=FLOWS).pedantic(run, rounds=20)
    put_other(world)


def test_flood(contest: Any, world: World) -> None:
    pairs = FlowPairs(world, table_entries=ENTRIES, queue=1)
    trapped = batches()

    def run() -> None:
        for batch in trapped:
            pairs.traps(batch, 1.0)

    contest("flow pairs: refuse a trap of a full queue", "vrouter", per=FLOWS)(run)


def test_memory(contest: Any, world: World) -> None:
    """Not a speed: what 64 k flows take, the table of indices and keys included."""
    pairs = FlowPairs(world, table_entries=1 << 16, window=65536, share=65536, queue=16384)
    for start in range(0, 1 << 15, BATCH):
        batch = FrameBatch(BATCH)
        batch.fill([trap(flow) for flow in range(start, start + BATCH)])
        pairs.traps(batch, 1.0)
        pairs.turn(1.0)
    assert len(pairs) == 1 << 15
    size = pairs.memory / (1 << 16)
    contest("flow pairs: count the pairs", "vrouter", bytes_a_flow=round(size, 1))(len, pairs)
