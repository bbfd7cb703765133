"""Netlink's own part of generic netlink: attributes, families, refusals, cutting datagrams.

Facts: kernel-datapath.md, sandesh-ksync.md 3.1. Headers and numbers are in host byte order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from agent.errors import WireError
from agent.sandesh.framing import (
    GENL_ID_CTRL,
    NLM_F_REQUEST,
    NLMSG_ERROR,
    SANDESH_REQUEST,
    whole_frames,
)

FAMILY_NAME = "vrouter"
GROUP_NAME = "VRouterGroup"
NESTED = 0x8000

_GETFAMILY, _NEWFAMILY = 3, 1
_CONTROL_REQUEST_VERSION, _CONTROL_ANSWER_VERSION = 1, 2
# CTRL_ATTR_*
_FAMILY_ID, _NAME, _VERSION, _HEADER_SIZE, _MOST_ATTRIBUTES, _OPERATIONS, _GROUPS = range(1, 8)
_GROUP_NAME, _GROUP_ID = 1, 2
_OPERATION_ID, _OPERATION_FLAGS = 1, 2
_ADMIN_DO_POLICY = 0x0B

_ATTRIBUTE = struct.Struct("=HH")
_HEADERS = struct.Struct("=IHHIIBBH")
_HEADER = struct.Struct("=IHHII")
_ERROR = struct.Struct("=i")
_SHORT, _LONG = struct.Struct("=H"), struct.Struct("=I")
_GENERIC_HEADER = 4


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute with its padding."""
    head = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind)
    return head + value + bytes(-len(value) % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind, value) of each attribute. WireError when one does not fit."""
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, offset)
        if not _ATTRIBUTE.size <= size <= len(data) - offset:
            raise WireError(f"a netlink attribute says it has {size} bytes")
        yield kind & ~NESTED, data[offset + _ATTRIBUTE.size : offset + size]
        offset += size + -size % 4


# Families


def family_request(name: str, seq: int = 0, pid: int = 0) -> bytes:
    """CTRL_CMD_GETFAMILY for a family's name."""
    asked = attribute(_NAME, name.encode() + b"\0")
    head = _HEADERS.pack(
        _HEADERS.size + len(asked), GENL_ID_CTRL, NLM_F_REQUEST, seq, pid,
        _GETFAMILY, _CONTROL_REQUEST_VERSION, 0,
    )  # fmt: skip
    return head + asked


def family_answer(payload: bytes) -> int:
    """The family number in CTRL_CMD_NEWFAMILY (generic header and attributes). WireError."""
    for kind, value in attributes(payload[_GENERIC_HEADER:]):
        if kind == _FAMILY_ID and len(value) == _SHORT.size:
            return int(_SHORT.unpack(value)[0])
    raise WireError("the kernel described a family without its number")


def family_asked(payload: bytes) -> str | None:
    """The name in CTRL_CMD_GETFAMILY (generic header and attributes); None: another question."""
    if not payload or payload[0] != _GETFAMILY:
        return None
    try:
        named = dict(attributes(payload[_GENERIC_HEADER:])).get(_NAME)
    except WireError:
        return None
    return None if named is None else named.rstrip(b"\0").decode(errors="replace")


def family_description(number: int, group: int, *, seq: int, pid: int) -> bytes:
    """CTRL_CMD_NEWFAMILY as the module's family is described, the multicast group's id in it."""
    operation = attribute(_OPERATION_ID, _LONG.pack(SANDESH_REQUEST))
    operation += attribute(_OPERATION_FLAGS, _LONG.pack(_ADMIN_DO_POLICY))
    multicast = attribute(_GROUP_ID, _LONG.pack(group))
    multicast += attribute(_GROUP_NAME, GROUP_NAME.encode() + b"\0")
    told = b"".join(
        (
            attribute(_NAME, FAMILY_NAME.encode() + b"\0"),
            attribute(_FAMILY_ID, _SHORT.pack(number)),
            attribute(_VERSION, _LONG.pack(1)),
            attribute(_HEADER_SIZE, _LONG.pack(0)),
            attribute(_MOST_ATTRIBUTES, _LONG.pack(1)),
            attribute(_OPERATIONS, attribute(1, operation)),
            attribute(_GROUPS, attribute(1, multicast)),
        )
    )
    return (
        _HEADERS.pack(
            _HEADERS.size + len(told), GENL_ID_CTRL, 0, seq, pid,
            _NEWFAMILY, _CONTROL_ANSWER_VERSION, 0,
        )
        + told
    )  # fmt: skip


# Refusals


def refusal(payload: bytes) -> int:
    """The errno in an NLMSG_ERROR's payload; 0: it is none. WireError: cut short."""
    if len(payload) < _ERROR.size:
        raise WireError("the kernel sent an error without its number")
    return abs(int(_ERROR.unpack_from(payload)[0]))


def refused_type(payload: bytes) -> int:
    """The type of the message that an NLMSG_ERROR's payload refuses; 0 when it is not told."""
    if len(payload) < _ERROR.size + _HEADER.size:
        return 0
    return int(_HEADER.unpack_from(payload, _ERROR.size)[1])


def refusal_frame(errno: int, request: bytes, *, pid: int) -> bytes:
    """NLMSG_ERROR for a request (its whole frame, which the kernel sends back)."""
    seq = _HEADER.unpack_from(request)[3]
    told = _ERROR.pack(-errno) + request
    size = _HEADER.size + len(told)
    return _HEADER.pack(size, NLMSG_ERROR, 0, seq, pid) + told + bytes(-size % 4)


# Frames in one piece of bytes


def split_requests(data: bytes | memoryview, family: int) -> list[bytes]:
    """The frames of a stream, one datagram each, with `family` as their type. WireError.

    A stream datapath takes any family number; the kernel's is known only on connecting.
    """
    number = _SHORT.pack(family)
    return [b"".join((frame[:4], number, frame[6:])) for frame in whole_frames(bytes(data))]


def split_datagram(data: bytes) -> list[bytes]:
    """The netlink messages of one datagram, without the padding between. WireError."""
    if len(data) >= _HEADER.size and _LONG.unpack_from(data)[0] == len(data):
        return [data]
    messages, offset = [], 0
    while len(data) - offset >= _HEADER.size:
        (size,) = _LONG.unpack_from(data, offset)
        if not _HEADER.size <= size <= len(data) - offset:
            raise WireError(f"a netlink message of {size} bytes in {len(data) - offset}")
        messages.append(data[offset : offset + size])
        offset += size + -size % 4
    return messages
