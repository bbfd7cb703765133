"""The stream to a collector: frames of a header and a message, both XML.

`<sandesh length="NNNNNNNNNN">`, the struct SandeshHeader, the message, `</sandesh>`: the ten
digits are the length of the whole frame in bytes (facts oper-db.md 6.4). The numbers of hints
are those of the field.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from agent.errors import WireError
from agent.sandesh import xml

MOST_ANSWER = 1 << 20
"""Bytes of a frame that a collector may send: its answers are a few kilobytes."""

MODULE = "contrail-vrouter-agent"
NODE_TYPE = "Compute"
INSTANCE = "0"

_OPENING = re.compile(rb'<sandesh length="([0-9]{10})">')
_OPENING_SIZE = len('<sandesh length="0123456789">')
_CLOSING = b"</sandesh>"


class Type(IntEnum):
    """Kinds of messages, as the header has them (SandeshType)."""

    SYSTEM = 1
    REQUEST = 2
    UVE = 6
    OBJECT = 7
    SESSION = 12


class Level(IntEnum):
    """How urgent a message is, the lower the more (SandeshLevel)."""

    EMERG = 0
    ALERT = 1
    CRIT = 2
    ERR = 3
    WARN = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7
    UVE = 100


class Hint(IntFlag):
    """What a receiver is to know before it reads a message."""

    NONE = 0
    KEY = 1
    """It has a key of a table."""
    CONTROL = 2
    """It is of the handshake."""
    SYNC = 4
    """It was told before, perhaps to another collector."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sends: the host's name, its address for others, the process."""

    host: str
    pid: int
    http_port: int = 0
    address: str = ""

    @property
    def generator(self) -> str:
        """The name by which collectors know the process."""
        return f"{self.host}:{NODE_TYPE}:{MODULE}:{INSTANCE}"


@dataclass(frozen=True, slots=True)
class Header:
    """What is said of one message; `timestamp` in microseconds since 1970."""

    timestamp: int
    sequence: int
    type: Type
    level: Level
    hints: Hint = Hint.NONE
    context: str = ""
    category: str = ""


def frame(identity: Identity, header: Header, message: str) -> bytes:
    """One message, in XML, as a frame."""
    kind = header.type, header.level, header.hints, header.context, header.category
    before, between, after = _head(identity, *kind)
    sequence = header.sequence & 0x7FFFFFFF
    text = f"{before}{header.timestamp}{between}{sequence}{after}{message}"
    content = text.encode()
    length = _OPENING_SIZE + len(content) + len(_CLOSING)
    return b'<sandesh length="%010d">%b%b' % (length, content, _CLOSING)


@functools.lru_cache(256)
def _head(
    identity: Identity, type_: Type, level: Level, hints: Hint, context: str, category: str
) -> tuple[str, str, str]:
    """A header but for its time and number: what is before, between and after them."""
    text = xml.struct(
        "SandeshHeader",
        {
            "Module": MODULE,
            "Source": identity.host,
            "Context": context,
            "Type": type_,
            "Hints": hints,
            "Level": level,
            "Category": category,
            "NodeType": NODE_TYPE,
            "InstanceId": INSTANCE,
            "IPAddress": identity.address or None,
            "Pid": identity.pid,
        },
    )
    # No text of others has a bare quotation mark: these places are the fields themselves.
    before, _, rest = text.partition('identifier="2">0<')
    between, _, after = rest.partition('identifier="6">0<')
    return f'{before}identifier="2">', f'<{between}identifier="6">', f"<{after}"


class FrameReader:
    """Cuts a stream into frames, holding no more than one of `most` bytes."""

    def __init__(self, most: int = MOST_ANSWER) -> None:
        self._most = most
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that are complete now, tags and all. WireError where no frame begins."""
        self._rest += data
        while size := self._size():
            one = bytes(self._rest[:size])
            if not one.endswith(_CLOSING):
                raise WireError(f"a frame of {size} bytes that does not end with </sandesh>")
            del self._rest[:size]
            yield one

    def _size(self) -> int:
        """The length of the first frame; 0 while it is not complete."""
        head = bytes(self._rest[:_OPENING_SIZE])
        if len(head) < _OPENING_SIZE:
            if not b'<sandesh length="'.startswith(head[:17]):
                raise WireError(f"not the beginning of a frame: {head!r}")
            return 0
        found = _OPENING.fullmatch(head)
        if found is None:
            raise WireError(f"not the beginning of a frame: {head!r}")
        size = int(found[1])
        if not _OPENING_SIZE + len(_CLOSING) <= size <= self._most:
            raise WireError(f"a frame of {size} bytes")
        return size if len(self._rest) >= size else 0
