"""What a collector answers to the handshake, read from bytes that cannot be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from agent.errors import WireError

MOST_ELEMENTS = 20_000
MOST_DEPTH = 16
ANSWER = "SandeshCtrlServerToClient"


@dataclass(frozen=True, slots=True)
class Answer:
    """The last sequence number of each UVE message that the collector has from this host."""

    success: bool
    sequences: Mapping[str, int]


class _Tree:
    """Elements of a document, as long as it is small and has no declarations of its own."""

    def __init__(self) -> None:
        self._builder = TreeBuilder()
        self._depth = self._count = 0
        self._parser = parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._builder.data
        parser.StartDoctypeDeclHandler = self._refuse

    def read(self, document: bytes) -> Element:
        try:
            self._parser.Parse(document, True)
        except expat.ExpatError as problem:
            raise WireError(f"malformed XML: {problem}") from None
        return self._builder.close()

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._count += 1
        if self._depth > MOST_DEPTH or self._count > MOST_ELEMENTS:
            raise WireError("XML with too many elements")
        self._builder.start(tag, attributes)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        self._builder.end(tag)

    def _refuse(self, *_: object) -> NoReturn:
        raise WireError("XML with a document type")


def document(frame: bytes) -> Element:
    """The tree of a frame. WireError for what is no XML, or too much of it."""
    return _Tree().read(frame)


def read(frame: bytes) -> tuple[str, Answer | None]:
    """The name of the message in a frame, and the answer if it is that. WireError: neither."""
    root = document(frame)
    messages = [each for each in root if each.tag != "SandeshHeader"]
    if len(messages) != 1 or len(root) > 2:
        raise WireError(f"a frame with {len(messages)} messages")
    [message] = messages
    return message.tag, _answer(message) if message.tag == ANSWER else None


def _answer(message: Element) -> Answer:
    success = message.findtext("success")
    if success not in ("true", "false"):
        raise WireError(f"an answer to the handshake whose success is {success!r}")
    sequences = {}
    for info in message.findall("type_info/list/UVETypeInfo"):
        sequences[info.findtext("type_name") or ""] = _number(info.findtext("seq_num"))
    return Answer(success == "true", sequences)


def _number(text: str | None) -> int:
    if text is None or not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise WireError(f"an answer to the handshake with the sequence number {text!r}")
    return int(text)
