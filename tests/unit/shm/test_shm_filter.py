"""Filters and statistics of the flow table against their slow oracles, and files that change."""

from __future__ import annotations

import os
import struct
from array import array
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent._fast import flow_table
from agent.errors import UsageError, WireError
from agent.shm import (
    BridgeTable,
    FlowAction,
    FlowEnd,
    FlowFilter,
    FlowFlag,
    FlowKey,
    FlowTable,
    TcpFlag,
)
from tests.reference import flow_scan as oracle

MAIN, TOTAL = 16, 24
SMALL_ADDRESSES = ["10.1.1.1", "10.1.1.2", "10.1.2.1", "fd00::1", "fd00::2", "fd01::1"]


def blank() -> bytearray:
    table = bytearray(TOTAL * 256)
    for index in range(TOTAL):
        struct.pack_into("<I4xI", table, index * 256 + 8, index, 0xFFFFFFFF)
    return table


def put(
    table: bytearray,
    index: int,
    key: FlowKey,
    *,
    flags: int = FlowFlag.ACTIVE,
    action: int = FlowAction.FORWARD,
    vrf: int = 0,
    tcp: int = 0,
    counters: tuple[int, int] = (0, 0),
) -> None:
    packed, at = key.pack(), index * 256
    table[at + 20] = 1
    table[at + 24 : at + 24 + len(packed)] = packed
    table[at + 68] = len(packed)
    struct.pack_into("<H", table, at + 70, tcp)
    struct.pack_into("<iHHHH", table, at + 84, -1, flags, 0, action, vrf)
    octets, packets = counters
    low = (1 << 32) - 1
    struct.pack_into(
        "<IIHB", table, at + 104, octets & low, packets & low, octets >> 32, packets >> 32
    )


@st.composite
def keys(draw: st.DrawFn) -> FlowKey:
    version = draw(st.sampled_from([4, 6]))
    address = st.sampled_from([a for a in map(ip_address, SMALL_ADDRESSES) if a.version == version])
    port = st.sampled_from([0, 80, 33000, 65535])
    return FlowKey(
        draw(st.integers(0, 2)), draw(address), draw(address), draw(st.sampled_from([1, 6, 17])),
        draw(port), draw(port),
    )  # fmt: skip


@st.composite
def ends(draw: st.DrawFn, version: int) -> FlowEnd:
    lengths = [0, 16, 24, 32] if version == 4 else [0, 16, 64, 128]
    networks = [
        ip_network(f"{address}/{length}", strict=False)
        for address in SMALL_ADDRESSES
        if ip_address(address).version == version
        for length in lengths
    ]
    prefix = draw(st.none() | st.sampled_from(networks))
    return FlowEnd(prefix, draw(st.none() | st.sampled_from([80, 33000])))


@st.composite
def filters(draw: st.DrawFn) -> FlowFilter:
    version = draw(st.sampled_from([4, 6]))
    return FlowFilter(
        draw(ends(version)),
        draw(ends(version)),
        draw(st.booleans()),
        draw(st.sampled_from([None, 2 if version == 4 else 10])),
        draw(st.sampled_from([None, 6, 17])),
        draw(st.sampled_from([None, 0, 1])),
        draw(st.sampled_from([None, 0, 1])),
        draw(st.sampled_from([None, 0, 2])),
    )


@given(st.lists(st.tuples(keys(), st.integers(0, 2), st.integers(0, 1)), max_size=MAIN), filters())
def test_filters(rows: list[tuple[FlowKey, int, int]], where: FlowFilter) -> None:
    table = blank()
    for index, (key, action, vrf) in enumerate(rows):
        put(table, index, key, action=action, vrf=vrf)
    named = [end.prefix for end in (where.source, where.destination) if end.prefix]
    implied = {4: 2, 6: 10}[named[0].version] if named else where.family
    match: dict[str, Any] = {
        "source": (where.source.prefix, where.source.port),
        "destination": (where.destination.prefix, where.destination.port),
        "either": where.either,
        "family": implied,
        "proto": where.proto,
        "vrf": where.vrf,
        "nexthop": where.nexthop,
    }
    expected = [
        index
        for index in range(len(rows))
        if where.action in (None, rows[index][1])
        and oracle.wanted(bytes(table[index * 256 : (index + 1) * 256]), match)
    ]
    view = FlowTable(table, MAIN)
    assert list(view.scan(where=where).picked) == expected
    assert [row.index for row in view.select(where)] == expected


def test_a_filter_of_two_families_is_refused() -> None:
    where = FlowFilter(FlowEnd(ip_network("10.0.0.0/8")), FlowEnd(ip_network("fd00::/8")))
    with pytest.raises(UsageError, match="never meet"):
        where.pack()
    with pytest.raises(UsageError, match="never meet"):
        replace(where, destination=FlowEnd(), family=10).pack()


def test_a_match_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="a match has"):
        flow_table.scan(bytes(1024), 0, 4, array("I", bytes(16)), mask=1, value=1, match=bytes(3))


TCP = FlowKey(7, ip_address("10.1.1.1"), ip_address("10.1.1.2"), 6, 1000, 80)
UDP6 = FlowKey(7, ip_address("fd00::1"), ip_address("fd00::2"), 17, 1000, 53)


