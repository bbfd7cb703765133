"""Feeds damaged sessions of a controller to the channel, the parser and the graph.

Each case takes golden configuration stanzas, route messages and keepalives, damages them,
and gives them to two channels: whole to the one, in pieces to the other. Both must come to
the same events and the same end. What is told as configuration is read and applied to a
graph that lives through many cases; every node that passes must follow the schema, and
from time to time the whole graph is compiled. Nothing may raise.
Run alone: `python tests/fuzz/fuzz_config_stanza.py --cases 1000000 --seed 1`.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from ipaddress import IPv4Address, IPv4Interface, IPv6Address
from pathlib import Path
from uuid import UUID
from xml.etree.ElementTree import Element, ParseError, XMLPullParser, tostring

sys.path.insert(0, str(Path(__file__).parents[2]))

from agent.ifmap import Graph
from agent.ifmap.parser import ConfigParser, PutNode, apply
from agent.ifmap.schema import NODE_TYPES, problem
from agent.inputs import HostSettings, Link, PluggedPort
from agent.oper import Compiler
from agent.values import Mac
from agent.xmpp.channel import Channel, ConfigStanza, NotReady, Ready, RouteStanza
from tests.fuzz.damage_xml import damaged
from tests.unit.xmpp.conversation import HEADER, IDENTITY, KEEPALIVE, stanzas, vector

NOW = 1000.0
LIMIT = 64 << 10
CASES_A_GRAPH = 200
FILES = (
    "18-config-minimal-one-vm.xml",
    "19-config-2vn-3vm-policy-sg-fip.xml",
    "20-config-out-of-order-and-resync.xml",
)
SETTINGS = HostSettings(
    "compute-1", "eth1", IPv4Interface("192.0.2.1/24"), IPv4Address("192.0.2.254")
)
PORT = PluggedPort(
    uuid=UUID("00000004-0000-4000-8000-000000000001"),
    instance_uuid=UUID("10000000-0000-0000-0000-000000000001"),
    vn_uuid=UUID("00000002-0000-4000-8000-000000000001"),
    project_uuid=UUID(int=0),
    display_name="vm1",
    system_name="tap1",
    mac=Mac.parse("02:aa:bb:00:00:01"),
    ip=IPv4Address("10.1.1.3"),
    ip6=IPv6Address("::"),
)


def small_stanzas() -> list[bytes]:
    """Golden nodes and links, three a stanza."""
    text = b"".join(vector(name) for name in FILES)
    objects = re.findall(rb"^ *(<(?:node|link)\b.*>)$", text, re.MULTILINE)
    head = re.search(rb"<iq [^>]*>", text)
    assert head
    return [
        b"%s<config><%s>%s</%s></config></iq>"
        % (head[0], verb, b"".join(objects[at : at + 3]), verb)
        for at in range(0, len(objects), 3)
        for verb in (b"update", b"update", b"delete")
    ]


def corpus() -> list[bytes]:
    """Golden stanzas, keepalives around some of them."""
    configurations = [one for name in FILES for one in stanzas(name)]
    routes = stanzas("12-controller-inet-update.xml") + stanzas("17-end-of-rib.xml")
    return [
        *(b'<?xml version="1.0"?>\n' + one for one in configurations),
        *(vector(name) for name in FILES),
        KEEPALIVE + configurations[0] + b"\n" + KEEPALIVE + routes[0] + configurations[0],
        routes[0] + KEEPALIVE + routes[-1],
    ]


class Session:
    """An established channel with the XML parser that the shell would have."""

    def __init__(self) -> None:
        self.channel = Channel(IDENTITY, jitter=lambda: 0.5, limit=LIMIT)
        self.channel.start(NOW)
        self.channel.tick(NOW + 1)
        self.channel.connected(NOW + 1)
        self._parser = XMLPullParser(("start", "end"))
        self._depth = 0
        self.stanzas: list[Element] = []
        self.receive(HEADER)
        assert self.events() == [Ready()]

    def receive(self, data: bytes) -> None:
        """What the connection does with received bytes."""
        for text in self.channel.receive(data, NOW + 2):
            try:
                self._parser.feed(text)
                completed = self._completed()
            except ParseError:
                self.channel.fault("malformed XML", NOW + 2)
                return
            for stanza in completed:
                self.channel.stanza(stanza, NOW + 2)

    def _completed(self) -> list[Element]:
        found = []
        for event, element in self._parser.read_events():
            self._depth += 1 if event == "start" else -1
            if event == "end" and self._depth == 1:
                found.append(element)
        return found

    def events(self) -> list[object]:
        """The events in a form that can be compared; a reason may depend on the pieces."""
        told: list[object] = []
        for event in self.channel.events():
            match event:
                case ConfigStanza(stanza):
                    self.stanzas.append(stanza)
                    told.append(tostring(stanza))
                case NotReady():
                    told.append(NotReady)
                case RouteStanza(data):
                    told.append(data)
                case _:
                    told.append(event)
        return told


class Cases:
    """What lives longer than a case."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.large, self.small = corpus(), small_stanzas()
        self.parser = ConfigParser()
        self.compiler = new_compiler()
        self.kept = self.closed = self.edits = 0

    def case(self) -> None:
        originals = self.large if self.rng.randrange(20) == 0 else self.small
        data = damaged(self.rng.choice(originals), originals, self.rng)
        whole, pieces = Session(), Session()
        whole.receive(data)
        at = 0
        while at < len(data):
            step = self.rng.randrange(1, max(2, len(data) // self.rng.choice((1, 3, 20))))
            pieces.receive(data[at : at + step])
            at += step
        told = whole.events()
        assert pieces.events() == told, data
        assert whole.channel.state is pieces.channel.state, data
        assert whole.channel.ready is (NotReady not in told), data
        assert whole.channel.ready or whole.channel.last_fault, data
        self.kept += whole.channel.ready
        self.closed += not whole.channel.ready
        for stanza in whole.stanzas:
            self.take(stanza, data)

    def take(self, stanza: Element, data: bytes) -> None:
        """Read a stanza into the graph."""
        edits = self.parser.read(stanza)
        for edit in edits:
            if isinstance(edit, PutNode) and edit.node.type in NODE_TYPES:
                assert problem(edit.node) in (None, "id-perms is missing"), edit
        apply(edits, self.compiler.graph)
        self.edits += len(edits)

    def compile(self) -> None:
        """Compile what came together, and begin with an empty graph."""
        self.compiler.commit()
        self.compiler = new_compiler()


def new_compiler() -> Compiler:
    """A compiler of a host with one port plugged, on the minimal configuration."""
    compiler = Compiler(SETTINGS)
    for index, device in enumerate(("eth1", "vhost0", "tap1")):
        compiler.put_link(Link(device, 3 + index, Mac.parse("0c:00:00:00:00:01"), True))
    compiler.put_port(PORT)
    compiler.commit()
    assert isinstance(compiler.graph, Graph)
    return compiler


def run(cases: int, seed: int) -> Cases:
    """Runs the cases; what came of them."""
    made = Cases(random.Random(seed))
    for case in range(cases):
        made.case()
        if case % CASES_A_GRAPH == CASES_A_GRAPH - 1:
            made.compile()
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    start = time.process_time()
    made = run(options.cases, options.seed)
    spent = time.process_time() - start
    print(
        f"{options.cases} cases, {made.kept} sessions kept, {made.closed} closed, "
        f"{made.edits} edits, no fault, {spent:.0f} s of CPU"
    )


if __name__ == "__main__":
    main()
