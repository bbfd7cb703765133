"""One host without any socket: a data plane, the flows' decisions, their pairs and the scanner.

Frames of guests and of the fabric go in; what the host sends comes out. Time stands until it
is moved. `check` says what must hold whatever came in.
"""

from __future__ import annotations

import random
from collections import Counter
from ipaddress import ip_address

from agent._fast.classifier import Classifier
from agent._fast.flow_pairs import FlowPairs
from agent._fast.flow_scan import FlowScanner
from agent._fast.flow_world import PortKind, World
from agent._fast.packet import FrameBatch
from agent.flow.aging import Timeouts
from agent.sandesh.vrouter import VrMplsReq, VrNexthopReq, VrRouteReq
from agent.shm import FlowTable
from tests.unit.forwarder.dataplane_rig import AGENT, FABRIC, MAC1, MAC2, TAP1, TAP2, VHOST
from tests.unit.forwarder.flow_rig import (
    FLOW_ENTRIES,
    FLOW_OVERFLOW,
    GUEST1_NH,
    GUEST2_NH,
    GUEST_LABEL,
    TUNNEL_NH,
    FlowRig,
    guest_frame,
    udp,
)

VRF = 1
HELD = 1
ADDRESSES = {TAP1: ("15.0.0.3", "fd00::3"), TAP2: ("15.0.0.4", "fd00::4")}
REMOTE = ("15.0.0.9", "fd00::9")
KEYS = {TAP1: GUEST1_NH, TAP2: GUEST2_NH}
MACS = {TAP1: MAC1, TAP2: MAC2}
OUTPUT = 1 << 18
ROUNDS = 10_000


def world(max_flows: int = 0) -> World:
    """The guests of the rig and the remote one; the first guest may have so many flows."""
    made = World(Classifier())
    made.set_host(ip_address("10.0.0.1").packed, VHOST, 0)
    made.put_vrf(0, "default-domain:default-project:ip-fabric:__default__")
    made.put_vrf(VRF, "default-domain:demo:red:red")
    made.put_port(FABRIC, kind=PortKind.FABRIC, vrf=0)
    for vif, addresses in ADDRESSES.items():
        four, six = (ip_address(address).packed for address in addresses)
        made.add(
            VrNexthopReq(
                nhr_id=KEYS[vif], nhr_type=2, nhr_family=2, nhr_flags=3, nhr_vrf=VRF,
                nhr_encap_oif_id=(vif,),
            )
        )  # fmt: skip
        made.put_port(
            vif, mac=MACS[vif], vrf=VRF, key_nexthop=KEYS[vif], vm=vif, bridged=False,
            max_flows=max_flows if vif == TAP1 else 0, address=four, address6=six,
        )  # fmt: skip
        made.put_routes([(route(packed, KEYS[vif]), 0) for packed in (four, six)])
    made.add(
        VrNexthopReq(
            nhr_id=TUNNEL_NH, nhr_type=3, nhr_family=2, nhr_flags=0x41,
            nhr_tun_sip=int.from_bytes(ip_address("10.0.0.1").packed, "little"),
            nhr_tun_dip=int.from_bytes(ip_address("10.0.0.2").packed, "little"),
            nhr_encap_oif_id=(FABRIC,),
        )
    )  # fmt: skip
    made.add(VrMplsReq(mr_label=GUEST_LABEL, mr_nhid=GUEST1_NH))
    made.put_routes([(route(ip_address(one).packed, TUNNEL_NH), 0) for one in REMOTE])
    return made


def route(packed: bytes, nexthop: int) -> VrRouteReq:
    """A host route."""
    return VrRouteReq(
        rtr_vrf_id=VRF, rtr_family=2 if len(packed) == 4 else 10, rtr_prefix=packed,
        rtr_prefix_len=8 * len(packed), rtr_nh_id=nexthop,
    )  # fmt: skip


