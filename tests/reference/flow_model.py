"""A small datapath with a flow table, for tests: slow, clear, and told when to misbehave.

Facts: shared-memory.md 3 to 6 and 10, sandesh-ksync.md 3 and 4.7, datapath-behaviour.md 6. Its
table is also kept as the bytes that a scanner of the shared memory reads.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from errno import EBADF, EBUSY, EEXIST, EFAULT, EINVAL, ENOENT, ENOSPC

from agent.sandesh import encode
from agent.sandesh.framing import FrameReader, reply_frame
from agent.sandesh.vrouter import VrFlowReq, decode_messages
from agent.shm.geometry import FLOW_ENTRY_SIZE, Geometry

ACTIVE, EVICTED, NEW, RFLOW = 0x1, 0x800, 0x200, 0x1000
DROP, HOLD, PASS, NAT = range(4)
TCP = 6
NONE = 0xFFFFFFFF
DEAD = 0x8000


@dataclass
class Entry:
    """One slot; `key` is empty while it is free. `told`: the request that wrote it last."""

    gen_id: int = 0
    key: bytes = b""
    action: int = DROP
    flags: int = 0
    rindex: int = NONE
    vrf: int = 0
    src_info: int = 0
    octets: int = 0
    packets: int = 0
    tcp_flags: int = 0
    told: VrFlowReq | None = None
    held: int = 0

    @property
    def live(self) -> bool:
        """Whether a look-up of its key finds it."""
        return bool(self.flags & ACTIVE) and not self.flags & EVICTED


@dataclass
class Mapping:
    """What a scanner takes for a mapped table."""

    buffer: bytearray
    geometry: Geometry

    def check(self) -> None:
        """It never shrinks."""


@dataclass
class Answer:
    code: int
    index: int = NONE
    gen_id: int = 0
    octets: int = 0
    packets: int = 0
    flags: int = 0


@dataclass
class FlowModel:
    """`room` entries. `busy` are indices that answer "busy" the next time they are written."""

    room: int
    entries: list[Entry] = field(init=False)
    memory: bytearray = field(init=False)
    busy: set[int] = field(default_factory=set)
    leaving: list[Entry] = field(default_factory=list)
    indices: dict[bytes, int] = field(default_factory=dict)
    """Where each key was put last."""
    delivered: int = 0
    """Held packets that left as their entries were set."""
    vrfs: int = 16

    def __post_init__(self) -> None:
        self.memory = bytearray(self.room * FLOW_ENTRY_SIZE)
        self.entries = [Entry() for _ in range(self.room)]
        for index in range(self.room):
            self.store(index)

    @property
    def mapping(self) -> Mapping:
        """The table for a scanner."""
        return Mapping(self.memory, Geometry(FLOW_ENTRY_SIZE, self.room, 0))

    def live(self) -> dict[int, Entry]:
        """Entries in use, by index."""
        return {index: entry for index, entry in enumerate(self.entries) if entry.live}

    def find(self, key: bytes) -> int | None:
        """The index of the live entry with a key."""
        index = self.indices.get(key)
        if index is None or not self.entries[index].live or self.entries[index].key != key:
            return None
        return index

    # Packets

    def packet(self, key: bytes, src_info: int, vrf: int, size: int = 60) -> tuple[int, int] | None:
        """A packet with a key comes in. (index, gen_id) when it is trapped."""
        index = self.find(key)
        if index is None:
            index = self._take(key)
            if index is None:
                return None
            entry = self.entries[index]
            entry.action, entry.flags, entry.vrf = HOLD, ACTIVE | NEW, vrf
            entry.src_info, entry.held = src_info, 1
            entry.octets, entry.packets = size, 1
            self.store(index)
            entry.flags &= ~NEW  # the trap has been sent
            self.store(index)
            return index, entry.gen_id
        entry = self.entries[index]
        entry.octets += size
        entry.packets += 1
        entry.src_info = src_info
        entry.held += entry.action == HOLD
        self.store(index)
        return (index, entry.gen_id) if entry.action == HOLD else None

    def evict(self, index: int) -> None:
        """A closed TCP connection: both entries leave the look-up, as the datapath does it."""
        entry = self.entries[index]
        for one in {index, entry.rindex} - {NONE}:
            if one < self.room and self.entries[one].live and self.entries[one].action != HOLD:
                gone = self.entries[one]
                gone.flags, gone.action, gone.rindex = ACTIVE | EVICTED, DROP, NONE
                self.store(one)

    def reset(self) -> None:
        """The datapath began anew; generations go on."""
        for index, entry in enumerate(self.entries):
            self.entries[index] = Entry(gen_id=entry.gen_id)
            self.store(index)

    def _take(self, key: bytes) -> int | None:
        """A slot for a key: the lowest that is free or evicted."""
        for index, entry in enumerate(self.entries):
            if not entry.live:
                was = entry if entry.flags & EVICTED else Entry()
                self.leaving = [was]
                self.indices[key] = index
                self.entries[index] = Entry(gen_id=(entry.gen_id + 1) & 0xFF, key=key, flags=ACTIVE)
                return index
        return None

    # Requests

    def serve(self, frames: bytes) -> Iterator[bytes]:
        """The reply frame to each request frame."""
        reader = FrameReader()
        reader.feed(frames)
        for frame in reader:
            (request,) = decode_messages(frame.payload)
            assert isinstance(request, VrFlowReq)
            payload = self.encode(self.set(request))
            yield reply_frame(payload, family=frame.type, seq=frame.seq, more=False)
        assert not reader.pending, "output is whole frames"

    @staticmethod
    def encode(answer: Answer) -> bytes:
        """The payload of an answer."""
        response = {
            "fresp_flags": answer.flags,
            "fresp_index": answer.index,
            "fresp_bytes": answer.octets & NONE,
            "fresp_packets": answer.packets & NONE,
            "fresp_stats_oflow": answer.octets >> 32 | (answer.packets >> 32) << 16,
            "fresp_gen_id": answer.gen_id - 256 if answer.gen_id > 127 else answer.gen_id,
        }
        code = encode("vr_response", {"h_op": 4, "resp_code": answer.code})
        return code + encode("vr_flow_response", response)

    def set(self, request: VrFlowReq) -> Answer:
        """FLOW_SET; the order of the checks is the datapath's."""
        key, gen_id = key_of(request), request.fr_gen_id & 0xFF
        index = request.fr_index
        if 0 <= index < self.room and self.entries[index].flags & ACTIVE:
            return self._set_known(index, key, gen_id, request)
        if index >= 0:
            return Answer(-ENOENT, index)
        if not request.fr_flags & ACTIVE:
            return Answer(-ENOENT)
        if not self._partner_exists(request):
            return Answer(-EINVAL)
        known = self.find(key)
        if known is not None:
            return Answer(-EEXIST, known, self.entries[known].gen_id)
        return self._add(key, request)

    def _set_known(self, index: int, key: bytes, gen_id: int, request: VrFlowReq) -> Answer:
        entry = self.entries[index]
        if index in self.busy or entry.flags & EVICTED:
            self.busy.discard(index)
            return Answer(-EBUSY, index)
        if entry.gen_id != gen_id:
            return Answer(-EBADF, index)
        if entry.key != key:
            return Answer(-EFAULT, index)
        if not request.fr_flags & ACTIVE:
            self.entries[index] = Entry(gen_id=entry.gen_id)
            self.store(index)
            return Answer(0, index, gen_id, flags=1)
        if not self._partner_exists(request):
            return Answer(-EINVAL, index)
        self._write(index, request)
        return Answer(0, index, gen_id)

    def _add(self, key: bytes, request: VrFlowReq) -> Answer:
        index = self._take(key)
        if index is None:
            return Answer(-ENOSPC)
        self._write(index, request)
        (was,) = self.leaving
        return Answer(0, index, self.entries[index].gen_id, was.octets, was.packets)

    def _partner_exists(self, request: VrFlowReq) -> bool:
        if not request.fr_flags & RFLOW:
            return True
        if request.fr_rindex >= 0:
            return bool(
                request.fr_rindex < self.room and self.entries[request.fr_rindex].flags & ACTIVE
            )
        return self.find(reverse_key_of(request)) is not None

    def _write(self, index: int, request: VrFlowReq) -> None:
        entry = self.entries[index]
        if entry.action == HOLD and request.fr_action != HOLD:
            self.delivered += entry.held
            entry.held = 0
        entry.action, entry.flags = request.fr_action, request.fr_flags & 0xFFFF & ~0xF00
        entry.vrf, entry.told = request.fr_flow_vrf, request
        entry.rindex = request.fr_rindex & NONE if request.fr_flags & RFLOW else NONE
        if request.fr_flags & RFLOW and request.fr_rindex < 0:
            partner = self.find(reverse_key_of(request))
            entry.rindex = NONE if partner is None else partner
        self.store(index)

    def store_all(self) -> None:
        """Bring all bytes up to date."""
        for index in range(self.room):
            self.store(index)

    def store(self, index: int) -> None:
        """The bytes of an entry (facts shared-memory.md 4)."""
        entry, at = self.entries[index], index * FLOW_ENTRY_SIZE
        slot = bytearray(FLOW_ENTRY_SIZE)
        struct.pack_into("<IIIB", slot, 8, index, NONE, NONE, entry.live)
        slot[24 : 24 + len(entry.key)] = entry.key
        slot[68] = len(entry.key) if entry.live else 0
        slot[69] = entry.gen_id
        struct.pack_into("<H", slot, 70, entry.tcp_flags)
        struct.pack_into("<I", slot, 84, entry.rindex)
        struct.pack_into("<HHHHH", slot, 88, entry.flags, 0, entry.action, entry.vrf, 0)
        struct.pack_into("<II", slot, 104, entry.octets & NONE, entry.packets & NONE)
        struct.pack_into("<HB", slot, 112, entry.octets >> 32, entry.packets >> 32)
        struct.pack_into("<I", slot, 120, entry.src_info)
        self.memory[at : at + FLOW_ENTRY_SIZE] = slot


