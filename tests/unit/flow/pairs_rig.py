"""Flows of one host: a world with two VMs and a remote one, pairs, a model of the datapath.

Frames between them can be lost, repeated and delayed. Time stands until it is moved.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address

from agent._fast.classifier import Classifier
from agent._fast.flow_pairs import FlowPairs
from agent._fast.flow_world import PortKind, World
from agent._fast.packet import FrameBatch
from agent.sandesh.framing import FrameReader, reply_frame
from agent.sandesh.vrouter import VrFlowReq, VrMplsReq, VrNexthopReq, VrRouteReq, decode_messages
from tests.reference.flow_model import Answer, FlowModel

VRF, FABRIC_VIF, HOST_VIF = 1, 0, 1
ROUTER_ID, FAR_HOST = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
LABEL, TUNNEL_NEXTHOP, TUNNEL = 48, 22, 3
ICMP, TCP, UDP = 1, 6, 17
MISS, HELD = 6, 15
SHORT = 1
REMOTE = "15.0.9.9"
ROOM = 1 << 20


@dataclass(frozen=True)
class Vm:
    vif: int
    nexthop: int
    address: str
    address6: str
    number: int

    @property
    def mac(self) -> bytes:
        return bytes((2, 0, 0, 0, 0, self.vif))


ONE = Vm(3, 24, "15.0.0.3", "fd00::3", 1)
TWO = Vm(4, 25, "15.0.0.4", "fd00::4", 2)


@dataclass(frozen=True)
class Talk:
    """Packets of one direction of a connection; `reply` are those of the other."""

    source: str
    destination: str
    proto: int = UDP
    sport: int = 1000
    dport: int = 2000

    @property
    def reply(self) -> Talk:
        ports = (self.sport, self.dport) if self.proto == ICMP else (self.dport, self.sport)
        return Talk(self.destination, self.source, self.proto, *ports)

    @property
    def sender(self) -> Vm | None:
        """None: it comes out of a tunnel."""
        return next((vm for vm in (ONE, TWO) if self.source in (vm.address, vm.address6)), None)

    @cached_property
    def key(self) -> bytes:
        """As the datapath makes it: from the fabric it has the nexthop of the label."""
        source, destination = ip_address(self.source), ip_address(self.destination)
        nexthop = self.sender.nexthop if self.sender else ONE.nexthop
        head = struct.pack("<BBH", 2 if source.version == 4 else 10, self.proto, 0)
        ports = struct.pack(">HH", self.sport, self.dport)
        return head + ports + struct.pack("<I", nexthop) + source.packed + destination.packed

    @property
    def src_info(self) -> int:
        return self.sender.vif if self.sender else int.from_bytes(FAR_HOST, "little")

    @property
    def inner(self) -> bytes:
        """The packet from its IP header on."""
        source, destination = ip_address(self.source), ip_address(self.destination)
        payload = struct.pack(">HHHH", self.sport, self.dport, 8, 0)
        if self.proto == TCP:
            payload = struct.pack(">HHIIBBHHH", self.sport, self.dport, 1, 0, 0x50, 2, 0, 0, 0)
        elif self.proto == ICMP:
            payload = struct.pack(">BBHHH", 8, 0, 0, self.sport, 1)
        if source.version == 6:
            head = struct.pack(">IHBB", 6 << 28, len(payload), self.proto, 64)
            return head + source.packed + destination.packed + payload
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, self.proto, 0)
        return head + source.packed + destination.packed + payload

    def trap(self, index: int, gen_id: int, command: int = MISS, predecessor: bytes = b"") -> bytes:
        """The pkt0 frame of a packet."""
        six = ip_address(self.source).version == 6
        vif = self.sender.vif if self.sender else ONE.vif
        nexthop = self.sender.nexthop if self.sender else ONE.nexthop
        header = struct.pack(">HHHII", vif, VRF, command, index, nexthop)
        header += (predecessor or bytes(12)) + bytes((gen_id, 0, 0, 0))
        if self.sender:
            ether = bytes(6) + self.sender.mac + (b"\x86\xdd" if six else b"\x08\x00")
            return _outer() + header + ether + self.inner
        return _outer() + header + _tunnelled(self.inner)


def _outer() -> bytes:
    return bytes.fromhex("00005e000100 00005e000100 0800")


def _tunnelled(inner: bytes) -> bytes:
    """MPLS over UDP from the far host to this one, from the outer Ethernet header on."""
    label = struct.pack(">I", LABEL << 12 | 1 << 8 | 63)
    udp = struct.pack(">HHHH", 50000, 6635, 8 + len(label) + len(inner), 0)
    size = 20 + len(udp) + len(label) + len(inner)
    ip = struct.pack(">BBHHHBBH", 0x45, 0, size, 1, 0, 64, UDP, 0) + FAR_HOST + ROUTER_ID
    return bytes.fromhex("020000000001 020000000002 0800") + ip + udp + label + inner


def world() -> World:
    """The two VMs and a way to the remote one; everything is allowed."""
    made = World(Classifier())
    made.set_host(ROUTER_ID, HOST_VIF, 0)
    made.put_vrf(0, "default-domain:default-project:ip-fabric:__default__")
    made.put_vrf(VRF, "default-domain:demo:red:red")
    made.put_port(FABRIC_VIF, kind=PortKind.FABRIC, vrf=0)
    for vm in (ONE, TWO):
        made.add(
            VrNexthopReq(
                nhr_id=vm.nexthop,
                nhr_type=2,
                nhr_family=2,
                nhr_flags=3,
                nhr_vrf=VRF,
                nhr_encap_oif_id=(vm.vif,),
            )
        )
        put_port(made, vm)
        put_route(made, vm.address, vm.nexthop)
        put_route(made, vm.address6, vm.nexthop)
    made.add(
        VrNexthopReq(
            nhr_id=TUNNEL_NEXTHOP,
            nhr_type=TUNNEL,
            nhr_family=2,
            nhr_flags=0x41,
            nhr_tun_sip=int.from_bytes(ROUTER_ID, "little"),
            nhr_tun_dip=int.from_bytes(FAR_HOST, "little"),
            nhr_encap_oif_id=(FABRIC_VIF,),
        )
    )
    made.add(VrMplsReq(mr_label=LABEL, mr_nhid=ONE.nexthop))
    put_route(made, REMOTE, TUNNEL_NEXTHOP)
    return made


def put_port(made: World, vm: Vm, *, allowed: bool = True, max_flows: int = 0) -> None:
    """Put a VM's port; not `allowed`: it is in security groups without any rule."""
    made.put_port(
        vm.vif,
        mac=vm.mac,
        vrf=VRF,
        key_nexthop=vm.nexthop,
        vm=vm.number,
        max_flows=max_flows,
        grouped=not allowed,
        bridged=False,
        address=ip_address(vm.address).packed,
        address6=ip_address(vm.address6).packed,
    )


