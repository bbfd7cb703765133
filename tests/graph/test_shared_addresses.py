"""One address on several ports: all at once (active-active), or the one of the best path."""

from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

from agent.inputs import GraphNode
from agent.objects import Key, Kind
from agent.oper.datapath import HOLE, route_key
from agent.routes import RouteFamily
from tests.graph.test_publications import OWN, OWN_ROUTE, ROUTER, TRAP, own, told
from tests.graph.test_restart import dumped, restarted
from tests.graph.test_routes import GRE, NET1, ONE, UDP, Site, batch, host_key, via, way
from tests.graph.worlds import World, forms, full, put, run, seen, worked

PARSED = worked(vms=3)
FIRST, SECOND, THIRD = PARSED.vms.values()
SAME = replace(
    PARSED, vms={vm.name: replace(vm, address=FIRST.address) for vm in PARSED.vms.values()}
)
BACKUP = full(SAME)


def active_active(world: World) -> World:
    ips = [
        replace(row, properties={**row.properties, "instance-ip-mode": "active-active"})
        for row in world.inputs.values()
        if isinstance(row, GraphNode) and row.type == "instance-ip"
    ]
    return world | ips


ALL = active_active(BACKUP)


def site_of(world: World) -> Site:
    site = Site()
    site.compiler, site.datapath = run([world])
    return site


def label(site: Site, vm: Any) -> int:
    return int(site[Key(Kind.LABEL, ("interface", str(vm.port), vm.tap, "l3-policy"))].mr_label)


def composite(site: Site) -> Any:
    """The nexthop of the address, which is a composite."""
    return site.nexthops(6)[site[OWN_ROUTE].rtr_nh_id]


def test_all_ports_at_once_are_one_composite() -> None:
    site = site_of(ALL)
    made = composite(site)
    assert made.nhr_flags == 0x200401
    labels = [label(site, vm) for vm in (FIRST, SECOND, THIRD)]
    assert list(made.nhr_label_list) == labels
    bound = {one.message.mr_label: one.message.mr_nhid for one in labels_of(site)}
    assert list(made.nhr_nh_list) == [bound[one] for one in labels]
    route = site[OWN_ROUTE]
    assert (route.rtr_label_flags, route.rtr_mac) == (0x2, b""), "proxy; nobody is waited for"


def labels_of(site: Site) -> list[Any]:
    objects: list[Any] = list(site.datapath.objects.values())
    return [one for one in objects if one.message.NAME == "vr_mpls_req"]


def test_they_are_told_by_the_label_of_all() -> None:
    site = site_of(ALL)
    attributes = own(site)
    [one] = attributes.nexthops
    bound = {each.message.mr_label: each.message.mr_nhid for each in labels_of(site)}
    assert bound[one.label] == composite(site).nhr_id
    assert (one.address, one.encapsulations) == (ROUTER, (GRE, UDP))
    assert (attributes.local_preference, attributes.sequence) == (200, 0)
    assert attributes.sub_protocol == "interface"
    for vm in (FIRST, SECOND, THIRD):
        both = told(site)[RouteFamily.EVPN, host_key(vm.mac, str(FIRST.address))].attributes
        assert (both.local_preference, both.sequence) == (200, 0)


def test_who_stays_keeps_place_and_label() -> None:
    site = site_of(ALL)
    before, named = composite(site), own(site).nexthops[0].label
    site.compiler.published()
    site.compiler.remove_port(SECOND.port)
    site.turn()
    after = composite(site)
    assert after.nhr_nh_list == (before.nhr_nh_list[0], HOLE, before.nhr_nh_list[2])
    assert after.nhr_id == before.nhr_id
    assert own(site).nexthops[0].label == named
    assert OWN not in {route.key for route in site.compiler.published().changed}
    for row in ALL.inputs.values():
        if getattr(row, "uuid", None) == SECOND.port:
            put(site.compiler, row)
    site.turn()
    assert len(composite(site).nhr_nh_list) == 3
    assert HOLE not in composite(site).nhr_nh_list


def test_the_last_one_is_told_by_its_own_label() -> None:
    site = site_of(ALL)
    for vm in (FIRST, SECOND):
        site.compiler.remove_port(vm.port)
    site.turn()
    [one] = own(site).nexthops
    assert one.label == label(site, THIRD)
    assert own(site).local_preference == 200
    assert site[OWN_ROUTE].rtr_nh_id not in site.nexthops(6)
    assert not site[OWN_ROUTE].rtr_label_flags & TRAP
    site.compiler.remove_port(THIRD.port)
    site.turn()
    assert OWN_ROUTE not in site
    assert site.compiler.publications() == []


def test_with_other_hosts_all_are_members_of_one() -> None:
    site = site_of(ALL)
    inside = composite(site)
    named = own(site).nexthops[0].label
    every = via(way("10.0.0.1", named), way("10.0.0.2", 25), local_preference=200)
    site.tell(batch({OWN: every}))
    made = composite(site)
    [tunnel] = site.tunnels()
    assert sorted(made.nhr_nh_list) == sorted([*inside.nhr_nh_list, tunnel])
    assert own(site).nexthops[0].label == named, "what is told is what is here"
    site.compiler.remove_port(THIRD.port)
    site.turn()
    assert inside.nhr_nh_list[2] not in composite(site).nhr_nh_list


def test_a_restart_knows_the_composite_again() -> None:
    site = site_of(ALL)
    for seed in range(3):
        shuffle = random.Random(seed)
        again = restarted(ALL, dumped(site.datapath.objects, shuffle), shuffle)
        again.complete()
        again.commit()
        assert forms(again) == forms(site.compiler)


def test_of_backups_the_last_that_was_heard_has_the_address() -> None:
    site = site_of(BACKUP)
    assert own(site).local_preference == 100
    for sequence, vm in enumerate((SECOND, FIRST, THIRD, SECOND), start=1):
        for _ in range(2):  # whoever has it gains nothing by saying so again
            site.learn(seen(site.compiler, vm.port))
        [one] = own(site).nexthops
        assert one.label == label(site, vm)
        assert (own(site).local_preference, own(site).sequence) == (200, sequence)
        assert site[OWN_ROUTE].rtr_mac == bytes(vm.mac)
    assert site[route_key(NET1, ip_network(str(FIRST.address)))].rtr_mac == bytes(SECOND.mac)


def test_a_restart_keeps_places_that_are_free() -> None:
    site = site_of(ALL)
    named = own(site).nexthops[0].label
    every = batch({OWN: via(way("10.0.0.1", named), way("10.0.0.2", 25), local_preference=200)})
    site.tell(every)
    site.compiler.remove_port(FIRST.port)
    site.turn()
    assert any(HOLE in one.nhr_nh_list for one in site.nexthops(6).values())
    left = World({key: row for key, row in ALL.inputs.items() if key != ("port", FIRST.port)})
    again = restarted(left, dumped(site.datapath.objects, random.Random(1)), random.Random(2))
    again.complete()
    again.commit()
    again.routes(ONE, every)
    again.commit()
    assert forms(again) == forms(site.compiler)
