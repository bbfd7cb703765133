"""Queues of NICs: the messages, and what the kernel says of an interface without queues."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.cli import dcb, netlink, qosmap, render_qos
from agent.cli.dcb import Queues
from agent.errors import DatapathError, UsageError, WireError

QUEUES = Queues(
    groups=(0, 0, 1, 1, 2, 2, 3, 7),
    bandwidth=(10, 20, 30, 0, 0, 0, 0, 40),
    strict=(False, False, False, True, False, False, False, False),
)
eight = st.tuples(*[st.integers(0, 7)] * 8)
percents = st.tuples(*[st.integers(0, 100)] * 8)
flags = st.tuples(*[st.booleans()] * 8)


def content(message: bytes) -> dict[int, bytes]:
    """The attributes behind struct dcbmsg."""
    size, kind = struct.unpack_from("=IH", message)
    assert (size, kind) == (len(message), 79)
    return dict(netlink.attributes(message[20:]))


def test_ieee_messages() -> None:
    mode, ets = dcb.set_messages("eth0", "ieee", QUEUES)
    assert (mode[16:18], content(mode)) == (b"\0\x17", {1: b"eth0\0", 14: b"\x09"})
    inner = dict(netlink.attributes(content(ets)[13]))
    order = b"\2\2\2\0\2\2\2\2"
    groups, bandwidth = bytes(QUEUES.groups), bytes(QUEUES.bandwidth)
    assert ets[16:18] == b"\0\x14"
    assert inner == {
        1: b"\0\x08\0" + bandwidth + bytes(8) + order + groups + bandwidth + order + groups
    }


def test_cee_messages() -> None:
    mode, groups, commit = dcb.set_messages("eth0", "cee", QUEUES)
    assert content(mode)[14] == b"\5"
    assert [message[17] for message in (mode, groups, commit)] == [23, 4, 9]
    described = dict(netlink.attributes(content(groups)[6]))
    assert dict(netlink.attributes(described[1 + 6])) == {1: b"\3", 2: b"\x40", 3: b"\2"}
    assert [described[11 + group] for group in range(8)] == [
        bytes((share,)) for share in QUEUES.bandwidth
    ]
    assert content(commit)[7] == b"\1"


@given(st.builds(Queues, eight, percents, flags))
def test_ieee_queues_are_read_as_written(queues: Queues) -> None:
    _, ets = dcb.set_messages("eth0", "ieee", queues)
    assert dcb.parse_ets(content(ets)[13]) == queues


@given(st.builds(Queues, eight, percents, flags))
def test_cee_queues_are_read_as_written(queues: Queues) -> None:
    """A group without a priority has no class that could be strict."""
    _, groups, _ = dcb.set_messages("eth0", "cee", queues)
    found = dcb.parse_groups(content(groups)[6])
    assert (found.groups, found.bandwidth) == (queues.groups, queues.bandwidth)
    assert found.strict == tuple(
        strict and group in queues.groups for group, strict in enumerate(queues.strict)
    )


@given(st.binary(max_size=100))
def test_any_bytes_are_queues_or_an_error(data: bytes) -> None:
    for parse in (dcb.parse_ets, dcb.parse_groups):
        try:
            found = parse(data)
        except WireError:
            continue
        assert (len(found.groups), len(found.bandwidth), len(found.strict)) == (8, 8, 8)


@pytest.mark.parametrize("message", ["get", "set"])
def test_the_kernel_knows_of_no_queues_of_lo(message: str) -> None:
    asked = (
        dcb.request(78, 22, "lo") if message == "get" else dcb.set_messages("lo", "ieee", QUEUES)[1]
    )
    with netlink.connect(netlink.ROUTE) as connected:
        connected.settimeout(5)
        with pytest.raises(DatapathError):
            dcb.ask(connected, asked)


def answering(*answers: bytes) -> socket.socket:
    """A peer that has said all this already, datagram by datagram."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for answer in answers:
        theirs.send(answer)
    ours.settimeout(1)
    kept.append(theirs)
    return ours


kept: list[socket.socket] = []


@pytest.fixture(autouse=True)
def _close_peers() -> object:
    yield
    while kept:
        kept.pop().close()


def reply(command: int, *attributes: bytes) -> bytes:
    return dcb.request(78, command, "eth0", b"".join(attributes))


def test_asking_a_nic_of_each_mode() -> None:
    ets = netlink.attribute(
        13, dict(netlink.attributes(dcb.set_messages("e", "ieee", QUEUES)[1][20:]))[13]
    )
    with answering(reply(22, netlink.attribute(14, b"\x09")), reply(21, ets)) as connected:
        assert dcb.get(connected, "eth0") == ("ieee", QUEUES)
    groups = netlink.attribute(6, content(dcb.set_messages("e", "cee", QUEUES)[1])[6])
    with answering(reply(22, netlink.attribute(14, b"\x05")), reply(3, groups)) as connected:
        assert dcb.get(connected, "eth0") == ("cee", QUEUES)


def test_a_nic_that_refuses() -> None:
    accepted, refused = netlink.attribute(14, b"\0"), netlink.attribute(13, b"\xea")
    with (
        answering(reply(23, accepted), reply(20, refused)) as connected,
        pytest.raises(UsageError, match=r"eth0 does not take these queues \(error 234\)"),
    ):
        dcb.put(connected, "eth0", "ieee", QUEUES)


def test_a_nic_that_has_nothing_to_change() -> None:
    """The answer to the last CEE message is 1 when the NIC was so already."""
    answers = (
        reply(23, netlink.attribute(14, b"\0")),
        reply(4, netlink.attribute(6, b"\0")),
        reply(9, netlink.attribute(7, b"\1")),
    )
    with answering(*answers) as connected:
        dcb.put(connected, "eth0", "cee", QUEUES)


def test_empty_attributes_count_as_0() -> None:
    empty = netlink.attribute(1, netlink.attribute(1, b"") + netlink.attribute(3, b""))
    found = dcb.parse_groups(empty + netlink.attribute(11, b""))
    assert found == Queues((0,) * 8, (0,) * 8, (False,) * 8)


@pytest.mark.parametrize("data", [b"", bytes(19), reply(22, b"\3\0\0\0")])
def test_answers_that_are_broken(data: bytes) -> None:
    with answering(data) as connected, pytest.raises(WireError):
        dcb.get(connected, "eth0")


def test_queues_as_text() -> None:
    assert list(render_qos.queue_lines("eth0", "cee", QUEUES)) == [
        "Queues of eth0 (cee)",
        "",
        "Priority        0    1    2    3    4    5    6    7",
        "Group           0    0    1    1    2    2    3    7",
        "",
        "Group           0    1    2    3    4    5    6    7",
        "Bandwidth %    10   20   30    0    0    0    0   40",
        "Strict          0    0    0    1    0    0    0    0",
    ]
    assert render_qos.queue_json("eth0", "cee", QUEUES)["strict"][3] is True


@pytest.mark.parametrize(
    "words",
    [
        ["--get-queue", "lo"],
        ["--get-queue", "no-such-nic"],
        ["--set-queue", "lo", "--pg", "0,1,2,3,4,5,6,7", "--bw", "100,0,0,0,0,0,0,0"],
        ["--get-queue", "lo", "--json"],
    ],
)
def test_qosmap_without_queues(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert qosmap.main(words) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"error: queues of {words[1]}: ")
