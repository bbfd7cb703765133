"""A lab controller without sockets, and agents that talk with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address
from uuid import UUID
from xml.etree import ElementTree

import pytest
import yaml

from agent import topology
from agent.lab.controller import wire
from agent.lab.controller.controller import Controller, Options
from agent.lab.controller.upstream import local

TOPOLOGY = """
hosts: {one: {fabric: 10.0.0.1/24}, two: {fabric: 10.0.0.2/24}, three: {fabric: 10.0.0.3/24}}
networks:
  red: {subnet: 10.1.1.0/24}
  blue: {subnet: 10.2.2.0/24}
  green: {subnet: 10.3.3.0/24}
vms:
  red1: {host: one, network: red, address: 10.1.1.3}
  red2: {host: two, network: red, address: 10.1.1.4}
  blue1: {host: one, network: blue, address: 10.2.2.3}
"""
RED, BLUE, GREEN = (f"default-domain:default-project:{n}:{n}" for n in ("red", "blue", "green"))
RED_VN = "default-domain:default-project:red"
ADDRESSES = {"one": "10.0.0.1", "two": "10.0.0.2", "three": "10.0.0.3"}
MARKER = ("0/0/EndOfRib",)


def parsed(**more):
    return topology.parse({**yaml.safe_load(TOPOLOGY), **more})


class Agent:
    """Speaks as an agent does, and reads what it is told."""

    def __init__(self, lab: Lab, name: str, address: str) -> None:
        self.name = name
        self.lab = lab
        self.session = lab.controller.connected(IPv4Address(address), lab.now)
        self.heard = b""

    def say(self, data: str | bytes) -> None:
        raw = data if isinstance(data, bytes) else data.encode()
        self.lab.controller.received(self.session, raw, self.lab.now)
        self.lab.pump()

    def open(self, subcluster: str = "") -> Agent:
        self.say(
            f'<?xml version="1.0"?>\n<stream:stream from="{self.name}" to="{wire.JID}" '
            f'version="1.0" xml:lang="en" xmlns="{subcluster}" '
            'xmlns:stream="http://etherx.jabber.org/streams"  >'
        )
        return self

    def ask(self, resource: str, body: str) -> None:
        self.say(
            f'<iq type="set" from="{self.name}" to="{wire.JID}/{resource}" id="x">'
            f'<pubsub xmlns="{wire.PUBSUB}">{body}</pubsub></iq>'
        )

    def router(self, name: str = "") -> Agent:
        node = f"virtual-router:default-global-system-config:{name or self.name}"
        self.ask("config", f'<subscribe node="{node}" />')
        return self

    def machine(self, uuid: UUID, verb: str = "subscribe") -> None:
        self.ask("config", f'<{verb} node="virtual-machine:{uuid}" />')

    def vrf(self, vrf: str, instance: int = 1, verb: str = "subscribe") -> Agent:
        options = f"<options><instance-id>{instance}</instance-id></options>"
        self.ask("bgp-peer", f'<{verb} node="{vrf}">{options}</{verb}>')
        return self

    def route(self, vrf: str, node: str, entry: str, verb: str = "associate") -> None:
        self.ask(
            "bgp-peer", f'<publish node="{node}"><item><entry>{entry}</entry></item></publish>'
        )
        self.ask("bgp-peer", f'<collection node="{vrf}"><{verb} node="{node}" /></collection>')

    def inet(self, vrf, prefix, label=17, preference=100, sequence=0, verb="associate") -> None:
        self.route(
            vrf,
            f"1/1/{vrf}/{prefix}",
            f"<nlri><af>1</af><safi>1</safi><address>{prefix}</address></nlri>"
            f"<next-hops>{self._hop(label)}</next-hops>"
            f"<sequence-number>{sequence}</sequence-number>"
            f"<local-preference>{preference}</local-preference>",
            verb,
        )

    def broadcast(self, vrf, label, tag=0, verb="associate") -> None:
        self.route(
            vrf,
            "25/242/255.255.255.255,0.0.0.0/32,255.255.255.255,0.0.0.0",
            f"<nlri><af>25</af><safi>242</safi><ethernet-tag>{tag}</ethernet-tag>"
            "<mac>ff:ff:ff:ff:ff:ff</mac><address>0.0.0.0/32</address></nlri>"
            f"<next-hops>{self._hop(label)}</next-hops>",
            verb,
        )

    def tree(self, vrf, low, high, verb="associate") -> None:
        self.route(
            vrf,
            f"1/241/{vrf}/255.255.255.255",
            "<nlri><af>1</af><safi>241</safi><group>255.255.255.255</group>"
            "<source>0.0.0.0</source></nlri>"
            f"<next-hops>{self._hop(f'{low}-{high}')}</next-hops>",
            verb,
        )

    def _hop(self, label) -> str:
        return (
            f"<next-hop><af>1</af><address>{ADDRESSES[self.name]}</address><label>{label}</label>"
            "<tunnel-encapsulation-list><tunnel-encapsulation>udp</tunnel-encapsulation>"
            "</tunnel-encapsulation-list></next-hop>"
        )

    def lose(self) -> None:
        self.lab.controller.lost(self.session, self.lab.now)
        self.lab.pump()

    # What it was told since the last look

    def take(self) -> bytes:
        data, self.heard = self.heard, b""
        return data

    def stanzas(self) -> list[ElementTree.Element]:
        text = re.sub(rb"<\?xml[^>]*\?>|<stream:stream[^>]*>|\xc8\x80", b"", self.take())
        return list(ElementTree.fromstring(b"<all>" + text + b"</all>"))

    def told(self) -> list[tuple[str, ...]]:
        """(items node, id, ADDRESS LABEL...) of routes, (node, id) of retracts, and MARKER."""
        found: list[tuple[str, ...]] = []
        for items in _all(self.stanzas(), "items"):
            node = items.get("node")
            rows = [(node, one.get("id"), *_hops(one)) for one in items]
            found += rows or [(node,)]
        return found

    def config(self) -> list[tuple[str, str, str]]:
        """(update or delete, type, name) of nodes and (verb, metadata, "link") of links."""
        found = []
        for section in [*_all(self.stanzas(), "config")]:
            for verb in section:
                for part in verb:
                    if part.tag == "node":
                        found.append((verb.tag, part.get("type"), part.findtext("name")))
                    else:
                        found.append((verb.tag, part.find("metadata").get("type"), "link"))
        return found


def _all(elements, name) -> Iterator[ElementTree.Element]:
    return (one for top in elements for one in top.iter() if local(one) == name)


def _hops(item) -> list[str]:
    """ADDRESS LABEL of next-hops, and of the members of an olist with a star."""
    label = "".join(one.text for one in item.iter() if local(one) == "source-label")
    found = [f"own {label}"] if label else []
    for parent in item.iter():
        for hop in parent:
            if local(hop) == "next-hop":
                words = {local(one): one.text for one in hop}
                star = "*" if local(parent) == "olist" else ""
                found.append(f"{star}{words['address']} {words['label']}")
    return found


class Lab:
    """A controller with a clock in hand."""

    def __init__(self, content=None, **options) -> None:
        self.now = 1000.0
        self.log: list[str] = []
        self.agents: list[Agent] = []
        self.controller = Controller(content or parsed(), Options(**options), self.log.append)

    def agent(self, name: str, address: str = "") -> Agent:
        agent = Agent(self, name, address or ADDRESSES[name])
        self.agents.append(agent)
        return agent.open()

    def pump(self) -> None:
        """As the shell does."""
        self.controller.tick(self.now)
        for agent in self.agents:
            if agent.session in self.controller.sessions():
                agent.heard += agent.session.take(self.now)
                if agent.session.closed:
                    self.controller.lost(agent.session, self.now)

    def wait(self, seconds: float) -> None:
        """Wake when the controller asks for it, as the shell does; it must not ask in vain."""
        end = self.now + seconds
        for _ in range(1000):
            wake = self.controller.wake()
            if wake is None or wake > end:
                break
            self.now = max(self.now, wake)
            self.pump()
        else:
            raise AssertionError("the controller wants to be woken again and again")
        self.now = end
        self.pump()

    def state(self):
        return self.controller.state(self.now)


@pytest.fixture
def lab():
    return Lab()


def vm(name: str) -> UUID:
    return topology.uuid_of("virtual-machine", name)
