"""Everything beside a port's own address at once: random histories end as a fresh start would."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.inputs import GraphNode
from agent.objects import Kind
from agent.oper import Compiler
from tests.graph.lending import alias, floating, inside, lent, pair, paired, port_of, with_property
from tests.graph.test_mirrors import FABRIC, INSIDE, NEIGHBOUR
from tests.graph.test_orders import named_keys
from tests.graph.test_qos import MARKED
from tests.graph.test_restart import dumped, restarted
from tests.graph.test_service_chains import linked
from tests.graph.worlds import SETTINGS, Datapath, World, forms, full, move, ports_of, seen

PARSED = inside(vms=3)
VM, OTHER, THIRD = PARSED.vms.values()
BASE = full(PARSED)
VIP, VIP_MAC = "15.0.0.100/32", "00:00:5e:00:01:63"


def only(world: World) -> World:
    """What a world adds to, or changes of, the base."""
    return World({key: row for key, row in world.inputs.items() if BASE.inputs.get(key) != row})


def mirrored(to: object, vm: object = VM) -> World:
    said = {"interface-mirror": {"traffic-direction": "both", "mirror-to": to}}
    return with_property(BASE, port_of(vm), virtual_machine_interface_properties=said)  # type: ignore[arg-type]


PIECES = [
    floating(VM),
    floating(OTHER, "15.0.1.101", fixed_ip_address="15.0.0.100"),
    lent("floating-ip", "vip", [port_of(VM), port_of(THIRD)], address="15.0.1.50"),
    alias(THIRD),
    only(paired(BASE, VM, pair(VIP, VIP_MAC), pair("15.0.0.128/28"))),
    only(paired(BASE, OTHER, pair(VIP, VIP_MAC))),
    only(paired(BASE, THIRD, pair("15.0.0.200/32", VIP_MAC, "active-active"))),
    linked(),
    linked(OTHER, vlan_tag=202),
    only(mirrored(FABRIC, THIRD)),
    only(mirrored(INSIDE)),
    World() | [NEIGHBOUR],
    only(MARKED),
]
"""Changes that may be there or not; those of one node's properties replace each other."""


def state(shuffle: random.Random) -> World:
    world = BASE
    for piece in PIECES:
        if shuffle.random() < 0.5:
            world = world | piece
    gone = [port for port in ports_of(PARSED) if shuffle.random() < 0.2]
    return world.without(*gone)


def history(shuffle: random.Random) -> tuple[World, Compiler, Datapath]:
    compiler = Compiler(SETTINGS)
    datapath = Datapath(compiler)
    at = World()
    for _ in range(4):
        new = state(shuffle)
        move(compiler, at, new, shuffle)
        datapath.apply(compiler.commit(), acked=shuffle.random() < 0.8)
        at = new
        for row in compiler.vmis():
            if row.active and shuffle.random() < 0.4:
                fact = seen(compiler, row.uuid)
                compiler.learned(fact)
        datapath.apply(compiler.commit())
        assert compiler.failures() == {}
    return at, compiler, datapath


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_any_history_ends_as_a_fresh_start_would(seed: int) -> None:
    shuffle = random.Random(seed)
    world, compiler, datapath = history(shuffle)
    assert set(datapath.objects) == set(forms(compiler))
    fresh = Compiler(SETTINGS)
    move(fresh, World(), world)
    fresh.commit()
    assert set(named_keys(forms(fresh))) == set(named_keys(forms(compiler)))
    told = {route[:3] for route in compiler.publications()}
    assert {route[:3] for route in fresh.publications()} == told


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_a_restart_changes_nothing(seed: int) -> None:
    shuffle = random.Random(seed)
    world, _, datapath = history(shuffle)
    again = restarted(world, dumped(datapath.objects, shuffle), shuffle)
    again.complete()
    delta = again.commit()
    assert {one.key: one for one in delta.changed} == datapath.objects
    assert again.failures() == {}


def test_a_strange_mac_is_none_of_the_ports() -> None:
    """A pair's MAC that is the VM's own makes no nexthops of its own."""
    world = paired(BASE, VM, pair("15.0.0.77/32", str(VM.mac)))
    compiler = Compiler(SETTINGS)
    move(compiler, World(), world)
    compiler.commit()
    nexthops = [key for key in forms(compiler) if key.kind is Kind.NEXTHOP]
    plain = Compiler(SETTINGS)
    move(plain, World(), BASE)
    plain.commit()
    assert nexthops == [key for key in forms(plain) if key.kind is Kind.NEXTHOP]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of everything inside a property, lists and mappings too."""
    found = [path]
    if isinstance(value, dict):
        found += [one for key, inner in value.items() for one in leaves(inner, (*path, key))]
    elif isinstance(value, list):
        found += [one for key, inner in enumerate(value) for one in leaves(inner, (*path, key))]
    return found


def changed_at(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with another value at a place."""
    if not path:
        return new
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[path[0]] = changed_at(copy[path[0]], path[1:], new)
    return copy


def test_nonsense_anywhere_never_stops_the_batch() -> None:
    """Every part of every property of what is beside ports' addresses, replaced by nonsense."""
    nonsense: list[Any] = [None, 5, -1, "", "x", [], [None], {}, {"a": {}}, True, 1e300, 1 << 70]
    world = BASE
    for piece in PIECES:
        world = world | piece
    own = [row for row in world.inputs.values() if row not in BASE.inputs.values()]
    nodes = [row for row in own if isinstance(row, GraphNode)]
    compiler = Compiler(SETTINGS)
    datapath = Datapath(compiler)
    move(compiler, World(), world)
    datapath.apply(compiler.commit())
    names = set(forms(compiler))
    for old in nodes:
        places = [one for one in leaves(dict(old.properties)) if one and one[0] != "id-perms"]
        for place in places:
            for value in nonsense:
                properties = changed_at(dict(old.properties), place, value)
                compiler.graph.put_node(replace(old, properties=properties))
                datapath.apply(compiler.commit())
                assert compiler.failures() == {}, (old.name, place, value)
        compiler.graph.put_node(old)
        datapath.apply(compiler.commit())
    assert set(forms(compiler)) == names
