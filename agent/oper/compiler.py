"""The face of `oper`: inputs in, rows for the services and desired objects for ksync out."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from ipaddress import IPv4Address
from typing import Any
from uuid import UUID

from agent.ifmap import Graph, Identity, Neighbours, NodeRef
from agent.inputs import (
    ArpLost,
    ArpResolved,
    ContainerPort,
    DhcpSnooped,
    DropNewFlows,
    HostSettings,
    Link,
    LinkTold,
    PluggedPort,
    SimpleGateway,
    TrafficSeen,
)
from agent.objects import DatapathMessage, Desired, Key, Kind, Numbered
from agent.oper import demand, enumerations, export, fabric, shared, vgw, vrf, world
from agent.oper.datapath import Nexthop
from agent.oper.desired import desired
from agent.oper.dump import Dump
from agent.oper.enumerations import ENUMERATIONS
from agent.oper.export import Exported, Exports
from agent.oper.flow_rows import Acl, FlowPort, LinkLocalService
from agent.oper.flow_state import FlowState
from agent.oper.ids import ALLOCATOR, FREED, INDEX, LIMITS, Ids
from agent.oper.incremental import Call, Engine, InputRead
from agent.oper.inspection import Inspection
from agent.oper.lookup import ConfiguredVmi, configured, vm_by_uuid, vmis_of_vm
from agent.oper.multicast import TREE_SPACE
from agent.oper.portrows import PortRows
from agent.oper.remote import Counters, RemoteRoutes
from agent.oper.results import Delta as Delta
from agent.oper.results import Results
from agent.oper.rows import Fabric, Gateway, Vmi, Vn, Vrf
from agent.oper.session_port import SessionPort
from agent.oper.session_state import SessionState
from agent.oper.table import Table
from agent.oper.territory import Local
from agent.oper.tree_labels import builder_of, local_labels, tree_labels, tree_space
from agent.oper.vn import GLOBAL, vn
from agent.oper.wanted import Wanted
from agent.rib import Rib
from agent.routes import PublishedRoute, RouteBatch
from agent.values import Mac

ROUTES_A_BATCH = 512
"""How many changed routes a commit takes over, so that none takes long."""


_NONE: Mapping[str, Any] = {}


class Compiler:
    """Everything that `oper` knows. Change inputs, then `commit`.

    Put configuration into `graph` directly. After `seed` with a dump in which VMs are
    connected, `commit` answers nothing until `complete`: what forwards goes on forwarding
    as it is while configuration arrives, and numbers are recognised with all evidence.
    """

    def __init__(self, settings: HostSettings) -> None:
        self.graph = Graph()
        self._engine = engine = Engine()
        self._settings = settings
        self._ids = Ids(lambda kind: engine.touch(FREED, kind))
        self._ports: Table[UUID, PluggedPort] = Table(engine, world.PORT, world.PORTS)
        self._links: Table[str, Link] = Table(engine, world.LINK)
        self._arps: Table[tuple[int, IPv4Address], ArpResolved] = Table(
            engine, world.ARP, world.ARPS
        )
        self._gateways: Table[str, SimpleGateway] = Table(engine, world.GATEWAY, world.GATEWAYS)
        self._containers: dict[tuple[UUID, UUID, UUID], ContainerPort] = {}
        self._wanted = Wanted()
        self._remote = RemoteRoutes(engine, Local(self._wanted.rows.get, self._bound))
        self._rows = PortRows(engine, self._remote)
        self.inspection = Inspection(engine, self._ids, self._wanted, self._remote)
        self._exports = Exports()
        self._holdings = shared.Holdings(engine)
        self._flows = FlowState()
        self._sessions = SessionState()
        self._results = Results(
            engine,
            self._ids,
            self._wanted,
            self._remote,
            self._rows,
            self._exports,
            self._holdings,
            self._flows,
            self._sessions,
        )
        self._limits = {kind: LIMITS[kind] for kind in (Kind.LABEL, Kind.VRF)}
        self._tree_slot: int | None = None
        self.built_before: int | None = None
        """The slot of the controller that built the trees of the agent before, if it had any."""
        self._attach()
        self._holding = False
        self._forwarding: dict[str, bool] = {}
        """The devices of ports that an agent before has connected; whether with an address."""

    def _attach(self) -> None:
        engine, graph = self._engine, self.graph
        engine.attach(world.NODE, graph.node)
        engine.attach(world.NEIGHBOURS, graph.neighbours)
        engine.attach(world.BY_UUID, graph.by_uuid)
        engine.attach(world.HOST, lambda _: self._settings)
        engine.attach(world.CONTAINERS, lambda _: tuple(self._containers.values()))
        engine.attach(INDEX, self._ids.bound, self._ids.unread)
        engine.attach(ALLOCATOR, lambda _: self._ids)
        engine.attach(FREED, lambda _: None)
        engine.attach(export.TREE_LABELS, self._tree_labels)
        engine.attach(TREE_SPACE, lambda _: tree_space(*self._room()))
        for enumeration in ENUMERATIONS:
            engine.enumerate(enumeration)

    def _bound(self, label: int) -> Nexthop | None:
        """The nexthop that a label of this host is bound to."""
        owner = self._ids.owner(Kind.LABEL, label)
        row = self._wanted.rows.get(Key(Kind.NEXTHOP, owner.name)) if owner else None
        return row if isinstance(row, Nexthop) else None

    # Inputs

    def settings(self, settings: HostSettings) -> None:
        """The configuration file, read again."""
        if settings != self._settings:
            self._settings = settings
            self._engine.touch(world.HOST, None)

    def put_port(self, port: PluggedPort) -> None:
        """A port is plugged, or plugged again with other values."""
        self._ports.put(port.uuid, port)

    def remove_port(self, uuid: UUID) -> None:
        """A port is unplugged."""
        self._ports.drop(uuid)

    def put_container(self, port: ContainerPort) -> None:
        """A container's port is plugged."""
        self._containers[port.vm_uuid, port.vn_uuid, port.vmi_uuid] = port
        self._engine.touch(world.CONTAINERS, None)

    def remove_container(self, port: ContainerPort) -> None:
        """A container's port is unplugged."""
        if self._containers.pop((port.vm_uuid, port.vn_uuid, port.vmi_uuid), None):
            self._engine.touch(world.CONTAINERS, None)

    def put_gateway(self, gateway: SimpleGateway) -> None:
        """A simple gateway is wanted, or wanted with other values."""
        self._gateways.put(gateway.interface, gateway)

    def remove_gateway(self, interface: str) -> None:
        """A simple gateway is not wanted any more."""
        self._gateways.drop(interface)

    def put_link(self, link: Link) -> None:
        """A network interface of the host appeared or changed."""
        self._links.put(link.name, link)

    def remove_link(self, name: str) -> None:
        """A network interface of the host is gone."""
        self._links.drop(name)

    def learned(
        self, fact: ArpResolved | ArpLost | TrafficSeen | DhcpSnooped | DropNewFlows | LinkTold
    ) -> None:
        """What services and flows learned from packets. Of unknown vifs it is ignored."""
        if isinstance(fact, ArpResolved):
            self._arps.put((fact.vrf_index, fact.ip), fact)
        elif isinstance(fact, ArpLost):
            self._arps.drop((fact.vrf_index, fact.ip))
        elif isinstance(fact, DhcpSnooped):
            self._rows.leased(fact)
        elif isinstance(fact, DropNewFlows):
            self._rows.full(fact)
        elif isinstance(fact, LinkTold):
            self._rows.link(fact)
        else:
            self._rows.heard(fact)

    def forget_links(self) -> None:
        """What the datapath said of links counts no more."""
        self._rows.forget_links()

    # Routes of controllers

    def routes(self, peer: str, batch: RouteBatch) -> None:
        """A controller, named by its address, says this of routes.

        Routes of a VRF that is not in use are ignored and counted.
        """
        self._remote.apply(peer, batch)

    def begin_routes(self, peer: str, sequence: int) -> None:
        """A session with the controller starts; what it said before is stale from now on."""
        self._remote.rib.begin(peer, sequence)

    def sweep_routes(self, peer: str, sequence: int) -> None:
        """The controller has told all its routes of that session: stale ones go."""
        self._remote.rib.sweep(peer, sequence)

    def remove_controller(self, peer: str) -> None:
        """The controller is not one of ours any more: its routes go."""
        self._remote.rib.remove_peer(peer)

    def build_trees(self, peer: str | None, slot: int | None) -> None:
        """Which controller builds the broadcast trees; None while none is chosen.

        Its slot, 0 or 1, says which labels it is told to use.
        """
        self._remote.rib.build_trees(peer)
        self._tree_slot = slot
        self._engine.touch(export.TREE_LABELS, None)

    def _tree_labels(self, _: None) -> tuple[int, int] | None:
        if self._tree_slot is None:
            return None
        return tree_labels(self._tree_slot, *self._room())

    def _room(self) -> tuple[int, int]:
        """How many labels and VRFs the datapath has."""
        return self._limits[Kind.LABEL], self._limits[Kind.VRF]

    def published(self) -> Exported:
        """What changed of the routes that controllers are told, since this was last asked."""
        return self._exports.changes()

    def publications(self) -> list[PublishedRoute]:
        """All routes that controllers are told."""
        return list(self._exports.rows.values())

    def subscriptions(self) -> dict[str, int]:
        """The VRFs whose routes this host needs, with their indexes."""
        return {row.name: row.index for row in self.vrfs()}

    @property
    def pending(self) -> bool:
        """Whether routes wait for another `commit`: one takes a bounded number."""
        return self._remote.rib.pending and not self._holding

    @property
    def rib(self) -> Rib:
        """The routes of controllers, to be read."""
        return self._remote.rib

    @property
    def route_counters(self) -> Counters:
        """What happened to routes since the start."""
        return self._remote.counters

    # The datapath's side

    def seed(self, messages: Iterable[DatapathMessage]) -> list[ArpResolved]:
        """Know again what the datapath holds from an agent before; call once, before `commit`.

        Returns the neighbours whose MAC addresses are in use there. They are taken as
        learned; whoever answers for ARP should confirm them.
        """
        dump = Dump(messages)
        for seed in dump.seeds():
            self._ids.seed(seed.kind, seed.index, *seed.recognitions)
        neighbours = dump.arp()
        for neighbour in neighbours:
            self.learned(neighbour)
        for seen in dump.traffic():
            self._rows.adopt(seen)
        for lease in dump.leases():
            self._rows.leased(lease)
        for route in dump.ecmp_routes():
            self._remote.keep_places(*route)
        for vifs in dump.shared():
            self._holdings.keep_places(vifs)
        self._holding = dump.has_ports
        self._forwarding = dict(dump.forwarding())
        self.built_before = builder_of(dump.labels(), *self._room())
        return neighbours

    def forget_places(self) -> None:
        """All is here that was in the datapath: places in ECMP are now those of what is here."""
        self._remote.forget_places()
        self._holdings.forget_places()

    def restore(self, rows: Iterable[Numbered]) -> None:
        """Numbers that an agent before has written down; call before the first `commit`.

        They are kept for the objects with those keys until `forget`.
        """
        self._ids.restore(rows)

    def forget(self) -> int:
        """Free the restored numbers that nothing has claimed; how many."""
        return self._ids.forget()

    def numbered(self) -> Iterator[Numbered]:
        """All numbers in use or kept, with the texts of their keys, in a fixed order.

        They are those of the moment of the call, wherever and whenever they are gone through.
        """
        return self._ids.numbered()

    @property
    def numberings(self) -> int:
        """How often a number was given or taken back: what `numbered` tells has changed."""
        return self._ids.changes

    def complete(self) -> None:
        """Configuration and ports are as complete as they will be: the next `commit` answers."""
        self._holding = False

    def lacks_configuration(self) -> bool:
        """Whether, while `commit` waits, a port that forwards could not go on as it is."""
        return self._holding and any(map(self._is_lost, self._ports.rows.values()))

    def _is_lost(self, port: PluggedPort) -> bool:
        had_address = self._forwarding.get(port.system_name)
        if had_address is None:
            return False
        in_network, has_address = configured(self.graph, port.uuid)
        return not in_network or (had_address and not has_address)

    @property
    def holding(self) -> bool:
        """Whether `commit` waits for `complete`."""
        return self._holding

    def limit(self, kind: Kind, count: int) -> None:
        """How many objects of a kind the datapath has room for."""
        if kind is not Kind.LABEL:
            self._ids.limit(kind, count)
        if kind in self._limits:
            self._limits[kind] = count
            self._ids.limit(Kind.LABEL, local_labels(*self._room()))
            self._engine.touch(export.TREE_LABELS, None)
            self._engine.touch(TREE_SPACE, None)

    def release(self, kind: Kind, index: Hashable) -> None:
        """The datapath holds nothing of this number any more (ksync's Released)."""
        if isinstance(index, int) and self._ids.owner(kind, index) not in self._wanted.rows:
            self._ids.release(kind, index)

    def commit(self) -> Delta:
        """Make all results right after a batch of changes of the inputs."""
        if self._holding:
            return Delta()
        for change in self.graph.changes():
            if isinstance(change, NodeRef):
                self._engine.touch(world.NODE, change)
            elif isinstance(change, Neighbours):
                self._engine.touch(world.NEIGHBOURS, change)
            elif isinstance(change, Identity):
                self._engine.touch(world.BY_UUID, change)
        self._remote.collect(ROUTES_A_BATCH)
        self._rows.give_way(self._settings.address.ip if self._settings.address else None)
        return self._results.renew()

    # Rows for services and tools

    def vmi(self, vif_index: int) -> Vmi | None:
        """The VMI behind a vif."""
        return self._rows.by_vif(vif_index)

    def vmi_by_uuid(self, uuid: UUID) -> Vmi | None:
        """A plugged VMI."""
        return self._rows.rows.get(uuid)

    def vmis(self) -> list[Vmi]:
        """All plugged VMIs."""
        return list(self._rows.rows.values())

    def acls(self) -> dict[str, Acl]:
        """The access lists in use, by name."""
        return dict(self._flows.acls)

    def policy_problems(self) -> dict[str, str]:
        """What of the access lists in use cannot be used, by the list's name."""
        return dict(self._flows.problems)

    def link_local_services(self) -> tuple[LinkLocalService, ...]:
        """The services on link-local addresses."""
        return self._flows.services

    def flow_port(self, uuid: UUID) -> FlowPort | None:
        """What a VMI says of its flows; None while it is not plugged or not configured."""
        return self._flows.ports.get(uuid)

    def flow_ports(self) -> dict[UUID, FlowPort]:
        """What the plugged VMIs that are configured say of their flows."""
        return dict(self._flows.ports)

    def session_port(self, uuid: UUID) -> SessionPort | None:
        """What is told of a VMI's sessions; None while it is not plugged or not configured."""
        return self._sessions.ports.get(uuid)

    def has_logging(self) -> bool:
        """Whether sessions of any port are to be logged."""
        return bool(self._sessions.logged)

    def global_properties(self) -> Mapping[str, Any]:
        """The properties of the global vrouter configuration; empty while there is none."""
        found = self.graph.node(GLOBAL)
        return found.properties if found else _NONE

    def gateways(self) -> list[Gateway]:
        """The simple gateways."""
        rows = (self._value(vgw.gateway, name) for name in self._gateways.rows)
        return [row for row in rows if isinstance(row, Gateway)]

    def networks(self) -> list[Vn]:
        """The networks in use."""
        return [row for row in self._live(enumerations.networks, vn) if isinstance(row, Vn)]

    def vrfs(self) -> list[Vrf]:
        """The VRFs in use."""
        return [row for row in self._live(enumerations.vrfs, vrf.vrf) if isinstance(row, Vrf)]

    def fabric(self) -> Fabric | None:
        """The host's own side; None while its interface does not exist."""
        row = self._value(fabric.fabric)
        return row if isinstance(row, Fabric) else None

    def wanted_arp(self) -> frozenset[tuple[int, IPv4Address]]:
        """(VRF index, address) of the neighbours that must be resolved and kept so."""
        wanted = self._value(demand.wanted_arp)
        return frozenset(wanted if isinstance(wanted, tuple) else ())

    def waiting(self) -> list[tuple[int, IPv4Address, Mac]]:
        """(vif index, address, MAC) of the VMs that have not yet been heard of."""
        return self._rows.waiting()

    def configured_vmis(
        self, vm_uuid: UUID | None = None, vm_name: str = ""
    ) -> list[ConfiguredVmi]:
        """The interfaces that configuration ties to a VM, which its UUID or node name tells."""
        vm = NodeRef("virtual-machine", vm_name)
        if vm_uuid is not None:
            return vmis_of_vm(self.graph, vm_by_uuid(self.graph, vm_uuid))
        return vmis_of_vm(self.graph, vm)

    def desired(self) -> dict[Key, Desired]:
        """All desired objects."""
        local = {key: desired(row) for key, row in self._wanted.rows.items()}
        return local | self._remote.desired()

    def numbers(self, kind: Kind) -> Mapping[int, Key]:
        """The numbers in use, with their owners."""
        return self._ids.in_use(kind)

    def used(self, kind: Kind) -> int:
        """How many numbers of a kind are in use."""
        return self._ids.used(kind)

    def failures(self) -> dict[str, str]:
        """Functions that raised, with the reason; what they would have made is missing."""
        return self._engine.failures() | self._wanted.conflicts

    def why(self, key: Key) -> list[Call | InputRead]:
        """What the result that wants an object has read; empty for what is not desired."""
        if (reads := self._remote.why(key)) is not None:
            return reads
        owner = self._wanted.owner(key)
        return self._engine.why(owner.function, *owner.args) if owner else []

    def reads(self, call: Call) -> list[Call | InputRead]:
        """What a result among those that `why` gives has read itself."""
        return self._engine.why(call.function, *call.args)

    @property
    def recomputed(self) -> Mapping[str, int]:
        """How often each function was computed."""
        return self._engine.recomputed

    def _value(self, function: Any, *args: Any) -> Any:
        try:
            return self._engine.value(function, *args)
        except KeyError:
            return None

    def _live(self, enumeration: Any, function: Any) -> list[Any]:
        calls = self._engine.demanded(enumeration)
        return [self._value(function, *call.args) for call in calls]
