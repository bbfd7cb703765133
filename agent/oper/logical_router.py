"""Logical routers: which network routes for which.

A logical router that routes over VXLAN has an internal network. Its VRF, the routing VRF,
holds the hosts of all networks that are attached to the router, here and elsewhere: EVPN
prefix routes say where (facts xmpp-ifmap.md 15). A network is attached by a link of its own
or by an interface of the router in it.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.ifmap import NodeRef
from agent.oper.incremental import View
from agent.oper.world import attributes, member, neighbours, node

_ROUTER = "logical-router"
_NETWORK = "virtual-network"
_JOINED = "logical-router-virtual-network"
_INTERFACE = "logical-router-interface"
_VMI = "virtual-machine-interface"
_OF_VMI = "virtual-machine-interface-virtual-network"


def is_internal(view: View, network: NodeRef) -> bool:
    """Whether the network is the one in which a logical router routes."""
    found = attributes(view, network, _JOINED, _ROUTER)
    return any(
        member(each.properties, "value", "logical-router-virtual-network-type")
        == "InternalVirtualNetwork"
        for each, _ in found
    )


def internal_network(view: View, network: NodeRef) -> NodeRef | None:
    """The network that routes for `network`: an internal one for itself; None for none.

    Of several the first by name; a router whose internal network is not known (yet) routes
    for nobody.
    """
    if view(is_internal, network):
        return network
    found = (
        end
        for router in _routers(view, network)
        for end in _networks(view, router)
        if view(is_internal, end)
    )
    return min(found, default=None)


def attached(view: View, internal: NodeRef) -> tuple[NodeRef, ...]:
    """The networks for which an internal one routes, by name, whether in use here or not."""
    found = {
        end
        for _, router in attributes(view, internal, _JOINED, _ROUTER)
        for end in (*_networks(view, router), *_of_interfaces(view, router))
    }
    return tuple(sorted(one for one in found if view(internal_network, one) == internal != one))


def _routers(view: View, network: NodeRef) -> Iterator[NodeRef]:
    """The routers over VXLAN that the network is attached to."""
    routers = {end for _, end in attributes(view, network, _JOINED, _ROUTER)}
    for vmi in neighbours(view, network, _OF_VMI, _VMI):
        routers |= set(neighbours(view, vmi, _INTERFACE, _ROUTER))
    for router in sorted(routers):
        found = node(view, router)
        if member(found and found.properties, "logical-router-type") == "vxlan-routing":
            yield router


def _networks(view: View, router: NodeRef) -> list[NodeRef]:
    return [end for _, end in attributes(view, router, _JOINED, _NETWORK)]


def _of_interfaces(view: View, router: NodeRef) -> Iterator[NodeRef]:
    for vmi in neighbours(view, router, _INTERFACE, _VMI):
        yield from neighbours(view, vmi, _OF_VMI, _NETWORK)
