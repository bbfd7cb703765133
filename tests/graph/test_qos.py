"""QoS configurations of ports, networks and rules: maps, forwarding classes, vifs."""

from __future__ import annotations

from typing import Any

import pytest

from agent.inputs import GraphLink, GraphNode
from agent.objects import Key, Kind
from tests.graph.lending import PROJECT, inside, port_of
from tests.graph.test_orders import check_ways
from tests.graph.test_restart import check_restarts
from tests.graph.test_routes import Site
from tests.graph.test_shared_addresses import site_of
from tests.graph.worlds import World, full

PARSED = inside(vms=2)
VM, OTHER = PARSED.vms.values()
BASE = full(PARSED)
NETWORK = ("virtual-network", f"{PROJECT}:net1")
GLOBAL = ("global-qos-config", "default-global-system-config:default-global-qos-config")
PERMS = {"enable": True, "uuid": {"uuid-mslong": 1, "uuid-lslong": 2}}
GOLD = "default-global-system-config:default-global-qos-config:gold"


def pairs(*marks: tuple[Any, Any]) -> dict[str, Any]:
    entries = [{"key": key, "forwarding-class-id": own} for key, own in marks]
    return {"qos-id-forwarding-class-pair": entries}


def config(name: str = GOLD, **said: Any) -> GraphNode:
    members = {key.replace("_", "-"): value for key, value in said.items()}
    return GraphNode("qos-config", name, {"id-perms": PERMS, **members})


def tied(end: tuple[str, str], name: str = GOLD) -> GraphLink:
    return GraphLink(f"{end[0]}-qos-config", end, ("qos-config", name))


def classes(*numbers: int, **said: Any) -> World:
    """Forwarding classes of these numbers, each with a queue of ten times its number."""
    world = World() | [GraphNode(*GLOBAL)]
    for number in numbers:
        own, queue = ("forwarding-class", f"fc{number}"), ("qos-queue", f"queue{number}")
        members = {
            f"forwarding-class-{key.replace('_', '-')}": value for key, value in said.items()
        }
        world = world | [
            GraphNode(*own, {"id-perms": PERMS, "forwarding-class-id": number, **members}),
            GraphNode(*queue, {"id-perms": PERMS, "qos-queue-identifier": 10 * number}),
            GraphLink("global-qos-config-forwarding-class", GLOBAL, own),
            GraphLink("forwarding-class-qos-queue", own, queue),
        ]
    return world


MARKED = (
    BASE
    | [
        config(
            default_forwarding_class_id=3,
            dscp_entries=pairs((10, 1), (46, 2)),
            mpls_exp_entries=pairs((7, 2)),
            vlan_priority_entries=pairs((0, 1)),
        ),
        tied(port_of(VM)),
    ]
    | classes(1, 2, dscp=46, mpls_exp=5, vlan_priority=6)
)


def vif(site: Site, vm: Any = VM) -> Any:
    return site[Key(Kind.VIF, (str(vm.port), vm.tap))]


def qos_map(site: Site, name: str = GOLD) -> Any:
    return site[Key(Kind.QOS_MAP, name)]


def test_a_map_has_the_class_of_each_mark() -> None:
    site = site_of(MARKED)
    made = qos_map(site)
    assert made.qmr_id == 0
    assert made.qmr_dscp == bytes(range(64))
    assert made.qmr_mpls_qos == made.qmr_dotonep == bytes(range(8))
    dscp, mpls, dotonep = bytearray([3] * 64), bytearray([3] * 8), bytearray([3] * 8)
    dscp[10], dscp[46], mpls[7], dotonep[0] = 1, 2, 2, 1
    assert made.qmr_dscp_fc_id == bytes(dscp)
    assert (made.qmr_mpls_qos_fc_id, made.qmr_dotonep_fc_id) == (bytes(mpls), bytes(dotonep))
    assert (vif(site).vifr_qos_map_index, vif(site, OTHER).vifr_qos_map_index) == (0, -1)


