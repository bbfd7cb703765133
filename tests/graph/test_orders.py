"""The same end, whatever the way: every list of states, expanded."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.inputs import ArpResolved, ContainerPort, GraphNode, Link
from agent.objects import Key, Kind
from agent.oper import Compiler
from agent.oper.datapath import route_key
from tests.graph.worlds import (
    REMOTE,
    SETTINGS,
    START,
    Datapath,
    World,
    config_of,
    expansions,
    forms,
    full,
    keyed,
    move,
    ports_of,
    put,
    run,
    taps_of,
    worked,
)

PAIR = worked(vms=2, networks=2)
ONE = worked()
[VM] = ONE.vms.values()
FULL = full(PAIR)
NEIGHBOUR = ArpResolved(0, IPv4Address("10.0.0.7"), REMOTE, 0)
GATEWAY = ArpResolved(0, IPv4Address("10.0.0.254"), REMOTE, 0)


def changed(parsed: Any, name: str, **properties: Any) -> World:
    """The configuration with other properties in one node."""
    world = config_of(parsed)
    for key, row in world.inputs.items():
        if isinstance(row, GraphNode) and row.name.endswith(name):
            return World({key: replace(row, properties={**row.properties, **properties})})
    raise AssertionError(name)


DOWN = World(keyed(replace(tap, up=False) for tap in taps_of(PAIR)[:1]))
MOVED = changed(
    PAIR,
    str(PAIR.vms["vm1x1"].port),
    **{"virtual-machine-interface-mac-addresses": {"mac-address": ["02:99:00:00:00:01"]}},
)

STATES: dict[str, list[World]] = {
    "start": [START],
    "plug": [START, START | config_of(PAIR), FULL],
    "plug before configuration": [START | ports_of(PAIR) | taps_of(PAIR), FULL],
    "unplug one": [FULL, FULL.without(*ports_of(PAIR)[:1])],
    "unplug all": [FULL, START | config_of(PAIR)],
    "configuration withdrawn": [FULL, START | ports_of(PAIR) | taps_of(PAIR)],
    "tap down": [FULL, FULL | DOWN],
    "tap gone and back": [FULL, FULL.without(*taps_of(PAIR)), FULL],
    "another MAC": [FULL, FULL | MOVED],
    "fabric appears last": [FULL.without(Link("eth1", 3, REMOTE, True)), FULL],
    "fabric goes": [FULL | [GATEWAY], (FULL | [GATEWAY]).without(Link("eth1", 3, REMOTE, True))],
    "gateway resolved": [FULL, FULL | [GATEWAY, NEIGHBOUR]],
    "gateway lost": [FULL | [GATEWAY, NEIGHBOUR], FULL | [NEIGHBOUR]],
}


def plain(messages: dict[Key, Any]) -> dict[Key, Any]:
    """Messages with every number replaced by the key that has it: equal whatever the history."""
    names: dict[tuple[str, int], Any] = {}
    fields = {
        Kind.NEXTHOP: "nhr_id",
        Kind.LABEL: "mr_label",
        Kind.VIF: "vifr_idx",
        Kind.VRF: "vrf_idx",
    }
    for key, message in messages.items():
        if key.kind in fields:
            names[key.kind.value, getattr(message, fields[key.kind])] = key.name
    return {key: _named(message, names) for key, message in messages.items()}


_MEANS = {
    "nexthop": {"nhr_id", "vifr_nh_id", "mr_nhid", "vxlanr_nhid", "rtr_nh_id", "nhr_nh_list"},
    "label": {"mr_label"},
    "vif": {"vifr_idx", "nhr_encap_oif_id"},
    "vrf": {"vrf_idx", "vifr_vrf", "vifr_mcast_vrf", "nhr_vrf", "rtr_vrf_id"},
}


def _named(message: Any, names: dict[tuple[str, int], Any]) -> dict[str, Any]:
    content = message.to_dict()
    for kind, fields in _MEANS.items():
        for field in fields & content.keys():
            value = content[field]
            if isinstance(value, list):
                content[field] = sorted(str(names.get((kind, one), one)) for one in value)
            else:
                content[field] = names.get((kind, value), value)
    if content.get("rtr_family") == 7 and not content["rtr_label_flags"] & 2:
        content["rtr_label"] = names.get(("label", content["rtr_label"]), content["rtr_label"])
    return content


def named_keys(messages: dict[Key, Any]) -> dict[Any, Any]:
    """As `plain`, with metadata routes under their nexthop: their prefix has the vif's number."""
    found = {}
    for key, content in plain(messages).items():
        name: Any = key
        if key.kind is Kind.INET_ROUTE and content["rtr_prefix"][:2] == [-87, -2]:
            name = ("metadata", content["rtr_nh_id"])
            content["rtr_prefix"] = []
        found[name] = content
    return found


def check_ways(states: list[World], simple: Callable[[Any], Any] = dict) -> None:
    """All ways to the last state give the same objects, of whose contents `simple` is compared."""

    def told(compiler: Compiler) -> dict[Any, Any]:
        return {key: simple(one) for key, one in named_keys(forms(compiler)).items()}

    expected = told(run([states[-1]])[0])
    for way, expanded, shuffle in expansions(states):
        compiler, datapath = run(expanded, shuffle)
        assert told(compiler) == expected, way
        assert set(datapath.objects) == set(forms(compiler)), way


@pytest.mark.parametrize("name", STATES)
def test_the_way_does_not_matter(name: str) -> None:
    check_ways(STATES[name])