def _halves(high: int, low: int, family: int) -> bytes:
    """An address out of two u64 of network memory order."""
    if family == 2:
        return low.to_bytes(8, "little")[:4]
    return high.to_bytes(8, "little") + low.to_bytes(8, "little")


def _key(
    family: int, proto: int, sport: int, dport: int, nexthop: int, src: bytes, dst: bytes
) -> bytes:
    return struct.pack("<BBHHHI", family, proto, 0, sport, dport, nexthop) + src + dst


def key_of(request: VrFlowReq) -> bytes:
    """The table's key of a request, 20 or 44 bytes."""
    r = request
    return _key(
        r.fr_family,
        r.fr_flow_proto & 0xFF,
        r.fr_flow_sport,
        r.fr_flow_dport,
        r.fr_flow_nh_id,
        _halves(r.fr_flow_sip_u, r.fr_flow_sip_l, r.fr_family),
        _halves(r.fr_flow_dip_u, r.fr_flow_dip_l, r.fr_family),
    )


def reverse_key_of(request: VrFlowReq) -> bytes:
    """The key of the partner that a request without its index names."""
    r = request
    return _key(
        r.fr_family,
        r.fr_flow_proto & 0xFF,
        r.fr_rflow_sport,
        r.fr_rflow_dport,
        r.fr_rflow_nh_id,
        _halves(r.fr_rflow_sip_u, r.fr_rflow_sip_l, r.fr_family),
        _halves(r.fr_rflow_dip_u, r.fr_rflow_dip_l, r.fr_family),
    )
