"""Node types, link types and structures of the configuration graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.ifmap import tables
from agent.inputs import GraphNode

SCALARS: Mapping[str, type] = {"string": str, "int": int, "uint64": int, "bool": bool}


@dataclass(frozen=True, slots=True)
class Member:
    """A property of a node or a field of a structure; `type` is a scalar or a structure."""

    name: str
    type: str
    repeats: bool
    default: str | None


@dataclass(frozen=True, slots=True)
class NodeType:
    """A node type. An attribute node carries the content of a link in its member `value`."""

    name: str
    attribute: bool
    needs_id_perms: bool
    properties: Mapping[str, Member]


@dataclass(frozen=True, slots=True)
class LinkType:
    """A relation between two node types; `attribute`: an attribute node stands in between."""

    metadata: str
    left: str
    right: str
    attribute: bool

    def joins(self, one: str, other: str) -> bool:
        """Whether a link of this metadata may stand between these two node types."""
        ends = {one, other}
        if self.attribute and self.metadata in ends:
            return bool(ends & {self.left, self.right})
        return not self.attribute and ends == {self.left, self.right}


def _rows(text: str) -> Iterator[list[str]]:
    for line in text.replace("\n    ", " ").splitlines():
        if line:
            yield line.split()


def _member(word: str) -> Member:
    name, _, rest = word.partition(":")
    kind, has_default, default = rest.partition("=")
    return Member(name, kind.rstrip("*"), kind.endswith("*"), default if has_default else None)


def _members(words: list[str]) -> dict[str, Member]:
    return {member.name: member for member in map(_member, words)}


NODE_TYPES: Mapping[str, NodeType] = {
    name: NodeType(name, kind == "attribute", kind == "perms", _members(words))
    for name, kind, *words in _rows(tables.NODES)
}
LINK_TYPES: Mapping[str, LinkType] = {
    metadata: LinkType(metadata, left, right, bool(attribute))
    for metadata, left, right, *attribute in _rows(tables.LINKS)
}
STRUCTURES: Mapping[str, Mapping[str, Member]] = {
    name: _members(words) for name, *words in _rows(tables.STRUCTURES)
}


def problem(node: GraphNode) -> str | None:
    """What in `node` does not follow the schema, with its path; None when all does."""
    known = NODE_TYPES.get(node.type)
    if known is None:
        return f"unknown node type {node.type!r}"
    if known.needs_id_perms and "id-perms" not in node.properties:
        return "id-perms is missing"
    return _structure_problem(node.properties, known.properties, node.type)


def _structure_problem(
    value: Mapping[str, Any], members: Mapping[str, Member], place: str
) -> str | None:
    for name, content in value.items():
        member = members.get(name)
        if member is None:
            return f"{place}: no member {name!r}"
        found = _member_problem(content, member, f"{place}.{name}")
        if found:
            return found
    return None


def _member_problem(content: object, member: Member, place: str) -> str | None:
    if member.repeats:
        if not isinstance(content, list):
            return f"{place}: expected a list"
        return next(filter(None, (_value_problem(item, member, place) for item in content)), None)
    return _value_problem(content, member, place)


def _value_problem(content: object, member: Member, place: str) -> str | None:
    scalar = SCALARS.get(member.type)
    if scalar is None:
        if not isinstance(content, Mapping):
            return f"{place}: expected a structure"
        return _structure_problem(content, STRUCTURES[member.type], place)
    if not isinstance(content, scalar) or (scalar is int and isinstance(content, bool)):
        return f"{place}: expected {member.type}, found {content!r}"
    return None
