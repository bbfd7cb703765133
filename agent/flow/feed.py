"""From rows and desired objects of `oper` to the world that flows are decided in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, cast
from uuid import UUID

import structlog

from agent._fast.flow_world import World
from agent.flow.acl import AclTable, Numbers
from agent.flow.ports import VmNumbers, put_gateway, put_host, put_vm_port, service
from agent.objects import DatapathMessage, Desired, Key, Kind
from agent.oper import Delta
from agent.oper.fabric import FABRIC_VIF, UNDERLAY
from agent.oper.flow_rows import FlowPort, LinkLocalService
from agent.oper.rows import Fabric, Vmi
from agent.oper.vgw import is_gateway
from agent.oper.vmi import NO_VIF
from agent.routes import RouteAttributes
from agent.sandesh.vrouter import (
    VrInterfaceReq,
    VrMirrorReq,
    VrMplsReq,
    VrNexthopReq,
    VrQosMapReq,
    VrRouteReq,
    VrVrfReq,
)
from agent.values import Mac

log = structlog.get_logger(__name__)

_READ = frozenset({Kind.NEXTHOP, Kind.LABEL, Kind.VXLAN})
_MOST_METAS = 65536


class Behind(NamedTuple):
    """What is known of remote addresses: their network, security groups and tags, by number."""

    network: str = ""
    groups: tuple[int, ...] = ()
    tags: tuple[int, ...] = ()


_UNKNOWN = Behind()


class Rows(Protocol):
    """What the feed asks of oper beside what changed."""

    def vmi_by_uuid(self, uuid: UUID) -> Vmi | None: ...
    def fabric(self) -> Fabric | None: ...
    def flow_port(self, uuid: UUID) -> FlowPort | None: ...


class WorldFeed:
    """Keeps a world in step with oper: call `follow` with what each commit changed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._vrfs: dict[str, int] = {}
        self._mirrors: dict[str, int] = {}
        self._maps: dict[str, int] = {}
        numbers = Numbers(self._vrfs.get, self._mirrors.get, self._maps.get)
        self.lists = AclTable(world.classifier, numbers)
        self._listed: dict[UUID, list[str]] = {}
        self._messages: dict[Key, DatapathMessage] = {}
        self._key_nexthops: dict[int, int] = {}
        self._vifs: dict[UUID, tuple[int, UUID]] = {}
        self._ports: dict[int, UUID] = {}
        self._vms = VmNumbers()
        self._fabric: Fabric | None = None
        self._metas: dict[Behind, int] = {}
        self._behind: dict[int, Behind] = {}  # as many as the world keeps
        self._put_vrf(UNDERLAY.name, UNDERLAY.index)

    def follow(self, delta: Delta, rows: Rows) -> None:
        """Take over what a commit changed: what goes first, then what is new."""
        for key in delta.removed:
            self._remove(key)
        self._take_lists(delta)
        ports = dict.fromkeys((*delta.flow_ports, *(row.uuid for row in delta.vmis)))
        for one in delta.changed:
            if not isinstance(one.message, VrRouteReq):  # most are; they have a list of their own
                self._take(one, ports)
        self._take_routes(delta.routes)
        for row in delta.unplugged:
            self._drop_port(row.uuid)
        for uuid in ports:
            self._put_port(rows.vmi_by_uuid(uuid), rows.flow_port(uuid), uuid)
        self._take_host(rows.fabric())
        if delta.link_local_services is not None:
            self._take_services(delta.link_local_services)

    # Looking

    def key_nexthop(self, vif: int) -> int:
        """The nexthop that names a vif in flow keys; 0 for none."""
        return self._key_nexthops.get(vif, 0)

    def label(self, nexthop: int) -> int | None:
        """A label that leads to a nexthop."""
        labels = (one for one in self._messages.values() if isinstance(one, VrMplsReq))
        return next((one.mr_label for one in labels if one.mr_nhid == nexthop), None)

    def nexthop(self, number: int) -> VrNexthopReq | None:
        """The nexthop of a number."""
        found = (one for one in self._messages.values() if isinstance(one, VrNexthopReq))
        return next((one for one in found if one.nhr_id == number), None)

    def vifs_of(self, vm: int) -> list[int]:
        """The vifs of the VM that has a number in the world."""
        return [vif for vif, uuid in self._vifs.values() if self._vms.number(uuid) == vm]

    def behind(self, meta: int) -> Behind:
        """What a controller says of the addresses behind a route, by the number of that."""
        return self._behind.get(meta, _UNKNOWN)

    def vrf_name(self, index: int) -> str:
        """The VRF of an index, "" for none."""
        return next((name for name, number in self._vrfs.items() if number == index), "")

    # Lists

    def _take_lists(self, delta: Delta) -> None:
        for name, acl in delta.acls.items():
            number = self.lists.remove(name) if acl is None else self.lists.put(acl)
            if number is not None:
                self._world.touch_list(number)
            problem = self.lists.problem(name)
            if problem:
                log.warning("access list denies everything", list=name, reason=problem)

    def _resolve(self, name: str) -> None:
        """What a name in rules stands for is another number."""
        for number in self.lists.resolve(name):
            self._world.touch_list(number)

    # Objects

    def _take(self, one: Desired, ports: dict[UUID, None]) -> None:
        message: Any = one.message
        if isinstance(message, VrVrfReq):
            self._put_vrf(str(one.key.name), message.vrf_idx)
        elif one.key.kind in _READ:
            self._messages[one.key] = message
            self._world.add(message)
        elif isinstance(message, VrMirrorReq):
            self._put_name(self._mirrors, str(one.key.name), message.mirr_index)
        elif isinstance(message, VrQosMapReq):
            self._put_name(self._maps, str(one.key.name), message.qmr_id)
        elif isinstance(message, VrInterfaceReq):
            self._key_nexthops[message.vifr_idx] = message.vifr_nh_id
            port = self._ports.get(message.vifr_idx)
            if port is not None:
                ports[port] = None
            elif is_gateway(one.key):
                self._messages[one.key] = message
                put_gateway(self._world, message)

    def _remove(self, key: Key) -> None:
        if key.kind in _READ:
            self._world.remove(cast(Any, self._messages.pop(key)))
        elif key.kind in (Kind.INET_ROUTE, Kind.BRIDGE_ROUTE):
            self._remove_route(*cast(Any, key.name))
        elif key.kind is Kind.VRF:
            index = self._vrfs.pop(str(key.name), None)
            if index is not None:
                self._world.drop_vrf(index)
                self._resolve(str(key.name))
        elif key.kind is Kind.VIF and key in self._messages:
            self._world.drop_port(cast(Any, self._messages.pop(key)).vifr_idx)
        elif key.kind is Kind.MIRROR:
            self._mirrors.pop(str(key.name), None)
            self._resolve(str(key.name))
        elif key.kind is Kind.QOS_MAP:
            self._maps.pop(str(key.name), None)
            self._resolve(str(key.name))

    def _remove_route(self, vrf: str, to: Any) -> None:
        index = self._vrfs.get(vrf)
        if index is None:
            return  # its VRF went before, with all that was in it
        if isinstance(to, Mac):
            self._world.remove_bridge(index, bytes(to))
        else:
            self._world.remove_route(index, to.prefix, to.length)

    def _put_vrf(self, name: str, index: int) -> None:
        self._world.put_vrf(index, name)
        self._put_name(self._vrfs, name, index)

    def _put_name(self, numbers: dict[str, int], name: str, number: int) -> None:
        if numbers.get(name) != number:
            numbers[name] = number
            self._resolve(name)

    # Routes

    def _take_routes(
        self, routes: Iterable[tuple[DatapathMessage, RouteAttributes | None]]
    ) -> None:
        self._world.put_routes(
            [(cast(VrRouteReq, message), self._meta(path)) for message, path in routes]
        )

    def _meta(self, path: RouteAttributes | None) -> int:
        """What is known of the addresses behind a route, by a number; 0 for local ones."""
        if path is None:
            return 0
        nexthops = path.nexthops
        first = nexthops[0] if nexthops else None
        said = Behind(
            path.virtual_network or (first.virtual_network if first else ""),
            path.security_groups,
            first.tags if first else (),
        )
        number = self._metas.get(said)
        if number is None:
            if len(self._metas) >= _MOST_METAS:
                self._metas.clear()
            networks = (said.network,) if said.network else ()
            number = self._world.meta(networks, said.groups, said.tags)
            self._metas[said], self._behind[number] = number, said
        return number

    # Ports

    def _put_port(self, row: Vmi | None, flow: FlowPort | None, uuid: UUID) -> None:
        if row is None or flow is None or row.vif_index == NO_VIF:
            self._drop_port(uuid)
            return
        known = self._vifs.get(uuid)
        if known is not None and known != (row.vif_index, row.vm_uuid):
            self._drop_port(uuid)
        self._vifs[uuid] = (row.vif_index, row.vm_uuid)
        self._ports[row.vif_index] = uuid
        names: list[str] = []

        def lists(wanted: Sequence[str]) -> list[int]:
            names.extend(wanted)
            return [self.lists.number(name) for name in wanted]

        put_vm_port(
            self._world,
            row,
            flow,
            key_nexthop=self.key_nexthop(row.vif_index),
            vm=self._vms.take(row.vm_uuid, uuid),
            lists=lists,
        )
        self._release(uuid)
        self._listed[uuid] = names

    def _drop_port(self, uuid: UUID) -> None:
        vif, vm = self._vifs.pop(uuid, (NO_VIF, uuid))
        if vif == NO_VIF:
            return
        self._vms.drop(vm, uuid)
        self._release(uuid)
        if self._ports.get(vif) == uuid:  # else another port has the vif by now
            del self._ports[vif]
            self._world.drop_port(vif)

    def _release(self, uuid: UUID) -> None:
        for name in self._listed.pop(uuid, ()):
            self.lists.release(name)

    # The host

    def _take_host(self, fabric: Fabric | None) -> None:
        if fabric is not None and (fabric != self._fabric) and FABRIC_VIF in self._key_nexthops:
            self._fabric = fabric
            put_host(self._world, fabric, self._key_nexthops)

    def _take_services(self, services: Iterable[LinkLocalService]) -> None:
        self._world.set_services([service(one) for one in services if one.address.version == 4])
