"""The stream of a channel as a control node sees it (facts xmpp-ifmap.md 1.2 to 1.5, 4).

A control node is a scanner and no XML parser: a stanza goes from `<iq` or `<message` to
its end tag, with only keepalive bytes in between. This one is as strict as that, so that
it notices what a real one would not understand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape, unescape

from agent.errors import WireError

JID = "network-control@contrailsystems.com"
KEEPALIVE = b"\xc8\x80"
PUBSUB = "http://jabber.org/protocol/pubsub"
MAX_OPEN = 1024
MAX_STANZA = 1 << 20
END_OF_RIB_NODE = "0/0/EndOfRib"

_OPEN_END = re.compile(rb"""http://etherx\.jabber\.org/streams["']\s*>""")
_OPEN_STARTS = (b'<?xml version="1.0"?><stream:stream', b"<stream:stream")
_ATTRIBUTE = re.compile(r"""([\w:]+)\s*=\s*"([^"<]*)\"""")
_FILLER = re.compile(rb"[ \n\r\t\xc8\x80]+")
_STANZA = re.compile(rb"<(iq|message)[\s>]")
_ENDS = {name: re.compile(rb"</%b\s*>" % name) for name in (b"iq", b"message")}
_LONGEST_START = len(b"<message>")


def quoted(text: str) -> str:
    """`text` for an attribute in double quotes."""
    return escape(text, {'"': "&quot;"})


@dataclass(frozen=True, slots=True)
class Open:
    """A client's stream header: its name, and the sub-cluster that it puts into `xmlns`."""

    name: str
    subcluster: str


@dataclass(frozen=True, slots=True)
class Keepalive:
    """A run of filler bytes."""


@dataclass(frozen=True, slots=True)
class Stanza:
    """The bytes from a start tag to its end tag."""

    data: bytes


Piece = Open | Keepalive | Stanza


class Scanner:
    """Cuts what an agent sends; WireError when a control node could not go on."""

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0
        self._opened = False

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Take bytes as they come, split anywhere; yield what is complete."""
        self._buffer += data
        while piece := self._next():
            yield piece
        self._buffer, self._at = self._buffer[self._at :], 0

    def _next(self) -> Piece | None:
        if not self._opened:
            return self._open()
        filler = _FILLER.match(self._buffer, self._at)
        if filler:
            self._at = filler.end()
            return Keepalive()
        return self._stanza()

    def _open(self) -> Open | None:
        end = _OPEN_END.search(self._buffer)
        if end is None:
            if len(self._buffer) > MAX_OPEN:
                raise WireError(f"no stream header within {MAX_OPEN} bytes")
            return None
        header = self._buffer[: end.end()].replace(b"\n", b"")
        self._at = end.end()
        if not header.startswith(_OPEN_STARTS):
            raise WireError(f"not a stream header: {header[:60]!r}")
        attributes = dict(_ATTRIBUTE.findall(header.decode(errors="replace")))
        if not attributes.get("from"):
            raise WireError("the stream header names no sender")
        self._opened = True
        return Open(unescape(attributes["from"]), unescape(attributes.get("xmlns", "")))

    def _stanza(self) -> Stanza | None:
        start = _STANZA.match(self._buffer, self._at)
        if start is None:
            rest = self._buffer[self._at : self._at + 40]
            if len(rest) >= _LONGEST_START or b">" in rest:
                raise WireError(f"expected iq or message, found {rest!r}")
            return None
        end = _ENDS[start[1]].search(self._buffer, start.end())
        if end is None:
            if len(self._buffer) - self._at > MAX_STANZA:
                raise WireError(f"a stanza of more than {MAX_STANZA} bytes")
            return None
        data, self._at = self._buffer[self._at : end.end()], end.end()
        return Stanza(data)


def header(agent: str) -> bytes:
    """The answer to an agent's stream header; no features follow."""
    return (
        '<?xml version="1.0"?>\n'
        f'<stream:stream from="{JID}" to="{quoted(agent)}" id="++123" version="1.0" '
        'xml:lang="en" xmlns="jabber:client" '
        'xmlns:stream="http://etherx.jabber.org/streams"  >'
    ).encode()


def end_of_rib(agent: str) -> bytes:
    """The marker that all routes were sent."""
    return (
        f'<message from="{JID}" to="{quoted(agent)}/bgp-peer">\n'
        f'\t<event xmlns="{PUBSUB}">\n'
        f'<items node="{END_OF_RIB_NODE}"></items>\n'
        "\t</event>\n"
        "</message>\n"
    ).encode()
