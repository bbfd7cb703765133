"""Where the hosts of a network are routed to and from: the VRF of a logical router."""

from __future__ import annotations

from typing import NamedTuple

from agent.ifmap import NodeRef
from agent.oper.incremental import View
from agent.oper.logical_router import internal_network
from agent.oper.rows import Vrf
from agent.oper.vn import vn
from agent.oper.vrf import vrf


class Routing(NamedTuple):
    """What routes for a network: the internal network of a logical router, its VRF, its VNI."""

    network: NodeRef
    vrf: Vrf
    vni: int


def routing(view: View, ref: NodeRef) -> Routing | None:
    """Where the hosts of a network are routed to and from; None without a logical router."""
    internal = view(internal_network, ref)
    row = view(vn, internal) if internal else None
    if internal is None or row is None or not row.active or row.vrf_name is None:
        return None
    return Routing(internal, view(vrf, row.vrf_name), row.vxlan_id)
