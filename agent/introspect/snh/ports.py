"""What the port API was told: plugged ports of VMs and containers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from agent.inputs import ContainerPort, PluggedPort
from agent.introspect.query import uuid
from agent.introspect.reading import VMI, by_uuid, ends, properties, uuid_text, whole
from agent.introspect.request import Query, Row, Table
from agent.telemetry import Node

_NO_VLAN = 0xFFFF


def _epoch(node: Node, port: PluggedPort | ContainerPort) -> int:
    return node.store.epoch_of(port) or 0


def _vlan(value: int) -> int:
    return -1 if value == _NO_VLAN else value


def plugged(node: Node, query: Query) -> Iterator[Row]:
    """The ports of POST /port."""
    wanted = uuid(query, "vmi_uuid")
    for port in node.store.ports():
        if not isinstance(port, PluggedPort) or query["ifname"] not in port.system_name:
            continue
        if wanted in (None, port.uuid):
            yield _plugged(node, port)


def _plugged(node: Node, port: PluggedPort) -> dict[str, Any]:
    return {
        "ifname": port.system_name,
        "version": _epoch(node, port),
        "vmi_uuid": str(port.uuid),
        "vm_uuid": str(port.instance_uuid),
        "vm_name": port.display_name,
        "vn_uuid": str(port.vn_uuid),
        "ip4_addr": str(port.ip),
        "ip6_addr": str(port.ip6),
        "mac": str(port.mac),
        "tx_vlan": _vlan(port.tx_vlan_id),
        "rx_vlan": _vlan(port.rx_vlan_id),
        "vhostuser_mode": port.vhostuser_mode,
    }


def containers(node: Node, query: Query) -> Iterator[Row]:
    """The ports of POST /vm."""
    wanted = uuid(query, "vm_uuid")
    for port in node.store.ports():
        if not isinstance(port, ContainerPort) or query["ifname"] not in port.host_ifname:
            continue
        if wanted in (None, port.vm_uuid):
            yield _container(node, port)


def _container(node: Node, port: ContainerPort) -> dict[str, Any]:
    return {
        "ifname": port.host_ifname,
        "version": _epoch(node, port),
        "vm_uuid": str(port.vm_uuid),
        "vn_uuid": str(port.vn_uuid),
        "vmi_uuid": str(port.vmi_uuid),
        "vm_name": port.vm_name,
        "vm_identifier": port.vm_id,
        "vm_ifname": port.vm_ifname,
        "vm_namespace": port.vm_namespace,
    }


def of_ports(node: Node, query: Query) -> Iterator[Row]:
    """The VM and network of each plugged VMI."""
    wanted = uuid(query, "vmi_uuid")
    for port in node.store.ports():
        own = port.uuid if isinstance(port, PluggedPort) else port.vmi_uuid
        if wanted in (None, own):
            yield _of_port(node, port, own)


def _of_port(node: Node, port: PluggedPort | ContainerPort, own: UUID) -> dict[str, Any]:
    ref = by_uuid(node, VMI, own)
    tag = whole(properties(node, ref), f"{VMI}-properties", "sub-interface-vlan-tag")
    parents = ends(node, ref, f"{VMI}-sub-interface", VMI) if tag else []
    row = node.compiler.vmi_by_uuid(own)
    return {
        "vmi_uuid": str(own),
        "vm_uuid": str(_vm(port)),
        "vn_uuid": str(port.vn_uuid),
        "sub_interface": "true" if tag else "false",
        "vlan_tag": tag,
        "parent_uuid": uuid_text(node, parents[0]) if parents else "",
        "mac": str(row.mac) if row is not None else "",
    }


def _vm(port: PluggedPort | ContainerPort) -> UUID:
    return port.instance_uuid if isinstance(port, PluggedPort) else port.vm_uuid


def of_vms(node: Node, query: Query) -> Iterator[Row]:
    """The VMIs of each VM and network."""
    vm, vn = uuid(query, "vm_uuid"), uuid(query, "vn_uuid")
    for port in node.store.ports():
        if vm in (None, _vm(port)) and vn in (None, port.vn_uuid):
            own = port.uuid if isinstance(port, PluggedPort) else port.vmi_uuid
            yield {"vm_uuid": str(_vm(port)), "vn_uuid": str(port.vn_uuid), "vmi_uuid": str(own)}


SERVED = (
    Table("FetchVmiPortSubscriptionReq", "SandeshVmiPortSubscriptionResp", "port_list", plugged),
    Table(
        "FetchVmVnPortSubscriptionReq", "SandeshVmVnPortSubscriptionResp", "port_list", containers
    ),
    Table("FetchVmiToVmVnUuidReq", "SandeshVmiToVmVnResp", "port_list", of_ports),
    Table("FetchVmVnToVmiUuidReq", "SandeshVmVnToVmiResp", "port_list", of_vms),
)