def rows_of(compiler: Compiler) -> list[Any]:
    return sorted(
        (replace(row, vif_index=0, vrf=None) for row in compiler.vmis()), key=lambda row: row.uuid
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_any_history_ends_as_a_fresh_start_would(seed: int) -> None:
    shuffle = random.Random(seed)
    everything = FULL | [GATEWAY, NEIGHBOUR] | MOVED
    alternatives = {**DOWN.inputs}
    compiler = Compiler(SETTINGS)
    datapath = Datapath(compiler)
    at = World()
    for _ in range(6):
        kept = {key: row for key, row in everything.inputs.items() if shuffle.random() < 0.8}
        kept |= {key: row for key, row in alternatives.items() if shuffle.random() < 0.3}
        move(compiler, at, World(kept), shuffle)
        datapath.apply(compiler.commit())
        at = World(kept)
        fresh, _ = run([at])
        assert named_keys(forms(compiler)) == named_keys(forms(fresh))
        assert rows_of(compiler) == rows_of(fresh)
        assert compiler.failures() == {}
    empty, _ = run([World()])
    move(compiler, at, World())
    datapath.apply(compiler.commit())
    assert named_keys(forms(compiler)) == named_keys(forms(empty))
    assert len(compiler.numbers(Kind.VIF)) == 0


def test_two_vms_with_one_address() -> None:
    """The one that was plugged first has it; when it goes, the other takes over."""
    parsed = worked(vms=2)
    one, two = parsed.vms.values()
    both = replace(parsed, vms={one.name: one, two.name: replace(two, address=one.address)})
    world = full(both)
    compiler, datapath = run([world])
    first, second = (compiler.vmi_by_uuid(vm.port) for vm in (one, two))
    assert first is not None
    assert second is not None
    route = route_key("default-domain:default-project:net1:net1", IPv4Network(one.address))

    def via() -> int:
        message: Any = forms(compiler)[route]
        return int(message.rtr_nh_id)

    def own(vm: Any) -> int:
        key = Key(Kind.NEXTHOP, ("interface", str(vm.port), vm.tap, "l3-policy"))
        message: Any = forms(compiler)[key]
        return int(message.nhr_id)

    assert via() == own(one)
    compiler.remove_port(one.port)
    datapath.apply(compiler.commit())
    assert via() == own(two)


def test_a_container_port_finds_its_vmi_by_configuration() -> None:
    nil = UUID(int=0)
    network = ONE.networks["net1"]
    waiting = ContainerPort(VM.uuid, network.uuid, nil, "web-0", VM.tap)
    named = replace(waiting, vmi_uuid=VM.port)
    base = START | taps_of(ONE)
    for port in (waiting, named):
        for states in (
            [base | [port], base | [port] | config_of(ONE)],
            [base | config_of(ONE), base | [port] | config_of(ONE)],
        ):
            compiler, _ = run(states)
            row = compiler.vmi_by_uuid(VM.port)
            assert row is not None
            assert row.active
        compiler, _ = run([base | [port]])
        assert (compiler.vmi_by_uuid(VM.port) is None) is (port is waiting)


def test_a_changed_property_recomputes_only_its_readers() -> None:
    parsed = worked(vms=20, networks=5)
    compiler, datapath = run([full(parsed)])
    before = Counter(compiler.recomputed)
    vm = parsed.vms["vm3x7"]
    change = {"virtual-machine-interface-mac-addresses": {"mac-address": ["02:99:00:00:00:07"]}}
    for row in changed(parsed, str(vm.port), **change).inputs.values():
        put(compiler, row)
    delta = compiler.commit()
    datapath.apply(delta)
    assert {desired.key.kind for desired in delta.changed} == {
        Kind.NEXTHOP,
        Kind.BRIDGE_ROUTE,
        Kind.INET_ROUTE,
    }
    assert len(delta.changed) == 5 + 2  # nexthops, bridge and inet route
    assert len(delta.removed) == 1
    counts = Counter(compiler.recomputed) - before
    # One VMI and what is told of it; and, of its network, who the members of the broadcast are.
    assert counts == {
        "session_port.session_port": 1,
        "export.port_routes": 1,
        "marks.hash_fields": 1,
        "preference.active_active": 1,
        "preference.path_preference": 1,
        "preference.static_preference": 1,
        "prefixes.prefixes": 1,
        "prefixes.service_addresses": 1,
        "prefixes.static_routes": 1,
        "address_pairs.address_pairs": 1,
        "fat_flows.fat_flows": 1,
        "analyzers.port_analyzer": 1,
        "qos.qos_config": 1,
        "instances.service_links": 1,
        "pools.lenders": 1,
        "vmi.config": 1,
        "vmi.placement": 1,
        "vmi.vmi": 1,
        "port_nexthops.nexthops": 1,
        "vmi_objects.output": 1,
        "multicast.members": 1,
        "vn_objects.output": 1,
        # Of its flows: that nothing changed.
        "port_limits.port_limits": 1,
        "port_policy.has_policy": 1,
        "port_policy.port_lists": 1,
        "port_policy.port_policy": 1,
        "security_group.attached_groups": 1,
        "security_group.group_lists": 1,
        "tag.port_tags": 1,
        "translations.port_translations": 1,
        "vrf_assign.has_vrf_assign": 1,
    }


def test_a_network_property_touches_its_own_vmis_only() -> None:
    parsed = worked(vms=20, networks=5)
    compiler, _ = run([full(parsed)])
    before = Counter(compiler.recomputed)
    for row in changed(parsed, ":net2", **{"flood-unknown-unicast": True}).inputs.values():
        put(compiler, row)
    delta = compiler.commit()
    counts = Counter(compiler.recomputed) - before
    assert counts["vn.vn"] == 1
    assert counts["vmi.vmi"] == counts["vmi_objects.output"] == 20
    assert {desired.key.kind for desired in delta.changed} == {Kind.VIF, Kind.NEXTHOP}
    assert len(delta.changed) == 20 + 1  # every vif of the network, and its translate nexthop
