"""What a decision reads of a port, from its rows of `oper`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from agent._fast import flow_world
from agent._fast.flow_world import NO_VRF, Floating, LinkLocal, PortKind, World
from agent.oper.fabric import UNDERLAY
from agent.oper.flow_rows import (
    AliasIp,
    FatFlow,
    FloatingIp,
    FlowPort,
    LinkLocalService,
)
from agent.oper.rows import Fabric, Subnet, Vmi
from agent.sandesh.vrouter import VrInterfaceReq
from agent.values import Address, Prefix

Numbers = Callable[[Sequence[str]], list[int]]
"""The numbers of access lists, by name."""

_IGNORE = {"": 0, "source": 1, "destination": 2}


class VmNumbers:
    """A number for each VM that has ports, never 0; given again when the VM is gone."""

    def __init__(self) -> None:
        self._numbers: dict[UUID, int] = {}
        self._ports: dict[UUID, set[UUID]] = {}
        self._free: list[int] = []

    def take(self, vm: UUID, port: UUID) -> int:
        """The number of a VM, whose port this is."""
        if vm not in self._numbers:
            self._numbers[vm] = self._free.pop() if self._free else len(self._numbers) + 1
        self._ports.setdefault(vm, set()).add(port)
        return self._numbers[vm]

    def number(self, vm: UUID) -> int | None:
        """The number of a VM that has ports."""
        return self._numbers.get(vm)

    def drop(self, vm: UUID, port: UUID) -> None:
        """A port is not the VM's any more."""
        ports = self._ports.get(vm)
        if ports is None:
            return
        ports.discard(port)
        if not ports:
            del self._ports[vm]
            self._free.append(self._numbers.pop(vm))


def put_vm_port(
    world: World, row: Vmi, flow: FlowPort, *, key_nexthop: int, vm: int, lists: Numbers
) -> None:
    """Put the port of a VM into the world. ValueError for what it cannot take."""
    policy, limits, network = flow.policy, flow.limits, row.vn
    names = (network.name,) if network else ()
    world.put_port(
        row.vif_index,
        kind=PortKind.VM,
        mac=bytes(row.mac),
        vrf=row.vrf.index if row.vrf else NO_VRF,
        key_nexthop=key_nexthop,
        meta=world.meta(names, policy.groups, policy.tags),
        vm=vm,
        max_flows=limits.max_flows,
        policy=policy.enabled,
        grouped=bool(policy.groups),
        rpf=limits.rpf,
        flood=bool(network and network.flood_unknown_unicast),
        bridged=bool(network and network.l2),
        routed=bool(network and network.l3),
        l2_active=row.l2_active,
        ip4_active=row.ip4_active,
        ip6_active=row.ip6_active,
        address=_packed(row.ip),
        address6=_packed(row.ip6),
        link_local=_packed(limits.link_local),
        gateways=_gateways(network.subnets if network else ()),
        mirror_lists=lists(policy.mirror),
        network_lists=lists((policy.network,) if policy.network else ()),
        egress_lists=lists(policy.egress),
        ingress_lists=lists(policy.ingress),
        fwaas_lists=lists(policy.fwaas),
        firewall_lists=lists(policy.firewall),
        vrf_assign_lists=lists((policy.vrf_assign,) if policy.vrf_assign else ()),
        floating=[_floating(world, one, flow, lists) for one in flow.translations.floating],
        aliases=[_alias(world, one, flow, lists) for one in flow.translations.aliases],
        fat_flows=[_fat(one) for one in limits.fat_flows],
    )


def put_host(world: World, fabric: Fabric, key_nexthops: dict[int, int]) -> None:
    """Put the host's own vifs: fabric, vhost0 and pkt0."""
    for vif, kind in (
        (fabric.vif_index, PortKind.FABRIC),
        (fabric.vhost_vif_index, PortKind.HOST),
        (fabric.pkt0_vif_index, PortKind.AGENT),
    ):
        world.put_port(
            vif,
            kind=kind,
            mac=bytes(fabric.vhost_mac),
            vrf=UNDERLAY.index,
            key_nexthop=key_nexthops.get(vif, 0),
            policy=False,
            rpf=False,
            address=_packed(fabric.router_id),
        )
    router_id = _packed(fabric.router_id) or bytes(4)
    world.set_host(router_id, fabric.vhost_vif_index, UNDERLAY.index)


def put_gateway(world: World, vif: VrInterfaceReq) -> None:
    """Put a simple gateway: the host's end of a network, which nothing is decided for."""
    world.put_port(
        vif.vifr_idx,
        kind=PortKind.HOST,
        mac=vif.vifr_mac,
        vrf=vif.vifr_vrf,
        key_nexthop=vif.vifr_nh_id,
        policy=False,
        rpf=False,
    )


def service(row: LinkLocalService) -> LinkLocal:
    """A link-local service as the world takes it."""
    servers = [one.packed for one in row.servers if one.version == 4]
    return LinkLocal(row.address.packed, row.port, servers, row.server_port)


def _floating(world: World, row: FloatingIp, flow: FlowPort, lists: Numbers) -> Floating:
    mappings = row.mappings
    return Floating(
        row.address.packed,
        row.fixed.packed,
        row.vrf.index,
        row.side.inbound,
        row.side.outbound,
        None if mappings is None else [(one.protocol, one.public, one.private) for one in mappings],
        world.meta((row.network,), flow.policy.groups, flow.policy.tags),
        next(iter(lists((row.acl,))), None) if row.acl else None,
    )


def _alias(world: World, row: AliasIp, flow: FlowPort, lists: Numbers) -> flow_world.Alias:
    return flow_world.Alias(
        row.address.packed,
        row.vrf.index,
        world.meta((row.network,), flow.policy.groups, flow.policy.tags),
        next(iter(lists((row.acl,))), None) if row.acl else None,
    )


def _fat(row: FatFlow) -> flow_world.FatFlow:
    return flow_world.FatFlow(
        row.protocol,
        row.port,
        _IGNORE[row.ignore],
        _aggregate(row.source, row.source_length),
        _aggregate(row.destination, row.destination_length),
    )


def _aggregate(prefix: Prefix | None, length: int) -> tuple[bytes, int, int] | None:
    if prefix is None:
        return None
    return prefix.network_address.packed, prefix.prefixlen, length


def _packed(address: Address | None) -> bytes:
    return b"" if address is None else address.packed


def _gateways(subnets: Iterable[Subnet]) -> list[bytes]:
    found = {each for row in subnets for each in (row.gateway, row.dns_server) if each}
    return sorted(each.packed for each in found)
