"""A collector on a real socket: checks every frame of a generator, answers as it is told to."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from types import TracebackType
from xml.etree import ElementTree

from agent.sandesh import xml
from agent.settings import Server

_OPENING = re.compile(rb'<sandesh length="(\d{10})">')
HANDSHAKE = "SandeshCtrlClientToServer"
UVE, REQUEST = 6, 2


@dataclass(frozen=True)
class Received:
    """One frame: fields of its header as text, and the message as an element."""

    header: Mapping[str, str]
    message: ElementTree.Element
    size: int

    @property
    def name(self) -> str:
        return self.message.tag

    @property
    def sequence(self) -> int:
        return int(self.header["SequenceNum"])

    def text(self, path: str) -> str | None:
        """The text at a path below the struct of a UVE."""
        data = self.message.find("data")
        assert data is not None
        assert len(data) == 1
        return data[0].findtext(path)

    @property
    def fields(self) -> list[str]:
        """The names of the fields of a UVE's struct."""
        data = self.message.find("data")
        assert data is not None
        return [each.tag for each in data[0]]


def cut(stream: bytes) -> tuple[list[Received], bytes]:
    """The frames of a stream, each checked, and what is left of it."""
    found = []
    while (opening := _OPENING.match(stream)) and len(stream) >= int(opening[1]):
        size = int(opening[1])
        found.append(read(stream[:size]))
        stream = stream[size:]
    assert opening or b'<sandesh length="0123456789">'.startswith(stream[:29]) or len(stream) < 29
    return found, stream


def read(frame: bytes) -> Received:
    """A frame, checked: its tags, its length, its header, one message."""
    opening = _OPENING.match(frame)
    assert opening
    assert int(opening[1]) == len(frame)
    root = ElementTree.fromstring(frame)
    assert next(each.tag for each in root) == "SandeshHeader"
    assert len(root) == 2
    header = {each.tag: each.text or "" for each in root[0]}
    assert root[1].attrib == {"type": "sandesh"}
    return Received(header, root[1], len(frame))


def answer(known: Mapping[str, int], *, success: bool = True) -> bytes:
    """The frame that answers the handshake."""
    values = {
        "type_info": [{"type_name": name, "seq_num": number} for name, number in known.items()],
        "success": success,
    }
    text = xml.struct("SandeshHeader", {"Module": "contrail-collector", "Hints": 2})
    text += xml.message("SandeshCtrlServerToClient", values)
    return b'<sandesh length="%010d">%b</sandesh>' % (39 + len(text.encode()), text.encode())


@dataclass
class Collector:
    """`known`: what it says that it has of UVEs. `silent`: it does not answer. `refuses`: it
    says no. `stalled`: it reads nothing. `junk`: it says this first."""

    known: dict[str, int] = field(default_factory=dict)
    silent: bool = False
    refuses: bool = False
    stalled: bool = False
    junk: bytes = b""
    tls: ssl.SSLContext | None = None
    port: int = 0
    received: list[Received] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._news = asyncio.Event()
        self._last: dict[str, int] = {}

    async def __aenter__(self) -> Collector:
        await self.listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def server(self) -> Server:
        return Server(IPv4Address("127.0.0.1"), self.port)

    async def listen(self) -> None:
        """Accept connections, at the same port as before."""
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self.tls, limit=1 << 16
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections, end those that there are."""
        if self._server is not None:
            self._server.close()
            self.drop()
            await self._server.wait_closed()
            self._server = None

    def drop(self) -> None:
        """End the connections that there are."""
        for writer in self._writers:
            writer.transport.abort()

    def uves(self, name: str) -> list[Received]:
        """The UVEs of a message so far."""
        return [each for each in self.received if each.name == name]

    async def until(self, holds: Callable[[], object], seconds: float = 20.0) -> None:
        """Wait for frames until something holds."""
        async with asyncio.timeout(seconds):
            while not holds():
                self._news.clear()
                await self._news.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._last = {}
        self._writers.add(writer)
        writer.write(self.junk)
        self._news.set()
        rest = b""
        try:
            while not self.stalled and (data := await reader.read(1 << 16)):
                found, rest = cut(rest + data)
                for one in found:
                    self._take(one, writer)
                self._news.set()
            await writer.wait_closed()
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _take(self, one: Received, writer: asyncio.StreamWriter) -> None:
        """A UVE of a message has a higher number than the one before."""
        if int(one.header["Type"]) == UVE:
            assert one.sequence > self._last.get(one.name, 0), one.name
            self._last[one.name] = one.sequence
        self.received.append(one)
        if one.name == HANDSHAKE and not self.silent:
            writer.write(answer(self.known, success=not self.refuses))
