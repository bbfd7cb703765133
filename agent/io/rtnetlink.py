"""What rtnetlink tells of the host's interfaces, as far as the agent asks for it.

In: datagrams of NETLINK_ROUTE, host byte order (rtnetlink(7)). Out: what is in them. Parsed here
because a library for all of rtnetlink takes longer to load than the rest of a small agent.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from agent.errors import WireError
from agent.sandesh.genetlink import attributes

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTMGRP_LINK = 1
_REQUEST_DUMP = 0x301
_HEADER = struct.Struct("=IHHII")
_BODY = struct.Struct("=BxHiII")
_ADDRESS, _NAME = 1, 3


class RouteMessage(NamedTuple):
    """A netlink message; `body` is what follows its header."""

    type: int
    sequence: int
    body: bytes


class LinkFields(NamedTuple):
    """Of RTM_NEWLINK or RTM_DELLINK; `name` and `address` are empty where they are not told."""

    family: int
    number: int
    flags: int
    name: str
    address: bytes


def link_dump(sequence: int) -> bytes:
    """Ask for all links."""
    return _HEADER.pack(32, RTM_GETLINK, _REQUEST_DUMP, sequence, 0) + bytes(_BODY.size)


def messages(data: bytes) -> Iterator[RouteMessage]:
    """The messages of a datagram. WireError when one does not fit into it."""
    offset = 0
    while offset < len(data):
        if len(data) - offset < _HEADER.size:
            raise WireError("a netlink message without its header")
        size, kind, _, sequence, _ = _HEADER.unpack_from(data, offset)
        if not _HEADER.size <= size <= len(data) - offset:
            raise WireError(f"a netlink message says it has {size} bytes")
        yield RouteMessage(kind, sequence, data[offset + _HEADER.size : offset + size])
        offset += size + -size % 4


def link_fields(body: bytes) -> LinkFields:
    """What a message says of a link. WireError when it is cut short."""
    if len(body) < _BODY.size:
        raise WireError("a link without its fields")
    family, _, number, flags, _ = _BODY.unpack_from(body)
    found = dict(attributes(body[_BODY.size :]))
    name = found.get(_NAME, b"").rstrip(b"\0").decode(errors="surrogateescape")
    return LinkFields(family, number, flags, name, found.get(_ADDRESS, b""))
