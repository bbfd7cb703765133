"""Allowed address pairs: routes, MACs of their own, who of several ports has them."""

from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

import pytest

from agent.inputs import HostSettings, TrafficSeen
from agent.objects import Key, Kind
from agent.oper.datapath import route_key
from agent.oper.rows import AddressPair
from agent.routes import EvpnKey, PublishedRoute
from agent.values import VRRP_MAC, Mac
from tests.graph.lending import INSIDE_VRF, floating, inside, pair, paired
from tests.graph.test_orders import named_keys
from tests.graph.test_restart import dumped, restarted
from tests.graph.test_routes import Site, batch, host_key, inet_key, via, way
from tests.graph.test_shared_addresses import site_of
from tests.graph.worlds import SETTINGS, World, expansions, forms, full, run

PARSED = inside(vms=2)
VM, OTHER = PARSED.vms.values()
BASE = full(PARSED)
VIP, VIP_MAC = "15.0.0.100", "00:00:5e:00:01:63"
MAC = Mac.parse(VIP_MAC)
PROXY, TRAP, FLOOD = 0x2, 0x4, 0x8
FLOOD_DHCP = 0x4


def route(prefix: str) -> Key:
    return route_key(INSIDE_VRF, ip_network(prefix))


def bridge(mac: Mac = MAC) -> Key:
    return route_key(INSIDE_VRF, mac)


def part(site: Site, kind: Kind, name: str, vm: Any = VM, mac: Mac | None = None) -> Any:
    own = () if mac is None else (bytes(mac),)
    return site[Key(kind, ("interface", str(vm.port), vm.tap, name, *own))]


def told(site: Site) -> dict[Any, PublishedRoute]:
    return {one.key: one for one in site.compiler.publications()}


def heard(site: Site, vm: Any, ip: str = VIP, mac: Mac | None = None) -> None:
    row = site.compiler.vmi_by_uuid(vm.port)
    assert row is not None
    site.learn(TrafficSeen(row.vif_index, ip_address(ip), mac or row.mac))


def one_with(*pairs: Any) -> Site:
    return site_of(paired(BASE, VM, *pairs))


def both_with(*pairs: Any) -> Site:
    return site_of(paired(paired(BASE, VM, *pairs), OTHER, *pairs))


def test_an_address_is_routed_as_the_ports_own() -> None:
    site = one_with(pair(f"{VIP}/32"))
    made, own = site[route(f"{VIP}/32")], site[route("15.0.0.3/32")]
    assert (made.rtr_nh_id, made.rtr_mac) == (own.rtr_nh_id, bytes(VM.mac))
    assert made.rtr_label_flags == PROXY | TRAP, "nobody knows yet who of several has it"
    attributes = told(site)[inet_key(f"{VIP}/32")].attributes
    assert (attributes.local_preference, attributes.sequence) == (100, 0)
    assert attributes.sub_protocol == "interface"
    assert attributes.nexthops == told(site)[inet_key("15.0.0.3/32")].attributes.nexthops
    assert host_key(VM.mac, VIP) in told(site)
    [row] = site.compiler.flow_ports()[VM.port].translations.pairs
    assert row == AddressPair(ip_network(f"{VIP}/32"))


def test_several_addresses_are_asked_for() -> None:
    """Nobody tells the MAC address of each: there is none to answer with."""
    site = one_with(pair("15.0.0.128/28"))
    made = site[route("15.0.0.128/28")]
    assert (made.rtr_label_flags, made.rtr_mac) == (FLOOD | TRAP, b"")
    assert inet_key("15.0.0.128/28") in told(site)
    assert not [key for key in told(site) if isinstance(key, EvpnKey) and "128" in str(key.ip)]
    heard(site, VM, "15.0.0.133")
    assert site[route("15.0.0.128/28")].rtr_label_flags == FLOOD
    attributes = told(site)[inet_key("15.0.0.128/28")].attributes
    assert (attributes.local_preference, attributes.sequence) == (200, 1)
    heard(site, VM, "15.0.0.134")
    assert told(site)[inet_key("15.0.0.128/28")].attributes.sequence == 1, "it has them already"


def test_a_mac_of_its_own_has_nexthops_and_labels_of_its_own() -> None:
    site = one_with(pair(f"{VIP}/32", VIP_MAC))
    for name in ("l3-policy", "l3", "l2", "l2-policy"):
        own, other = part(site, Kind.NEXTHOP, name), part(site, Kind.NEXTHOP, name, mac=MAC)
        assert other.nhr_encap == bytes(MAC) + bytes(VRRP_MAC) + b"\x08\x00"
        assert other == own.replace(nhr_id=other.nhr_id, nhr_encap=other.nhr_encap)
        assert part(site, Kind.LABEL, name, mac=MAC).mr_nhid == other.nhr_id
    made = site[route(f"{VIP}/32")]
    assert made.rtr_nh_id == part(site, Kind.NEXTHOP, "l3-policy", mac=MAC).nhr_id
    assert made.rtr_mac == bytes(MAC)
    l2 = part(site, Kind.LABEL, "l2-policy", mac=MAC)
    assert (site[bridge()].rtr_nh_id, site[bridge()].rtr_label) == (l2.mr_nhid, l2.mr_label)
    assert site[bridge()].rtr_label_flags == FLOOD_DHCP
    [inet] = told(site)[inet_key(f"{VIP}/32")].attributes.nexthops
    assert inet.label == part(site, Kind.LABEL, "l3-policy", mac=MAC).mr_label
    [both] = told(site)[host_key(MAC, VIP)].attributes.nexthops
    assert both.label == l2.mr_label
    assert host_key(MAC) not in told(site), "with its address it is told whole"
    heard(site, VM)
    assert told(site)[inet_key(f"{VIP}/32")].attributes.local_preference == 100, "wrong MAC"
    heard(site, VM, mac=MAC)
    assert told(site)[inet_key(f"{VIP}/32")].attributes.local_preference == 200


