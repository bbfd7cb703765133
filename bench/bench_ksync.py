"""Routes from `apply` to "in sync" through the whole ksync core, beside its encoding alone.

No other agent's core can be run here; the ceiling is `encode_many` of the same messages,
which is what remains when all bookkeeping is free.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import cycle
from typing import Any

from agent.ksync import Session
from agent.ksync.bulk import Channel
from agent.objects import Desired, Key, Kind
from agent.sandesh.framing import FrameReader, reply_frame
from agent.sandesh.vrouter import (
    VrNexthopReq,
    VrouterOps,
    VrResponse,
    VrRouteReq,
    decode_messages,
    encode_many,
)

ROUTES = 50_000
NEXTHOP = Desired(
    Key(Kind.NEXTHOP, "discard"), (), VrNexthopReq(nhr_id=1, nhr_type=5, nhr_family=2, nhr_flags=1)
)
ACK = VrResponse(h_op=4).encode()
PER_FRAME = 16
_REQUEST = re.compile(rb"\0\0\0.vr_(?:route|nexthop|interface|mpls|vxlan|vrf)_req", re.DOTALL)


@cache
def routes(generation: int) -> tuple[Desired, ...]:
    """Host routes through one nexthop; another generation has other labels."""
    return tuple(
        Desired(
            Key(Kind.INET_ROUTE, (1, number)),
            (NEXTHOP.key,),
            VrRouteReq(
                rtr_vrf_id=1,
                rtr_family=2,
                rtr_prefix=(0x0A000000 + number).to_bytes(4, "big"),
                rtr_prefix_len=32,
                rtr_nh_id=1,
                rtr_label=16 + generation,
                rtr_label_flags=1,
            ),
        )
        for number in range(ROUTES)
    )


class Acknowledger:
    """The cheapest datapath: says yes to every message of a frame, without decoding it."""

    def __init__(self) -> None:
        self._more, self._last = (
            reply_frame(ACK, family=24, seq=0, more=more) for more in (True, False)
        )

    def answer(self, data: bytes) -> bytes:
        replies = []
        at = 0
        while at < len(data):
            end = at + int.from_bytes(data[at : at + 4], "little")
            seq = data[at + 8 : at + 12]
            more = self._more[:8] + seq + self._more[12:]
            last = self._last[:8] + seq + self._last[12:]
            count = len(_REQUEST.findall(data, at, end)) or 1
            replies.append(more * (count - 1) + last)
            at = end
        return b"".join(replies)


def connected() -> Session:
    """A session on an empty datapath."""
    session = Session(pid=1)
    session.connected(0.0)
    limits = ACK + VrouterOps().encode()
    data = session.data_to_send()
    while not session.running:
        seq = int.from_bytes(data[8:12], "little")
        body = limits if b"vrouter_ops" in data else ACK
        session.receive(reply_frame(body, family=24, seq=seq, more=False), 0.0)
        data = session.data_to_send()
    return session


def opened() -> Session:
    """A session on an empty datapath that has one nexthop."""
    session = connected()
    session.apply([NEXTHOP], [], 0.0)
    session.complete(0.0)
    carry(session)
    return session


def carry(session: Session) -> None:
    datapath = Acknowledger()
    while data := session.data_to_send():
        session.receive(datapath.answer(data), 0.0)


def program(session: Session, objects: tuple[Desired, ...]) -> None:
    session.apply(objects, (), 0.0)
    carry(session)


def withdraw(session: Session, keys: list[Key]) -> None:
    session.apply((), keys, 0.0)
    carry(session)


def test_program_routes(contest: Any) -> None:
    session = opened()
    program(session, routes(0))
    assert session.in_sync
    assert session.counters.acks == ROUTES + 1
    contest("ksync: programme a route", "vrouter", per=ROUTES, aim_ns=20_000).pedantic(
        program, setup=lambda: ((opened(), routes(0)), {}), rounds=5, iterations=1
    )


def test_program_routes_ceiling(contest: Any) -> None:
    messages = [each.message for each in routes(0)]
    frames = [messages[at : at + PER_FRAME] for at in range(0, ROUTES, PER_FRAME)]
    contest("ksync: programme a route", "encode_many alone", per=ROUTES)(
        lambda: [encode_many(frame) for frame in frames]
    )


def test_change_routes(contest: Any) -> None:
    session = opened()
    program(session, routes(0))
    generations = cycle((1, 0))
    contest("ksync: change a route", "vrouter", per=ROUTES, aim_ns=20_000).pedantic(
        program, setup=lambda: ((session, routes(next(generations))), {}), rounds=6
    )
    assert session.in_sync


def test_withdraw_routes(contest: Any) -> None:
    keys = [each.key for each in routes(0)]

    def full() -> tuple[tuple[Session, list[Key]], dict[str, Any]]:
        session = opened()
        program(session, routes(0))
        return (session, keys), {}

    contest("ksync: withdraw a route", "vrouter", per=ROUTES, aim_ns=20_000).pedantic(
        withdraw, setup=full, rounds=5, iterations=1
    )


@cache
def acknowledged() -> bytes:
    """The reply to one frame of 16 requests, all accepted."""
    parts = [reply_frame(ACK, family=24, seq=1, more=i < PER_FRAME - 1) for i in range(PER_FRAME)]
    return b"".join(parts)


def matched() -> int:
    channel: Channel[int] = Channel(family=24, pid=1)
    channel.send(range(PER_FRAME), b"", 0.0)
    return sum(len(each.tokens) for each in channel.receive(acknowledged(), 0.0))


def decoded() -> int:
    reader = FrameReader()
    reader.feed(acknowledged())
    return sum(len(decode_messages(frame.payload)) for frame in reader)


def test_match_replies(contest: Any) -> None:
    assert matched() == PER_FRAME
    contest("ksync: match an acknowledgement", "vrouter", per=PER_FRAME)(matched)


def test_match_replies_ceiling(contest: Any) -> None:
    assert decoded() == PER_FRAME
    contest("ksync: match an acknowledgement", "framing and decoding alone", per=PER_FRAME)(decoded)
