"""What bounds and shapes a port's flows: how many, from where, which are taken together."""

from __future__ import annotations

from uuid import UUID

from agent.ifmap import Identity, NodeRef
from agent.oper.fat_flows import fat_flows
from agent.oper.flow_rows import PortLimits
from agent.oper.incremental import View
from agent.oper.link_local import metadata_address
from agent.oper.vmi import vmi
from agent.oper.vn import global_vrouter
from agent.oper.world import BY_UUID, BadConfig, member, node, number

_VMI = "virtual-machine-interface"


def port_limits(view: View, uuid: UUID) -> PortLimits:
    """The limits of a plugged VMI.

    Its own number of flows, else that of its network; but not more than the one that holds
    for all VMIs. Sources are checked unless its network says otherwise, or the port is not
    to be secured.
    """
    ref, row = view.read(BY_UUID, Identity(_VMI, uuid)), view(vmi, uuid)
    own = node(view, ref) if ref else None
    network = node(view, NodeRef("virtual-network", row.vn.name)) if row and row.vn else None
    shared = member(network and network.properties, "virtual-network-properties")
    secured = member(own and own.properties, "port-security-enabled") is not False
    return PortLimits(
        _most(view, own and own.properties, shared),
        rpf=secured and member(shared, "rpf") != "disable",
        fat_flows=view(fat_flows, uuid),
        link_local=metadata_address(row.vif_index) if row and row.ip4_active else None,
    )


def _most(view: View, own: object, network: object) -> int:
    """How many flows; 0 for any number."""
    said = _count(member(own, f"{_VMI}-properties", "max-flows"))
    said = said or _count(member(network, "max-flows"))
    of_all = _count(member(view(global_vrouter).properties, "global-max-vmi-flows"))
    return min(filter(None, (said, of_all)), default=0)


def _count(value: object) -> int:
    try:
        return max(number(value, ""), 0)
    except BadConfig:
        return 0