def test_a_mac_with_several_addresses_is_told_alone() -> None:
    site = one_with(pair("15.0.0.128/28", VIP_MAC))
    assert host_key(MAC) in told(site)
    assert bridge() in site


def test_the_last_that_announced_itself_has_the_address() -> None:
    """Active and standby on one host: each gratuitous ARP moves it, at once."""
    site = both_with(pair(f"{VIP}/32", VIP_MAC))
    for sequence, vm in enumerate((OTHER, VM, OTHER), start=1):
        heard(site, vm, mac=MAC)
        via_vm = part(site, Kind.NEXTHOP, "l3-policy", vm, MAC).nhr_id
        assert site[route(f"{VIP}/32")].rtr_nh_id == via_vm
        assert site[bridge()].rtr_nh_id == part(site, Kind.NEXTHOP, "l2-policy", vm, MAC).nhr_id
        attributes = told(site)[inet_key(f"{VIP}/32")].attributes
        assert (attributes.local_preference, attributes.sequence) == (200, sequence)
        both = told(site)[host_key(MAC, VIP)].attributes
        assert (both.local_preference, both.sequence) == (200, sequence)


def test_who_waits_is_heard_while_another_host_has_the_address() -> None:
    """The datapath traps a gratuitous ARP only where the route says so, whoever it leads to."""
    site = one_with(pair(f"{VIP}/32"))
    elsewhere = via(way("10.0.0.2", 25), sequence=5, local_preference=200)
    site.tell(batch({inet_key(f"{VIP}/32"): elsewhere}))
    made = site[route(f"{VIP}/32")]
    [tunnel] = site.tunnels()
    assert made.rtr_nh_id == tunnel
    assert made.rtr_label_flags & TRAP
    heard(site, VM)
    attributes = told(site)[inet_key(f"{VIP}/32")].attributes
    assert (attributes.local_preference, attributes.sequence) == (200, 6)
    assert not site[route(f"{VIP}/32")].rtr_label_flags & TRAP
    site.tell(batch({inet_key(f"{VIP}/32"): via(way("10.0.0.2", 25), sequence=7)}))
    assert told(site)[inet_key(f"{VIP}/32")].attributes.local_preference == 100, "it lost it"
    assert site[route(f"{VIP}/32")].rtr_label_flags & TRAP


def test_all_at_once_are_one_composite() -> None:
    site = both_with(pair(f"{VIP}/32", VIP_MAC, "active-active"))
    made = site.nexthops(6)[site[route(f"{VIP}/32")].rtr_nh_id]
    labels = [part(site, Kind.LABEL, "l3-policy", vm, MAC).mr_label for vm in (VM, OTHER)]
    assert list(made.nhr_label_list) == labels
    attributes = told(site)[inet_key(f"{VIP}/32")].attributes
    assert (attributes.local_preference, attributes.sequence) == (200, 0)
    assert site[route(f"{VIP}/32")].rtr_label_flags == PROXY


def test_a_floating_ip_moves_with_the_pair_that_it_stands_for() -> None:
    """The address of a load balancer, which is on whichever VM announced it last."""
    pairs = (pair(f"{VIP}/32"),)
    world = paired(paired(BASE, VM, *pairs), OTHER, *pairs)
    lent = "15.0.1.100"
    both = floating(VM, lent, fixed_ip_address=VIP)
    tie = [
        replace(
            row,
            right=(
                "virtual-machine-interface",
                row.right[1].replace(str(VM.port), str(OTHER.port)),
            ),
        )
        for row in both.inputs.values()
        if getattr(row, "metadata", "") == "floating-ip-virtual-machine-interface"
    ]
    site = site_of(world | both | tie)
    outside = route_key("default-domain:default-project:net2:net2", ip_network(f"{lent}/32"))
    for vm in (OTHER, VM):
        heard(site, vm)
        assert site[outside].rtr_nh_id == part(site, Kind.NEXTHOP, "l3-policy", vm).nhr_id
        assert told(site)[inet_key(f"{lent}/32")].attributes.local_preference == 200


