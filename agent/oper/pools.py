"""Networks that lend addresses to ports of others: those of floating and of alias IPs.

Facts xmpp-ifmap.md 10.3, 10.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple
from uuid import UUID

from agent.ifmap import Identity, NodeRef
from agent.inputs import GraphNode
from agent.oper.incremental import View
from agent.oper.world import BY_UUID, BadConfig, address, member, neighbours, node
from agent.values import Address

_VMI = "virtual-machine-interface"
KINDS = ("floating-ip", "alias-ip")


class Lent(NamedTuple):
    """A floating or alias IP of a VMI as configured, and the network that it is of."""

    node: GraphNode
    network: NodeRef


def lent(view: View, uuid: UUID, kind: str) -> Iterator[Lent]:
    """The floating or alias IPs (`kind`) of a VMI, by name; those of no network are left out."""
    ref = view.read(BY_UUID, Identity(_VMI, uuid))
    for end in neighbours(view, ref, f"{kind}-{_VMI}", kind) if ref else ():
        found, network = node(view, end), _network(view, end)
        if found is not None and network is not None:
            yield Lent(found, network)


def _network(view: View, ref: NodeRef) -> NodeRef | None:
    """The network of its pool, or that of the instance IP that it belongs to."""
    pool = f"{ref.type}-pool"
    for middle in neighbours(view, ref, f"{pool}-{ref.type}", pool):
        for network in neighbours(view, middle, f"virtual-network-{pool}", "virtual-network"):
            return network
    for middle in neighbours(view, ref, f"instance-ip-{ref.type}", "instance-ip"):
        for network in neighbours(view, middle, "instance-ip-virtual-network", "virtual-network"):
            return network
    return None


def instance_of(view: View, network: NodeRef) -> str | None:
    """The name of the routing instance where a network's lent addresses are."""
    for instance in neighbours(
        view, network, "virtual-network-routing-instance", "routing-instance"
    ):
        found = node(view, instance)
        if member(found and found.properties, "routing-instance-is-default") is True:
            return instance.name
    return None


def lenders(view: View, uuid: UUID) -> tuple[NodeRef, ...]:
    """The networks that lend addresses to a VMI, each once."""
    found = (one.network for kind in KINDS for one in lent(view, uuid, kind))
    return tuple(dict.fromkeys(found))


def borrowers(view: View, network: NodeRef) -> Iterator[tuple[NodeRef, Address]]:
    """The VMIs that have an address of a network's pools, with that address."""
    for kind in KINDS:
        for pool in neighbours(view, network, f"virtual-network-{kind}-pool", f"{kind}-pool"):
            for one in neighbours(view, pool, f"{kind}-pool-{kind}", kind):
                own = _address(view, one)
                if own is not None:
                    for port in neighbours(view, one, f"{kind}-{_VMI}", _VMI):
                        yield port, own


def _address(view: View, ref: NodeRef) -> Address | None:
    found = node(view, ref)
    name = f"{ref.type}-address"
    with suppress(BadConfig):
        return address(member(found and found.properties, name), name)
    return None
