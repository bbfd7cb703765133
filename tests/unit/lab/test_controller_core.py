"""The lab controller: sessions, configuration, routes and broadcast, agent by agent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from agent import topology
from agent.lab.controller import wire
from agent.lab.controller.controller import OPEN_SECONDS
from agent.lab.controller.upstream import local
from tests.unit.lab.controller_scene import (
    ADDRESSES,
    BLUE,
    GREEN,
    RED,
    RED_VN,
    TOPOLOGY,
    Agent,
    Lab,
    _all,
    lab,
    parsed,
    vm,
)

__all__ = ["lab"]  # the fixture

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
