"""Requests packed into frames, replies matched to them by sequence and position.

A frame carries up to 16 messages under one sequence number. The datapath answers in
order: every vr_response starts the result of the next request, objects that follow belong
to it, and a netlink message without NLM_F_MULTI ends the whole reply (facts
sandesh-ksync.md 3.3 to 3.6). Whatever does not fit raises `Desync`: the connection is
then useless and must be made anew.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar, cast

from agent._fast.records import accepted
from agent.errors import WireError
from agent.histogram import Histogram
from agent.objects import DatapathMessage
from agent.sandesh.framing import (
    GENL_ID_CTRL,
    MAX_PAYLOAD,
    NLMSG_DONE,
    NLMSG_ERROR,
    Frame,
    FrameReader,
    request_frame,
)
from agent.sandesh.genetlink import refusal
from agent.sandesh.vrouter import Message, VrResponse, decode_messages, encode_many

T = TypeVar("T")

MESSAGES_PER_FRAME = 16
WINDOW = 200
"""Outstanding frames above which sending pauses (facts sandesh-ksync.md 3.6)."""

_SEQ_END = 0xFFFFFFFF
_UNASKED = 0

# The one answer that comes a hundred thousand times: vr_response up to its code.
_ACCEPTED = VrResponse(h_op=4).encode()
_PLAIN_ACK, _PLAIN_ACK_LENGTH = _ACCEPTED[:25], len(_ACCEPTED)


class Desync(WireError):
    """Replies no longer match the requests: only a new connection helps."""


class Result(NamedTuple, Generic[T]):
    """The outcome of one request: `code` is negative errno, 0, or a dump's count."""

    token: T
    code: int
    objects: tuple[DatapathMessage, ...]


class Accepted(NamedTuple, Generic[T]):
    """All requests of a frame succeeded, and nothing else was said."""

    tokens: Sequence[T]


class Told(NamedTuple):
    """What the datapath says unasked, under the sequence number 0 that no request has."""

    objects: tuple[DatapathMessage, ...]


class Packed(NamedTuple, Generic[T]):
    """Payloads ready to be framed, and the requests that cannot be sent, with their errno."""

    payloads: list[tuple[list[T], bytes]]
    refused: list[tuple[T, int]]


class _Context(Generic[T]):
    """An outstanding frame: whose requests it carries and how far the reply has come."""

    __slots__ = ("code", "next", "objects", "sent", "seq", "tokens")

    def __init__(self, seq: int, tokens: Sequence[T], sent: float) -> None:
        self.seq = seq
        self.tokens = tokens
        self.sent = sent
        self.next = 0  # results started so far
        self.code = 0  # of the result under way
        self.objects: list[DatapathMessage] = []


def pack(tokens: Sequence[T], messages: Sequence[DatapathMessage]) -> Packed[T]:
    """Encode `messages`, one a token, into as few payloads as the attribute length allows.

    Their members were checked when the messages were made: only length can be wrong.
    """
    payload = encode_many(cast("Sequence[Message]", messages))
    if len(payload) <= MAX_PAYLOAD:
        return Packed([(list(tokens), payload)], [])
    return _pack_singly(zip(tokens, messages, strict=True))


def _pack_singly(items: Iterable[tuple[T, DatapathMessage]]) -> Packed[T]:
    packed: Packed[T] = Packed([], [])
    room = 0
    for token, message in items:
        payload = message.encode()
        if len(payload) > MAX_PAYLOAD:
            packed.refused.append((token, errno.EMSGSIZE))
        elif packed.payloads and len(payload) <= room:
            tokens, before = packed.payloads[-1]
            packed.payloads[-1] = ([*tokens, token], before + payload)
            room -= len(payload)
        else:
            packed.payloads.append(([token], payload))
            room = MAX_PAYLOAD - len(payload)
    return packed


def _rejection(payload: bytes) -> str:
    number = refusal(payload)
    name = errno.errorcode.get(number, str(number))
    return f"{name} (it asks for CAP_NET_ADMIN)" if number == errno.EPERM else name


