"""Flows between two ports of a host: world, pairs, a real datapath's table, the scanner on it."""

from __future__ import annotations

import struct
from ipaddress import ip_address

from agent._fast.classifier import Classifier
from agent._fast.flow_pairs import FlowPairs
from agent._fast.flow_scan import FlowScanner
from agent._fast.flow_world import Decision, Packet, World, encode_flow
from agent._fast.forwarding import Datapath
from agent.flow.aging import Timeouts
from agent.sandesh.framing import FrameReader
from agent.sandesh.vrouter import (
    SandeshOp,
    VrFlowReq,
    VrFlowResponse,
    VrNexthopReq,
    VrResponse,
    VrRouteReq,
    decode_messages,
)
from agent.shm import FlowFlag, FlowTable

VRF = 1
PORTS = {3: (24, "10.1.1.3", "fd00::3"), 4: (25, "10.1.1.4", "fd00::4")}
"""vif -> nexthop of its flow keys, its addresses."""
MAIN = 1024
TOTAL = 2048
OUTPUT = 1 << 16
VALID, ENCAP = 1, 2
TCP, UDP = 6, 17


def world() -> World:
    """Two ports without policy in one VRF, and the routes to them."""
    made = World(Classifier())
    made.put_vrf(VRF, "default-domain:demo:red:red")
    for vif, (nexthop, *addresses) in PORTS.items():
        made.add(
            VrNexthopReq(
                h_op=SandeshOp.ADD,
                nhr_id=nexthop,
                nhr_type=ENCAP,
                nhr_family=2,
                nhr_flags=VALID,
                nhr_vrf=VRF,
                nhr_encap_oif_id=(vif,),
                nhr_encap=bytes(14),
                nhr_encap_len=14,
            )
        )
        four, six = (ip_address(address).packed for address in addresses)
        made.put_port(
            vif, mac=bytes((2, 0, 0, 0, 0, vif)), vrf=VRF, key_nexthop=nexthop, policy=False,
            address=four, address6=six,
        )  # fmt: skip
        made.put_routes([(_route(packed, nexthop), 0) for packed in (four, six)])
    return made


def _route(address: bytes, nexthop: int) -> VrRouteReq:
    return VrRouteReq(
        h_op=SandeshOp.ADD, rtr_vrf_id=VRF, rtr_family=2 if len(address) == 4 else 10,
        rtr_prefix=address, rtr_prefix_len=8 * len(address), rtr_nh_id=nexthop,
    )  # fmt: skip


def packet(sport: int, *, proto: int = UDP, dport: int = 53, six: bool = False) -> Packet:
    """From the first port to the second."""
    (nexthop, *mine), (_, *others) = PORTS.values()
    return Packet(
        vif=3, vrf=VRF, key_nexthop=nexthop, protocol=proto, source=ip_address(mine[six]).packed,
        destination=ip_address(others[six]).packed, source_port=sport, destination_port=dport,
    )  # fmt: skip


class Rig:
    """The datapath writes `memory`; `table` and `scanner` read it. Time stands until `advance`."""

    def __init__(self, timeouts: Timeouts | None = None, *, now: float = 1000.0) -> None:
        self.memory = bytearray(TOTAL * 256)
        self.datapath = Datapath(
            flow_table=self.memory, flow_entries=MAIN, bridge_table=bytearray(2048 * 64),
            bridge_entries=1024, seed=1,
        )  # fmt: skip
        self.table = FlowTable(self.memory, MAIN)
        self.world = world()
        self.pairs = FlowPairs(self.world, table_entries=TOTAL)
        self.scanner = FlowScanner(self.pairs, self.table, timeouts or Timeouts())
        self.now = now
        self.sent: list[VrFlowReq] = []
        self.pairs.connected(now)

    def leave(self, wanted: Packet) -> tuple[int, int]:
        """Flows of an earlier life of the agent: indices of forward and reverse."""
        decision = self.world.decide(wanted)
        reverse = self.write(decision, 1, None, 0, None)
        forward = self.write(decision, 0, None, 0, reverse)
        self.write(decision, 1, reverse, self.entry(reverse)[69], forward)
        self.put(forward, 120, "<I", wanted.vif)
        return forward, reverse

    def write(
        self, decision: Decision, side: int, index: int | None, gen: int, partner: int | None
    ) -> int:
        """Have the datapath set one side, without a partner if there is none; its index."""
        (request,) = decode_messages(encode_flow(decision, side, index, gen, partner))
        assert isinstance(request, VrFlowReq)
        if partner is None:
            request = request.replace(fr_flags=request.fr_flags & ~FlowFlag.RFLOW_VALID)
        answer = self.datapath.flow_request(request.encode())
        assert answer is not None
        code, response = decode_messages(answer)
        assert isinstance(code, VrResponse)
        assert isinstance(response, VrFlowResponse)
        assert code.resp_code == 0, code
        return response.fresp_index

    def entry(self, index: int) -> bytes:
        """The bytes of an entry."""
        return bytes(self.memory[index * 256 : (index + 1) * 256])

    def put(self, index: int, at: int, layout: str, *values: int) -> None:
        """Change an entry behind everybody's back."""
        struct.pack_into(layout, self.memory, index * 256 + at, *values)

    def count(self, index: int, octets: int, packets: int) -> None:
        """What the datapath counted on an entry so far."""
        low = 0xFFFFFFFF
        self.put(index, 104, "<II", octets & low, packets & low)
        self.put(index, 112, "<HB", octets >> 32 & 0xFFFF, packets >> 32 & 0xFF)

    def flags(self, index: int, flags: int) -> None:
        """Set fe_flags."""
        self.put(index, 88, "<H", flags)

    def advance(self, seconds: float) -> None:
        """Let time pass, in steps of the scanner's own, with all that is due in it."""
        end = self.now + seconds
        while True:
            self.step()
            following = max(self.scanner.deadline, self.now + 0.05)
            if following > end:
                break
            self.now = following
        self.now = end
        self.step()

    def step(self) -> None:
        """What is due now: a slice, what it leads to, and the datapath's answers."""
        self.datapath.advance(1.0)
        self.scanner.slice(self.now)
        self.pairs.tick(self.now)
        self.pump()

    def pump(self) -> None:
        """Exchange requests and answers until there are none."""
        while True:
            while self.pairs.turn(self.now):
                pass
            frames = bytes(self.pairs.take_output(OUTPUT, self.now))
            if not frames:
                return
            self.sent += requests(frames)
            done, replies = self.datapath.flow_serve(frames, 1 << 20)
            assert done == len(frames)
            self.pairs.answers(replies, self.now)


def requests(frames: bytes) -> list[VrFlowReq]:
    """The flow requests in frames of the control socket."""
    reader = FrameReader()
    reader.feed(frames)
    found = [message for frame in reader for message in decode_messages(frame.payload)]
    return [message for message in found if isinstance(message, VrFlowReq)]
