"""Messages of rtnetlink: what a kernel said once, and what none would say."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import WireError
from agent.io.rtnetlink import LinkFields, link_dump, link_fields, messages

# RTM_NEWLINK of a veth named tap0, index 7, up; with its queue length (13) in between.
TAP0 = bytes.fromhex(
    "40000000 1000 0200 05000000 d2040000"
    "00 00 0100 07000000 43100100 00000000"
    "0900 0300 74617030 00000000"
    "0800 0d00 e8030000"
    "0a00 0100 020000000077 0000"
)
DONE = bytes.fromhex("14000000 0300 0200 05000000 d2040000 00000000")


def test_what_a_kernel_says() -> None:
    first, last = messages(TAP0 + DONE)
    assert (first.type, first.sequence, last.type, last.sequence) == (16, 5, 3, 5)
    fields = link_fields(first.body)
    assert fields == LinkFields(0, 7, 0x11043, "tap0", bytes.fromhex("020000000077"))


def test_a_dump_is_asked_for() -> None:
    assert link_dump(5) == struct.pack("=IHHII", 32, 18, 0x301, 5, 0) + bytes(16)


def test_a_link_may_have_no_address() -> None:
    assert link_fields(struct.pack("=BxHiII", 0, 772, 1, 0, 0)) == LinkFields(0, 1, 0, "", b"")


def read(data: bytes) -> list[LinkFields]:
    return [link_fields(message.body) for message in messages(data)]


@pytest.mark.parametrize("size", [1, 15, 16, 40, len(TAP0) - 1])
def test_what_is_cut_short_is_refused(size: int) -> None:
    with pytest.raises(WireError):
        read(TAP0[:size])


@given(st.binary(max_size=128))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(WireError):
        read(data)