class Channel(Generic[T]):
    """One connection's requests and replies; knows nothing of what they mean.

    `latency` is told how long each frame waited for the end of its reply.
    """

    def __init__(
        self, *, family: int, pid: int, window: int = WINDOW, latency: Histogram | None = None
    ) -> None:
        self.latency = latency or Histogram()
        self._family = family
        self._pid = pid
        self._window = window
        self._seq = 0
        self._reader = FrameReader()
        self._outstanding: deque[_Context[T]] = deque()
        self.waiting_since: float | None = None

    def __len__(self) -> int:
        """Frames whose reply is not complete."""
        return len(self._outstanding)

    def reset(self) -> None:
        """Forget everything outstanding: a new connection begins."""
        self._reader = FrameReader()
        self._outstanding.clear()
        self.waiting_since = None

    @property
    def has_room(self) -> bool:
        return len(self._outstanding) < self._window

    def send(self, tokens: Sequence[T], payload: bytes, now: float) -> bytes:
        """The frame for `payload`, which holds one request for each of `tokens`."""
        self._seq = self._seq + 1 if self._seq + 1 < _SEQ_END else 1
        if not self._outstanding:
            self.waiting_since = now
        self._outstanding.append(_Context(self._seq, tokens, now))
        return request_frame(payload, family=self._family, seq=self._seq, pid=self._pid)

    def receive(self, data: bytes, now: float) -> Iterator[Result[T] | Accepted[T] | Told]:
        """Yield the results that `data` completes, in order. Raises WireError (Desync)."""
        self._reader.feed(data)
        yield from self._accepted(now)
        while frame := self._reader.next_frame():
            if frame.seq == _UNASKED and frame.type > GENL_ID_CTRL:
                yield _told(frame.payload)
            else:
                yield from self._part(frame, now)
            yield from self._accepted(now)

    def _part(self, frame: Frame, now: float) -> Iterator[Result[T]]:
        """One part of the reply to the first outstanding frame."""
        if not self._outstanding or frame.seq != self._outstanding[0].seq:
            raise Desync(f"a reply with sequence {frame.seq} was not awaited")
        if frame.type == NLMSG_ERROR:
            raise Desync(f"the datapath rejected a whole frame: {_rejection(frame.payload)}")
        context = self._outstanding[0]
        payload = frame.payload
        if len(payload) == _PLAIN_ACK_LENGTH and payload.startswith(_PLAIN_ACK):
            code = int.from_bytes(payload[25:29], "big", signed=True)
            before = self._start(context, code)
            if before is not None:
                yield before
        elif frame.type != NLMSG_DONE:
            yield from self._objects(context, payload)
        if not frame.more:
            yield self._finish(context, now)

    def _accepted(self, now: float) -> Iterator[Accepted[T]]:
        """The frames at the start of what arrived to which the datapath said nothing but yes."""
        while self._outstanding:
            context = self._outstanding[0]
            if context.next:
                return  # in the midst of it
            size = accepted(self._reader.waiting, _ACCEPTED, context.seq, len(context.tokens))
            if not size:
                return
            self._reader.skip(size)
            self._done(now)
            yield Accepted(context.tokens)

    def _done(self, now: float) -> None:
        self.latency.observe(now - self._outstanding.popleft().sent)
        self.waiting_since = now if self._outstanding else None

    def _start(self, context: _Context[T], code: int) -> Result[T] | None:
        """A vr_response: starts the next result. Returns the one that it ends, if any."""
        started = context.next
        if started >= len(context.tokens):
            raise Desync(f"more than {len(context.tokens)} answers to frame {context.seq}")
        before = self._result(context) if started else None
        context.next = started + 1
        context.code = code
        return before

    def _objects(self, context: _Context[T], payload: bytes) -> Iterator[Result[T]]:
        for message in decode_messages(payload):
            if isinstance(message, VrResponse):
                before = self._start(context, message.resp_code)
                if before is not None:
                    yield before
            elif context.next:
                context.objects.append(message)
            else:
                raise Desync(f"the reply to frame {context.seq} begins without vr_response")

    def _finish(self, context: _Context[T], now: float) -> Result[T]:
        if context.next != len(context.tokens):
            raise Desync(
                f"{context.next} answers to the {len(context.tokens)} requests"
                f" of frame {context.seq}"
            )
        self._done(now)
        return self._result(context)

    @staticmethod
    def _result(context: _Context[T]) -> Result[T]:
        objects: tuple[DatapathMessage, ...] = ()
        if context.objects:
            objects = tuple(context.objects)
            context.objects = []
        return Result(context.tokens[context.next - 1], context.code, objects)


def _told(payload: bytes) -> Told:
    """The objects of an announcement, without the vr_response that may lead it. WireError."""
    found = decode_messages(payload)
    return Told(tuple(one for one in found if not isinstance(one, VrResponse)))
