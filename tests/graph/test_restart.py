"""A new agent over the datapath of an agent before: the same objects, the same numbers."""

from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.inputs import ArpResolved
from agent.ksync import identity_of
from agent.objects import Desired, Key, Kind
from agent.oper import Compiler
from agent.routes import InetKey, RouteBatch
from agent.sandesh.vrouter import decode_messages, encode_many
from tests.graph.test_routes import ONE, TOPOLOGY, Site, batch, via, way
from tests.graph.worlds import (
    REMOTE,
    SETTINGS,
    START,
    Datapath,
    World,
    config_of,
    forms,
    full,
    move,
    ports_of,
    put,
    run,
    seen,
    taps_of,
    worked,
)

PAIR = worked(vms=3, networks=3)
FULL = full(PAIR)
GATEWAY = ArpResolved(0, IPv4Address("10.0.0.254"), REMOTE, 0)
NEIGHBOUR = ArpResolved(0, IPv4Address("10.0.0.9"), REMOTE, 0)
SPARE = worked(vms=6, networks=5)


def dumped(objects: dict[Key, Desired], shuffle: random.Random) -> list[Any]:
    """The objects as a dump would bring them: through the wire, in any order."""
    messages: list[Any] = [desired.message for desired in objects.values()]
    shuffle.shuffle(messages)
    return decode_messages(encode_many(messages))


def restarted(world: World, dump: list[Any], shuffle: random.Random | None) -> Compiler:
    compiler = Compiler(SETTINGS)
    compiler.seed(dump)
    move(compiler, World(), world, shuffle)
    return compiler


def check_restarts(world: World) -> None:
    """A new agent over any dump of a world's objects wants exactly these, with their numbers."""
    for seed in range(3):
        shuffle = random.Random(seed)
        _, datapath = run([world], shuffle)
        again = restarted(world, dumped(datapath.objects, shuffle), shuffle)
        again.complete()
        assert {one.key: one for one in again.commit().changed} == datapath.objects