def test_statistics() -> None:
    table = blank()
    both = TcpFlag.SYN | TcpFlag.SYN_R
    put(table, 0, TCP, tcp=TcpFlag.SYN, counters=(1 << 33, 5))
    put(table, 1, TCP, tcp=both | TcpFlag.ESTABLISHED, counters=(100, 1 << 35))
    put(table, 2, TCP, tcp=TcpFlag.DEAD, action=FlowAction.NAT)
    put(table, 3, UDP6, action=FlowAction.DROP)
    table[3 * 256 + 116] = 21
    put(table, 20, UDP6, action=FlowAction.HOLD, flags=FlowFlag.ACTIVE | FlowFlag.NEW_FLOW)
    put(table, 5, TCP, flags=0)
    counts = FlowTable(table, MAIN).statistics()
    assert counts.actions == {"drop": 1, "hold": 1, "forward": 2, "nat": 1}
    assert counts.drop_reasons == {"POLICY": 1}
    shown = counts.counts
    assert (shown.active, shown.overflow, shown.new_flows, shown.evicted) == (5, 1, 1, 0)
    assert (shown.inet, shown.inet6, shown.tcp, shown.udp, shown.icmp) == (3, 2, 3, 2, 0)
    assert (shown.tcp_half_open, shown.tcp_established, shown.tcp_closed) == (1, 1, 1)
    assert (shown.bytes, shown.packets) == ((1 << 33) + 100, (1 << 35) + 5)
    assert (shown.corrupt, shown.torn, shown.broken_chains) == (0, 0, 0)


WORDS = st.sampled_from([0, 1, 0x41, 0x201, 0x801, 0xA01, 0xFFFF])


@given(
    st.lists(
        st.tuples(WORDS, st.integers(0, 4), st.sampled_from([0, 20, 44]),
                  st.sampled_from([2, 3, 10]), st.sampled_from([-1, 0, TOTAL - 1, TOTAL, -2]),
                  st.booleans()),
        max_size=TOTAL,
    )
)  # fmt: skip
def test_entries_that_cannot_be_right_are_counted(
    rows: list[tuple[int, int, int, int, int, bool]],
) -> None:
    table = blank()
    for index, (flags, action, length, family, reverse, own) in enumerate(rows):
        at = index * 256
        struct.pack_into("<iHHH", table, at + 84, reverse, flags, 0, action)
        table[at + 24], table[at + 68] = family, length
        struct.pack_into("<I", table, at + 8, index if own else index + 1)
    active = [index for index, row in enumerate(rows) if row[0] & 1]
    good = [i for i in active if oracle.sound(bytes(table[i * 256 : i * 256 + 256]), i, TOTAL)]
    counts = FlowTable(table, MAIN).statistics().counts
    assert (counts.active, counts.corrupt) == (len(good), len(active) - len(good))


@given(st.data())
def test_chains_that_cannot_be_right_are_counted(data: st.DataObject) -> None:
    table = blank()
    link = st.sampled_from([0xFFFFFFFF, *range(MAIN, TOTAL), 3, TOTAL, 0xFFFFFFFE])
    heads = list(range(3, MAIN, 4))
    for index in (*heads, *range(MAIN, TOTAL)):
        struct.pack_into("<I", table, index * 256 + 16, data.draw(link))
    for index in range(MAIN, TOTAL):
        struct.pack_into("<I", table, index * 256 + 12, data.draw(st.sampled_from(heads[:2])))
    broken = sum(not oracle.chain_ends(bytes(table), 256, MAIN, head) for head in heads)
    assert FlowTable(table, MAIN).statistics().counts.broken_chains == broken


def test_a_file_that_shrinks_under_the_reader_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "flow.shmem"
    table = blank()
    put(table, 3, TCP)
    path.write_bytes(table)
    with FlowTable.open(path, MAIN) as view:
        assert [row.index for row in view] == [3]
        os.truncate(path, 4096)
        for use in (view.scan, view.statistics, lambda: view.entry(3), lambda: view.index_of(TCP)):
            with pytest.raises(WireError, match="has shrunk from 6144 to 4096 bytes"):
                use()
    with pytest.raises(WireError, match="reported 8192"):
        BridgeTable.open(path, size=8192)


def test_a_table_of_a_datapath_started_anew_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "flow.shmem"
    path.write_bytes(blank())
    with FlowTable.open(path, MAIN) as view:
        assert not view.replaced()
        fresh = tmp_path / "fresh"
        fresh.write_bytes(blank())
        fresh.rename(path)
        assert view.replaced()
        assert list(view) == []
        path.unlink()
        assert view.replaced()
    assert not FlowTable(blank(), MAIN).replaced()


def test_a_device_needs_the_size_that_the_datapath_reports() -> None:
    with pytest.raises(WireError, match="is a device: pass the size"):
        FlowTable.open("/dev/zero")
    with FlowTable.open("/dev/zero", MAIN, size=TOTAL * 256) as view:
        assert list(view) == []
        assert not view.replaced()


def test_bridge_entries_of_a_vrf_and_their_statistics() -> None:
    table = bytearray(TOTAL * 64)
    for index in range(TOTAL):
        struct.pack_into("<I4xI", table, index * 64 + 8, index, 0xFFFFFFFF)
    rows = [(0, 1, 0x01, 5), (3, 2, 0x21, 6), (17, 1, 0x09, 7), (5, 1, 0x00, 8), (6, 1, 0x01, 9)]
    for index, vrf, flags, packets in rows:
        at = index * 64
        table[at + 21 : at + 29] = b"\x02\0\0\0\0" + bytes([index]) + vrf.to_bytes(2, "little")
        struct.pack_into("<QIiH", table, at + 37, packets, 0, -1, flags)
    table[6 * 64 + 21 : 6 * 64 + 27] = bytes(6)
    struct.pack_into("<I", table, 7 * 64 + 16, TOTAL)
    view = BridgeTable(table, MAIN)
    assert [row.index for row in view.select(1)] == [0, 17]
    counts = view.statistics()
    assert (counts.valid, counts.new_macs, counts.moved, counts.overflow) == (3, 1, 1, 1)
    assert (counts.packets, counts.corrupt, counts.broken_chains) == (18, 1, 1)
