"""The core without its shell: what controllers say, in bounded turns, and what is held back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from uuid import UUID

import pytest
import yaml

from agent import topology
from agent.daemon.core import Core
from agent.errors import ConfigError
from agent.ifmap.from_topology import network_name, vrf_name
from agent.inputs import Link, PluggedPort
from agent.ksync.events import Dumped, LinkChanged
from agent.objects import DatapathMessage, Kind
from agent.oper.compiler import ROUTES_A_BATCH
from agent.rest.files import Stamp
from agent.routes import (
    Encapsulation,
    InetKey,
    RouteAttributes,
    RouteBatch,
    RouteFamily,
    RouteNexthop,
    RouteUpdate,
)
from agent.sandesh.vrouter import VrouterOps
from agent.settings import Server, parse
from agent.values import Mac
from agent.xmpp import ConfigComplete, EndOfRib, Event, PeerDown, PeerUp, Routes, SweepRoutes

ONE_HOST = Path(__file__).parents[3] / "agent/lab/topologies/one-host.yaml"
TOPOLOGY = topology.parse(yaml.safe_load(ONE_HOST.read_text()))
HOST = "[VIRTUAL-HOST-INTERFACE]\nphysical_interface = fabric0\nip = 10.0.0.1/24\n"
CONTROLLERS = HOST + "[CONTROL-NODE]\nservers = 10.0.0.250 10.0.0.251\n"
ONE, TWO = (Server(IPv4Address(f"10.0.0.{last}"), 5269) for last in (250, 251))
RED = vrf_name("red")
LIMITS = VrouterOps(vo_interfaces=4352, vo_nexthops=4096, vo_mpls_labels=5120, vo_vrfs=4096)
MAC = Mac.parse("02:00:00:00:00:03")


def plugged(name: str) -> PluggedPort:
    vm = TOPOLOGY.vms[name]
    network = topology.uuid_of("virtual-network", vm.network)
    nobody = IPv6Address(0)
    return PluggedPort(
        vm.port, vm.uuid, network, UUID(int=1), name, vm.tap, vm.mac, vm.address, nobody
    )


def core(text: str = HOST, parsed: topology.Topology | None = TOPOLOGY, *ports: str) -> Core:
    """A core with its links and ports; the datapath was not read yet."""
    made = Core(parse(text), parsed, pid=1, seed=1, now=0.0)
    names = ("fabric0", "vhost0", *(TOPOLOGY.vms[port].tap for port in ports))
    made.links([Link(name, 3 + at, MAC, True) for at, name in enumerate(names)], [])
    made.store.plug([plugged(port) for port in ports], Stamp("test", 0.0))
    made.listed()
    return made


def read(made: Core, messages: Iterable[DatapathMessage] = ()) -> None:
    """The datapath was read, and holds these."""
    made.session.connected(0.0)
    made.datapath_said([Dumped(tuple(messages), LIMITS, None, None)], 0.0)
    made.turn(0.0)


def test_a_dpdk_port_follows_what_the_datapath_says_of_its_socket() -> None:
    made = core(HOST + "[DEFAULT]\nplatform = dpdk\n", TOPOLOGY, "red1")
    read(made)
    [row] = made.compiler.vmis()

    def forwards() -> bool:
        made.turn(2.0)
        [now] = made.compiler.vmis()
        return now.active

    assert forwards()
    made.datapath_said([LinkChanged(row.vif_index, False), LinkChanged(999, False)], 1.0)
    assert not forwards()
    made.datapath_said([LinkChanged(row.vif_index, True)], 1.0)
    assert forwards()
    made.datapath_said([LinkChanged(row.vif_index, False)], 1.0)
    assert not forwards()
    made.datapath_said([Dumped((), LIMITS, None, None)], 1.0)
    assert forwards()


def running() -> Core:
    made = core(HOST, TOPOLOGY, "red1")
    read(made)
    made.controllers_said([PeerUp(ONE, 1), PeerUp(TWO, 1)], 1.0)
    made.turn(1.0)
    return made


def routes(peer: Server, addresses: Sequence[int], sequence: int = 1) -> Event:
    way = RouteNexthop(IPv4Address("10.0.0.2"), 17, (Encapsulation.UDP,), network_name("red"))
    via = RouteAttributes((way,), virtual_network=network_name("red"), local_preference=100)
    updates = [RouteUpdate(InetKey(number.to_bytes(4, "big"), 32), via) for number in addresses]
    return Routes(peer, sequence, RouteBatch(RouteFamily.INET, RED, updates))


def held(made: Core, addresses: Sequence[int]) -> int:
    """How many of these the datapath is to have."""
    wanted = {number.to_bytes(4, "big") for number in addresses}
    keys = (key.name for key in made.compiler.desired() if key.kind is Kind.INET_ROUTE)
    return sum(name[0] == RED and name[1][0] in wanted for name in keys)


def settle(made: Core, now: float = 2.0) -> int:
    turns = 1
    made.turn(now)
    while made.pending:
        made.turn(now)
        turns += 1
    return turns


def test_a_turn_takes_a_bounded_part() -> None:
    made = running()
    many = range(0x14000000, 0x14000000 + 10 * ROUTES_A_BATCH)
    made.controllers_said([routes(ONE, many)], 2.0)
    assert settle(made) >= 10
    assert held(made, many) == len(many)


def test_only_older_routes_of_a_controller_that_came_back_go() -> None:
    made = running()
    made.controllers_said([routes(ONE, [1 << 24, 2 << 24])], 2.0)
    settle(made)
    back = [PeerDown(ONE, "lost"), PeerUp(ONE, 2), routes(ONE, [2 << 24], 2)]
    made.controllers_said(back, 3.0)
    settle(made)
    assert held(made, [1 << 24, 2 << 24]) == 2
    made.controllers_said([EndOfRib(ONE, 2, True), SweepRoutes(ONE, 2)], 4.0)
    settle(made)
    assert held(made, [1 << 24]) == 0
    assert held(made, [2 << 24]) == 1


def test_all_routes_of_a_controller_that_is_made_up_for_go() -> None:
    made = running()
    made.controllers_said([routes(ONE, [1 << 24, 2 << 24]), routes(TWO, [2 << 24])], 2.0)
    made.controllers_said([PeerDown(ONE, "lost")], 3.0)
    settle(made)
    assert held(made, [1 << 24, 2 << 24]) == 2
    made.controllers_said([SweepRoutes(ONE, 2)], 4.0)
    settle(made)
    assert held(made, [1 << 24]) == 0
    assert held(made, [2 << 24]) == 1


def test_two_controllers_may_share_an_address() -> None:
    text = HOST + "[CONTROL-NODE]\nservers = 10.0.0.250 10.0.0.250:5270 10.0.0.250:5269\n"
    other = replace(ONE, port=5270)
    made = core(text, None)
    assert set(made.controllers.servers) == {ONE, other}
    made = running()
    made.controllers_said([PeerUp(other, 1), routes(ONE, [1 << 24]), routes(other, [2 << 24])], 2.0)
    made.controllers_said([PeerDown(ONE, "lost"), SweepRoutes(ONE, 2)], 3.0)
    settle(made)
    assert (held(made, [1 << 24]), held(made, [2 << 24])) == (0, 1), "each has its own routes"


def test_the_order_of_the_list_is_the_hosts_own() -> None:
    names = [f"[DEFAULT]\nagent_name = compute-{number}\n" for number in range(16)]
    first = []
    for name in names:
        slots = [
            [view.server for view in core(name + text, None).controllers.views()]
            for text in (CONTROLLERS, HOST + "[CONTROL-NODE]\nservers = 10.0.0.251 10.0.0.250\n")
        ]
        assert slots[0] == slots[1]
        first.append(slots[0][0])
    assert set(first) == {ONE, TWO}, "hosts spread over the controllers"


def test_a_topology_stands_in_for_controllers() -> None:
    made = core(CONTROLLERS)
    assert not made.controllers.servers
    made.reload(parse(CONTROLLERS), None, 1.0)
    assert set(made.controllers.servers) == {ONE, TWO}


def test_a_wrong_file_changes_nothing() -> None:
    made = core(CONTROLLERS, None)
    with pytest.raises(ConfigError, match="physical_interface"):
        made.reload(parse("[CONTROL-NODE]\nservers = 10.0.0.9\n"), None, 1.0)
    assert set(made.controllers.servers) == {ONE, TWO}


def test_what_an_agent_before_wrote_stays_until_all_is_settled() -> None:
    old = running()
    old.controllers_said([routes(ONE, [1 << 24])], 2.0)
    settle(old)
    messages = [one.message for one in old.compiler.desired().values()]
    made = core(CONTROLLERS, None, "red1")
    read(made, messages)
    for server in (ONE, TWO):
        made.controllers_said([PeerUp(server, 1), EndOfRib(server, 1, True)], 1.0)
    made.turn(1.0)
    assert made.deadline(1.0) is None
    made.controllers_said([ConfigComplete(1)], 5.0)
    made.turn(5.0)
    assert made.deadline(5.0) == 35.0, "the port, which forwards, has no configuration yet"
    made.turn(35.0)
    assert list(made.session.snapshot()) == []
    assert made.deadline(38.0) == 38.0, "VRFs were joined: what counts is when that was over"
    made.turn(38.0)
    deadline = made.deadline(38.0)
    assert deadline == 40.5
    assert made.pending is False
    made.turn(deadline)
    assert list(made.session.snapshot()) == [], "what came while it was busy is read first"
    while (again := made.deadline(deadline)) is not None:
        deadline = again
        made.turn(deadline)
    assert deadline < 41
    assert Kind.VIF in {view.key.kind for view in made.session.snapshot() if view.key}