def history(shuffle: random.Random) -> tuple[World, Compiler, Datapath]:
    """A random past that left holes in the number spaces; ends with some of the ports."""
    compiler = Compiler(SETTINGS)
    datapath = Datapath(compiler)
    everything = full(SPARE)
    ports = ports_of(SPARE)
    at = World()
    for _ in range(5):
        gone = [port for port in ports if shuffle.random() < 0.5]
        new = everything.without(*gone)
        move(compiler, at, new, shuffle)
        datapath.apply(compiler.commit(), acked=shuffle.random() < 0.8)
        at = new
        rows = compiler.vmis()
        for row in shuffle.sample(rows, len(rows) // 2):
            compiler.learned(seen(compiler, row.uuid))
        datapath.apply(compiler.commit())
    for neighbour in (GATEWAY, NEIGHBOUR):
        if shuffle.random() < 0.7:
            put(compiler, neighbour)
            datapath.apply(compiler.commit())
    return at, compiler, datapath


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_the_same_objects_get_the_same_numbers(seed: int) -> None:
    shuffle = random.Random(seed)
    world, _, datapath = history(shuffle)
    compiler = restarted(world, dumped(datapath.objects, shuffle), shuffle)
    assert compiler.commit().changed == (), "nothing is said while configuration may be missing"
    compiler.complete()
    delta = compiler.commit()
    assert {desired.key: desired for desired in delta.changed} == datapath.objects
    assert delta.removed == ()


def test_nothing_is_taken_from_the_datapath_before_completion() -> None:
    _, datapath = run([FULL])
    compiler = Compiler(SETTINGS)
    compiler.seed([desired.message for desired in datapath.objects.values()])
    move(compiler, World(), START | ports_of(PAIR) | taps_of(PAIR))
    assert compiler.holding
    assert compiler.commit().changed == ()
    move(compiler, World(), config_of(PAIR))
    assert compiler.commit().changed == ()
    compiler.complete()
    assert {one.key: one for one in compiler.commit().changed} == datapath.objects


def test_an_empty_datapath_needs_no_completion() -> None:
    _, datapath = run([START])
    compiler = Compiler(SETTINGS)
    compiler.seed([desired.message for desired in datapath.objects.values()])
    assert not compiler.holding
    move(compiler, World(), START)
    assert {one.key: one for one in compiler.commit().changed} == datapath.objects


def test_learned_facts_survive() -> None:
    old, datapath = run([FULL | [GATEWAY, NEIGHBOUR]])
    port = PAIR.vms["vm2x2"].port
    old.learned(seen(old, port))
    datapath.apply(old.commit())
    compiler = Compiler(SETTINGS)
    messages = [desired.message for desired in datapath.objects.values()]
    adopted = compiler.seed(messages)
    assert sorted(adopted, key=str) == sorted([GATEWAY, NEIGHBOUR], key=str)
    move(compiler, World(), FULL)
    compiler.complete()
    assert {one.key: one for one in compiler.commit().changed} == datapath.objects


def test_what_changed_meanwhile_keeps_the_rest_in_place() -> None:
    """One port went, one came, one changed its MAC address while no agent ran."""
    old, datapath = run([full(SPARE).without(ports_of(SPARE)[-1])])
    gone, new = ports_of(SPARE)[4], ports_of(SPARE)[-1]
    compiler = Compiler(SETTINGS)
    compiler.seed([desired.message for desired in datapath.objects.values()])
    move(compiler, World(), full(SPARE).without(gone))
    compiler.complete()
    compiler.commit()
    for row in old.vmis():
        if row.uuid != gone.uuid:
            now = compiler.vmi_by_uuid(row.uuid)
            assert now is not None
            assert (now.vif_index, now.vrf) == (row.vif_index, row.vrf)
    lost = old.vmi_by_uuid(gone.uuid)
    found = compiler.vmi_by_uuid(new.uuid)
    assert lost is not None
    assert found is not None
    assert found.vif_index != lost.vif_index, "the leftover still has its number"
    compiler.release(Kind.VIF, lost.vif_index)
    put(compiler, gone)
    compiler.commit()
    back = compiler.vmi_by_uuid(gone.uuid)
    assert back is not None
    assert back.vif_index == lost.vif_index


def test_networks_without_a_vni_are_known_by_their_ports() -> None:
    parsed = worked(vms=2, networks=3, vxlan_id=0)
    parsed = replace(
        parsed,
        networks={name: replace(one, vxlan_id=0) for name, one in parsed.networks.items()},
    )
    world = full(parsed)
    random_ = random.Random(3)
    _, datapath = run([world], random_)
    assert not [key for key in datapath.objects if key.kind is Kind.VXLAN]
    for at in range(5):
        compiler = restarted(world, dumped(datapath.objects, random.Random(at)), random.Random(at))
        compiler.complete()
        assert {one.key: one for one in compiler.commit().changed} == datapath.objects


@pytest.mark.parametrize("field", ["nhr_encap", "nhr_encap_oif_id", "nhr_nh_list"])
def test_a_strange_dump_is_survived(field: str) -> None:
    """What an agent did not write (another one, an older one) costs numbers, not the start."""
    _, datapath = run([FULL | [GATEWAY]])
    messages: list[Any] = []
    for desired in datapath.objects.values():
        message: Any = desired.message
        if message.NAME == "vr_nexthop_req":
            empty: Any = b"" if field == "nhr_encap" else ()
            message = message.replace(**{field: empty})
        messages.append(message)
    compiler = Compiler(SETTINGS)
    compiler.seed(messages)
    move(compiler, World(), FULL)
    compiler.complete()
    datapath = Datapath(compiler)
    datapath.apply(compiler.commit())
    assert compiler.failures() == {}
    assert len([row for row in compiler.vmis() if row.active]) == 9


GUEST = InetKey(bytes((15, 0, 0, 99)), 32)


def told(site: Site) -> dict[str, Any]:
    """What the datapath has, by the number of each object rather than the key."""
    return {str(identity_of(one.message)): one.message for one in site.datapath.objects.values()}


def restarted_site(world: World, site: Site, *batches: RouteBatch) -> dict[str, Any]:
    again = restarted(world, dumped(site.datapath.objects, random.Random(1)), random.Random(2))
    again.complete()
    again.commit()
    for each in batches:
        again.routes(ONE, each)
        again.commit()
    return {str(identity_of(one)): one for one in forms(again).values()}


@pytest.mark.parametrize("last", [(5, 3, 2), (2, 4, 6), (6, 5)])
def test_ways_of_a_route_keep_their_places(last: tuple[int, ...]) -> None:
    """Flows remember places; who came first is nothing that controllers tell."""
    site = Site()
    for hosts in ((5, 2), (2, 4, 5), (2, 4, 5, 6), last):
        site.tell(batch({GUEST: via(*(way(f"10.0.0.{n}", 30 + n) for n in hosts))}))
    again = batch({GUEST: via(*(way(f"10.0.0.{n}", 30 + n) for n in sorted(last)))})
    assert restarted_site(full(TOPOLOGY), site, again) == told(site)


def test_places_are_remembered_until_all_is_here() -> None:
    site = Site()
    for hosts in ((2, 3, 4), (2, 4)):
        site.tell(batch({GUEST: via(*(way(f"10.0.0.{n}", 30 + n) for n in hosts))}))
    again = restarted(full(TOPOLOGY), dumped(site.datapath.objects, random.Random(1)), None)
    again.complete()
    again.commit()
    again.forget_places()
    again.routes(ONE, batch({GUEST: via(*(way(f"10.0.0.{n}", 30 + n) for n in (2, 4)))}))
    again.commit()
    [made] = [one for one in forms(again).values() if getattr(one, "nhr_flags", 0) & 0x400]
    assert made.nhr_label_list == (32, 34)
