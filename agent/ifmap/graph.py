"""The configuration graph: nodes and links as they arrive, in any order.

A link counts as soon as both its ends are there, whichever came first; a link whose end
is missing is kept and waits. Each object carries the sequence number under which it was
last seen, so that after a change of controller `sweep` drops what was not sent again.
Readers walk `node`, `neighbours` and `by_uuid`; `changes` names what they must read anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias
from uuid import UUID

from agent.ifmap.schema import LINK_TYPES, NODE_TYPES
from agent.inputs import GraphLink, GraphNode


class NodeRef(NamedTuple):
    """Names a node: its type and its fully qualified name."""

    type: str
    name: str


class Neighbours(NamedTuple):
    """Names the set of nodes that links of `metadata` join to `ref`."""

    ref: NodeRef
    metadata: str


class Identity(NamedTuple):
    """Names the node of a type by the UUID in its id-perms."""

    type: str
    uuid: UUID


Change: TypeAlias = NodeRef | Neighbours | Identity
_LinkKey: TypeAlias = tuple[str, NodeRef, NodeRef]
_NO_MAC = "00:00:00:00:00:00"


@dataclass(slots=True)
class _Stored:
    node: GraphNode
    sequence: int


class Graph:
    """Nodes, links and indexes over them.

    `counters` counts what was odd, by reason: unknown-node-type, unknown-link-type,
    wrong-link-ends, no-id-perms, no-mac, unknown-node-deleted, unknown-link-deleted.
    `processed` counts what came: node-updates, node-deletes, link-updates, link-deletes.
    """

    def __init__(self) -> None:
        self.sequence = 1
        self.counters: Counter[str] = Counter()
        self.processed: Counter[str] = Counter()
        self._nodes: dict[NodeRef, _Stored] = {}
        self._links: dict[_LinkKey, int] = {}
        self._joined: dict[NodeRef, dict[str, dict[NodeRef, None]]] = {}
        self._uuids: dict[Identity, set[NodeRef]] = {}
        self._changes: dict[Change, None] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    # What readers ask

    def refs(self) -> list[NodeRef]:
        """All nodes, in no order."""
        return list(self._nodes)

    def links(self) -> list[tuple[tuple[str, NodeRef, NodeRef], int]]:
        """All links, waiting ones too: (metadata, one end, the other), and the sequence number."""
        return list(self._links.items())

    def metadata(self, ref: NodeRef) -> list[str]:
        """The kinds of links that a node has."""
        return list(self._joined.get(ref, ()))

    def node(self, ref: NodeRef) -> GraphNode | None:
        """The node, or None when it is not there."""
        stored = self._nodes.get(ref)
        return stored.node if stored else None

    def neighbours(self, key: Neighbours) -> tuple[NodeRef, ...]:
        """The present nodes at the other ends of the links, in order of type and name."""
        if key.ref not in self._nodes:
            return ()
        ends = self._joined.get(key.ref, {}).get(key.metadata, ())
        return tuple(sorted(end for end in ends if end in self._nodes))

    def by_uuid(self, key: Identity) -> NodeRef | None:
        """The node with this UUID; of several (bad configuration) the first by name."""
        return min(self._uuids.get(key, ()), default=None)

    def changes(self) -> Collection[Change]:
        """What changed since the last call, each once, in the order in which it first changed."""
        changes, self._changes = self._changes, {}
        return changes.keys()

    # What writers do

    def put_node(self, node: GraphNode) -> bool:
        """Add a node or replace it whole. False when the filters refuse it (then the old stays)."""
        self.processed["node-updates"] += 1
        refusal = _refusal(node)
        if refusal:
            self.counters[refusal] += 1
            return False
        if node.type not in NODE_TYPES:
            self.counters["unknown-node-type"] += 1
        ref = NodeRef(node.type, node.name)
        stored = self._nodes.get(ref)
        if stored and stored.node == node:
            stored.sequence = self.sequence
            return True
        self._unindex(ref)
        self._nodes[ref] = _Stored(node, self.sequence)
        self._index(ref, node)
        self._changes[ref] = None
        if stored is None:
            self._touch_links(ref)
        return True

    def delete_node(self, ref: NodeRef) -> None:
        """Remove a node; its links wait for its return."""
        self.processed["node-deletes"] += 1
        if ref not in self._nodes:
            self.counters["unknown-node-deleted"] += 1
            return
        self._touch_links(ref)
        self._unindex(ref)
        del self._nodes[ref]
        self._changes[ref] = None

    def put_link(self, link: GraphLink) -> None:
        """Add a link; its ends need not exist yet."""
        self.processed["link-updates"] += 1
        known = LINK_TYPES.get(link.metadata)
        if known is None:
            self.counters["unknown-link-type"] += 1
        elif not known.joins(link.left[0], link.right[0]):
            self.counters["wrong-link-ends"] += 1
        key = _link_key(link)
        if key not in self._links:
            self._join(key)
            self._touch_link(key)
        self._links[key] = self.sequence

    def delete_link(self, link: GraphLink) -> None:
        """Remove a link, present or waiting."""
        self.processed["link-deletes"] += 1
        key = _link_key(link)
        if key in self._links:
            self._drop_link(key)
        else:
            self.counters["unknown-link-deleted"] += 1

    def begin(self, sequence: int) -> None:
        """Everything from now on is seen under `sequence`, which only grows."""
        if sequence <= self.sequence:
            raise ValueError(f"sequence {sequence} is not above {self.sequence}")
        self.sequence = sequence

    def sweep(self) -> int:
        """Drop what was not seen under the present sequence: links, then nodes. How many."""
        links = [key for key, seen in self._links.items() if seen < self.sequence]
        for key in links:
            self._drop_link(key)
        nodes = [ref for ref, stored in self._nodes.items() if stored.sequence < self.sequence]
        for ref in nodes:
            self.delete_node(ref)
        return len(links) + len(nodes)

    # Indexes

    def _join(self, key: _LinkKey) -> None:
        metadata, one, other = key
        self._joined.setdefault(one, {}).setdefault(metadata, {})[other] = None
        self._joined.setdefault(other, {}).setdefault(metadata, {})[one] = None

    def _drop_link(self, key: _LinkKey) -> None:
        metadata, one, other = key
        del self._links[key]
        self._unjoin(one, metadata, other)
        if one != other:
            self._unjoin(other, metadata, one)
        self._touch_link(key)

    def _unjoin(self, ref: NodeRef, metadata: str, other: NodeRef) -> None:
        by_metadata = self._joined[ref]
        by_metadata[metadata].pop(other, None)
        if not by_metadata[metadata]:
            del by_metadata[metadata]
        if not by_metadata:
            del self._joined[ref]

    def _touch_link(self, key: _LinkKey) -> None:
        metadata, one, other = key
        if one in self._nodes and other in self._nodes:
            self._changes[Neighbours(one, metadata)] = None
            self._changes[Neighbours(other, metadata)] = None

    def _touch_links(self, ref: NodeRef) -> None:
        for metadata, ends in self._joined.get(ref, {}).items():
            self._changes[Neighbours(ref, metadata)] = None
            for end in ends:
                self._changes[Neighbours(end, metadata)] = None

    def _index(self, ref: NodeRef, node: GraphNode) -> None:
        uuid = uuid_of(node)
        if uuid is not None:
            key = Identity(ref.type, uuid)
            self._uuids.setdefault(key, set()).add(ref)
            self._changes[key] = None

    def _unindex(self, ref: NodeRef) -> None:
        stored = self._nodes.get(ref)
        uuid = uuid_of(stored.node) if stored else None
        if uuid is not None:
            key = Identity(ref.type, uuid)
            refs = self._uuids[key]
            refs.discard(ref)
            if not refs:
                del self._uuids[key]
            self._changes[key] = None


def uuid_of(node: GraphNode) -> UUID | None:
    """The UUID in id-perms (two unsigned 64-bit halves); None when absent or malformed."""
    try:
        parts = node.properties["id-perms"]["uuid"]
        return UUID(int=(int(parts["uuid-mslong"]) << 64) | int(parts["uuid-lslong"]))
    except (KeyError, TypeError, ValueError):
        return None


def _link_key(link: GraphLink) -> _LinkKey:
    one, other = sorted((NodeRef(*link.left), NodeRef(*link.right)))
    return link.metadata, one, other


def _refusal(node: GraphNode) -> str | None:
    """Nodes that the agent must ignore (facts xmpp-ifmap.md 9)."""
    known = NODE_TYPES.get(node.type)
    if known and known.needs_id_perms and "id-perms" not in node.properties:
        return "no-id-perms"
    if node.type == "virtual-machine-interface":
        macs = node.properties.get("virtual-machine-interface-mac-addresses")
        listed = macs.get("mac-address") if isinstance(macs, dict) else None
        if isinstance(listed, list) and listed and listed[0] == _NO_MAC:
            return "no-mac"
    return None
