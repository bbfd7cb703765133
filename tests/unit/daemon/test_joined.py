"""A host that stands alone: networks that the topology joins have each other's routes."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from uuid import UUID

from agent import topology
from agent.daemon.core import Core
from agent.ifmap.from_topology import vrf_name
from agent.inputs import Link, PluggedPort
from agent.ksync.events import Dumped
from agent.objects import Kind
from agent.rest.files import Stamp
from agent.sandesh.vrouter import VrouterOps
from agent.settings import parse
from agent.topology import Topology
from agent.values import Mac

HOST = parse("[VIRTUAL-HOST-INTERFACE]\nphysical_interface = fabric0\nip = 10.0.0.1/24\n")
LIMITS = VrouterOps(vo_interfaces=4352, vo_nexthops=4096, vo_mpls_labels=5120, vo_vrfs=4096)
NAMES = ("red1", "blue1")


def described(**more: object) -> Topology:
    return topology.parse(
        {
            "hosts": {"host1": {}},
            "networks": {"red": {"subnet": "10.1.1.0/24"}, "blue": {"subnet": "10.2.2.0/24"}},
            "vms": {
                "red1": {"network": "red", "address": "10.1.1.3"},
                "blue1": {"network": "blue", "address": "10.2.2.3"},
            },
            **more,
        }
    )


APART = described()
JOINED = described(connect=[["red", "blue"]])


def plug(made: Core, *names: str) -> None:
    ports = []
    for name in names:
        vm = JOINED.vms[name]
        network = topology.uuid_of("virtual-network", vm.network)
        ends = (vm.tap, vm.mac, vm.address, IPv6Address(0))
        ports.append(PluggedPort(vm.port, vm.uuid, network, UUID(int=1), name, *ends))
    made.store.plug(ports, Stamp("test", 0.0))


def running(described: Topology, *ports: str) -> Core:
    made = Core(HOST, described, pid=1, seed=1, now=0.0)
    names = ["fabric0", "vhost0", *(vm.tap for vm in JOINED.vms.values())]
    mac = Mac.parse("02:00:00:00:00:03")
    made.links([Link(name, 3 + at, mac, True) for at, name in enumerate(names)], [])
    made.listed()
    plug(made, *ports)
    made.session.connected(0.0)
    made.datapath_said([Dumped((), LIMITS, None, None)], 0.0)
    settle(made)
    return made


def settle(made: Core) -> None:
    made.turn(0.0)
    while made.pending:
        made.turn(0.0)


def routed(made: Core, network: str, address: str) -> bool:
    """Whether the datapath is to have a host route in a network."""
    names = (one.name for one in made.compiler.desired() if one.kind is Kind.INET_ROUTE)
    return (vrf_name(network), (ip_address(address).packed, 32)) in names


def test_joined_networks_have_each_others_routes() -> None:
    made = running(JOINED, *NAMES)
    assert routed(made, "red", "10.2.2.3")
    assert routed(made, "blue", "10.1.1.3")


def test_networks_that_are_not_joined_have_none() -> None:
    made = running(APART, *NAMES)
    assert routed(made, "red", "10.1.1.3")
    assert not routed(made, "red", "10.2.2.3")


def test_routes_follow_ports() -> None:
    made = running(JOINED, "red1")
    plug(made, "blue1")
    settle(made)
    assert routed(made, "red", "10.2.2.3")
    made.store.unplug(JOINED.vms["blue1"].port)
    settle(made)
    assert not routed(made, "red", "10.2.2.3")
    plug(made, "blue1")
    settle(made)
    assert routed(made, "red", "10.2.2.3")


def test_routes_follow_the_topology() -> None:
    made = running(APART, *NAMES)
    for described_, there in ((JOINED, True), (APART, False)):
        made.reload(HOST, described_, 0.0)
        settle(made)
        assert routed(made, "red", "10.2.2.3") is there
