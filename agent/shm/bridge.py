"""The shared bridge table: rows and scans.

Facts: shared-memory.md sections 2, 7, 8. An entry has 64 bytes, host order, with
unaligned fields; the key is MAC (6 bytes) and VRF (u16, host order).
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag
from functools import partial

from agent._fast import bridge_table
from agent.shm.geometry import BRIDGE_ENTRY_SIZE, NO_INDEX
from agent.shm.mapping import TALLY_SLICE, Mapping, Scan
from agent.values import Mac

_ENTRY = struct.Struct("<8xIIIB6sH8xQIiH")
_FLAGS = slice(53, 55)


class BridgeFlag(IntFlag):
    """be_flags."""

    VALID = 0x01
    LABEL_VALID = 0x02
    FLOOD_DHCP = 0x04
    MAC_MOVED = 0x08
    L2_CONTROL_DATA = 0x10
    MAC_NEW = 0x20
    EVPN_CONTROL_PROCESSING = 0x40


@dataclass(frozen=True, slots=True)
class BridgeEntry:
    """One entry in use. `nh_id` is None when the table stores -1."""

    index: int
    next_index: int | None
    mac: Mac
    vrf: int
    nh_id: int | None
    label: int
    flags: int
    packets: int

    @classmethod
    def decode(cls, raw: bytes) -> BridgeEntry:
        """Read the 64 bytes of an entry."""
        index, _, next_index, _, mac, vrf, packets, label, nh_id, flags = _ENTRY.unpack_from(raw)
        return cls(
            index=index,
            next_index=None if next_index == NO_INDEX else next_index,
            mac=Mac(mac),
            vrf=vrf,
            nh_id=None if nh_id < 0 else nh_id,
            label=label,
            flags=flags,
            packets=packets,
        )


@dataclass(frozen=True, slots=True)
class BridgeScan(Scan):
    """What one slice of a scan found; `packets` is the sum over what was picked."""

    packets: int


@dataclass(frozen=True, slots=True)
class BridgeStatistics:
    """Valid entries and the sum of their packets. `corrupt` and `broken_chains` cannot be right."""

    valid: int
    new_macs: int
    moved: int
    overflow: int
    packets: int
    corrupt: int
    broken_chains: int


class BridgeTable(Mapping[BridgeEntry]):
    """A read-only view of a bridge table."""

    ENTRY_SIZE = BRIDGE_ENTRY_SIZE
    # Header flags and key; then the packet counter, whose word is unaligned, label,
    # nexthop and flags.
    GUARDS = ((20, 29), (37, 55))

    def scan(
        self,
        start: int = 0,
        count: int | None = None,
        *,
        limit: int | None = None,
        mask: int = BridgeFlag.VALID,
        value: int = BridgeFlag.VALID,
        vrf: int | None = None,
    ) -> BridgeScan:
        """Look at `count` entries from `start`; as `FlowTable.scan`."""
        stop, picked = self.window(start, count, limit)
        following, number, packets = bridge_table.scan(
            self._buffer,
            start,
            stop,
            picked,
            mask=mask,
            value=value,
            vrf=-1 if vrf is None else vrf,
        )
        del picked[number:]
        return BridgeScan(following, picked, packets)

    def select(self, vrf: int) -> Iterator[BridgeEntry]:
        """Every sound entry of a VRF, in index order."""
        return self._walk(partial(self.scan, vrf=vrf))

    def statistics(self) -> BridgeStatistics:
        """What all entries are, in numbers; each is checked, and so are all chains."""
        counts = array("Q", bytes(8 * bridge_table.TALLY_WORDS))
        for start in range(0, self.geometry.entries, TALLY_SLICE):
            stop, _ = self.window(start, TALLY_SLICE, 0)
            bridge_table.tally(self._buffer, self.geometry.main, start, stop, counts)
        return BridgeStatistics(*counts)

    def entry(self, index: int) -> BridgeEntry | None:
        """The entry at `index` if it is valid and sound, else None. IndexError."""
        copy = self.stable(index)
        if copy is None or not int.from_bytes(copy[_FLAGS], "little") & BridgeFlag.VALID:
            return None
        row = BridgeEntry.decode(copy)
        if row.index != index or not any(row.mac):
            self.corrupt += 1
            return None
        return row

    def index_of(self, vrf: int, mac: Mac) -> int | None:
        """Index of the valid entry for `mac` in `vrf`, as the datapath finds it. WireError."""
        self.check()
        key = mac + vrf.to_bytes(2, "little")
        index = bridge_table.find(self._buffer, self.geometry.main, key)
        return None if index < 0 else index

    def lookup(self, vrf: int, mac: Mac) -> BridgeEntry | None:
        """The valid entry for `mac` in `vrf`, or None."""
        index = self.index_of(vrf, mac)
        row = None if index is None else self.entry(index)
        return row if row is not None and (row.mac, row.vrf) == (mac, vrf) else None
