"""Slow, clear oracles of the shared-table kernels (facts shared-memory.md 8)."""

from __future__ import annotations

import struct
from ipaddress import ip_address

MASK = 0xFFFFFFFF


def rotate(x: int, bits: int) -> int:
    return ((x << bits) | (x >> (32 - bits))) & MASK


def key_hash(key: bytes) -> int:
    """The tables' hash, seed 0, written out step by step."""
    a = b = c = (0xDEADBEEF + len(key)) & MASK
    if not key:
        return c
    while len(key) > 12:
        x, y, z = struct.unpack("<III", key[:12])
        a, b, c = (a + x) & MASK, (b + y) & MASK, (c + z) & MASK
        a = (a - c) & MASK ^ rotate(c, 4)
        c = (c + b) & MASK
        b = (b - a) & MASK ^ rotate(a, 6)
        a = (a + c) & MASK
        c = (c - b) & MASK ^ rotate(b, 8)
        b = (b + a) & MASK
        a = (a - c) & MASK ^ rotate(c, 16)
        c = (c + b) & MASK
        b = (b - a) & MASK ^ rotate(a, 19)
        a = (a + c) & MASK
        c = (c - b) & MASK ^ rotate(b, 4)
        b = (b + a) & MASK
        key = key[12:]
    x, y, z = struct.unpack("<III", key.ljust(12, b"\0"))
    a, b, c = (a + x) & MASK, (b + y) & MASK, (c + z) & MASK
    c = ((c ^ b) - rotate(b, 14)) & MASK
    a = ((a ^ c) - rotate(c, 11)) & MASK
    b = ((b ^ a) - rotate(a, 25)) & MASK
    c = ((c ^ b) - rotate(b, 16)) & MASK
    a = ((a ^ c) - rotate(c, 4)) & MASK
    b = ((b ^ a) - rotate(a, 14)) & MASK
    return ((c ^ b) - rotate(b, 24)) & MASK


def scan_flows(
    table: bytes, start: int, stop: int, room: int, mask: int, value: int, action: int
) -> tuple[list[int], int, int, int]:
    """Picked indices, next index, bytes, packets."""
    picked: list[int] = []
    octets = packets = 0
    index = start
    while index < stop and len(picked) < room:
        entry = table[index * 256 : (index + 1) * 256]
        flags, fe_action = struct.unpack_from("<H2xH", entry, 88)
        if flags & mask == value and action in (-1, fe_action):
            low, count, high, count_high = struct.unpack_from("<IIHB", entry, 104)
            picked.append(index)
            octets += high << 32 | low
            packets += count_high << 32 | count
        index += 1
    return picked, index, octets, packets


def wanted(entry: bytes, match: dict[str, object]) -> bool:
    """Whether an entry is what `match` demands: a FlowFilter's fields, ends as (prefix, port)."""
    family, proto = entry[24], entry[25]
    size, at = (4, 40) if family == 2 else (16, 52)
    sides = [
        (entry[36 : 36 + size], int.from_bytes(entry[28:30], "big")),
        (entry[at : at + size], int.from_bytes(entry[30:32], "big")),
    ]

    def holds(end: tuple[object, object], side: tuple[bytes, int]) -> bool:
        prefix, port = end
        if port is not None and port != side[1]:
            return False
        return prefix is None or ip_address(side[0]) in prefix

    plain = [
        (match["family"], family),
        (match["proto"], proto),
        (match["vrf"], struct.unpack_from("<H", entry, 94)[0]),
        (match["nexthop"], struct.unpack_from("<I", entry, 32)[0]),
    ]
    if any(asked is not None and asked != have for asked, have in plain):
        return False
    ends = [match["source"], match["destination"]]
    orders = [sides, sides[::-1]] if match["either"] else [sides]
    return any(all(map(holds, ends, order)) for order in orders)


def sound(entry: bytes, index: int, total: int) -> bool:
    """Can these be the bytes of an active entry?"""
    own, flags = struct.unpack_from("<8xI76xH", entry)
    reverse, action = struct.unpack_from("<i4xH", entry, 84)
    length = {2: 20, 10: 44}.get(entry[24])
    return (
        own == index
        and action <= 3
        and length is not None
        and (entry[68] == length or (entry[68] == 0 and bool(flags & 0x800)))
        and flags & 0xA00 != 0xA00
        and (reverse == -1 or 0 <= reverse < total)
    )


def chain_ends(table: bytes, entry_size: int, main: int, head: int) -> bool:
    """Does the chain of the bucket that ends at `head` end, after entries of this bucket?"""
    total = len(table) // entry_size
    (index,) = struct.unpack_from("<I", table, head * entry_size + 16)
    seen = set()
    while index != MASK:
        if index == 0 and not seen:
            return True
        if not main <= index < total or index in seen:
            return False
        seen.add(index)
        if struct.unpack_from("<I", table, index * entry_size + 12)[0] != head:
            return False
        (index,) = struct.unpack_from("<I", table, index * entry_size + 16)
    return True


def scan_bridge(
    table: bytes, start: int, stop: int, room: int, mask: int, value: int
) -> tuple[list[int], int, int]:
    """Picked indices, next index, packets."""
    picked: list[int] = []
    packets = 0
    index = start
    while index < stop and len(picked) < room:
        entry = table[index * 64 : (index + 1) * 64]
        if struct.unpack_from("<H", entry, 53)[0] & mask == value:
            picked.append(index)
            packets += struct.unpack_from("<Q", entry, 37)[0]
        index += 1
    return picked, index, packets


def find(
    table: bytes, entry_size: int, main: int, key: bytes, key_at: int, live: tuple[int, int, int]
) -> int:
    """Index of the entry with `key`, or -1.

    `live` is (offset, mask, value) of the u16 flags of an entry that counts.
    """

    def matches(index: int) -> bool:
        entry = table[index * entry_size : (index + 1) * entry_size]
        at, mask, value = live
        if not entry[20] & 1 or struct.unpack_from("<H", entry, at)[0] & mask != value:
            return False
        if entry_size == 256 and entry[68] != len(key):
            return False
        return entry[key_at : key_at + len(key)] == key

    total = len(table) // entry_size
    first = key_hash(key) % main & ~3
    chain = list(range(first, first + 4))
    seen = set()
    index = struct.unpack_from("<I", table, (first + 3) * entry_size + 16)[0]
    while main <= index < total and index not in seen:
        seen.add(index)
        chain.append(index)
        index = struct.unpack_from("<I", table, index * entry_size + 16)[0]
    return next((index for index in chain if matches(index)), -1)


def combine(total: int, counter: int, bits: int) -> int:
    """A 64-bit total whose low `bits` mirror a counter that wraps (facts 11)."""
    mask = (1 << bits) - 1
    wrapped = (total & mask) > counter
    return (total & ~mask) + (wrapped << bits) | counter


def fold(total: int, counter: int, bits: int) -> int:
    """The same for a counter read from the table: a step back by less than its low word is a
    carry that the datapath has not stored yet."""
    behind = (total & ((1 << bits) - 1)) - counter
    return total if 0 < behind <= MASK else combine(total, counter, bits)
