"""The configuration graph as answers read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import UUID

from agent.ifmap import Identity, Neighbours, NodeRef, uuid_of
from agent.introspect.ordered import in_order
from agent.introspect.query import uuid as uuid_field
from agent.introspect.request import Query
from agent.oper.world import member
from agent.telemetry import Node

_FEW = 256
_NOTHING: Mapping[str, Any] = {}
VMI = "virtual-machine-interface"


def properties(node: Node, ref: NodeRef | None) -> Mapping[str, Any]:
    """The properties of a node; empty while it is not there."""
    found = node.compiler.graph.node(ref) if ref is not None else None
    return found.properties if found is not None else _NOTHING


def uuid_text(node: Node, ref: NodeRef | None) -> str:
    """The UUID of a node; "" where it has none."""
    found = node.compiler.graph.node(ref) if ref is not None else None
    uuid = uuid_of(found) if found is not None else None
    return "" if uuid is None else str(uuid)


def by_uuid(node: Node, kind: str, uuid: UUID) -> NodeRef | None:
    """The node of a type with that UUID."""
    return node.compiler.graph.by_uuid(Identity(kind, uuid))


def ends(node: Node, ref: NodeRef | None, metadata: str, kind: str) -> list[NodeRef]:
    """The nodes of a type that links of `metadata` join to `ref`; through an attribute if any."""
    graph = node.compiler.graph
    found: dict[NodeRef, None] = {}
    for end in graph.neighbours(Neighbours(ref, metadata)) if ref is not None else ():
        if end.type == kind:
            found[end] = None
        elif end.type == metadata:
            inner = graph.neighbours(Neighbours(end, metadata))
            found |= dict.fromkeys(each for each in inner if each.type == kind and each != ref)
    return list(found)


def refs(node: Node, fits: Callable[[str], bool]) -> Iterator[NodeRef | None]:
    """The nodes whose type fits, by type and name; None now and then while it looks for them."""
    found: list[NodeRef] = []
    for at, ref in enumerate(node.compiler.graph.refs()):
        if fits(ref.type):
            found.append(ref)
        if at % _FEW == 0:
            yield None
    yield from in_order([found], key=tuple)


def listed(value: object, *path: str) -> list[Any]:
    """The list at a path of nested members; empty for anything else."""
    found = member(value, *path)
    return list(found) if isinstance(found, list | tuple) else []


def whole(value: object, *path: str) -> int:
    """The whole number at a path of nested members; 0 for anything else."""
    found = member(value, *path) if path else value
    return found if isinstance(found, int) else 0


def words(value: object, *path: str) -> str:
    """The text at a path of nested members; "" for anything else."""
    found = member(value, *path) if path else value
    return found if isinstance(found, str) else ""


def chosen(node: Node, query: Query, *kinds: str) -> Iterator[NodeRef | None]:
    """The nodes of these types that the fields `uuid` and `name` of a request choose.

    None now and then while it looks for them. UsageError: the UUID is none.
    """
    wanted = uuid_field(query, "uuid") if "uuid" in query else None
    name = query.get("name", "")
    for ref in refs(node, kinds.__contains__):
        if ref is None:
            yield None
        elif name in ref.name and (wanted is None or uuid_text(node, ref) == str(wanted)):
            yield ref
