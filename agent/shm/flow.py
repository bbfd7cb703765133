"""The shared flow table: rows, keys, scans.

Facts: shared-memory.md sections 2 to 5, 8, 10. An entry has 256 bytes, host order
(little endian) except for ports and addresses, which are in network order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from functools import partial
from ipaddress import IPv4Address, IPv6Address

from agent._fast import flow_table
from agent.shm.filter import ANY, FlowFilter
from agent.shm.geometry import FLOW_ENTRY_SIZE, NO_INDEX
from agent.shm.mapping import TALLY_SLICE, Buffer, Mapping, Scan
from agent.shm.statistics import FlowStatistics, no_counts
from agent.values import Address

INET = 2
INET6 = 10
_KEY4 = struct.Struct("<BBH2s2sI4s4s")
_KEY6 = struct.Struct("<BBH2s2sI16s16s")
_ENTRY = struct.Struct("<8xIIIBBh44sBBH8xIiHHHHHBBIIIHBbBBHI8xIb")
"""Everything but pointers and padding, from byte 8 on: see FlowEntry._of."""


class FlowFlag(IntFlag):
    """fe_flags."""

    ACTIVE = 0x0001
    SNAT = 0x0002
    SPAT = 0x0004
    DNAT = 0x0008
    DPAT = 0x0010
    TRAP_ECMP = 0x0020
    DELETE_MARKED = 0x0040
    BGP_SERVICE = 0x0080
    MODIFIED = 0x0100
    NEW_FLOW = 0x0200
    EVICT_CANDIDATE = 0x0400
    EVICTED = 0x0800
    RFLOW_VALID = 0x1000
    MIRROR = 0x2000
    VRFT = 0x4000
    LINK_LOCAL = 0x8000


class TcpFlag(IntFlag):
    """fe_tcp_flags; `_R` was seen on the reverse flow."""

    FIN = 0x0001
    HALF_CLOSE = 0x0002
    FIN_R = 0x0004
    SYN = 0x0008
    SYN_R = 0x0010
    ESTABLISHED = 0x0020
    ESTABLISHED_R = 0x0040
    RST = 0x0080
    DEAD = 0x8000


class FlowAction(IntEnum):
    """fe_action."""

    DROP = 0
    HOLD = 1
    FORWARD = 2
    NAT = 3


@dataclass(frozen=True, slots=True)
class FlowKey:
    """The 5-tuple and the key nexthop. Ports are plain numbers."""

    nh_id: int
    source: Address
    destination: Address
    proto: int
    sport: int
    dport: int

    @property
    def family(self) -> int:
        """AF_INET or AF_INET6."""
        return INET if self.source.version == 4 else INET6

    def pack(self) -> bytes:
        """The hashed bytes of the key: 20 for IPv4, 44 for IPv6."""
        layout = _KEY4 if self.family == INET else _KEY6
        return layout.pack(
            self.family,
            self.proto,
            0,
            self.sport.to_bytes(2, "big"),
            self.dport.to_bytes(2, "big"),
            self.nh_id,
            self.source.packed,
            self.destination.packed,
        )

    @classmethod
    def unpack(cls, raw: bytes) -> FlowKey:
        """Read the 44 bytes at offset 24; the family says how many count. ValueError."""
        if raw[0] not in (INET, INET6):
            raise ValueError(f"address family {raw[0]} in a flow key")
        layout = _KEY4 if raw[0] == INET else _KEY6
        _, proto, _, sport, dport, nh_id, source, destination = layout.unpack_from(raw)
        kind = IPv4Address if raw[0] == INET else IPv6Address
        return cls(
            nh_id,
            kind(source),
            kind(destination),
            proto,
            int.from_bytes(sport, "big"),
            int.from_bytes(dport, "big"),
        )


@dataclass(frozen=True, slots=True)
class FlowEntry:
    """One entry in use, decoded.

    Indices that the table stores as -1 for none are None here. `src_info` keeps the
    four bytes as stored: outer source IPv4, or ingress vif index (host order).
    """

    index: int
    next_index: int | None
    header_flags: int
    key: FlowKey
    key_length: int
    ttl: int
    qos_id: int
    gen_id: int
    tcp_flags: int
    tcp_seq: int
    tcp_ack: int
    rflow: int | None
    flags: int
    flags1: int
    action: int
    vrf: int
    dvrf: int
    mirror_id: int
    sec_mirror_id: int
    src_nh_index: int
    bytes: int
    packets: int
    ecmp_nh_index: int
    drop_reason: int
    type: int
    udp_src_port: int
    src_info: int
    underlay_ecmp_index: int

    @property
    def evicted(self) -> bool:
        """Released by the datapath; counters and key are still readable."""
        return bool(self.flags & FlowFlag.EVICTED)

    @classmethod
    def decode(cls, raw: Buffer) -> FlowEntry:
        """Read the 256 bytes of an active entry. ValueError if they cannot be right."""
        (
            index, _bucket, next_index, header_flags, ttl, qos_id, key, key_length, gen_id,
            tcp_flags, tcp_seq, rflow, flags, flags1, action, vrf, dvrf, mirror_id,
            sec_mirror_id, src_nh_index, byte_low, packet_low, byte_high, packet_high,
            ecmp_nh_index, drop_reason, kind, udp_src_port, src_info, tcp_ack, underlay,
        ) = _ENTRY.unpack_from(raw)  # fmt: skip
        if action not in _ACTIONS or key_length not in _KEY_LENGTHS:
            raise ValueError(f"action {action} or key length {key_length} in a flow entry")
        return cls(
            index=index,
            next_index=None if next_index == NO_INDEX else next_index,
            header_flags=header_flags,
            key=FlowKey.unpack(key),
            key_length=key_length,
            ttl=ttl,
            qos_id=qos_id,
            gen_id=gen_id,
            tcp_flags=tcp_flags,
            tcp_seq=tcp_seq,
            tcp_ack=tcp_ack,
            rflow=None if rflow < 0 else rflow,
            flags=flags,
            flags1=flags1,
            action=action,
            vrf=vrf,
            dvrf=dvrf,
            mirror_id=mirror_id,
            sec_mirror_id=sec_mirror_id,
            src_nh_index=src_nh_index,
            bytes=byte_high << 32 | byte_low,
            packets=packet_high << 32 | packet_low,
            ecmp_nh_index=ecmp_nh_index,
            drop_reason=drop_reason,
            type=kind,
            udp_src_port=udp_src_port,
            src_info=src_info,
            underlay_ecmp_index=underlay,
        )


_ACTIONS = frozenset(map(int, FlowAction))
_KEY_LENGTHS = frozenset((0, 20, 44))
"""0: the entry was evicted, its key bytes are still there."""


@dataclass(frozen=True, slots=True)
class FlowScan(Scan):
    """What one slice of a scan found; `bytes` and `packets` are sums over what was picked."""

    bytes: int
    packets: int


class FlowTable(Mapping[FlowEntry]):
    """A read-only view of a flow table; iteration gives evicted entries too."""

    ENTRY_SIZE = FLOW_ENTRY_SIZE
    # Header flags, key, generation, flags, action; then the counters' high parts, which
    # the datapath stores after the low parts wrap.
    GUARDS = ((20, 94), (112, 115))

    def scan(
        self,
        start: int = 0,
        count: int | None = None,
        *,
        limit: int | None = None,
        mask: int = FlowFlag.ACTIVE,
        value: int = FlowFlag.ACTIVE,
        action: int | None = None,
        where: FlowFilter | None = None,
    ) -> FlowScan:
        """Look at `count` entries from `start` (all that are left by default).

        Picks entries with (flags & mask) == value and, if given, that action and what `where`
        demands; at most `limit`, then it ends early. The GIL is free meanwhile. ValueError
        outside the table, WireError when its file has shrunk.
        """
        stop, picked = self.window(start, count, limit)
        if action is None and where is not None:
            action = where.action
        following, number, octets, packets = flow_table.scan(
            self._buffer,
            start,
            stop,
            picked,
            mask=mask,
            value=value,
            action=ANY if action is None else action,
            match=None if where is None else where.pack(),
        )
        del picked[number:]
        return FlowScan(following, picked, octets, packets)

    def select(self, where: FlowFilter) -> Iterator[FlowEntry]:
        """Every sound entry that `where` wants, in index order."""
        return self._walk(partial(self.scan, where=where))

    def statistics(self) -> FlowStatistics:
        """What all entries are, in numbers; each is checked, and so are all chains."""
        counts = no_counts()
        for start in range(0, self.geometry.entries, TALLY_SLICE):
            stop, _ = self.window(start, TALLY_SLICE, 0)
            flow_table.tally(self._buffer, self.geometry.main, start, stop, counts)
        return FlowStatistics.of(counts)

    def entry(self, index: int) -> FlowEntry | None:
        """The entry at `index` if it is active and sound, else None. IndexError."""
        copy = self.stable(index)
        if copy is None or not copy[88] & FlowFlag.ACTIVE:
            return None
        try:
            row = FlowEntry.decode(copy)
        except ValueError:
            self.corrupt += 1
            return None
        if row.index != index or (row.rflow or 0) >= self.geometry.entries:
            self.corrupt += 1
            return None
        return row

    def index_of(self, key: FlowKey) -> int | None:
        """Index of the live flow with this key, found as the datapath finds it. WireError."""
        self.check()
        index = flow_table.find(self._buffer, self.geometry.main, key.pack())
        return None if index < 0 else index

    def lookup(self, key: FlowKey) -> FlowEntry | None:
        """The live flow with this key, or None."""
        index = self.index_of(key)
        row = None if index is None else self.entry(index)
        return row if row is not None and row.key == key else None