def test_the_address_is_asked_for_until_it_is_heard() -> None:
    site = one_with(pair(f"{VIP}/32", VIP_MAC), pair("15.0.0.128/28"))
    row = site.compiler.vmi_by_uuid(VM.port)
    assert row is not None
    asked = (row.vif_index, IPv4Address(VIP), MAC)
    assert asked in site.compiler.waiting()
    assert not [one for one in site.compiler.waiting() if one[1] == IPv4Address("15.0.0.128")]
    heard(site, VM, mac=MAC)
    assert asked not in site.compiler.waiting()


BAD: dict[str, Any] = {
    "no address": {"mac": VIP_MAC},
    "an address that is none": pair("15.0.0.300/32"),
    "no one's address": pair("0.0.0.0/32"),
    "more addresses than a port may have": pair("15.0.0.0/23"),
    "more of IPv6": pair("fd00::/112"),
    "a family that the port has not": pair("fd00::1/128"),
    "a MAC that is none": pair(f"{VIP}/32", "here"),
    "the MAC of a group": pair(f"{VIP}/32", "01:00:5e:00:00:01"),
    "the vRouter's MAC": pair(f"{VIP}/32", str(VRRP_MAC)),
    "nothing": "15.0.0.99",
}


@pytest.mark.parametrize("bad", BAD)
def test_what_cannot_be_used_is_left_out(bad: str) -> None:
    site = one_with(BAD[bad], pair("15.0.0.99/32"))
    [row] = site.compiler.flow_ports()[VM.port].translations.pairs
    assert str(row.prefix) == "15.0.0.99/32"
    assert site.datapath.objects.keys() - run([BASE])[1].objects.keys() == {route("15.0.0.99/32")}


def test_the_configuration_file_says_how_many_addresses() -> None:
    settings = replace(SETTINGS, least_pair_length=28)
    assert isinstance(settings, HostSettings)
    world = paired(BASE, VM, pair("15.0.0.0/27"), pair("15.0.0.0/28")) | [settings]
    rows = site_of(world).compiler.flow_ports()[VM.port].translations.pairs
    assert [str(row.prefix) for row in rows] == ["15.0.0.0/28"]


def test_a_pair_of_the_ports_own_address_changes_nothing() -> None:
    site = one_with(pair("15.0.0.3/32", str(VM.mac)))
    before = Site(PARSED)
    assert site.datapath.objects == before.datapath.objects
    assert told(site) == told(before)


def test_the_own_address_with_another_mac() -> None:
    site = one_with(pair("15.0.0.3/32", VIP_MAC))
    assert site[route("15.0.0.3/32")].rtr_mac == bytes(VM.mac)
    assert bridge() in site
    assert {host_key(VM.mac, "15.0.0.3"), host_key(MAC, "15.0.0.3")} <= told(site).keys()


def test_of_nested_pairs_the_longest_counts() -> None:
    site = one_with(pair("15.0.0.128/28"), pair("15.0.0.130/32"))
    heard(site, VM, "15.0.0.130")
    routes = told(site)
    assert routes[inet_key("15.0.0.130/32")].attributes.local_preference == 200
    assert routes[inet_key("15.0.0.128/28")].attributes.local_preference == 100


LISTED: dict[str, list[World]] = {
    "comes and goes": [BASE, paired(BASE, VM, pair(f"{VIP}/32", VIP_MAC)), BASE],
    "another MAC": [
        paired(BASE, VM, pair(f"{VIP}/32", VIP_MAC)),
        paired(BASE, VM, pair(f"{VIP}/32", "02:00:00:00:00:77")),
    ],
    "at two ports": [
        paired(paired(BASE, VM, pair(f"{VIP}/32", VIP_MAC)), OTHER, pair(f"{VIP}/32", VIP_MAC))
    ],
    "shared": [
        paired(
            paired(BASE, VM, pair(f"{VIP}/32", VIP_MAC, "active-active")),
            OTHER,
            pair(f"{VIP}/32", VIP_MAC, "active-active"),
        )
    ],
}


@pytest.mark.parametrize("name", LISTED)
def test_the_way_does_not_matter(name: str) -> None:
    """Of several ports with one address, which is first is a matter of their numbers."""
    states = LISTED[name]
    several = name in ("at two ports", "shared")
    expected = named_keys(forms(run([states[-1]])[0]))
    for how, expanded, shuffle in expansions(states):
        compiler, datapath = run(expanded, shuffle)
        found = named_keys(forms(compiler))
        assert set(found) == set(expected) if several else found == expected, how
        assert set(datapath.objects) == set(forms(compiler)), how


def test_a_restart_knows_everything_again() -> None:
    pairs = (pair(f"{VIP}/32", VIP_MAC), pair("15.0.0.128/28"), pair("15.0.0.99/32"))
    world = paired(paired(BASE, VM, *pairs), OTHER, pair("15.0.0.64/28", "02:00:00:00:00:99"))
    for seed in range(4):
        shuffle = random.Random(seed)
        site = site_of(world)
        heard(site, VM, mac=MAC)
        heard(site, VM, "15.0.0.133")
        again = restarted(world, dumped(site.datapath.objects, shuffle), shuffle)
        again.complete()
        assert {one.key: one for one in again.commit().changed} == site.datapath.objects
