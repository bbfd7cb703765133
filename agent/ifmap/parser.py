"""Configuration stanzas as edits of the graph (facts xmpp-ifmap.md 8, 10.2).

A stanza is the parsed `iq` of a controller: `config` with any number of `update` and
`delete` sections. Namespaces are ignored, as controllers write none that matter. What
is malformed is counted and left out; the rest of the stanza counts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from xml.etree.ElementTree import Element

from agent.ifmap.graph import Graph, NodeRef
from agent.ifmap.schema import NODE_TYPES, SCALARS, STRUCTURES, Member
from agent.inputs import GraphLink, GraphNode

MAX_DEPTH = 32
_TRUE = frozenset(("true", "1"))
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_LENIENT = re.compile(r"\s*[+-]?[0-9]{1,20}")
_RANGES = {"int": (-(2**31), 2**32 - 1), "uint64": (0, 2**64 - 1)}


@dataclass(frozen=True, slots=True)
class PutNode:
    """Add a node or replace it whole."""

    node: GraphNode


@dataclass(frozen=True, slots=True)
class PutLink:
    """Add a link."""

    link: GraphLink


@dataclass(frozen=True, slots=True)
class DeleteNode:
    """Remove a node."""

    ref: NodeRef


@dataclass(frozen=True, slots=True)
class DeleteLink:
    """Remove a link."""

    link: GraphLink


Edit: TypeAlias = PutNode | PutLink | DeleteNode | DeleteLink


class _Malformed(ValueError):
    """A node or link that cannot be understood; the text is the counter's name."""


def apply(edits: Iterable[Edit], graph: Graph) -> None:
    """Make the edits in their order."""
    for edit in edits:
        match edit:
            case PutNode(node):
                graph.put_node(node)
            case PutLink(link):
                graph.put_link(link)
            case DeleteNode(ref):
                graph.delete_node(ref)
            case DeleteLink(link):
                graph.delete_link(link)


class ConfigParser:
    """Reads stanzas. `counters` counts what was left out, by reason.

    Reasons: no-config, unknown-section, unknown-object, no-type, no-name, bad-link,
    bad-value (drops its node), too-deep (drops its node), unknown-property (drops only itself).
    """

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()

    def read(self, stanza: Element) -> list[Edit]:
        """The edits that a stanza asks for, in document order."""
        config = [child for child in stanza if _tag(child) == "config"]
        if not config:
            self.counters["no-config"] += 1
        return [edit for part in config for section in part for edit in self._section(section)]

    def _section(self, section: Element) -> Iterator[Edit]:
        verb = _tag(section)
        if verb not in ("update", "delete"):
            self.counters["unknown-section"] += 1
            return
        for item in section:
            try:
                yield self._edit(item, delete=verb == "delete")
            except _Malformed as error:
                self.counters[str(error)] += 1

    def _edit(self, item: Element, *, delete: bool) -> Edit:
        match _tag(item):
            case "node" if delete:
                return DeleteNode(_ref(item))
            case "node":
                return PutNode(self._node(item))
            case "link" if delete:
                return DeleteLink(_link(item))
            case "link":
                return PutLink(_link(item))
        raise _Malformed("unknown-object")

    def _node(self, item: Element) -> GraphNode:
        ref = _ref(item)
        children = [child for child in item if _tag(child) != "name"]
        known = NODE_TYPES.get(ref.type)
        if known is None:
            return GraphNode(ref.type, ref.name, _untyped(children, 0))
        return GraphNode(ref.type, ref.name, self._members(children, known.properties, 0))

    def _members(
        self, children: Iterable[Element], members: Mapping[str, Member], depth: int
    ) -> dict[str, Any]:
        """A structure's content. The members of a node itself are at depth 0."""
        if depth > MAX_DEPTH:
            raise _Malformed("too-deep")
        content: dict[str, Any] = {}
        for child in children:
            member = members.get(_tag(child))
            if member is None:
                self.counters["unknown-property"] += 1
                continue
            value = self._value(child, member, depth)
            if member.repeats:
                content.setdefault(member.name, []).append(value)
            elif value is not None:
                content[member.name] = value
        return content

    def _value(self, element: Element, member: Member, depth: int) -> Any:
        """None: unset, which is what a list without items means."""
        if member.type in SCALARS:
            return _scalar(element.text or "", member.type, lenient=depth == 0)
        structure = STRUCTURES[member.type]
        content = self._members(element, structure, depth + 1)
        return None if not content and _is_list(structure) and not member.repeats else content


def _tag(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _ref(item: Element) -> NodeRef:
    kind = item.get("type", "")
    if not kind:
        raise _Malformed("no-type")
    name = next((child.text for child in item if _tag(child) == "name"), None)
    if not name:
        raise _Malformed("no-name")
    return NodeRef(kind, name)


def _link(item: Element) -> GraphLink:
    """The first node is left, the second right; the metadata's type is the link's name."""
    ends = [_ref(child) for child in item if _tag(child) == "node"]
    metadata = next((child.get("type") for child in item if _tag(child) == "metadata"), None)
    if len(ends) != 2 or not metadata:
        raise _Malformed("bad-link")
    return GraphLink(metadata, *ends)


def _is_list(structure: Mapping[str, Member]) -> bool:
    return len(structure) == 1 and next(iter(structure.values())).repeats


def _scalar(text: str, kind: str, *, lenient: bool) -> str | int | bool:
    if kind == "string":
        return text
    if kind == "bool":
        return text.strip() in _TRUE
    return _integer(text, kind, lenient=lenient)


def _integer(text: str, kind: str, *, lenient: bool) -> int:
    """Leniently, what is no number is 0 and what follows one is ignored."""
    found = _LENIENT.match(text) if lenient else _INTEGER.fullmatch(text.strip())
    if found is None and not lenient:
        raise _Malformed("bad-value")
    value = int(found[0]) if found else 0
    low, high = _RANGES[kind]
    if not low <= value <= high:
        raise _Malformed("bad-value")
    return value


def _untyped(children: Iterable[Element], depth: int) -> dict[str, Any]:
    """Content of which the schema says nothing: texts and structures, lists where repeated."""
    if depth > MAX_DEPTH:
        raise _Malformed("too-deep")
    content: dict[str, Any] = {}
    for child in children:
        value = _untyped(child, depth + 1) if len(child) else (child.text or "")
        name = _tag(child)
        if name not in content:
            content[name] = value
        elif isinstance(content[name], list):
            content[name].append(value)
        else:
            content[name] = [content[name], value]
    return content
