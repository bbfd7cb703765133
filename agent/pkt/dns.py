"""DNS messages (RFC 1035): the header and the questions."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from agent.errors import PacketError

_HEADER = struct.Struct(">6H")
_MAX_POINTERS = 16
_MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class Question:
    """One question; `name` is text without the final dot, "." for the root."""

    name: str
    type: int
    klass: int


@dataclass(frozen=True, slots=True)
class DnsMessage:
    """The header fields and questions of a message."""

    xid: int
    response: bool
    opcode: int
    recursion_desired: bool
    checking_disabled: bool
    questions: tuple[Question, ...]


def _name(data: bytes, at: int) -> tuple[str, int]:
    """Read a name; returns it and where reading goes on behind it."""
    labels: list[str] = []
    behind = -1
    pointers = size = 0
    while True:
        if at >= len(data):
            raise PacketError("dns-question-truncated", "dns")
        length = data[at]
        if length == 0:
            return ".".join(labels) or ".", at + 1 if behind < 0 else behind
        if length & 0xC0 == 0xC0:
            if at + 2 > len(data):
                raise PacketError("dns-question-truncated", "dns")
            pointers += 1
            if pointers > _MAX_POINTERS:
                raise PacketError("dns-name-loop", "dns")
            behind = at + 2 if behind < 0 else behind
            at = (length & 0x3F) << 8 | data[at + 1]
            continue
        size += length + 1
        if length > 63 or size > _MAX_NAME:
            raise PacketError("dns-bad-name", "dns")
        if at + 1 + length > len(data):
            raise PacketError("dns-question-truncated", "dns")
        labels.append(data[at + 1 : at + 1 + length].decode("latin-1"))
        at += 1 + length


def parse(data: bytes) -> DnsMessage:
    """Decode the payload of a DNS datagram.

    PacketError with layer "dns" and reason "dns-short" (no more than a header),
    "dns-question-truncated", "dns-name-loop" or "dns-bad-name".
    """
    if len(data) <= _HEADER.size:
        raise PacketError("dns-short", "dns")
    xid, flags, count, _, _, _ = _HEADER.unpack_from(data)
    questions: list[Question] = []
    at = _HEADER.size
    for _ in range(count):
        name, at = _name(data, at)
        if at + 4 > len(data):
            raise PacketError("dns-question-truncated", "dns")
        kind, klass = struct.unpack_from(">2H", data, at)
        questions.append(Question(name, kind, klass))
        at += 4
    return DnsMessage(
        xid,
        bool(flags & 0x8000),
        flags >> 11 & 15,
        bool(flags & 0x0100),
        bool(flags & 0x0010),
        tuple(questions),
    )