def test_forwarding_classes_with_their_queues() -> None:
    site = site_of(MARKED)
    for number in (1, 2):
        made = site[Key(Kind.FORWARDING_CLASS, number)]
        assert made.fmr_id == (number,)
        assert (made.fmr_dscp, made.fmr_mpls_qos, made.fmr_dotonep) == (b"\x2e", b"\x05", b"\x06")
        assert made.fmr_queue_id == bytes([10 * number])
    assert site_of(BASE | classes(1)).datapath.objects == Site(PARSED).datapath.objects


def test_the_network_says_it_for_ports_that_do_not() -> None:
    silver = config("silver", default_forwarding_class_id=1)
    site = site_of(MARKED | [silver, tied(NETWORK, "silver")])
    assert vif(site).vifr_qos_map_index == qos_map(site).qmr_id
    assert vif(site, OTHER).vifr_qos_map_index == qos_map(site, "silver").qmr_id


def test_rules_name_configurations_too() -> None:
    rule = {
        "match-condition": {"protocol": "any"},
        "action-list": {"simple-action": "pass", "qos-action": GOLD},
        "rule-uuid": "00000000-0000-0000-0000-0000000000aa",
        "direction": ">",
    }
    acl = ("access-control-list", "marking")
    entries = {"dynamic": False, "acl-rule": [rule]}
    site = site_of(
        BASE
        | [
            config(),
            GraphNode(*acl, {"access-control-list-entries": entries, "id-perms": PERMS}),
            GraphLink("virtual-network-access-control-list", NETWORK, acl),
        ]
    )
    assert qos_map(site).qmr_dscp_fc_id == bytes(64)
    assert vif(site).vifr_qos_map_index == -1, "only those flows are marked"


@pytest.mark.parametrize(
    "bad",
    [
        pairs((64, 1)),
        pairs((-1, 1)),
        pairs(("10", 1)),
        pairs((10, 256)),
        pairs((10, "gold")),
        {"qos-id-forwarding-class-pair": "10:1"},
        "10:1",
    ],
)
def test_marks_that_make_no_sense_have_the_default(bad: Any) -> None:
    world = BASE | [config(default_forwarding_class_id=7, dscp_entries=bad), tied(port_of(VM))]
    assert qos_map(site_of(world)).qmr_dscp_fc_id == bytes([7] * 64)


def test_a_default_that_is_no_class_makes_no_map() -> None:
    site = site_of(BASE | [config(default_forwarding_class_id=256), tied(port_of(VM))])
    assert vif(site).vifr_qos_map_index == -1
    assert Key(Kind.QOS_MAP, GOLD) not in site


def test_classes_that_cannot_be_are_left_out() -> None:
    bad = classes(1, dscp=64) | classes(2, mpls_exp=8) | classes(256)
    site = site_of(BASE | [config(), tied(port_of(VM))] | bad | classes(4))
    found = [key.name for key in site.datapath.objects if key.kind is Kind.FORWARDING_CLASS]
    assert found == [4]


LISTED: dict[str, list[World]] = {
    "comes and goes": [BASE, MARKED, BASE],
    "moves to the network": [MARKED, MARKED.without(tied(port_of(VM))) | [tied(NETWORK)]],
    "two": [MARKED | [config("silver", default_forwarding_class_id=1), tied(NETWORK, "silver")]],
}


def plain(content: Any) -> Any:
    """Without the numbers of maps, which depend on who came first."""
    return {
        name: value
        for name, value in content.items()
        if name not in ("qmr_id", "vifr_qos_map_index")
    }


@pytest.mark.parametrize("name", LISTED)
def test_the_way_does_not_matter(name: str) -> None:
    check_ways(LISTED[name], plain)


@pytest.mark.parametrize("name", LISTED)
def test_a_restart_knows_everything_again(name: str) -> None:
    check_restarts(LISTED[name][-1])
