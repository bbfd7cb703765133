"""What controllers say that cannot be used is in the log, once."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv4Interface
from xml.etree.ElementTree import fromstring

from structlog.testing import capture_logs

from agent.daemon.control import ControlPlane
from agent.inputs import HostSettings
from agent.oper import Compiler
from agent.settings import Server, parse
from tests.unit.xmpp.conversation import HEADER, config

SERVER = Server(IPv4Address("192.0.2.100"), 5269)
HOST = HostSettings("compute-1", "eth1", IPv4Interface("192.0.2.1/24"), IPv4Address("192.0.2.254"))
GOOD = '<retract id="10.0.0.0/8" />'


def routes(*items: str) -> bytes:
    """A message of retracts."""
    node = "1/1/default-domain:demo:vn1:vn1"
    return (
        f'<message to="compute-1/bgp-peer"><event><items node="{node}">{"".join(items)}'
        "</items></event></message>"
    ).encode()


class Session:
    """A control plane with one controller, whose session stands."""

    def __init__(self) -> None:
        settings = parse("[DEFAULT]\nagent_name = compute-1\n", "test")
        self.plane = ControlPlane(settings, Compiler(HOST), random.Random(1))
        self.plane.configure(settings, [SERVER], 0.0)
        controllers = self.plane.controllers
        controllers.tick(10.0)
        controllers.connected(SERVER, 10.0)
        self.hears(HEADER)

    def hears(self, data: bytes) -> list[tuple[str, str]]:
        """Kind and words of the warnings that it costs."""
        controllers = self.plane.controllers
        for text in controllers.receive(SERVER, data, 11.0):
            if not text.startswith(b"<stream"):
                controllers.stanza(SERVER, fromstring(text), 11.0)
        with capture_logs() as lines:
            self.plane.said(controllers.events(), 11.0)
        return [
            (line["event"], line["what"]) for line in lines if line["event"].startswith("left out")
        ]


def test_faulty_routes_are_told_once() -> None:
    session = Session()
    assert session.hears(routes(GOOD)) == []
    ((event, what),) = session.hears(routes('<retract id="10.0.0.0/99" />', GOOD))
    assert event == "left out of a route message"
    assert "10.0.0.0/99" in what
    assert session.hears(routes('<retract id="10.0.0.0/98" />', GOOD)) == []


def test_each_fault_of_the_configuration_is_told_once() -> None:
    session = Session()
    assert session.hears(config()) == []
    bad = config().replace(b"<name>vn1</name>", b"")
    odd = config().replace(b"</name>", b"</name><new-property>1</new-property>")
    event = "left out of the configuration"
    assert session.hears(bad) == [(event, "no-name")]
    assert session.hears(bad + odd) == [(event, "unknown-property")]
    assert session.hears(bad + odd) == []
