"""Service chains: tags of service VMs, the VRFs they lead to, the way through a VM."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from agent.inputs import GraphLink, GraphNode
from agent.objects import Key, Kind
from agent.oper.datapath import route_key
from agent.routes import EvpnKey
from agent.values import VRRP_MAC, Mac
from tests.graph.lending import INSIDE_VRF, PROJECT, inside, port_of, with_property
from tests.graph.test_orders import check_ways
from tests.graph.test_publications import ROUTER
from tests.graph.test_restart import check_restarts
from tests.graph.test_routes import NET1, Site, batch, inet_key, via, way
from tests.graph.test_shared_addresses import active_active, site_of
from tests.graph.worlds import World, full, seen

PARSED = inside(vms=2)
VM, OTHER = PARSED.vms.values()
BASE = full(PARSED)
LEFT = f"{PROJECT}:net1:service-firewall-left"
CHAIN = "100.64.0.5"
SOURCE, DESTINATION = "02:00:00:00:00:01", "02:00:00:00:00:02"
POLICY, SERVICE = 0x2, 0x4
PROXY, TRAP = 0x2, 0x4
TRANSPARENT: dict[str, Any] = {
    "direction": "both",
    "vlan-tag": 101,
    "src-mac": SOURCE,
    "dst-mac": DESTINATION,
    "service-chain-address": CHAIN,
}


def linked(vm: Any = VM, instance: str = LEFT, **changes: Any) -> World:
    """A service instance at a port, as a controller sends it."""
    kind = "virtual-machine-interface-routing-instance"
    port, ends = port_of(vm), ("routing-instance", instance)
    middle = (kind, f"attr({instance},{port[1]})")
    rule = TRANSPARENT | {name.replace("_", "-"): value for name, value in changes.items()}
    return World() | [
        GraphNode(*ends, {"routing-instance-is-default": False}),
        GraphLink("virtual-network-routing-instance", ("virtual-network", f"{PROJECT}:net1"), ends),
        GraphNode(*middle, {"value": rule}),
        GraphLink(kind, port, middle),
        GraphLink(kind, middle, ends),
    ]


def part(site: Site, kind: Kind, tag: int = 101, vm: Any = VM) -> Any:
    return site[Key(kind, ("service", str(vm.port), vm.tap, tag))]


def vif(site: Site, vm: Any = VM) -> Any:
    return site[Key(Kind.VIF, (str(vm.port), vm.tap))]


def vrf_index(site: Site, name: str = LEFT) -> int:
    return int(site[Key(Kind.VRF, name)].vrf_idx)


@pytest.fixture
def site() -> Site:
    return site_of(BASE | linked())


def test_a_tag_leads_to_the_vrf_of_its_instance(site: Site) -> None:
    made = site[Key(Kind.VRF_ASSIGN, (str(VM.port), VM.tap, 101))]
    via_vm = part(site, Kind.NEXTHOP)
    assert (made.var_vif_index, made.var_vlan_id) == (vif(site).vifr_idx, 101)
    assert (made.var_vif_vrf, made.var_nh_id) == (vrf_index(site), via_vm.nhr_id)
    assert vif(site).vifr_flags & SERVICE
    assert not vif(site, OTHER).vifr_flags & SERVICE
    assert vif(site).vifr_vrf == vrf_index(site, INSIDE_VRF), "what has no tag stays where it is"
    assert LEFT in site.compiler.subscriptions()


def test_the_way_through_the_vm_has_the_tag_and_the_macs_of_the_service(site: Site) -> None:
    made = part(site, Kind.NEXTHOP)
    macs = bytes(Mac.parse(DESTINATION) + Mac.parse(SOURCE))
    assert made.nhr_encap == macs + bytes.fromhex("810000650800")
    assert (made.nhr_type, made.nhr_family, made.nhr_vrf) == (2, 2, vrf_index(site))
    assert made.nhr_flags == 0x200001 | POLICY
    assert made.nhr_encap_oif_id == (vif(site).vifr_idx,)
    assert part(site, Kind.LABEL).mr_nhid == made.nhr_id


def test_the_address_of_the_chain_leads_there(site: Site) -> None:
    made = site[route_key(LEFT, ip_network(f"{CHAIN}/32"))]
    assert made.rtr_nh_id == part(site, Kind.NEXTHOP).nhr_id
    assert (made.rtr_label_flags, made.rtr_mac) == (PROXY | TRAP, b"")
    site.learn(seen(site.compiler, VM.port))
    [told] = [one for one in site.compiler.publications() if one.vrf == LEFT]
    assert told.key == inet_key(f"{CHAIN}/32")
    [one] = told.attributes.nexthops
    assert (one.address, one.label) == (ROUTER, part(site, Kind.LABEL).mr_label)
    assert one.virtual_network == f"{PROJECT}:net1"
    attributes = told.attributes
    assert (attributes.local_preference, attributes.sequence) == (200, 1), "as the port's own"
    assert attributes.sub_protocol == "interface"
    assert not site[route_key(LEFT, ip_network(f"{CHAIN}/32"))].rtr_label_flags & TRAP


def test_routes_of_the_chain_are_taken(site: Site) -> None:
    site.tell(batch({inet_key("15.0.1.0/24"): via(way("10.0.0.2", 30))}, vrf=LEFT))
    [tunnel] = site.tunnels()
    assert site[route_key(LEFT, ip_network("15.0.1.0/24"))].rtr_nh_id == tunnel
    label = part(site, Kind.LABEL).mr_label
    site.tell(batch({inet_key("15.0.2.0/24"): via(way("10.0.0.1", label))}, vrf=NET1))
    through = site[route_key(NET1, ip_network("15.0.2.0/24"))]
    assert through.rtr_nh_id == part(site, Kind.NEXTHOP).nhr_id, "a chain that starts here"


def test_without_macs_of_its_own() -> None:
    site = site_of(BASE | linked(src_mac="", dst_mac=""))
    assert part(site, Kind.NEXTHOP).nhr_encap[:12] == bytes(VM.mac) + bytes(VRRP_MAC)


def test_an_address_of_a_family_that_the_port_has_not() -> None:
    site = site_of(BASE | linked(ipv6_service_chain_address="fd00:64::5"))
    assert route_key(LEFT, ip_network("fd00:64::5/128")) not in site
    assert route_key(LEFT, ip_network(f"{CHAIN}/32")) in site


def test_an_instance_without_an_address_has_its_vrf_all_the_same() -> None:
    site = site_of(BASE | linked(service_chain_address=""))
    assert site[Key(Kind.VRF_ASSIGN, (str(VM.port), VM.tap, 101))].var_vif_vrf == vrf_index(site)
    assert not [one for one in site.compiler.publications() if one.vrf == LEFT]


@pytest.mark.parametrize(
    "changes",
    [
        {"vlan_tag": 0},
        {"vlan_tag": 4094},
        {"vlan_tag": "101"},
        {"src_mac": "here"},
        {"service_chain_address": "100.64.0.300"},
        {"direction": ""},
    ],
)
def test_what_cannot_be_used_is_left_out(changes: dict[str, Any]) -> None:
    site = site_of(BASE | linked(**changes))
    assert site.datapath.objects == Site(PARSED).datapath.objects


def test_of_one_tag_the_first_instance_by_name_counts() -> None:
    right = LEFT.replace("left", "right")
    site = site_of(BASE | linked(instance=right) | linked())
    assert part(site, Kind.NEXTHOP).nhr_vrf == vrf_index(site)
    assert right not in site.compiler.subscriptions()


def test_several_services_of_a_chain_share_its_address() -> None:
    site = site_of(active_active(BASE | linked() | linked(OTHER)))
    made = site.nexthops(6)[site[route_key(LEFT, ip_network(f"{CHAIN}/32"))].rtr_nh_id]
    labels = [part(site, Kind.LABEL, vm=vm).mr_label for vm in (VM, OTHER)]
    assert list(made.nhr_label_list) == labels
    [told] = [one for one in site.compiler.publications() if one.vrf == LEFT]
    assert told.attributes.local_preference == 200
    assert not isinstance(told.key, EvpnKey)


def test_vrf_assign_rules_keep_the_vrfs_in_use_that_they_name() -> None:
    """In-network services have no tags: rules say where what comes out of them goes."""
    rules = {
        "vrf-assign-rule": [
            {
                "match-condition": {"protocol": "any"},
                "vlan-tag": 0,
                "routing-instance": name,
                "ignore-acl": True,
            }
            for name in (LEFT, "default-domain:nowhere:to:go")
        ]
    }
    instance = GraphNode("routing-instance", LEFT, {"routing-instance-is-default": False})
    site = site_of(with_property(BASE, port_of(VM), vrf_assign_table=rules) | [instance])
    assert LEFT in site.compiler.subscriptions()
    assert "default-domain:nowhere:to:go" not in site.compiler.subscriptions()


def test_service_addresses_of_the_first_network_are_addresses() -> None:
    """Services may have addresses in 0.0.0.0/8."""
    site = site_of(BASE | linked(service_chain_address="0.255.255.252"))
    assert route_key(LEFT, ip_network("0.255.255.252/32")) in site


LISTED: dict[str, list[World]] = {
    "comes and goes": [BASE, BASE | linked(), BASE],
    "another tag": [BASE | linked(), BASE | linked(vlan_tag=102)],
    "another VM": [BASE | linked(), BASE | linked(OTHER)],
    "two": [BASE | linked() | linked(instance=f"{LEFT}2", vlan_tag=102)],
}


@pytest.mark.parametrize("name", LISTED)
def test_the_way_does_not_matter(name: str) -> None:
    check_ways(LISTED[name], plain)


def plain(content: Any) -> Any:
    """Without the numbers in VRF-assign messages."""
    return {name: value for name, value in content.items() if not name.startswith("var_")}


@pytest.mark.parametrize("name", LISTED)
def test_a_restart_knows_everything_again(name: str) -> None:
    check_restarts(LISTED[name][-1])
