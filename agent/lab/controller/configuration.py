"""Which part of the configuration an agent is served, and what changes in that part.

The whole is the topology of all hosts without the links that place VMs: those exist while
an agent subscribes to the VM. An agent's part is what can be reached from its
virtual-router (facts xmpp-ifmap.md 8.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from agent.ifmap.from_topology import SYSTEM, network_name, objects, vrf_name
from agent.inputs import GraphLink, GraphNode
from agent.lab.controller.follows import follows
from agent.topology import Topology

Ref = tuple[str, str]
PLACEMENT = "virtual-router-virtual-machine"


class LinkKey(NamedTuple):
    """Names a link whichever way round it is given."""

    metadata: str
    ends: frozenset[Ref]


class Part(NamedTuple):
    """Nodes and links by their names, in an order in which they may be sent."""

    nodes: dict[Ref, GraphNode]
    links: dict[LinkKey, GraphLink]


class Changes(NamedTuple):
    """What to send: nodes before the links that use them; links deleted before their nodes."""

    updates: list[GraphNode | GraphLink]
    deletes: list[GraphNode | GraphLink]


def virtual_router(agent: str) -> Ref:
    """The node of an agent of that name."""
    return "virtual-router", f"{SYSTEM}:{agent}"


class Configuration:
    """The topology as a graph, with what follows from it for routes."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self._nodes: dict[Ref, GraphNode] = {}
        self._links: dict[LinkKey, GraphLink] = {}
        for host in topology.hosts:
            part = objects(topology, host)
            self._nodes |= {(node.type, node.name): node for node in part.nodes}
            self._links |= {_key(link): link for link in part.links if link.metadata != PLACEMENT}
        self._joined: dict[Ref, list[GraphLink]] = {}
        for link in self._links.values():
            self._joined.setdefault(link.left, []).append(link)
            self._joined.setdefault(link.right, []).append(link)

    def networks(self) -> dict[str, str]:
        """VRF name to the name of its network."""
        return {vrf_name(name): network_name(name) for name in self.topology.networks}

    def imports(self) -> dict[str, frozenset[str]]:
        """VRF name to the other VRFs from which it takes routes."""
        found: dict[str, set[str]] = {}
        for group in self.topology.connect:
            for name in group:
                found.setdefault(vrf_name(name), set()).update(map(vrf_name, group - {name}))
        return {vrf: frozenset(others) for vrf, others in found.items()}

    def part(self, agent: str, machines: Iterable[str]) -> Part:
        """What an agent gets that subscribed to its virtual-router and to these VMs (UUIDs)."""
        root = virtual_router(agent)
        if root not in self._nodes:
            return Part({}, {})
        placed = [
            GraphLink(PLACEMENT, root, ("virtual-machine", machine))
            for machine in machines
            if ("virtual-machine", machine) in self._nodes
        ]
        links: dict[LinkKey, GraphLink] = {}
        nodes = {root: self._nodes[root]}
        waiting = [root]
        while waiting:
            ref = waiting.pop(0)
            for link in [*self._joined.get(ref, ()), *(placed if ref == root else ())]:
                if not follows(ref[0], link.metadata):
                    continue
                links[_key(link)] = link
                other = link.right if link.left == ref else link.left
                if other not in nodes:
                    nodes[other] = self._nodes[other]
                    waiting.append(other)
        return Part(nodes, links)


def _key(link: GraphLink) -> LinkKey:
    return LinkKey(link.metadata, frozenset((link.left, link.right)))


def changes(before: Part, after: Part) -> Changes:
    """How to turn what an agent was sent into what it should have."""
    changed = [node for ref, node in after.nodes.items() if before.nodes.get(ref) != node]
    added = [link for key, link in after.links.items() if key not in before.links]
    gone_links = [link for key, link in before.links.items() if key not in after.links]
    gone_nodes = [node for ref, node in before.nodes.items() if ref not in after.nodes]
    return Changes(list(_interleaved(changed, added)), [*gone_links, *reversed(gone_nodes)])


def _interleaved(nodes: list[GraphNode], links: list[GraphLink]) -> Iterator[GraphNode | GraphLink]:
    """Each link as soon as both its ends were sent; ends that are not sent now were before."""
    missing = {(node.type, node.name) for node in nodes}
    of_end: dict[tuple[str, str], list[GraphLink]] = {}
    for link in links:
        ends = missing & {link.left, link.right}
        if not ends:
            yield link
        for end in ends:
            of_end.setdefault(end, []).append(link)
    for node in nodes:
        yield node
        ref = node.type, node.name
        missing.discard(ref)
        yield from (one for one in of_end.get(ref, ()) if not missing & {one.left, one.right})
