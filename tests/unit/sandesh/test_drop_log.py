"""Dropped packets as bytes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import WireError
from agent.sandesh.drop_log import DropNote, counter, decode_notes, encode_notes

word, byte, long = st.integers(0, 0xFFFF), st.integers(0, 255), st.integers(0, (1 << 64) - 1)
v4 = st.integers(1, (1 << 32) - 1).map(IPv4Address)
v6 = st.integers(1, (1 << 128) - 1).map(IPv6Address)


def notes(ethertype: int, address: st.SearchStrategy[object]) -> st.SearchStrategy[DropNote]:
    end = st.none() | address
    return st.builds(
        DropNote, at=long, vif=st.none() | st.integers(0, 0xFFFFFFFE), vrf=word, reason=byte,
        ethertype=st.just(ethertype), length=word, proto=byte, source=end, destination=end,
        sport=word, dport=word,
    )  # fmt: skip


@given(st.lists(notes(0x0800, v4) | notes(0x86DD, v6) | notes(0x0806, st.nothing()), max_size=5))
def test_what_is_written_is_read(rows: list[DropNote]) -> None:
    assert decode_notes(encode_notes(rows)) == rows


@given(st.binary(max_size=200) | st.binary(max_size=130).map(lambda tail: b"VRFD\1\x38\0\0" + tail))
def test_other_bytes_are_an_error_or_whole_rows(data: bytes) -> None:
    try:
        rows = decode_notes(data)
    except WireError:
        return
    assert len(data) == 8 + 56 * len(rows)


def test_a_note_on_the_wire() -> None:
    note = DropNote(
        at=0x0102, vif=3, vrf=2, reason=39, ethertype=0x0800, length=60, proto=17,
        source=IPv4Address("10.1.1.3"), destination=None, sport=68, dport=67,
    )  # fmt: skip
    assert encode_notes([note]).hex() == (
        "56524644" "0138" "0000"
        "0000000000000102" "00000003" "0002" "0800" "0044" "0043" "003c" "27" "11"
        "0a010103" "000000000000000000000000" "00000000000000000000000000000000"
    )  # fmt: skip


@pytest.mark.parametrize("data", [b"", b"VRFD", b"VRFD\2\x38\0\0", b"VRFD\1\x38\0\0" + bytes(55)])
def test_foreign_lists_are_refused(data: bytes) -> None:
    with pytest.raises(WireError, match="list of drops"):
        decode_notes(data)


def test_counters_of_reasons() -> None:
    assert counter("l2_no_route") == "vds_l2_no_route"
    assert counter("fragments") == "vds_frag_err"
    assert counter("new_flows") == "vds_drop_new_flow"
