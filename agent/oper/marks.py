"""How flows to a port are spread, and whether it is a leaf of an E-Tree."""

from __future__ import annotations

from uuid import UUID

from agent.ifmap import Identity, NodeRef
from agent.oper.incremental import View
from agent.oper.vn import global_vrouter
from agent.oper.world import BY_UUID, member, neighbours, node
from agent.routes import ALL_FIELDS, LoadBalanceField

_VMI = "virtual-machine-interface"
_HASHING = "ecmp-hashing-include-fields"
_FIELDS = {
    "source-ip": LoadBalanceField.SOURCE_ADDRESS,
    "destination-ip": LoadBalanceField.DESTINATION_ADDRESS,
    "ip-protocol": LoadBalanceField.PROTOCOL,
    "source-port": LoadBalanceField.SOURCE_PORT,
    "destination-port": LoadBalanceField.DESTINATION_PORT,
}


def etree_leaf(view: View, network: str) -> bool:
    """Whether the ports of a network are leaves of an E-Tree: they reach its roots only."""
    found = node(view, NodeRef("virtual-network", network))
    return member(found and found.properties, "pbb-etree-enable") is True


def hash_fields(view: View, uuid: UUID) -> frozenset[LoadBalanceField]:
    """What of a packet chooses among several ways to a VMI: its own word, else that of its
    network, else the global one; everything where nothing is configured."""
    ref = view.read(BY_UUID, Identity(_VMI, uuid))
    if ref is None:
        return ALL_FIELDS
    for holder in (ref, *neighbours(view, ref, f"{_VMI}-virtual-network", "virtual-network")):
        found = node(view, holder)
        fields = _included(found.properties if found else None)
        if fields:
            return fields
    return _included(view(global_vrouter).properties) or ALL_FIELDS


def _included(properties: object) -> frozenset[LoadBalanceField]:
    said = member(properties, _HASHING)
    if member(said, "hashing-configured") is not True:
        return frozenset()
    return frozenset(field for name, field in _FIELDS.items() if member(said, name) in (True, None))
