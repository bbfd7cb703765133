"""The configuration graph: any order, sequences, sweeps, changes."""

from __future__ import annotations

import random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.ifmap import Graph, Identity, Neighbours, NodeRef
from agent.inputs import GraphLink, GraphNode

VN = NodeRef("virtual-network", "vn1")
RI = NodeRef("routing-instance", "vn1:vn1")
JOIN = GraphLink("virtual-network-routing-instance", VN, RI)
UUID_1 = UUID(int=(1 << 64) | 2)


def perms(uuid: UUID = UUID_1) -> dict[str, object]:
    halves = {"uuid-mslong": uuid.int >> 64, "uuid-lslong": uuid.int & (2**64 - 1)}
    return {"id-perms": {"uuid": halves, "enable": True}}


def vn(**properties: object) -> GraphNode:
    return GraphNode(*VN, perms() | properties)


def test_links_may_come_before_their_nodes() -> None:
    graph = Graph()
    graph.put_link(JOIN)
    graph.put_node(vn())
    assert graph.neighbours(Neighbours(VN, JOIN.metadata)) == ()
    graph.put_node(GraphNode(*RI))
    assert graph.neighbours(Neighbours(VN, JOIN.metadata)) == (RI,)
    assert graph.neighbours(Neighbours(RI, JOIN.metadata)) == (VN,)


def test_a_link_has_no_direction() -> None:
    graph = Graph()
    graph.put_node(vn())
    graph.put_node(GraphNode(*RI))
    graph.put_link(JOIN)
    graph.delete_link(GraphLink(JOIN.metadata, RI, VN))
    assert graph.neighbours(Neighbours(VN, JOIN.metadata)) == ()


def test_a_returning_node_finds_its_links() -> None:
    graph = Graph()
    graph.put_node(vn())
    graph.put_node(GraphNode(*RI))
    graph.put_link(JOIN)
    graph.changes()
    graph.delete_node(VN)
    assert graph.neighbours(Neighbours(RI, JOIN.metadata)) == ()
    assert graph.changes() >= {
        VN,
        Neighbours(RI, JOIN.metadata),
        Identity("virtual-network", UUID_1),
    }
    graph.put_node(vn())
    assert graph.neighbours(Neighbours(RI, JOIN.metadata)) == (VN,)
    assert Neighbours(RI, JOIN.metadata) in graph.changes()


def test_changes_name_only_what_changed() -> None:
    graph = Graph()
    graph.put_node(vn())
    graph.put_node(GraphNode(*RI))
    graph.put_link(JOIN)
    graph.changes()
    graph.put_node(vn())
    graph.put_link(JOIN)
    assert graph.changes() == set()
    graph.put_node(GraphNode(*RI, {"routing-instance-is-default": True}))
    assert graph.changes() == {RI}


def test_lookup_by_uuid_follows_the_node() -> None:
    graph = Graph()
    other = UUID(int=7)
    graph.put_node(vn())
    assert graph.by_uuid(Identity("virtual-network", UUID_1)) == VN
    graph.put_node(GraphNode(*VN, perms(other)))
    assert graph.by_uuid(Identity("virtual-network", UUID_1)) is None
    assert graph.by_uuid(Identity("virtual-network", other)) == VN
    graph.delete_node(VN)
    assert graph.by_uuid(Identity("virtual-network", other)) is None


def test_sweep_drops_what_was_not_sent_again() -> None:
    graph = Graph()
    graph.put_node(vn())
    graph.put_node(GraphNode(*RI))
    graph.put_link(JOIN)
    graph.begin(2)
    graph.put_node(vn())
    assert graph.neighbours(Neighbours(VN, JOIN.metadata)) == (RI,), "old objects stay usable"
    assert graph.sweep() == 2
    assert graph.node(RI) is None
    assert graph.node(VN) == vn()
    assert graph.neighbours(Neighbours(VN, JOIN.metadata)) == ()
    assert graph.sweep() == 0
    with pytest.raises(ValueError, match="not above"):
        graph.begin(2)


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (GraphNode(*VN, {"flood-unknown-unicast": True}), "no-id-perms"),
        (
            GraphNode(
                "virtual-machine-interface",
                "port",
                perms()
                | {
                    "virtual-machine-interface-mac-addresses": {
                        "mac-address": ["00:00:00:00:00:00"]
                    }
                },
            ),
            "no-mac",
        ),
    ],
)
def test_filtered_nodes_are_counted_and_ignored(node: GraphNode, reason: str) -> None:
    graph = Graph()
    assert not graph.put_node(node)
    assert graph.counters[reason] == 1
    assert len(graph) == 0


def test_the_unknown_is_kept_and_counted() -> None:
    graph = Graph()
    odd = GraphNode("moon-phase", "full")
    graph.put_node(odd)
    graph.put_node(vn())
    graph.put_link(GraphLink("virtual-network-moon-phase", VN, ("moon-phase", "full")))
    graph.put_link(GraphLink("virtual-network-routing-instance", VN, ("moon-phase", "full")))
    graph.delete_node(NodeRef("moon-phase", "new"))
    graph.delete_link(GraphLink("virtual-network-tag", VN, ("tag", "t")))
    assert graph.node(NodeRef("moon-phase", "full")) == odd
    assert graph.counters == {
        "unknown-node-type": 1,
        "unknown-link-type": 1,
        "wrong-link-ends": 1,
        "unknown-node-deleted": 1,
        "unknown-link-deleted": 1,
    }


NODES = [GraphNode("tag", name) for name in "abc"] + [GraphNode("project", name) for name in "xy"]
LINKS = [
    GraphLink("project-tag", (p.type, p.name), (t.type, t.name)) for p in NODES[3:] for t in NODES
]


def snapshot(graph: Graph) -> list[object]:
    refs = [NodeRef(node.type, node.name) for node in NODES]
    return [
        (graph.node(ref), graph.neighbours(Neighbours(ref, "project-tag")), ref) for ref in refs
    ]


@settings(max_examples=100, deadline=None)
@given(st.sets(st.sampled_from(range(5))), st.sets(st.integers(0, 9)), st.randoms())
def test_only_the_last_state_counts(
    nodes: set[int], links: set[int], random_: random.Random
) -> None:
    wanted: list[GraphNode | GraphLink] = [NODES[at] for at in nodes] + [LINKS[at] for at in links]
    graph, straight = Graph(), Graph()
    noise = [random_.choice([*NODES, *LINKS]) for _ in range(20)]
    for item in noise:
        if isinstance(item, GraphNode):
            graph.put_node(item)
        else:
            graph.put_link(item)
    graph.begin(2)
    random_.shuffle(wanted)
    for item in wanted:
        for target in (graph, straight):
            if isinstance(item, GraphNode):
                target.put_node(item)
            else:
                target.put_link(item)
    graph.sweep()
    assert snapshot(graph) == snapshot(straight)
