"""The configuration as it came: nodes with their links, counters, links that wait."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec

from agent.ifmap import Neighbours, NodeRef
from agent.introspect.reading import properties, refs
from agent.introspect.redaction import shown
from agent.introspect.request import Answer, Query, Request, Row, Table
from agent.telemetry import Node

_FEW = 16
"""Nodes of a message: their texts may be long."""
_AMP = "link_node_sub_string="


async def nodes(node: Node, query: Query) -> AsyncIterator[Answer | None]:
    """The nodes of a type, each as text: its name, its properties, its links."""
    table = _table(query["table_name"])
    link, _, behind = query["link_type_sub_string"].partition(_AMP)
    end = query["link_node_sub_string"] or behind  # a client forgets the & between them
    texts: list[str] = []
    told = False
    for ref in refs(node, lambda kind: table in kind):
        if ref is not None and query["node_sub_string"] in ref.name:
            text = _text(node, ref, link, end)
            texts += [text] if text else []
        yield None
        if len(texts) == _FEW:
            yield Answer("ShowIFMapAgentResp", {"table_data": texts})
            texts, told = [], True
    if texts or not told:
        yield Answer("ShowIFMapAgentResp", {"table_data": texts})


def _table(name: str) -> str:
    """The type of node that a table of the C++ agent is named after, or a part of it."""
    return name.removeprefix("__ifmap__.").removesuffix(".0").replace("_", "-")


def _text(node: Node, ref: NodeRef, link: str, end: str) -> str:
    """A node in lines; "" where it has none of the links that are asked for."""
    links = []
    for metadata in node.compiler.graph.metadata(ref):
        if link in metadata:
            ends = node.compiler.graph.neighbours(Neighbours(ref, metadata))
            links += [f"  {metadata}: {one.type} {one.name}" for one in ends if end in one.name]
    if (link or end) and not links:
        return ""
    said = [f"  {name}: {_plain(value)}" for name, value in shown(properties(node, ref)).items()]
    return "\n".join([f"{ref.type} {ref.name}", *said, *links])


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


async def statistics(node: Node, query: Query) -> AsyncIterator[Answer]:
    """How much configuration came, and how much of it was refused."""
    graph = node.compiler.graph
    values = {
        "node_updates_processed": graph.processed["node-updates"],
        "node_deletes_processed": graph.processed["node-deletes"],
        "link_updates_processed": graph.processed["link-updates"],
        "link_deletes_processed": graph.processed["link-deletes"],
        "node_update_parse_errors": graph.counters["no-id-perms"] + graph.counters["no-mac"],
        "link_update_parse_errors": graph.counters["wrong-link-ends"],
        "node_delete_parse_errors": graph.counters["unknown-node-deleted"],
        "link_delete_parse_errors": graph.counters["unknown-link-deleted"],
    }
    yield Answer("ShowIFMapAgentStatsResp", values)


def waiting(node: Node, query: Query) -> Iterator[Row]:
    """The links of which an end is not there yet."""
    graph = node.compiler.graph
    for (metadata, one, other), sequence in graph.links():
        if graph.node(one) is not None and graph.node(other) is not None:
            yield None
            continue
        yield {
            "seq_num": sequence,
            "left_node": f"{one.type}:{one.name}",
            "right_node": f"{other.type}:{other.name}",
            "metadata": metadata,
        }


def reactions(node: Node, query: Query) -> Iterator[Row]:
    """Which nodes another one wakes is not told beforehand here: each result records its reads."""
    yield from ()


SERVED = (
    Request("ShowIFMapAgentReq", nodes),
    Request("ShowIFMapAgentStatsReq", statistics),
    Table("ShowIFMapAgentDefLinkReq", "ShowIFMapAgentDefLinkResp", "def_list", waiting),
    Table("IFMapNodePolicyReq", "IFMapNodePolicyResp", "policies", reactions),
)
