"""Dropped packets as bytes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import WireError
from agent.sandesh.drop_log import DropNote, counter, decode_notes, encode_notes

word, byte, long = st.integers(0, 0xFFFF), st.integers(0, 255), st.integers(0, (1 << 64) - 1)
v4 = st.integers(0, (1 << 32) - 1).map(IPv4Address)
v6 = st.integers(0, (1 << 128) - 1).map(IPv6Address)
v4_ends = st.just((None, None)) | st.tuples(v4, v4).filter(lambda pair: any(map(int, pair)))
v6_ends = st.just((None, None)) | st.tuples(v6, v6).filter(lambda pair: any(map(int, pair)))


def notes(ethertype: int, ends: st.SearchStrategy[Any]) -> st.SearchStrategy[DropNote]:
    return ends.flatmap(lambda pair: _notes(ethertype, *pair))


def _notes(ethertype: int, source: Any, destination: Any) -> st.SearchStrategy[DropNote]:
    return st.builds(
        DropNote, at=long, vif=st.none() | st.integers(0, 0xFFFFFFFE), vrf=word, reason=byte,
        ethertype=st.just(ethertype), length=word, proto=byte,
        source=st.just(source), destination=st.just(destination), sport=word, dport=word,
    )  # fmt: skip


@given(
    st.lists(
        notes(0x0800, v4_ends) | notes(0x86DD, v6_ends) | notes(0x0806, st.just((None, None))),
        max_size=5,
    )
)
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
        source=IPv4Address("10.1.1.3"), destination=IPv4Address("0.0.0.0"), sport=68, dport=67,
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
