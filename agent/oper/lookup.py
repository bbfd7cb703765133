"""What configuration says of VMs and their interfaces, plugged or not; for questions of users."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agent.ifmap import Graph, Identity, Neighbours, NodeRef, uuid_of
from agent.oper.world import BadConfig, items, mac, member
from agent.values import Mac

_NIL = UUID(int=0)
_VMI = "virtual-machine-interface"
_VM_OF_VMI = "virtual-machine-interface-virtual-machine"
_VN_OF_VMI = "virtual-machine-interface-virtual-network"
_IP_OF_VMI = "instance-ip-virtual-machine-interface"


@dataclass(frozen=True, slots=True)
class ConfiguredVmi:
    """A VMI of a VM as the graph has it; `vn_name` is None while its network is not known."""

    uuid: UUID
    vm_uuid: UUID
    vn_uuid: UUID
    vn_name: str | None
    mac: Mac | None
    vlan_id: int | None
    annotations: tuple[tuple[str, str], ...]


def vmis_of_vm(graph: Graph, vm: NodeRef | None) -> list[ConfiguredVmi]:
    """The interfaces that links tie to the VM; empty for an unknown one."""
    if vm is None or graph.node(vm) is None:
        return []
    ends = graph.neighbours(Neighbours(vm, _VM_OF_VMI))
    rows = [_row(graph, vm, end) for end in ends if end.type == _VMI]
    return [row for row in rows if row is not None]


def vm_by_uuid(graph: Graph, uuid: UUID) -> NodeRef | None:
    """The VM node with that UUID."""
    return graph.by_uuid(Identity("virtual-machine", uuid))


def configured(graph: Graph, vmi: UUID) -> tuple[bool, bool]:
    """Whether a port is in a network, and whether it has an address, as far as is known."""
    ref = graph.by_uuid(Identity(_VMI, vmi))
    if ref is None:
        return False, False
    network, address = (graph.neighbours(Neighbours(ref, one)) for one in (_VN_OF_VMI, _IP_OF_VMI))
    return bool(network), bool(address)


def _row(graph: Graph, vm: NodeRef, vmi: NodeRef) -> ConfiguredVmi | None:
    node = graph.node(vmi)
    uuid = uuid_of(node) if node else None
    if node is None or uuid is None:
        return None
    networks = [
        end
        for end in graph.neighbours(Neighbours(vmi, _VN_OF_VMI))
        if end.type == "virtual-network" and graph.node(end)
    ]
    network = networks[0] if networks else None
    return ConfiguredVmi(
        uuid,
        _uuid(graph, vm),
        _uuid(graph, network),
        network.name if network else None,
        _mac(node.properties),
        _vlan(node.properties),
        tuple(_annotations(node.properties)),
    )


def _uuid(graph: Graph, ref: NodeRef | None) -> UUID:
    node = graph.node(ref) if ref else None
    return (uuid_of(node) if node else None) or _NIL


def _mac(properties: Any) -> Mac | None:
    place = "virtual-machine-interface-mac-addresses"
    try:
        texts = items(properties, place, "mac-address")
        return mac(texts[0], place) if texts else None
    except BadConfig:
        return None


def _vlan(properties: Any) -> int | None:
    tag = member(properties, "virtual-machine-interface-properties", "sub-interface-vlan-tag")
    return tag if isinstance(tag, int) and tag else None


def _annotations(properties: Any) -> Iterable[tuple[str, str]]:
    try:
        pairs = items(properties, "annotations", "key-value-pair")
    except BadConfig:
        return
    for pair in pairs:
        yield str(member(pair, "key")), str(member(pair, "value"))
