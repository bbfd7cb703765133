"""Reply payloads: acknowledgements, objects, pages of a dump.

Facts: sandesh-ksync.md 3.4. Each payload becomes one frame.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence

from agent.sandesh.answers import DUMP_INCOMPLETE
from agent.sandesh.vrouter import Message, SandeshOp, VrResponse, encode_many

PAGE_SIZE = 3968

Replies = list[bytes]

NO_REPLY: Replies = []


def _response(code: int) -> bytes:
    return VrResponse(h_op=SandeshOp.RESPONSE, resp_code=code).encode()


_DONE = _response(0)


def ack(code: int = 0) -> Replies:
    """A plain answer: 0, or a negative errno."""
    return [_DONE if code == 0 else _response(code)]


def found(*objects: Message, code: int = 0) -> Replies:
    """The code and the objects in one message."""
    return [_response(code) + encode_many(objects)]


def page(objects: Iterable[Message]) -> Replies:
    """One page of a dump: how many (and whether there are more), then the objects.

    Takes from `objects` what fits; the first object always goes.
    """
    return page_of_groups((message,) for message in objects)


def page_of_groups(groups: Iterable[Sequence[Message]]) -> Replies:
    """As `page`, with several objects at each marker: they go on the same page."""
    taken: list[bytes] = []
    count = 0
    room = PAGE_SIZE
    more = False
    for group in groups:
        encoded = encode_many(group)
        if taken and len(encoded) > room:
            more = True
            break
        room -= len(encoded)
        count += len(group)
        taken.append(encoded)
    if not taken:
        return ack()
    code = count | (DUMP_INCOMPLETE if more else 0)
    return [_response(code), b"".join(taken)]


EINVAL = -errno.EINVAL
ENOENT = -errno.ENOENT
ENODEV = -errno.ENODEV
EEXIST = -errno.EEXIST
EOPNOTSUPP = -errno.EOPNOTSUPP
EIO = -errno.EIO
UNDECODABLE = -1
"""What a datapath answers to bytes that are no message; a client reads EPERM."""
