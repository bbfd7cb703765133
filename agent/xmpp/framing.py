"""Cutting the byte stream of a control node into stanzas (facts xmpp-ifmap.md 1.2, 1.5).

The dialect is framed by scanning, not by parsing: stanzas are the texts from `<iq` or
`<message` to the matching end tag, between them stand only filler bytes (keepalives), and
each configuration stanza carries an XML declaration, which a parser of the whole stream
would refuse. So route messages can be taken out as bytes before any tree is built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto

from agent.errors import WireError

MAX_STANZA = 4 << 20
MAX_TAGS = 1 << 18
MAX_OPEN_TAG = 4096
_MAX_CLOSE_TAG = 64
_MAX_DECLARATION = 128
_MAX_CONTROL = 1024

_FILLER = re.compile(rb"[ \t\r\n\xc8\x80]+")
_START_TAG = re.compile(rb"""<[a-z:]+(?=[\s/>])(?:[^<>"']|"[^"<]*"|'[^'<]*')*>""")
_TO = re.compile(rb"""\sto\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_SPACE = b" \t\r\n"
_ROUTES_RESOURCE = b"bgp-peer"


class Part(Enum):
    """What a piece of the stream is."""

    HEADER = auto()
    """The open tag of the stream."""
    FILLER = auto()
    """A run of keepalive or blank bytes."""
    ROUTES = auto()
    """A whole `message` to the resource bgp-peer."""
    STANZA = auto()
    """Any other whole `iq` or `message`, without its XML declaration."""
    FEATURES = auto()
    PROCEED = auto()
    END = auto()
    """The end tag of the stream; nothing follows."""


_BEGINNINGS = (
    b"<?xml",
    b"<iq",
    b"<message",
    b"<stream:stream",
    b"</stream:stream",
    b"<stream:features",
    b"<proceed",
)
_BEFORE_HEADER = frozenset((b"<?xml", b"<stream:stream"))


class Framer:
    """Pieces of one stream, in order. Holds at most one unfinished stanza.

    WireError if the bytes are not of the dialect or a bound is passed (`limit` bytes or
    MAX_TAGS tags a stanza); the stream is then unusable.
    """

    def __init__(self, limit: int = MAX_STANZA) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._start = 0
        self._scanned = 0
        self._opened = False
        self._declared = False
        """An XML declaration was skipped: the blanks behind it are no keepalive."""

    def feed(self, data: bytes) -> Iterator[tuple[Part, bytes]]:
        """Take received bytes; give the pieces that they complete."""
        self._buffer += data
        while (piece := self._next()) is not None:
            yield piece
        del self._buffer[: self._start]
        self._scanned = max(0, self._scanned - self._start)
        self._start = 0

    def _next(self) -> tuple[Part, bytes] | None:
        while True:
            filler = _FILLER.match(self._buffer, self._start)
            if filler:
                self._start = filler.end()
                if not self._declared:
                    return Part.FILLER, filler[0]
                continue
            beginning = self._beginning()
            if beginning != b"<?xml":
                return self._piece(beginning) if beginning else None
            if not self._skip_declaration():
                return None

    def _beginning(self) -> bytes | None:
        """Which known text stands here; None if there are too few bytes to tell."""
        for text in _BEGINNINGS:
            if self._buffer.startswith(text, self._start):
                if not self._allowed(text):
                    raise WireError(f"{text.decode()} does not belong here")
                return text
        rest = bytes(self._buffer[self._start : self._start + 20])
        if any(text.startswith(rest) for text in _BEGINNINGS):
            return None
        raise WireError(f"{rest!r} begins no stanza")

    def _allowed(self, beginning: bytes) -> bool:
        if self._opened:
            return beginning != b"<stream:stream"
        return beginning in _BEFORE_HEADER

    def _piece(self, beginning: bytes) -> tuple[Part, bytes] | None:
        match beginning:
            case b"<iq" | b"<message":
                return self._stanza(beginning[1:])
            case b"<stream:stream":
                return self._header()
            case b"</stream:stream":
                return self._until(b">", Part.END)
            case b"<stream:features":
                return self._until(b"</stream:features>", Part.FEATURES)
        return self._until(b"/>", Part.PROCEED)

    def _skip_declaration(self) -> bool:
        end = self._buffer.find(b"?>", self._start, self._start + _MAX_DECLARATION)
        if end < 0:
            if len(self._buffer) - self._start >= _MAX_DECLARATION:
                raise WireError("endless XML declaration")
            return False
        self._start = end + 2
        self._declared = True
        return True

    def _until(self, end: bytes, part: Part) -> tuple[Part, bytes] | None:
        found = self._buffer.find(end, self._start, self._start + _MAX_CONTROL)
        if found < 0:
            if len(self._buffer) - self._start >= _MAX_CONTROL:
                raise WireError(f"no {end.decode()} within {_MAX_CONTROL} bytes")
            return None
        return part, self._take(found + len(end))

    def _header(self) -> tuple[Part, bytes] | None:
        end = self._start_tag()
        if end is None:
            return None
        self._opened = True
        return Part.HEADER, self._take(end)

    def _start_tag(self) -> int | None:
        tag = _START_TAG.match(self._buffer, self._start, self._start + MAX_OPEN_TAG)
        if tag:
            return tag.end()
        if len(self._buffer) - self._start >= MAX_OPEN_TAG:
            raise WireError(f"no end of a start tag within {MAX_OPEN_TAG} bytes")
        return None

    def _stanza(self, name: bytes) -> tuple[Part, bytes] | None:
        start, tag_end = self._start, self._start_tag()
        if tag_end is None:
            return None
        tag = bytes(self._buffer[start:tag_end])
        end = tag_end if tag.endswith(b"/>") else self._end_tag(name, tag_end)
        if (end or len(self._buffer)) - start > self._limit:
            raise WireError(f"a stanza of more than {self._limit} bytes")
        if end is None:
            return None
        data = self._take(end)
        if name == b"message" and _resource(tag) == _ROUTES_RESOURCE:
            return Part.ROUTES, data
        if data.count(b"<") > MAX_TAGS:
            raise WireError(f"a stanza of more than {MAX_TAGS} tags")
        return Part.STANZA, data

    def _end_tag(self, name: bytes, after: int) -> int | None:
        """Where the stanza ends; remembers how far was searched in vain."""
        text = b"</" + name
        at = max(after, self._scanned)
        while (at := self._buffer.find(text, at)) >= 0:
            end = at + len(text)
            limit = min(len(self._buffer), end + _MAX_CLOSE_TAG)
            while end < limit and self._buffer[end] in _SPACE:
                end += 1
            if end == len(self._buffer):
                self._scanned = at
                return None
            if self._buffer[end] == ord(">"):
                return end + 1
            at += 1
        self._scanned = max(after, len(self._buffer) - len(text))
        return None

    def _take(self, end: int) -> bytes:
        with memoryview(self._buffer) as view:  # a slice of the buffer itself would copy twice
            data = bytes(view[self._start : end])
        self._start = self._scanned = end
        self._declared = False
        return data


def _resource(tag: bytes) -> bytes | None:
    found = _TO.search(tag)
    if found is None:
        return None
    return (found[1] or found[2] or b"").rpartition(b"/")[2]
