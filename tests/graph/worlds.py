"""World states for the tests of `oper`: sets of inputs, and how to move from one to the next."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address
from typing import Any
from uuid import UUID

from agent import topology
from agent.ifmap import NodeRef
from agent.ifmap.from_topology import objects
from agent.inputs import (
    ArpLost,
    ArpResolved,
    ContainerPort,
    GraphLink,
    GraphNode,
    HostSettings,
    Link,
    PluggedPort,
    SimpleGateway,
    TrafficSeen,
)
from agent.objects import Desired, Key
from agent.oper import Compiler, Delta
from agent.values import Mac

NIC = Mac.parse("0c:00:00:00:00:01")
REMOTE = Mac.parse("0c:00:00:00:00:02")
SETTINGS = HostSettings(
    "compute-1", "eth1", IPv4Interface("10.0.0.1/24"), IPv4Address("10.0.0.254")
)
HOST_LINKS = (Link("eth1", 3, NIC, True), Link("vhost0", 7, NIC, True))


@dataclass(frozen=True)
class World:
    """One state of all inputs; each input under the key that replaces it."""

    inputs: dict[Any, Any] = field(default_factory=dict)

    def __or__(self, other: World | Iterable[Any]) -> World:
        return World(self.inputs | (other.inputs if isinstance(other, World) else keyed(other)))

    def without(self, *rows: Any) -> World:
        gone = set(keyed(rows))
        return World({key: row for key, row in self.inputs.items() if key not in gone})


def keyed(rows: Iterable[Any]) -> dict[Any, Any]:
    return {_key(row): row for row in rows}


def _key(row: Any) -> Any:
    if isinstance(row, GraphNode):
        return "node", row.type, row.name
    if isinstance(row, GraphLink):
        return "join", row.metadata, row.left, row.right
    if isinstance(row, PluggedPort):
        return "port", row.uuid
    if isinstance(row, ContainerPort):
        return "container", row.vm_uuid, row.vn_uuid, row.vmi_uuid
    if isinstance(row, SimpleGateway):
        return "gateway", row.interface
    if isinstance(row, Link):
        return "link", row.name
    if isinstance(row, ArpResolved):
        return "arp", row.vrf_index, row.ip
    assert isinstance(row, HostSettings)
    return ("settings",)


def put(compiler: Compiler, row: Any) -> None:
    """Put one input of any kind."""
    if isinstance(row, GraphNode):
        compiler.graph.put_node(row)
    elif isinstance(row, GraphLink):
        compiler.graph.put_link(row)
    elif isinstance(row, PluggedPort):
        compiler.put_port(row)
    elif isinstance(row, ContainerPort):
        compiler.put_container(row)
    elif isinstance(row, SimpleGateway):
        compiler.put_gateway(row)
    elif isinstance(row, Link):
        compiler.put_link(row)
    elif isinstance(row, HostSettings):
        compiler.settings(row)
    else:
        compiler.learned(row)


def remove(compiler: Compiler, row: Any) -> None:
    """Remove one input of any kind."""
    if isinstance(row, GraphNode):
        compiler.graph.delete_node(NodeRef(row.type, row.name))
    elif isinstance(row, GraphLink):
        compiler.graph.delete_link(row)
    elif isinstance(row, PluggedPort):
        compiler.remove_port(row.uuid)
    elif isinstance(row, ContainerPort):
        compiler.remove_container(row)
    elif isinstance(row, SimpleGateway):
        compiler.remove_gateway(row.interface)
    elif isinstance(row, Link):
        compiler.remove_link(row.name)
    elif isinstance(row, ArpResolved):
        compiler.learned(ArpLost(row.vrf_index, row.ip))


class Datapath:
    """What ksync would have made true: applies deltas, checks references, acks at once."""

    def __init__(self, compiler: Compiler) -> None:
        self.compiler = compiler
        self.objects: dict[Key, Desired] = {}

    def apply(self, delta: Delta, *, acked: bool = True) -> None:
        released = [self.objects.pop(key) for key in delta.removed]
        for desired in delta.changed:
            self.objects[desired.key] = desired
        for desired in self.objects.values():
            assert all(ref in self.objects for ref in desired.refs), desired
        slots = [slot for desired in self.objects.values() if (slot := number_of(desired))]
        assert len(slots) == len(set(slots)), "two objects share a slot"
        if acked:
            for desired in released:
                self.ack(desired)

    def ack(self, desired: Desired) -> None:
        slot = number_of(desired)
        if slot:
            self.compiler.release(desired.key.kind, slot[1])


_INDEX = {
    "vr_interface_req": "vifr_idx",
    "vr_nexthop_req": "nhr_id",
    "vr_mpls_req": "mr_label",
    "vr_vxlan_req": "vxlanr_vnid",
    "vr_vrf_req": "vrf_idx",
}


def number_of(desired: Desired) -> tuple[Any, int] | None:
    """(kind, index) of an object that has a number."""
    message: Any = desired.message
    name = _INDEX.get(message.NAME)
    return (desired.key.kind, getattr(message, name)) if name else None


def move(compiler: Compiler, old: World, new: World, shuffle: random.Random | None = None) -> None:
    """Apply the differences between two states, deletes and puts mixed when shuffled."""
    steps: list[tuple[bool, Any]] = [
        (False, row) for key, row in old.inputs.items() if key not in new.inputs
    ]
    steps += [(True, row) for key, row in new.inputs.items() if old.inputs.get(key) != row]
    if shuffle:
        shuffle.shuffle(steps)
    for is_put, row in steps:
        (put if is_put else remove)(compiler, row)


def run(states: Iterable[World], shuffle: random.Random | None = None) -> tuple[Compiler, Datapath]:
    """Go through states, one batch each, on a fresh compiler."""
    compiler = Compiler(SETTINGS)
    datapath = Datapath(compiler)
    at = World()
    for state in states:
        move(compiler, at, state, shuffle)
        datapath.apply(compiler.commit())
        assert compiler.failures() == {}
        at = state
    return compiler, datapath


def port_of(vm: topology.Vm, network: topology.Network, **changes: Any) -> PluggedPort:
    values: dict[str, Any] = {
        "uuid": vm.port,
        "instance_uuid": vm.uuid,
        "vn_uuid": network.uuid,
        "project_uuid": UUID(int=0),
        "display_name": vm.name,
        "system_name": vm.tap,
        "mac": vm.mac,
        "ip": vm.address,
        "ip6": vm.address6 or IPv6Address("::"),
    }
    return PluggedPort(**values | changes)


def worked(vms: int = 1, networks: int = 1, **network: Any) -> topology.Topology:
    """The topology of worked-example.md: net1 with 15.0.0.3 and so on, more of both on demand."""
    content = {
        "hosts": {"compute-1": {"fabric": "10.0.0.1/24"}},
        "networks": {
            f"net{n + 1}": {"subnet": f"15.0.{n}.0/24", "vxlan_id": 5 + n} | network
            for n in range(networks)
        },
        "vms": {
            f"vm{n + 1}x{v + 1}": {"network": f"net{n + 1}", "address": f"15.0.{n}.{3 + v}"}
            for n in range(networks)
            for v in range(vms)
        },
    }
    return topology.parse(content)


def config_of(parsed: topology.Topology) -> World:
    made = objects(parsed, "compute-1")
    return World(keyed([*made.nodes, *made.links]))


def ports_of(parsed: topology.Topology) -> list[PluggedPort]:
    return [port_of(vm, parsed.networks[vm.network]) for vm in parsed.vms.values()]


def taps_of(parsed: topology.Topology) -> list[Link]:
    return [
        Link(vm.tap, 12 + at, Mac(b"\xfe" + vm.mac[1:]), True)
        for at, vm in enumerate(parsed.vms.values())
    ]


START = World(keyed(HOST_LINKS))


def full(parsed: topology.Topology) -> World:
    """Host, configuration, devices and ports."""
    return START | config_of(parsed) | taps_of(parsed) | ports_of(parsed)


def forms(compiler: Compiler) -> dict[Key, Any]:
    """All desired messages by key."""
    return {key: desired.message for key, desired in compiler.desired().items()}


def expansions(states: list[World], seed: int = 7) -> Iterator[tuple[str, list[World], Any]]:
    """The ways of getting to the last of `states` that must all give the same."""
    last = states[-1]
    yield "as listed", states, None
    yield "last alone", [last], None
    yield "reversed states", [*reversed(states), last], None
    yield "empties between", [state for each in states for state in (each, World())] + [last], None
    yield "repeated", [state for each in states for state in (each, each)], None
    piecewise = World()
    singles = []
    for key, row in last.inputs.items():
        piecewise = World(piecewise.inputs | {key: row})
        singles.append(piecewise)
    yield "one input a batch", singles, None
    yield (
        "one input a batch, reversed",
        [World(dict(reversed(state.inputs.items()))) for state in _growing(last)],
        None,
    )
    for at in range(3):
        yield f"shuffled {at}", states, random.Random(seed + at)


def _growing(last: World) -> Iterator[World]:
    items = list(reversed(last.inputs.items()))
    for end in range(1, len(items) + 1):
        yield World(dict(items[:end]))


def seen(compiler: Compiler, uuid: UUID) -> TrafficSeen:
    """The VM's first packet."""
    row = compiler.vmi_by_uuid(uuid)
    assert row is not None
    assert row.ip is not None
    return TrafficSeen(row.vif_index, row.ip, row.mac)
