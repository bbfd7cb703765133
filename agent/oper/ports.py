"""Plugged ports: which VMIs have a device on this host, whoever plugged it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from uuid import UUID

from agent.ifmap import Identity, NodeRef, uuid_of
from agent.inputs import ContainerPort, PluggedPort
from agent.oper.datapath import Transport
from agent.oper.incremental import View
from agent.oper.world import BY_UUID, CONTAINERS, HOST, PORT, PORTS, neighbours, node
from agent.values import Mac

_NIL = UUID(int=0)
_NAMESPACE, _REMOTE = 1, 2


@dataclass(frozen=True, slots=True)
class Attachment:
    """What plugging says of a VMI; addresses are hints that configuration overrides.

    `needs_device`: the interface forwards only while its device exists and is up. Not so
    with PMD as `transport`, where it has a vhost-user socket, of the name `device`.
    """

    uuid: UUID
    device: str
    vm_uuid: UUID
    vm_name: str
    link_state: bool = True
    needs_device: bool = True
    mac: Mac | None = None
    ip: IPv4Address | None = None
    ip6: IPv6Address | None = None
    tx_vlan_id: int | None = None
    transport: Transport = Transport.ETHERNET
    vhostuser_mode: int = 0


def plugged(view: View) -> tuple[UUID, ...]:
    """The VMIs that have an attachment, in the order in which they were plugged."""
    ports, others = view.read(PORTS, None), view(containers)
    return tuple(dict.fromkeys([*ports, *others])) if others else ports


def attachment(view: View, uuid: UUID) -> Attachment | None:
    """How the VMI is attached; a port wins over a container that names the same VMI."""
    port = view.read(PORT, uuid)
    if port is not None:
        transport = _transport(view, port)
        return Attachment(
            uuid,
            port.system_name,
            port.instance_uuid,
            port.display_name,
            port.link_state,
            port.port_type != _REMOTE and transport != Transport.PMD,
            port.mac,
            None if port.ip.is_unspecified else port.ip,
            None if port.ip6.is_unspecified else port.ip6,
            None if port.tx_vlan_id == 0xFFFF else port.tx_vlan_id,
            transport,
            port.vhostuser_mode if transport == Transport.PMD else 0,
        )
    container = view(containers).get(uuid)
    if container is None:
        return None
    return Attachment(uuid, container.host_ifname, container.vm_uuid, container.vm_name)


def _transport(view: View, port: PluggedPort) -> Transport:
    """How the datapath reaches a port; namespaces and remote ports have network interfaces."""
    if port.port_type in (_NAMESPACE, _REMOTE):
        return Transport.ETHERNET
    return Transport(view.read(HOST, None).interface_transport)


def containers(view: View) -> Mapping[UUID, ContainerPort]:
    """Container ports by VMI; one without a VMI waits for a VMI of its VM and network."""
    unsorted = view.read(CONTAINERS, None)
    rows = sorted(unsorted, key=lambda row: (row.vm_uuid, row.host_ifname))
    found = {row.vmi_uuid: row for row in rows if row.vmi_uuid != _NIL}
    for row in rows:
        if row.vmi_uuid == _NIL:
            free = [uuid for uuid in _configured(view, row) if uuid not in found]
            if free:
                found[min(free)] = row
    return found


def _configured(view: View, row: ContainerPort) -> Iterable[UUID]:
    """The VMIs that configuration ties to the container's VM and network."""
    vm = view.read(BY_UUID, Identity("virtual-machine", row.vm_uuid))
    if vm is None:
        return
    metadata = "virtual-machine-interface-virtual-machine"
    for ref in neighbours(view, vm, metadata, "virtual-machine-interface"):
        uuid = node_uuid(view, ref)
        if uuid is not None and row.vn_uuid in (_NIL, _network(view, ref)):
            yield uuid


def _network(view: View, vmi: NodeRef) -> UUID | None:
    metadata = "virtual-machine-interface-virtual-network"
    for ref in neighbours(view, vmi, metadata, "virtual-network"):
        return node_uuid(view, ref)
    return None


def node_uuid(view: View, ref: NodeRef) -> UUID | None:
    """The UUID of a configuration node."""
    found = node(view, ref)
    return uuid_of(found) if found else None
