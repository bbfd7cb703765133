"""Objects of the datapath that one tool looks up for another: None where there is none."""

from __future__ import annotations

from typing import TypeVar

from agent.cli.datapath_client import DatapathClient
from agent.errors import DatapathError
from agent.sandesh.vrouter import (
    SandeshOp,
    VrInterfaceReq,
    VrMirrorReq,
    VrNexthopReq,
    VrRouteReq,
)
from agent.values import Address, Mac

INET, BRIDGE, INET6 = 2, 7, 10
Object = TypeVar("Object", VrNexthopReq, VrInterfaceReq, VrRouteReq, VrMirrorReq)


def _ask(client: DatapathClient, request: Object) -> Object | None:
    try:
        return client.get(request.encode(), type(request))
    except DatapathError:
        return None


def nexthop(client: DatapathClient, number: int) -> VrNexthopReq | None:
    """A nexthop by its id."""
    return _ask(client, VrNexthopReq(h_op=SandeshOp.GET, nhr_id=number))


def interface(client: DatapathClient, index: int) -> VrInterfaceReq | None:
    """An interface by its index."""
    return _ask(client, VrInterfaceReq(h_op=SandeshOp.GET, vifr_idx=index))


def mirror(client: DatapathClient, index: int) -> VrMirrorReq | None:
    """A mirror by its index."""
    return _ask(client, VrMirrorReq(h_op=SandeshOp.GET, mirr_index=index))


def route(client: DatapathClient, vrf: int, to: Address | Mac) -> VrRouteReq | None:
    """The route that a destination takes in a VRF."""
    if isinstance(to, Mac):
        asked = VrRouteReq(rtr_family=BRIDGE, rtr_mac=to, rtr_index=-1)
    else:
        asked = VrRouteReq(
            rtr_family=INET if to.version == 4 else INET6,
            rtr_prefix=to.packed,
            rtr_prefix_len=to.max_prefixlen,
        )
    return _ask(client, asked.replace(h_op=SandeshOp.GET, rtr_vrf_id=vrf))
