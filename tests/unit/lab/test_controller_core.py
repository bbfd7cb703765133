"""The lab's controller without sockets: sessions, configuration, routes, trees, faults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from uuid import UUID
from xml.etree import ElementTree

import pytest
import yaml

from agent import topology
from agent.errors import UsageError
from agent.lab.controller import wire
from agent.lab.controller.controller import OPEN_SECONDS, Controller, Options
from agent.lab.controller.messages import (
    Delay,
    Flap,
    Kind,
    Release,
    Reload,
    Repeat,
    Status,
    Withhold,
    command_of,
    line,
    read_command,
)
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


# Sessions


def test_the_header_is_answered_with_no_features(lab):
    one = lab.agent("one")
    assert one.take() == wire.header("one")


def test_a_silent_connection_is_closed(lab):
    mute = Agent(lab, "one", ADDRESSES["one"])
    lab.agents.append(mute)
    lab.wait(OPEN_SECONDS + 0.1)
    assert "no stream header" in mute.session.closed


def test_keepalives_and_hold_time(lab):
    one = lab.agent("one")
    one.take()
    lab.wait(37)
    assert one.take().endswith(wire.KEEPALIVE)
    one.say(wire.KEEPALIVE)
    lab.wait(89)
    assert one.take() == wire.KEEPALIVE * 3
    lab.wait(2)
    assert one.session.closed == "hold time expired"


def test_the_same_name_twice(lab):
    first, second = lab.agent("one"), lab.agent("one")
    assert "connected already" in second.session.closed
    assert not first.session.closed


def test_the_same_name_twice_closes_both_while_restarts_are_helped():
    lab = Lab(stale=60.0)
    first, second = lab.agent("one"), lab.agent("one")
    assert first.session.closed
    assert second.session.closed
    assert not lab.agent("one").session.closed


def test_garbage_closes_the_session(lab):
    one = lab.agent("one")
    one.say("<presence/>")
    assert "expected iq or message" in one.session.closed


# Configuration


def test_a_virtual_router_gets_what_is_global(lab):
    one = lab.agent("one").router()
    told = one.config()
    assert ("update", "virtual-router", "default-global-system-config:one") in told
    kinds = {kind for _, kind, name in told if name != "link"}
    assert kinds == {"virtual-router", "global-system-config", "global-vrouter-config"}
    assert lab.state().agents[0].machines == []


def test_a_vm_brings_all_that_its_port_needs(lab):
    one = lab.agent("one").router()
    one.take()
    one.machine(vm("red1"))
    told = one.config()
    nodes = [(kind, name) for _, kind, name in told if name != "link"]
    assert ("virtual-machine", str(vm("red1"))) in nodes
    assert ("virtual-network", RED_VN) in nodes
    assert not [name for _, name in nodes if "blue" in name or name == str(vm("red2"))]
    assert {kind for kind, _ in nodes} == {
        "virtual-machine",
        "virtual-machine-interface",
        "virtual-machine-interface-routing-instance",
        "virtual-network",
        "virtual-network-network-ipam",
        "network-ipam",
        "routing-instance",
        "instance-ip",
        "security-group",
        "access-control-list",
    }
    assert ("update", "virtual-router-virtual-machine", "link") in told


def test_links_follow_their_nodes_and_go_before_them(lab):
    one = lab.agent("one").router()
    one.machine(vm("red1"))
    one.machine(vm("blue1"))
    seen = set()
    for link, ends, verb in _parts(one):
        assert verb == "update"
        assert not link or ends <= seen
        seen |= ends
    one.machine(vm("red1"), "unsubscribe")
    gone = set()
    for link, ends, verb in _parts(one):
        assert verb == "delete"
        assert not link or not ends & gone
        gone |= set() if link else ends
    assert ("virtual-network", RED_VN) in gone
    assert not [name for _, name in gone if "blue" in name or name.endswith("default")]


def _parts(agent) -> Iterator[tuple[bool, set[tuple[str, str]], str]]:
    for config in _all(agent.stanzas(), "config"):
        for verb in config:
            for part in verb:
                link = part.tag == "link"
                nodes = part.findall("node") if link else [part]
                yield link, {(n.get("type"), n.findtext("name")) for n in nodes}, verb.tag


def test_a_vm_may_be_asked_for_before_the_router_and_anywhere(lab):
    """So a VM can move between hosts; configuration comes once the router is known."""
    two = lab.agent("two")
    two.machine(vm("red1"))
    assert not two.config()
    two.router()
    assert ("update", "virtual-machine", str(vm("red1"))) in two.config()


def test_another_name_gets_nothing(lab):
    one = lab.agent("one").router("uno")
    assert not one.config()
    assert not one.session.closed
    assert "no configuration for virtual-router" in lab.state().violations[0]


def test_a_changed_topology_is_sent_as_difference(lab):
    one = lab.agent("one").router()
    one.machine(vm("red1"))
    one.take()
    lab.controller.reload(parsed(encapsulations=["VXLAN"]))
    lab.pump()
    assert one.config() == [
        (
            "update",
            "global-vrouter-config",
            "default-global-system-config:default-global-vrouter-config",
        )
    ]


# Routes


def test_routes_are_reflected_to_all_including_the_publisher(lab):
    one, two = lab.agent("one").vrf(RED), lab.agent("two").vrf(RED)
    other = lab.agent("three").vrf(BLUE)
    one.inet(RED, "10.1.1.3/32", 17)
    expected = [(f"1/1/{RED}", "10.1.1.3/32", "10.0.0.1 17")]
    assert one.told() == two.told() == expected
    assert other.told() == []
    late = lab.agent("three")  # its old session is refused nothing: the name is taken
    assert late.session.closed
    one.inet(RED, "10.1.1.3/32", 17, verb="dissociate")
    assert one.told() == two.told() == [(f"1/1/{RED}", "10.1.1.3/32")]


def test_a_late_subscriber_gets_what_is_there(lab):
    lab.agent("one").vrf(RED).inet(RED, "10.1.1.3/32", 17)
    two = lab.agent("two").vrf(RED)
    assert two.told() == [(f"1/1/{RED}", "10.1.1.3/32", "10.0.0.1 17")]


def test_the_same_again_is_not_told_again(lab):
    one = lab.agent("one").vrf(RED)
    one.inet(RED, "10.1.1.3/32", 17)
    one.take()
    one.inet(RED, "10.1.1.3/32", 17)
    assert one.told() == []


def test_what_the_controller_adds_to_a_route(lab):
    one = lab.agent("one").vrf(RED)
    one.take()
    one.inet(RED, "10.1.1.3/32", 17, preference=200, sequence=4)
    (message,) = one.stanzas()
    texts = {local(one): one.text for one in message.iter()}
    assert texts["virtual-network"] == RED_VN
    assert (texts["local-preference"], texts["med"], texts["sequence-number"]) == (
        "200",
        "100",
        "4",
    )
    assert next(_all([message], "mobility")).get("seqno") == "4"


def test_equal_paths_are_merged_and_one_can_go(lab):
    one, two = lab.agent("one").vrf(RED), lab.agent("two").vrf(RED)
    one.inet(RED, "10.1.1.100/32", 17)
    two.inet(RED, "10.1.1.100/32", 23)
    name = (f"1/1/{RED}", "10.1.1.100/32")
    assert one.told()[-1] == (*name, "10.0.0.1 17", "10.0.0.2 23")
    two.inet(RED, "10.1.1.100/32", 23, verb="dissociate")
    assert one.told() == [(*name, "10.0.0.1 17")]


def test_a_moved_address_follows_preference_then_sequence(lab):
    one, two = lab.agent("one").vrf(RED), lab.agent("two").vrf(RED)
    one.inet(RED, "10.1.1.3/32", 17, 200, 1)
    two.inet(RED, "10.1.1.3/32", 23, 100, 9)
    assert two.told()[-1][2:] == ("10.0.0.1 17",)
    two.inet(RED, "10.1.1.3/32", 23, 200, 2)
    assert two.told()[-1][2:] == ("10.0.0.2 23",)


def test_connected_networks_exchange_inet_routes_only():
    lab = Lab(parsed(connect=[["red", "blue"]]))
    one = lab.agent("one").vrf(RED).vrf(GREEN)
    two = lab.agent("two").vrf(BLUE)
    one.inet(RED, "10.1.1.3/32", 17)
    one.inet(GREEN, "10.3.3.3/32", 18)
    one.broadcast(RED, 19)
    assert two.told() == [(f"1/1/{BLUE}", "10.1.1.3/32", "10.0.0.1 17")]
    two.inet(BLUE, "10.2.2.3/32", 23)
    (message,) = two.stanzas()
    assert {one.text for one in _all([message], "virtual-network")} == {RED_VN[:-3] + "blue"}
    one.inet(RED, "10.1.1.3/32", 17, verb="dissociate")
    assert two.told() == [(f"1/1/{BLUE}", "10.1.1.3/32")]


def test_connections_change_with_the_topology(lab):
    one, two = lab.agent("one").vrf(RED), lab.agent("two").vrf(BLUE)
    one.inet(RED, "10.1.1.3/32", 17)
    one.take()
    assert two.told() == []
    lab.controller.reload(parsed(connect=[["red", "blue"]]))
    lab.pump()
    assert two.told() == [(f"1/1/{BLUE}", "10.1.1.3/32", "10.0.0.1 17")]
    assert one.told() == []
    lab.controller.reload(parsed())
    lab.pump()
    assert two.told() == [(f"1/1/{BLUE}", "10.1.1.3/32")]


def test_leaving_a_vrf_takes_its_routes_along(lab):
    one, two = lab.agent("one").vrf(RED), lab.agent("two").vrf(RED)
    one.inet(RED, "10.1.1.3/32", 17)
    two.take()
    one.take()
    one.vrf(RED, verb="unsubscribe")
    assert two.told() == [(f"1/1/{RED}", "10.1.1.3/32")]
    assert one.told() == []


def test_many_routes_come_in_whole_messages(lab):
    one = lab.agent("one").vrf(RED)
    for number in range(3000):
        one.inet(RED, f"10.9.{number >> 8}.{number & 255}/32", 17)
    one.take()
    two = lab.agent("two").vrf(RED)
    while lab.state().agents[1].sent < 94:
        lab.pump()
    assert len(two.told()) == 3000


# The golden agent

VECTORS = Path(__file__).parents[2] / "vectors/xmpp"
GOLDEN = "default-domain:demo:vn1:vn1"
ROUTER = "default-domain:demo:lr-ivn:lr-ivn"


def golden(name: str) -> list[bytes]:
    """The stanzas of a vector, one by one."""
    (path,) = VECTORS.glob(f"{name}-*.xml")
    return re.findall(rb"<(?:iq|message)\b.*?</(?:iq|message)>", path.read_bytes(), re.DOTALL)


def test_an_agent_by_the_book_is_understood_and_answered():
    """What the golden agent says, word for word, to a strict controller."""
    content = yaml.safe_load(TOPOLOGY)
    content["hosts"]["compute-1"] = {"fabric": "10.0.0.9/24"}
    lab = Lab(topology.parse(content))
    agent = lab.agent("compute-1", "192.0.2.1")
    agent.say(golden("02")[0])
    assert ("update", "virtual-router", "default-global-system-config:compute-1") in agent.config()
    for stanza in golden("03")[:2]:
        agent.say(stanza)
    agent.vrf(ROUTER, 4)
    for name in ("04", "06", "07", "08", "09", "10", "11"):
        for stanza in golden(name):
            agent.say(stanza)
    told = {(row[0], row[1]) for row in agent.told() if len(row) > 2}
    assert (f"1/1/{GOLDEN}", "10.1.1.3/32") in told
    assert (f"1/241/{GOLDEN}", "192.0.2.1:3:255.255.255.255,0.0.0.0") in told
    for stanza in golden("05") + golden("17")[:1]:
        agent.say(stanza)
    assert (f"1/1/{GOLDEN}", "10.1.1.3/32") in agent.told()
    (state,) = lab.state().agents
    assert not agent.session.closed
    assert not lab.state().violations
    assert state.end_of_rib_received
    agent.say(golden("03")[2])
    assert GOLDEN not in lab.state().routes


# Broadcast


def test_inclusive_multicast_is_the_list_of_the_others(lab):
    one, two, three = (lab.agent(name).vrf(RED) for name in ADDRESSES)
    one.broadcast(RED, 31)
    name = (f"25/242/{RED}", "ff:ff:ff:ff:ff:ff,0.0.0.0/32")
    assert one.told() == []
    two.broadcast(RED, 32)
    assert one.told() == [(*name, "*10.0.0.2 32")]
    three.broadcast(RED, 33)
    assert one.told() == [(*name, "*10.0.0.2 32", "*10.0.0.3 33")]
    assert two.told()[-1] == (*name, "*10.0.0.1 31", "*10.0.0.3 33")
    two.broadcast(RED, 32, tag=32, verb="dissociate")
    assert one.told() == [(*name, "*10.0.0.3 33")]
    assert two.told() == []
    three.broadcast(RED, 33, verb="dissociate")
    assert one.told() == [name]


def test_vxlan_tags_name_their_own_lists(lab):
    one, two = lab.agent("one").vrf(RED), lab.agent("two").vrf(RED)
    one.broadcast(RED, 5, tag=5)
    two.broadcast(RED, 5, tag=5)
    assert one.told() == [(f"25/242/{RED}", "5-ff:ff:ff:ff:ff:ff,0.0.0.0/32", "*10.0.0.2 5")]


def test_members_of_a_tree_get_labels_of_their_ranges(lab):
    one, two, three = (lab.agent(name).vrf(RED, 7) for name in ADDRESSES)
    one.tree(RED, 4100, 4200)
    two.tree(RED, 8200, 8300)
    three.tree(RED, 9200, 9300)
    group = ":7:255.255.255.255,0.0.0.0"
    node = f"1/241/{RED}"
    assert one.told()[-1] == (
        node,
        "10.0.0.1" + group,
        "own 4100",
        "*10.0.0.2 8200",
        "*10.0.0.3 9200",
    )
    assert two.told()[-1] == (node, "10.0.0.2" + group, "own 8200", "*10.0.0.1 4100")
    assert three.told()[-1] == (node, "10.0.0.3" + group, "own 9200", "*10.0.0.1 4100")
    one.tree(RED, 4100, 4200, verb="dissociate")
    assert one.told() == [(node, "10.0.0.1" + group)]
    assert two.told()[-1] == (node, "10.0.0.2" + group, "own 8200", "*10.0.0.3 9200")


def test_one_range_serves_several_trees_and_labels_come_back(lab):
    one = lab.agent("one").vrf(RED).vrf(BLUE)
    one.tree(RED, 4100, 4101)
    one.tree(BLUE, 4100, 4101)
    assert [row[2] for row in one.told()] == ["own 4100", "own 4101"]
    one.tree(RED, 4100, 4101, verb="dissociate")
    one.vrf(GREEN)
    one.tree(GREEN, 4100, 4101)
    assert one.told()[-1][2] == "own 4100"


# End of RIB, restarts


def test_a_quiet_channel_is_told_the_end_of_rib_once(lab):
    one = lab.agent("one").vrf(RED)
    lab.wait(5)
    one.inet(RED, "10.1.1.3/32")
    one.take()
    lab.wait(5)
    assert one.told() == []
    lab.wait(1.1)
    assert one.told() == [MARKER]
    lab.wait(60)
    assert one.told() == []


def test_a_channel_that_is_never_quiet_is_told_in_the_end():
    lab = Lab(end_of_rib=20.0)
    one = lab.agent("one").vrf(RED)
    for step in range(21):
        one.inet(RED, "10.1.1.3/32", 17 + step)
        lab.wait(1)
    assert MARKER in one.told()


def test_routes_of_an_agent_that_left_are_retracted_at_once(lab):
    one, two = lab.agent("one").vrf(RED), lab.agent("two").vrf(RED)
    one.inet(RED, "10.1.1.3/32", 17)
    two.take()
    one.lose()
    assert two.told() == [(f"1/1/{RED}", "10.1.1.3/32")]


def test_graceful_restart_keeps_routes_for_its_time():
    lab = Lab(parsed(graceful_restart={"restart_time": 30}))
    one, two = lab.agent("one").vrf(RED), lab.agent("two").vrf(RED)
    one.inet(RED, "10.1.1.3/32", 17)
    two.take()
    one.lose()
    lab.wait(29)
    assert two.told() == [MARKER]
    assert lab.state().stale == ["one"]
    lab.wait(1.1)
    assert two.told() == [(f"1/1/{RED}", "10.1.1.3/32")]
    assert lab.state().stale == []


def test_an_agent_that_comes_back_sweeps_what_it_does_not_say_again():
    lab = Lab(stale=60.0)
    one, two = lab.agent("one").vrf(RED), lab.agent("two").vrf(RED)
    one.inet(RED, "10.1.1.3/32", 17)
    one.inet(RED, "10.1.1.9/32", 18)
    two.take()
    one.lose()
    lab.wait(1)
    again = lab.agent("one").vrf(RED)
    again.inet(RED, "10.1.1.3/32", 17)
    assert two.told() == []
    lab.wait(7)
    assert two.told() == [MARKER, (f"1/1/{RED}", "10.1.1.9/32")]


# Rules


@pytest.mark.parametrize(
    ("say", "why"),
    [
        (lambda agent: agent.inet(RED, "10.1.1.3/32"), "no subscription"),
        (lambda agent: agent.vrf(RED).vrf(RED), "subscribed twice"),
        (lambda agent: agent.vrf(RED, verb="unsubscribe"), "not subscribed"),
        (
            lambda agent: agent.vrf(RED).vrf(RED, verb="unsubscribe").inet(RED, "10.1.1.3/32"),
            "no subscription",
        ),
    ],
)
def test_what_closes_a_channel(say, why):
    strict, lenient = Lab(), Lab(strict=False)
    for lab in (strict, lenient):
        say(lab.agent("one"))
        assert why in lab.state().violations[0]
    assert why in strict.agents[0].session.closed
    assert not lenient.agents[0].session.closed


@pytest.mark.parametrize(
    "say",
    [
        lambda agent: agent.inet(RED, "10.1.1.3/32", label="x"),
        lambda agent: agent.inet(RED, "10.1.1.3/33"),
        lambda agent: agent.tree(RED, 0, 0),
        lambda agent: agent.inet(RED, "10.1.1.3/32", verb="dissociate"),
    ],
)
def test_a_bad_item_is_counted_and_the_channel_stays(lab, say):
    one = lab.agent("one").vrf(RED)
    say(one)
    assert not one.session.closed
    assert lab.state().violations
    assert one.told() == []


def test_a_collection_without_its_publish_does_nothing(lab):
    one = lab.agent("one").vrf(RED)
    one.ask(
        "bgp-peer", f'<collection node="{RED}"><associate node="1/1/x/1.1.1.1/32" /></collection>'
    )
    assert one.told() == []
    assert not one.session.closed


# Faults by command


def test_stop_forgets_and_start_serves_again(lab):
    one = lab.agent("one").vrf(RED)
    one.inet(RED, "10.1.1.3/32")
    lab.controller.stop()
    lab.pump()
    assert one.session.closed
    assert not lab.state().serving
    assert lab.state().routes == {}
    lab.controller.start()
    two = lab.agent("two").vrf(RED)
    assert lab.state().serving
    assert two.told() == []


def test_flapping_by_the_clock(lab):
    lab.controller.flap(2, 1.0, lab.now)
    seen = []
    for _ in range(5):
        lab.pump()
        seen.append(lab.controller.serving)
        lab.wait(1.0)
    assert seen == [False, True, False, True, True]


def test_delay_keeps_the_order(lab):
    one = lab.agent("one")
    one.take()
    lab.controller.delay = 0.5
    one.vrf(RED)
    one.inet(RED, "10.1.1.3/32", 17)
    lab.wait(0.1)
    lab.controller.delay = 0.0
    one.inet(RED, "10.1.1.3/32", 18)
    assert one.told() == []
    lab.wait(0.5)
    assert [row[2] for row in one.told()] == ["10.0.0.1 17", "10.0.0.1 18"]


def test_what_is_withheld_comes_with_its_release(lab):
    lab.controller.withheld = {Kind.ROUTES, Kind.CONFIG, Kind.END_OF_RIB}
    one = lab.agent("one").router().vrf(RED)
    one.inet(RED, "10.1.1.3/32", 17)
    lab.wait(10)
    assert re.sub(rb"<stream:stream[^>]*>|<\?xml[^>]*>|\xc8\x80|\n", b"", one.take()) == b""
    lab.controller.withheld = {Kind.END_OF_RIB}
    lab.pump()
    assert one.told() == [(f"1/1/{RED}", "10.1.1.3/32", "10.0.0.1 17")]
    assert lab.state().agents[0].nodes == 3
    lab.controller.withheld = set()
    lab.wait(7)
    assert one.told() == [MARKER]


def test_withheld_keepalives(lab):
    lab.controller.withheld = {Kind.KEEPALIVE}
    one = lab.agent("one")
    lab.wait(80)
    assert wire.KEEPALIVE not in one.take()


def test_the_last_stanzas_again(lab):
    one, two = lab.agent("one").vrf(RED), lab.agent("two").vrf(RED)
    one.inet(RED, "10.1.1.3/32", 17)
    one.inet(RED, "10.1.1.4/32", 18)
    one.take()
    two.take()
    assert lab.controller.repeat(1, "one", lab.now) == 1
    lab.pump()
    assert one.told() == [(f"1/1/{RED}", "10.1.1.4/32", "10.0.0.1 18")]
    assert two.told() == []
    assert lab.controller.repeat(9, None, lab.now) == 4


def test_closing_one_agent(lab):
    one, two = lab.agent("one"), lab.agent("two")
    lab.controller.close("one")
    lab.pump()
    assert one.session.closed
    assert not two.session.closed
    with pytest.raises(UsageError, match="connected: two"):
        lab.controller.close("one")


def test_routes_for_the_operator(lab):
    lab.agent("one").vrf(RED).inet(RED, "10.1.1.3/32", 17)
    (route,) = lab.controller.routes(RED)
    assert (route.family, route.route, route.nexthops) == (
        "inet",
        "10.1.1.3/32",
        {"one": "10.0.0.1 17"},
    )
    assert lab.state().routes == {RED: {"inet": 1}}
    assert lab.controller.routes("nowhere") == []


# Commands


@pytest.mark.parametrize(
    ("words", "command"),
    [
        ("status", Status()),
        ("delay 250", Delay(250.0)),
        ("flap 3 0.5", Flap(3, 0.5)),
        ("withhold routes end-of-rib", Withhold([Kind.ROUTES, Kind.END_OF_RIB])),
        ("release", Release([])),
        ("repeat 5", Repeat(5)),
        ("repeat 5 one", Repeat(5, "one")),
        ("reload /x.yaml", Reload("/x.yaml")),
    ],
)
def test_commands_from_words_and_lines(words, command):
    assert command_of(words.split()) == command
    assert read_command(line(command)) == command


@pytest.mark.parametrize(
    "words", ["", "explode", "delay", "delay soon", "delay 1 2", "withhold air", "flap 1"]
)
def test_wrong_words_are_answered_with_the_usage(words):
    with pytest.raises(UsageError, match="delay MS"):
        command_of(words.split())
