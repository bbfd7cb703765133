"""The look-up of families beside pyroute2's, for every family that this kernel has."""

from __future__ import annotations

import contextlib
import errno
import struct
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink import CTRL_CMD_GETFAMILY, ctrlmsg
from pyroute2.netlink.generic import GenericNetlinkSocket

from agent.errors import DatapathError, WireError
from agent.io.netlink_family import family_number, module_is_there
from agent.io.netlink_sockets import GENERIC, READ_SIZE, connect
from agent.sandesh.framing import GENL_ID_CTRL, NLMSG_DONE, read_frames
from agent.sandesh.genetlink import (
    attributes,
    family_answer,
    family_asked,
    family_description,
    family_request,
    split_datagram,
)

_DUMP = 0x301


def peers_request(name: str, seq: int, pid: int) -> bytes:
    """The same question, written by pyroute2."""
    message = ctrlmsg()
    message["cmd"], message["version"] = CTRL_CMD_GETFAMILY, 1
    message["attrs"] = [["CTRL_ATTR_FAMILY_NAME", name]]
    message["header"].update({"type": GENL_ID_CTRL, "flags": 1, "pid": pid})
    message["header"]["sequence_number"] = seq
    message.encode()
    return bytes(message.data)


def read_by_peer(data: bytes) -> Any:
    message = ctrlmsg(data)
    message.decode()
    return message


def families() -> dict[str, int]:
    """Every family of this kernel: a dump, which pyroute2 reads."""
    found: dict[str, int] = {}
    with connect(GENERIC) as asking:
        asking.settimeout(10)
        asking.send(struct.pack("=IHHIIBBH", 20, GENL_ID_CTRL, _DUMP, 1, 0, 3, 1, 0))
        while True:
            data = asking.recv(READ_SIZE)
            frames = read_frames(data)
            offset = 0
            for frame in frames:
                if frame.type == NLMSG_DONE:
                    return found
                (size,) = struct.unpack_from("=I", data, offset)
                message = read_by_peer(data[offset : offset + size])
                name = message.get_attr("CTRL_ATTR_FAMILY_NAME")
                found[name] = message.get_attr("CTRL_ATTR_FAMILY_ID")
                offset += size + -size % 4


def test_every_family_of_this_kernel_is_found_as_pyroute2_finds_it() -> None:
    there = families()
    assert there["nlctrl"] == GENL_ID_CTRL
    assert len(there) > 1
    with connect(GENERIC) as asking:
        asking.settimeout(10)
        assert {name: family_number(asking, name) for name in there} == there
    with GenericNetlinkSocket() as peer:
        for name in sorted(there)[:3]:
            peer.bind(name, ctrlmsg)
            assert peer.prid == there[name]


def test_a_family_that_this_kernel_has_not() -> None:
    with connect(GENERIC) as asking:
        asking.settimeout(10)
        with pytest.raises(DatapathError) as refused:
            family_number(asking, "vrouter-absent")
    assert refused.value.errno == errno.ENOENT
    assert module_is_there("nlctrl")
    assert not module_is_there("vrouter-absent")


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=15),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
)
def test_the_question_is_that_of_pyroute2(name: str, seq: int, pid: int) -> None:
    asked = family_request(name, seq, pid)
    assert asked == peers_request(name, seq, pid)
    assert family_asked(asked[16:]) == name


@given(st.integers(17, 0xFFFF), st.integers(0, 0xFFFFFFFF))
def test_the_answer_is_read_by_pyroute2(number: int, group: int) -> None:
    data = family_description(number, group, seq=7, pid=9)
    message = read_by_peer(data)
    assert family_answer(data[16:]) == message.get_attr("CTRL_ATTR_FAMILY_ID") == number
    assert message.get_attr("CTRL_ATTR_FAMILY_NAME") == "vrouter"
    assert message.get_attr("CTRL_ATTR_VERSION") == 1
    (told,) = message.get_attr("CTRL_ATTR_MCAST_GROUPS")
    assert told.get_attr("CTRL_ATTR_MCAST_GRP_NAME") == "VRouterGroup"
    assert told.get_attr("CTRL_ATTR_MCAST_GRP_ID") == group
    (operation,) = message.get_attr("CTRL_ATTR_OPS")
    assert operation.get_attr("CTRL_ATTR_OP_ID") == 1


@given(st.binary(max_size=200))
def test_any_answer_is_read_or_refused(data: bytes) -> None:
    for read in (family_answer, lambda data: list(attributes(data))):
        with contextlib.suppress(WireError):
            read(data)
    family_asked(data)


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_messages_of_a_datagram_are_cut_apart(payloads: list[bytes]) -> None:
    messages = [struct.pack("=IHHII", 16 + len(one), 32, 0, 1, 2) + one for one in payloads]
    padded = [one + bytes(-len(one) % 4) for one in messages]
    assert split_datagram(b"".join(padded)) == messages
    if messages:  # the last one needs no padding
        assert split_datagram(b"".join(padded[:-1]) + messages[-1]) == messages


@given(st.binary(max_size=120))
def test_any_datagram_is_cut_or_refused(data: bytes) -> None:
    try:
        messages = split_datagram(data)
    except WireError:
        return
    assert all(len(one) == int.from_bytes(one[:4], sys.byteorder) >= 16 for one in messages)
    assert sum(map(len, messages)) <= len(data)