def put_route(made: World, address: str, nexthop: int) -> None:
    """A host route."""
    made.put_routes([(_route(address, nexthop), 0)])


def _route(address: str, nexthop: int) -> VrRouteReq:
    packed = ip_address(address).packed
    return VrRouteReq(
        rtr_vrf_id=VRF,
        rtr_family=2 if len(packed) == 4 else 10,
        rtr_prefix=packed,
        rtr_prefix_len=8 * len(packed),
        rtr_nh_id=nexthop,
    )


def drop_route(made: World, address: str) -> None:
    packed = ip_address(address).packed
    made.remove_route(VRF, packed, 8 * len(packed))


class Rig:
    """`frames` are requests on their way, `replies` answers, `trapped` packets."""

    def __init__(self, room: int = 64, **options: int) -> None:
        self.world = world()
        self.datapath = FlowModel(room)
        self.options = {"table_entries": room, **options}
        self.pairs = FlowPairs(self.world, **self.options)
        self.now = 1000.0
        self.trapped: list[bytes] = []
        self.frames: list[bytes] = []
        self.replies: list[bytes] = []
        self.sent: list[VrFlowReq] = []
        self.pairs.connected(self.now)

    # Packets

    def packet(self, talk: Talk) -> bool:
        """The datapath gets a packet; whether it was trapped."""
        place = self.datapath.packet(talk.key, talk.src_info, VRF)
        if place is None:
            return False
        self.trapped.append(talk.trap(*place))
        return True

    def deliver(self, frames: Sequence[bytes]) -> list[int]:
        """Hand frames to the pairs; the positions that they left."""
        left = []
        for start in range(0, len(frames), 1024):
            part = frames[start : start + 1024]
            batch = FrameBatch(len(part))
            batch.fill(part)
            left += [start + position for position in self.pairs.traps(batch, self.now)]
        return left

    def begin(self, *talks: Talk) -> None:
        """First packets arrive and are taken up: requests are on their way, nothing is served."""
        for talk in talks:
            self.packet(talk)
        self.arrive()
        self.take()

    def arrive(self) -> None:
        """Everything that was trapped is handed over."""
        trapped, self.trapped = self.trapped, []
        self.deliver(trapped)

    # The control socket

    def take(self, most: int = ROOM) -> None:
        """Let the pairs work and send."""
        while self.pairs.turn(self.now):
            pass
        for frame in split(bytes(self.pairs.take_output(most, self.now))):
            self.frames.append(frame)
            self.sent.append(request_of(frame))

    def serve(self, count: int = ROOM) -> None:
        """The datapath executes requests in their order."""
        frames, self.frames = self.frames[:count], self.frames[count:]
        for frame in frames:
            self.replies += self.datapath.serve(frame)

    def answer(self) -> None:
        """All answers arrive in their order."""
        replies, self.replies = self.replies, []
        self.pairs.answers(b"".join(replies), self.now)

    def settle(self) -> None:
        """Everything that is on its way arrives, until nothing is."""
        while True:
            self.begin()
            if not self.frames and not self.replies and not self.trapped:
                return
            self.serve()
            self.answer()

    def refuse(self, code: int) -> VrFlowReq:
        """Answer the oldest request with an error, the datapath does nothing; the request."""
        frame = self.frames.pop(0)
        self.replies.append(refusal(frame, code))
        self.answer()
        return request_of(frame)

    def pass_time(self, seconds: float) -> None:
        """Time-outs that are due in it, each followed by all that it leads to."""
        end = self.now + seconds
        while (due := self.pairs.next_deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self.pairs.tick(self.now)
            self.settle()
        self.now = end
        self.pairs.tick(self.now)
        self.settle()

    # Looking

    def flow(self, talk: Talk) -> dict[str, object]:
        """The pair of a key; AssertionError when there is none."""
        number = self.pairs.find(talk.key)
        assert number is not None, f"no pair has the key of {talk}"
        return self.pairs.describe(number)

    def connect(self, talk: Talk) -> dict[str, object]:
        """The first packet of a flow, and all that it leads to."""
        assert self.packet(talk)
        self.settle()
        return self.flow(talk)

    def check(self) -> None:
        """The table of the datapath is what the pairs say, entry by entry."""
        owned = {}
        for number in every(self.pairs):
            pair = self.pairs.describe(number)
            assert pair["state"] == "installed", pair
            sides = [pair["forward"], pair["reverse"]]
            if pair["flags"] & SHORT:
                assert sides.pop()["index"] is None, pair
            for which, side in enumerate(sides):
                assert not side["dirty"], pair
                partner = sides[1 - which]["index"] if len(sides) == 2 else None
                owned[side["index"]] = (side, partner)
        live = self.datapath.live()
        assert owned.keys() == live.keys(), (owned, live)
        for index, (side, partner) in owned.items():
            entry = live[index]
            assert (entry.key, entry.gen_id) == (side["key"], side["gen_id"])
            assert entry.action == side["action"], (entry, side)
            assert entry.rindex == (0xFFFFFFFF if partner is None else partner), (entry, side)


def every(pairs: FlowPairs) -> list[int]:
    """All pairs in use."""
    return pairs.pairs(0, 1 << 20)


def split(stream: bytes) -> list[bytes]:
    """Whole frames out of bytes."""
    frames = []
    while stream:
        (size,) = struct.unpack_from("=I", stream)
        frames.append(stream[:size])
        stream = stream[size:]
    return frames


def request_of(frame: bytes) -> VrFlowReq:
    """The flow request in a frame."""
    reader = FrameReader()
    reader.feed(frame)
    (found,) = list(reader)
    (request,) = decode_messages(found.payload)
    assert isinstance(request, VrFlowReq)
    return request


def refusal(frame: bytes, code: int) -> bytes:
    """The answer to a request frame with an error and no entry."""
    _, family, _, seq = struct.unpack_from("=IHHI", frame)
    payload = FlowModel.encode(Answer(code))
    return reply_frame(payload, family=family, seq=seq, more=False)
