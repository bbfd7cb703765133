"""Netlink's own messages: attributes, families, refusals, and cutting datagrams."""

from __future__ import annotations

import contextlib
import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import WireError
from agent.sandesh.framing import FrameReader, request_frame
from agent.sandesh.genetlink import (
    attribute,
    attributes,
    family_answer,
    family_asked,
    family_description,
    family_request,
    refusal,
    refusal_frame,
    refused_type,
    split_datagram,
    split_requests,
)

FAMILIES = st.integers(17, 0xFFFF)
PAYLOADS = st.lists(st.binary(max_size=70), max_size=5)


@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=20))))
def test_attributes_are_read_as_they_were_written(wanted: list[tuple[int, bytes]]) -> None:
    assert list(attributes(b"".join(attribute(*each) for each in wanted))) == wanted


@given(FAMILIES, st.integers(1, 0xFFFFFFFF))
def test_a_family_is_described_and_understood(number: int, group: int) -> None:
    described = family_description(number, group, seq=1, pid=2)
    assert len(described) == struct.unpack_from("=I", described)[0]
    assert family_answer(described[16:]) == number


def test_what_is_asked_for() -> None:
    assert family_asked(family_request("vrouter")[16:]) == "vrouter"
    assert family_asked(b"\x03\x01\0\0") is None
    assert family_asked(b"\x04" + family_request("vrouter")[17:]) is None


@given(st.binary(max_size=90))
def test_any_question_for_a_family_is_read_or_none(data: bytes) -> None:
    named = family_asked(data)
    assert named is None or isinstance(named, str)


@given(st.integers(1, 4095), st.binary(min_size=16, max_size=60))
def test_a_refusal_tells_what_it_refuses(number: int, request: bytes) -> None:
    frame = refusal_frame(number, request, pid=3)
    assert len(frame) % 4 == 0
    (message,) = split_datagram(frame)
    assert refusal(message[16:]) == number
    assert refused_type(message[16:]) == struct.unpack_from("=H", request, 4)[0]
    assert message[36:] == request[16:]


def test_a_refusal_cut_short() -> None:
    with pytest.raises(WireError):
        refusal(b"\0\0\0")
    assert refused_type(struct.pack("=i", -errno.EPERM) + bytes(15)) == 0


# --- frames


@given(PAYLOADS, FAMILIES)
def test_requests_of_a_stream_become_datagrams(payloads: list[bytes], family: int) -> None:
    stream = [request_frame(each, family=24, seq=i, pid=7) for i, each in enumerate(payloads)]
    wanted = [request_frame(each, family=family, seq=i, pid=7) for i, each in enumerate(payloads)]
    assert split_requests(b"".join(stream), family) == wanted


@given(st.binary(max_size=120))
def test_any_requests_are_cut_whole_or_an_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        assert sum(map(len, split_requests(data, 32))) == len(data)


@given(PAYLOADS)
def test_messages_of_a_datagram_without_their_padding(payloads: list[bytes]) -> None:
    wanted = [request_frame(each, family=24, seq=0, pid=0) for each in payloads]
    datagram = b"".join(each + bytes(-len(each) % 4) for each in wanted)
    assert split_datagram(datagram) == wanted
    reader = FrameReader()
    reader.feed(b"".join(split_datagram(datagram)))
    assert [frame.payload for frame in reader] == payloads


@given(st.binary(max_size=120))
def test_any_datagram_is_cut_or_an_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        messages = split_datagram(data)
        assert sum(map(len, messages)) <= len(data)
        assert all(len(each) >= 16 for each in messages)
