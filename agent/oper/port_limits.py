"""What bounds a port's flows: how many, from where, under which address the host knows it."""

from __future__ import annotations

from uuid import UUID

from agent.ifmap import Identity, NodeRef
from agent.oper.flow_rows import PortLimits
from agent.oper.incremental import View
from agent.oper.vmi import vmi
from agent.oper.vmi_objects import metadata_address
from agent.oper.world import BY_UUID, BadConfig, member, node, number

_VMI = "virtual-machine-interface"


def port_limits(view: View, uuid: UUID) -> PortLimits:
    """The limits of a plugged VMI: its own, else those of its network."""
    ref, row = view.read(BY_UUID, Identity(_VMI, uuid)), view(vmi, uuid)
    own = node(view, ref) if ref else None
    network = node(view, NodeRef("virtual-network", row.vn.name)) if row and row.vn else None
    said = member(own and own.properties, f"{_VMI}-properties", "max-flows")
    shared = member(network and network.properties, "virtual-network-properties")
    return PortLimits(
        _count(said) or _count(member(shared, "max-flows")),
        rpf=member(shared, "rpf") != "disable",
        link_local=metadata_address(row.vif_index) if row and row.ip4_active else None,
    )


def _count(value: object) -> int:
    try:
        return max(number(value, ""), 0)
    except BadConfig:
        return 0
