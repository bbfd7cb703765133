"""The compiled steps of routes: identities, and replies that say nothing but yes."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent._fast.records import Ledger, accepted, route_identity
from agent.errors import BugError
from agent.objects import Desired, Identity, Key, Kind
from agent.sandesh.framing import kernel_reply_frames, reply_frame
from agent.sandesh.vrouter import VrMplsReq, VrResponse, VrRouteReq

ACK = VrResponse(h_op=4).encode()


def route(prefix: bytes, plen: int, **fields: int) -> VrRouteReq:
    family = 2 if len(prefix) == 4 else 10
    return VrRouteReq(rtr_family=family, rtr_prefix=prefix, rtr_prefix_len=plen, **fields)


def masked(prefix: bytes, plen: int) -> bytes:
    spare = 8 * len(prefix) - plen
    return (int.from_bytes(prefix, "big") >> spare << spare).to_bytes(len(prefix), "big")


@given(st.sampled_from([4, 16]).flatmap(lambda n: st.binary(min_size=n, max_size=n)), st.data())
def test_a_route_is_named_without_its_host_bits(prefix: bytes, data: st.DataObject) -> None:
    plen = data.draw(st.integers(0, 8 * len(prefix)))
    found = route_identity(route(prefix, plen, rtr_vrf_id=7))
    family = 2 if len(prefix) == 4 else 10
    assert found == Identity(Kind.INET_ROUTE, (7, family, masked(prefix, plen), plen))
    assert type(found) is Identity


@pytest.mark.parametrize("plen", [-1, 33])
def test_a_prefix_that_cannot_be_is_a_bug(plen: int) -> None:
    with pytest.raises(BugError):
        route_identity(route(bytes(4), plen))


def test_a_bridge_route_is_named_by_its_mac() -> None:
    message = VrRouteReq(rtr_family=7, rtr_vrf_id=3, rtr_mac=b"\2\0\0\0\0\1")
    assert route_identity(message) == Identity(Kind.BRIDGE_ROUTE, (3, b"\2\0\0\0\0\1"))


def test_only_new_routes_with_known_references_are_taken() -> None:
    ledger, queue = Ledger(), deque()
    lost, other = Key(Kind.NEXTHOP, "lost"), Key(Kind.LABEL, "other")
    mine = Desired(Key(Kind.INET_ROUTE, "mine"), (), route(b"\x0a\0\0\0", 8))
    changes = [
        mine,
        Desired(Key(Kind.INET_ROUTE, "again"), (), route(b"\x0a\1\1\1", 8)),
        Desired(Key(Kind.INET_ROUTE, "wrong"), (), route(bytes(4), 33)),
        Desired(Key(Kind.INET_ROUTE, "waits"), (lost,), route(bytes(4), 0)),
        Desired(other, (), VrMplsReq()),
        mine,
    ]
    assert ledger.admit(changes, queue, True) == (changes[1:], 1, 0)
    assert [record.key for record in queue] == [mine.key]
    assert ledger.lengths == {(0, 2): [0] * 8 + [1] + [0] * 24}
    assert ledger.occupants == {0: 1}


def reply(seq: int, count: int, **fields: int) -> bytearray:
    parts = (reply_frame(ACK, family=24, seq=seq, more=i < count - 1) for i in range(count))
    return bytearray(b"".join(parts))


@given(st.integers(1, 20), st.integers(1, 0xFFFFFFFE), st.binary(max_size=60))
def test_yes_to_all_is_recognised(count: int, seq: int, behind: bytes) -> None:
    data = reply(seq, count)
    assert accepted(data + behind, ACK, seq, count) == len(data)
    assert accepted(data[:-1], ACK, seq, count) == 0
    assert accepted(data, ACK, seq + 1, count) == 0
    assert accepted(data, ACK, seq, count + 1) == 0
    assert accepted(data, ACK, seq, 0) == 0


@given(st.integers(1, 20), st.integers(1, 0xFFFFFFFE), st.booleans(), st.binary(max_size=60))
def test_the_kernels_yes_is_recognised(
    count: int, seq: int, announced: bool, behind: bytes
) -> None:
    """Padded parts, and DONE after several or an announced one."""
    frames = kernel_reply_frames([ACK] * count, family=32, seq=seq, pid=7, multi=announced)
    data = bytearray(b"".join(frames))
    assert accepted(data + behind, ACK, seq, count) == len(data)
    assert accepted(data[:-1], ACK, seq, count) == 0
    assert accepted(data, ACK, seq + 1, count) == 0
    assert accepted(data, ACK, seq, count + 1) == 0
    if len(frames) > count:
        other_end = kernel_reply_frames([], family=32, seq=seq + 1, pid=7, multi=True)[0]
        assert accepted(data[:-16] + other_end, ACK, seq, count) == 0


@given(st.integers(1, 3), st.data())
def test_anything_else_is_not(count: int, data: st.DataObject) -> None:
    whole = reply(9, count)
    at = data.draw(st.integers(0, len(whole) - 1))
    flaw = data.draw(st.integers(1, 255))
    unread = range(12, 20), range(22, 24)  # the sender's number, versions, the attribute's type
    told = at % 54 in (4, 5, 6, 7, 20, 21) or any(at % 54 in part for part in unread)
    whole[at] ^= flaw
    if not told:  # those may still say the same
        assert accepted(whole, ACK, 9, count) == 0
