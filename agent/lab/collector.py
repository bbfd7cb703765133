"""A collector to look at: answers the handshake of agents and prints what they tell."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any
from xml.etree.ElementTree import Element

from agent.errors import WireError
from agent.lab.errors import LabError
from agent.sandesh import xml
from agent.telemetry.uve.answer import ANSWER, document
from agent.telemetry.uve.frames import FrameReader
from agent.telemetry.uve.outbox import HANDSHAKE

_MOST_FRAME = 16 << 20
_READ = 1 << 16


@dataclass(frozen=True, slots=True)
class Told:
    """One message: who sent it, its name, its number, and its fields as JSON has them."""

    source: str
    name: str
    sequence: int
    fields: dict[str, Any]

    @property
    def line(self) -> str:
        """In words: a UVE by its key and what changed, another message as it is."""
        data = self.fields.get("data")
        fields = dict(data if isinstance(data, dict) else self.fields)
        key = fields.pop("name", "")
        shown = " ".join(f"{name}={_short(value)}" for name, value in fields.items())
        return f"{self.source} {self.name} #{self.sequence} {key} {shown}".rstrip()

    @property
    def json(self) -> str:
        """As one line of JSON."""
        return json.dumps(
            {
                "source": self.source,
                "message": self.name,
                "sequence": self.sequence,
                "fields": self.fields,
            }
        )


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def told(frame: bytes) -> Told:
    """What a frame says. WireError for what is no message."""
    root = document(frame)
    if len(root) != 2 or root[0].tag != "SandeshHeader":
        raise WireError("a frame that is not a header and a message")
    number = root[0].findtext("SequenceNum") or ""
    sequence = int(number) if number.isascii() and number.isdecimal() else 0
    fields = {field.tag: _value(field) for field in root[1]}
    return Told(root[0].findtext("Source") or "", root[1].tag, sequence, fields)


def _value(element: Element) -> Any:
    """A field: text, a struct's fields, a list, or the pairs of a map."""
    if not len(element):
        return element.text or ""
    inner = element[0]
    if inner.tag == "list":
        return [_item(each) for each in inner]
    if inner.tag == "map":
        items = [_item(each) for each in inner]
        return dict(zip(map(str, items[::2]), items[1::2], strict=False))
    return _item(inner)


def _item(element: Element) -> Any:
    if not len(element):
        return element.text or ""
    return {field.tag: _value(field) for field in element}


def answer() -> bytes:
    """The answer to a handshake: nothing is known, so everything is to be told."""
    text = xml.struct("SandeshHeader", {"Module": "vrouter-lab", "Hints": 2})
    text += xml.message(ANSWER, {"type_info": (), "success": True})
    content = text.encode()
    return b'<sandesh length="%010d">%b</sandesh>' % (len(content) + 39, content)


class LabCollector:
    """Listens on an address and a port, and hands each message to `show`."""

    def __init__(self, show: Callable[[Told], None]) -> None:
        self._show = show

    async def serve(self, address: str, port: int, ready: Callable[[int], None]) -> None:
        """Until cancelled; `ready` is told the port. LabError when it cannot be had."""
        try:
            server = await asyncio.start_server(self._connection, address, port)
        except OSError as problem:
            raise LabError(f"cannot listen on {address}:{port}: {problem.strerror}") from None
        async with server:
            ready(server.sockets[0].getsockname()[1])
            await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = FrameReader(_MOST_FRAME)
        with contextlib.suppress(OSError, WireError), contextlib.closing(writer):
            while data := await reader.read(_READ):
                for frame in frames.feed(data):
                    message = told(frame)
                    if message.name == HANDSHAKE:
                        writer.write(answer())
                    self._show(message)


def listen(text: str) -> tuple[str, int]:
    """ADDRESS:PORT, or ADDRESS alone for the usual port. LabError when it is neither."""
    address, _, port = text.partition(":")
    try:
        return str(IPv4Address(address)), int(port or 8086)
    except ValueError:
        raise LabError(f"--listen {text}: expected ADDRESS:PORT, such as 127.0.0.1:8086") from None
