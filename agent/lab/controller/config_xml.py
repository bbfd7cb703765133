"""Configuration stanzas as a control node writes them (facts xmpp-ifmap.md 8.2, 10.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape

from agent.inputs import GraphLink, GraphNode
from agent.lab.controller.configuration import Changes
from agent.lab.controller.wire import JID, quoted

OBJECTS = 16
"""Objects of a stanza; a link counts twice."""


def stanzas(agent: str, changes: Changes) -> Iterator[bytes]:
    """The changes for an agent, some objects a stanza, each with its XML declaration."""
    for verb, parts in (("update", changes.updates), ("delete", changes.deletes)):
        write = _full if verb == "update" else _named
        for group in _groups(parts):
            lines = "".join(f"      {write(part)}\n" for part in group)
            yield (
                '<?xml version="1.0"?>\n'
                f'<iq type="set" from="{JID}" to="{quoted(agent)}/config">\n'
                f"  <config>\n    <{verb}>\n{lines}    </{verb}>\n  </config>\n</iq>\n"
            ).encode()


def _groups(parts: list[GraphNode | GraphLink]) -> Iterator[list[GraphNode | GraphLink]]:
    group: list[GraphNode | GraphLink] = []
    room = OBJECTS
    for part in parts:
        cost = 2 if isinstance(part, GraphLink) else 1
        if cost > room:
            yield group
            group, room = [], OBJECTS
        group.append(part)
        room -= cost
    if group:
        yield group


def _full(part: GraphNode | GraphLink) -> str:
    if isinstance(part, GraphLink):
        return _link(part)
    return f"{_start(part.type, part.name)}{_members(part.properties)}</node>"


def _named(part: GraphNode | GraphLink) -> str:
    return _link(part) if isinstance(part, GraphLink) else f"{_start(part.type, part.name)}</node>"


def _start(kind: str, name: str) -> str:
    return f'<node type="{quoted(kind)}"><name>{escape(name)}</name>'


def _link(link: GraphLink) -> str:
    ends = "".join(f"{_start(*end)}</node>" for end in (link.left, link.right))
    return f'<link>{ends}<metadata type="{quoted(link.metadata)}" /></link>'


def _members(members: Mapping[str, Any]) -> str:
    return "".join(_element(name, value) for name, value in members.items())


def _element(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_element(name, item) for item in value)
    text = _members(value) if isinstance(value, Mapping) else _scalar(value)
    return f"<{name}>{text}</{name}>" if text else f"<{name} />"


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(str(value))