class FlowNode:
    """`rig` is its data plane."""

    def __init__(self, *, max_flows: int = 0) -> None:
        self.rig = FlowRig().build()
        self.world = world(max_flows)
        self.pairs = FlowPairs(self.world, table_entries=FLOW_ENTRIES + FLOW_OVERFLOW)
        self.table = FlowTable(self.rig.table, FLOW_ENTRIES)
        self.scanner = FlowScanner(self.pairs, self.table, Timeouts())
        self.scanner.auditing = True
        self.now = 1000.0
        self.other_traps: Counter[int] = Counter()
        self._sport = 20_000
        self.pairs.connected(self.now)

    def send(self, vif: int, frame: bytes) -> list[tuple[int, bytes]]:
        """A frame comes in; what goes out once everybody has answered."""
        assert self.rig.dp.inject(vif, frame) == 0
        return self.settle()

    def settle(self) -> list[tuple[int, bytes]]:
        """Exchange traps, requests and answers until there are none; frames that went out."""
        gone: list[tuple[int, bytes]] = []
        for _ in range(ROUNDS):
            sent = [(out, frame) for out, frame, _ in self.rig.dp.captured()]
            gone += [each for each in sent if each[0] != AGENT]
            self._hear([frame for out, frame in sent if out == AGENT])
            while self.pairs.turn(self.now):
                pass
            requests = bytes(self.pairs.take_output(OUTPUT, self.now))
            if not sent and not requests:
                return gone
            done, replies = self.rig.dp.flow_serve(requests, 1 << 20)
            assert done == len(requests)
            self.pairs.answers(replies, self.now)
        raise AssertionError("traps and requests without end")

    def _hear(self, frames: list[bytes]) -> None:
        for start in range(0, len(frames), 64):
            batch = FrameBatch(64)
            batch.fill(frames[start : start + 64])
            for slot in self.pairs.traps(batch, self.now):
                self.other_traps[int.from_bytes(batch.frame(slot)[18:20], "big")] += 1

    def advance(self, seconds: float) -> list[tuple[int, bytes]]:
        """Let time pass, with the sweeps over the table that are due in it."""
        end, gone = self.now + seconds, []
        while self.now < end:
            self.now = min(end, max(self.scanner.deadline, self.now + 0.05))
            self.rig.dp.advance(0.05)
            self.scanner.slice(self.now)
            self.pairs.tick(self.now)
            gone += self.settle()
        return gone

    def talks(self, source: int = TAP1, target: int = TAP2) -> bool:
        """Whether the first packet of a new flow from a guest to the other one arrives."""
        self._sport += 1
        packet = udp(ADDRESSES[source][0], ADDRESSES[target][0], self._sport, 53)
        gone = self.send(source, guest_frame(packet, src=MACS[source]))
        return [(out, frame[42:]) for out, frame in gone] == [(target, bytes(packet)[28:])]

    def drops(self) -> int:
        """Frames that the data plane has counted as dropped."""
        return sum(self.rig.dp.drop_stats())

    def known(self) -> dict[int, tuple[bytes, int]]:
        """Key and generation of the entries that pairs have."""
        found = {}
        for number in self.pairs.pairs(0, FLOW_ENTRIES + FLOW_OVERFLOW):
            pair = self.pairs.describe(number)
            for side in (pair["forward"], pair["reverse"]):
                if side["index"] is not None:
                    found[side["index"]] = (side["key"], side["gen_id"])
        return found

    def there(self) -> dict[int, tuple[bytes, int]]:
        """Key and generation of the entries of the table."""
        return {entry.index: (entry.key, entry.gen_id) for entry in self.rig.entries()}

    def check(self) -> None:
        """Nobody waits, and both sides know of the same entries."""
        assert self.there() == self.known()
        assert all(entry.action != HELD for entry in self.rig.entries())
        assert self.pairs.in_flight == 0


def damage(node: FlowNode, rng: random.Random, bits: int) -> None:
    """Turn bits of live entries, as a stray write would."""
    indices = [entry.index for entry in node.rig.entries()]
    for _ in range(bits):
        at = rng.choice(indices) * 256 + rng.randrange(256)
        node.rig.table[at] ^= 1 << rng.randrange(8)
