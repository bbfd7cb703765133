"""The compiled scanners against their slow oracles, on tables of any bytes."""

from __future__ import annotations

import struct
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent._fast import bridge_table, flow_table
from tests.reference import flow_scan as oracle

FLOWS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 0x41, 0x801, 0xFFFF]),  # flags
        st.integers(0, 3),  # action
        st.binary(min_size=11, max_size=11),  # counters
    ),
    min_size=4,
    max_size=64,
)
U16 = st.integers(0, 0xFFFF)


@given(st.binary(max_size=100))
def test_hash(key: bytes) -> None:
    assert flow_table.key_hash(key) == oracle.key_hash(key)


@given(FLOWS, st.data(), U16, st.sampled_from([-1, 0, 1, 2]))
def test_flow_scan(
    rows: list[tuple[int, int, bytes]], data: st.DataObject, mask: int, action: int
) -> None:
    table = bytearray(256 * len(rows))
    for index, (flags, fe_action, counters) in enumerate(rows):
        struct.pack_into("<H2xH", table, index * 256 + 88, flags, fe_action)
        table[index * 256 + 104 : index * 256 + 115] = counters
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))
    room = data.draw(st.integers(0, 70))
    value = data.draw(st.sampled_from([flags & mask for flags, _, _ in rows]))
    picked = array("I", bytes(4 * room))
    following, count, octets, packets = flow_table.scan(
        table, start, stop, picked, mask=mask, value=value, action=action
    )
    expected = oracle.scan_flows(table, start, stop, room, mask, value, action)
    assert (list(picked[:count]), following, octets, packets) == expected


@given(
    st.lists(st.tuples(U16, st.integers(0, (1 << 64) - 1)), min_size=4, max_size=64),
    st.data(),
    U16,
)
def test_bridge_scan(rows: list[tuple[int, int]], data: st.DataObject, mask: int) -> None:
    rows = [(flags, packets // len(rows)) for flags, packets in rows]
    table = bytearray(64 * len(rows))
    for index, (flags, packets) in enumerate(rows):
        struct.pack_into("<Q", table, index * 64 + 37, packets)
        struct.pack_into("<H", table, index * 64 + 53, flags)
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))
    room = data.draw(st.integers(0, 70))
    value = data.draw(st.sampled_from([flags & mask for flags, _ in rows]))
    picked = array("I", bytes(4 * room))
    following, count, packets = bridge_table.scan(
        table, start, stop, picked, mask=mask, value=value
    )
    expected = oracle.scan_bridge(table, start, stop, room, mask, value)
    assert (list(picked[:count]), following, packets) == expected


@st.composite
def chained_tables(draw: st.DrawFn, entry_size: int) -> tuple[bytearray, int]:
    """A table of 8 main and 8 overflow entries whose links point anywhere."""
    table = bytearray(16 * entry_size)
    links = st.one_of(st.integers(0, 20), st.just(0xFFFFFFFF))
    for index in range(16):
        struct.pack_into("<I", table, index * entry_size + 16, draw(links))
        table[index * entry_size + 20] = draw(st.integers(0, 3))
    return table, 8


@settings(max_examples=200)
@given(chained_tables(256), st.data())
def test_flow_find(shaped: tuple[bytearray, int], data: st.DataObject) -> None:
    table, main = shaped
    keys = [bytes([2]) * 20, bytes([2]) * 19 + b"\x01", bytes([10]) * 44]
    for index in range(16):
        key = data.draw(st.sampled_from(keys))
        table[index * 256 + 24 : index * 256 + 24 + len(key)] = key
        table[index * 256 + 68] = data.draw(st.sampled_from([0, len(key)]))
        flags = data.draw(st.sampled_from([0, 1, 0x41, 0x401]))
        struct.pack_into("<H", table, index * 256 + 88, flags)
    for key in keys:
        expected = oracle.find(table, 256, main, key, 24, (88, 0x41, 1))
        assert flow_table.find(table, main, key) == expected


@settings(max_examples=200)
@given(chained_tables(64), st.data())
def test_bridge_find(shaped: tuple[bytearray, int], data: st.DataObject) -> None:
    table, main = shaped
    keys = [b"\x02mac00\x01\x00", b"\x02mac00\x02\x00", b"\x02mac01\x01\x00"]
    for index in range(16):
        table[index * 64 + 21 : index * 64 + 29] = data.draw(st.sampled_from(keys))
        struct.pack_into("<H", table, index * 64 + 53, data.draw(st.integers(0, 3)))
    for key in keys:
        expected = oracle.find(table, 64, main, key, 21, (53, 1, 1))
        assert bridge_table.find(table, main, key) == expected


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (0, 5), (3, 2), (5, 5)])
def test_ranges_outside_the_table_are_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="not in a table of 4"):
        flow_table.scan(bytes(1024), start, stop, array("I", bytes(64)), mask=1, value=1)
    with pytest.raises(ValueError, match="not in a table of 4"):
        bridge_table.scan(bytes(256), start, stop, array("I", bytes(64)), mask=1, value=1)


@pytest.mark.parametrize("main", [0, -4, 2, 6, 8])
def test_main_parts_that_do_not_fit_are_refused(main: int) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        flow_table.find(bytes(1024), main, bytes(20))
    with pytest.raises(ValueError, match="do not fit"):
        bridge_table.find(bytes(256), main, bytes(8))


def test_keys_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="20 or 44"):
        flow_table.find(bytes(1024), 4, bytes(21))
    with pytest.raises(ValueError, match="8 bytes"):
        bridge_table.find(bytes(256), 4, bytes(6))
