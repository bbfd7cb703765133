"""What the tests of the channel share: vectors, a tiny decoder, a controller in memory."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address
from pathlib import Path
from xml.etree import ElementTree

from agent.routes import (
    InetKey,
    PublishedRoute,
    RouteAttributes,
    RouteFamily,
    RouteNexthop,
)
from agent.settings import Server
from agent.xmpp import Controllers, Event, GracefulRestart, Identity, State, Timings
from agent.xmpp.routes import RouteDecoder

VECTORS = Path(__file__).parents[2] / "vectors" / "xmpp"
HEADER = (
    b'<?xml version="1.0"?>\n<stream:stream from="network-control@contrailsystems.com" '
    b'to="compute-1" id="++123" version="1.0" xml:lang="en" xmlns="jabber:client" '
    b'xmlns:stream="http://etherx.jabber.org/streams"  >'
)
OPEN = (
    b'<?xml version="1.0"?>\n<stream:stream from="compute-1" '
    b'to="network-control@contrailsystems.com" version="1.0" xml:lang="en" xmlns="" '
    b'xmlns:stream="http://etherx.jabber.org/streams"  >'
)
KEEPALIVE = b"\xc8\x80"
IDENTITY = Identity("compute-1")
END_OF_RIB = (
    b'<message from="network-control@contrailsystems.com" to="compute-1/bgp-peer">\n'
    b'\t<event xmlns="http://jabber.org/protocol/pubsub">\n<items node="0/0/EndOfRib"></items>\n'
    b"\t</event>\n</message>"
)


def vector(name: str) -> bytes:
    """The wire bytes of a vector: without its root and comments."""
    text = (VECTORS / name).read_bytes()
    text = re.sub(rb"<!--.*?-->\s*", b"", text, flags=re.DOTALL)
    return re.sub(rb"</?vector>\s*", b"", text)


def stanzas(name: str) -> list[bytes]:
    """The stanzas of a vector, one by one."""
    return [found[0] for found in re.finditer(rb"<(iq|message)\b.*?</\1>", vector(name), re.S)]


def server(number: int) -> Server:
    return Server(IPv4Address(f"192.0.2.{number}"), 5269)


S1, S2, S3 = server(1), server(2), server(3)


def config(name: str = "vn1") -> bytes:
    return (
        b'<?xml version="1.0"?>\n<iq type="set" from="network-control@contrailsystems.com" '
        b'to="compute-1/config"><config><update><node type="domain"><name>'
        + name.encode()
        + b"</name></node></update></config></iq>"
    )


def routes(prefix: str = "10.1.1.4/32", family: str = "1/1") -> bytes:
    return (
        b'<message from="network-control@contrailsystems.com" to="compute-1/bgp-peer">'
        b'<event xmlns="http://jabber.org/protocol/pubsub">'
        + f'<items node="{family}/vn1"><retract id="{prefix}" /></items></event></message>'.encode()
    )


def route(host: int, label: int = 21, family: RouteFamily = RouteFamily.INET) -> PublishedRoute:
    nexthop = RouteNexthop(IPv4Address("192.0.2.1"), label)
    key = InetKey(bytes((10, 1, 1, host)), 32)
    return PublishedRoute(family, "vn1", key, RouteAttributes(nexthops=(nexthop,)))


class PlainEncoder:
    """Says a route in a few words."""

    def publish(self, route: PublishedRoute) -> bytes:
        return self._words(b"+", route)

    def withdraw(self, route: PublishedRoute) -> bytes:
        return self._words(b"-", route)

    @staticmethod
    def _words(sign: bytes, route: PublishedRoute) -> bytes:
        assert isinstance(route.key, InetKey)
        label = route.attributes.nexthops[0].label
        return b"[%s%s %d]" % (sign, str(route.key.prefix[3]).encode(), label)


class World:
    """Controllers and the far ends of their connections, on a clock of the test's own."""

    def __init__(
        self,
        *servers: Server,
        tls: bool = False,
        graceful: bool = True,
        timings: Timings | None = None,
    ) -> None:
        self.now = 1000.0
        self.log: list[Event] = []
        self.controllers = Controllers(
            IDENTITY,
            decode=RouteDecoder().decode,
            encoder=PlainEncoder(),
            shuffle=list,
            jitter=lambda: 0.5,
            timings=timings,
            tls=tls,
        )
        if graceful:
            self.controllers.restart_policy(GracefulRestart(enabled=True))
        self.controllers.configure(servers, self.now)

    def state(self, server: Server) -> State:
        return self.controllers.channel(server).state

    def after(self, seconds: float) -> list[Event]:
        """Let time pass, with every deadline met on time; what happened."""
        end = self.now + seconds
        while (at := self.controllers.deadline()) is not None and at <= end:
            self.now = max(self.now, at)
            self.controllers.tick(self.now)
        self.now = end
        return self.happened()

    def dial(self, server: Server) -> None:
        """Let time pass until a connection to `server` is asked for."""
        for _ in range(100):
            if self.controllers.channel(server).attempt is not None:
                return
            at = self.controllers.deadline()
            assert at is not None
            self.after(max(0.0, at - self.now))
        raise AssertionError("no attempt")

    def up(self, server: Server) -> bytes:
        """Establish the session; what the agent said."""
        self.dial(server)
        self.controllers.connected(server, self.now)
        said = self.said(server)
        self.hears(server, HEADER)
        return said + self.said(server)

    def down(self, server: Server) -> list[Event]:
        self.controllers.disconnected(server, self.now, "connection reset")
        return self.happened()

    def hears(self, server: Server, data: bytes, size: int = 1 << 20) -> list[Event]:
        """The agent receives `data` in pieces of `size`, through an XML parser for the rest."""
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            for text in self.controllers.receive(server, piece, self.now):
                if not text.startswith(b"<stream"):
                    self.controllers.stanza(server, ElementTree.fromstring(text), self.now)
        return self.happened()

    def said(self, server: Server) -> bytes:
        said = []
        while data := self.controllers.data_to_send(server, self.now):
            said.append(data)
        return b"".join(said)

    def happened(self) -> list[Event]:
        events = self.controllers.events()
        self.log += events
        return events


def kinds(events: Iterable[Event]) -> list[str]:
    return [type(event).__name__ for event in events]
