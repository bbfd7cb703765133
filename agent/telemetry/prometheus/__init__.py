"""Metrics in Prometheus's text format 0.0.4, for /metrics.

In come the parts of a running agent (`Node`), out comes text in pieces: a scrape of thousands
of ports is never made at once. The names are promised to users: docs/metrics.md lists them,
and a test compares. Nothing is kept between scrapes but the time that they took, and nothing
is asked of the datapath: its counters are those of the last sample.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.telemetry.node import Node
from agent.telemetry.prometheus import agent, control, datapath, export, flows, ports, wires
from agent.telemetry.prometheus.family import Family, Group, Kind

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PIECE = 16 << 10
"""About how many characters of text come at once."""

GROUPS: tuple[Group, ...] = (
    *agent.GROUPS,
    *datapath.GROUPS,
    *wires.GROUPS,
    *flows.GROUPS,
    *control.GROUPS,
    *export.GROUPS,
    *ports.GROUPS,
)
FAMILIES: tuple[Family, ...] = tuple(family for group in GROUPS for family in group.families)
"""All that can be exposed, in order; each that has no sample now has its head alone."""

__all__ = ["CONTENT_TYPE", "FAMILIES", "Family", "Group", "Kind", "exposition"]


def exposition(node: Node) -> Iterator[bytes]:
    """Everything, in pieces that take about a millisecond each; UTF-8.

    Others may work between pieces: a port that goes meanwhile is still told of.
    """
    spent, began = 0.0, node.clock()
    waiting: list[str] = []
    size = 0
    for group in GROUPS:
        for text in group.pieces(node):
            waiting.append(text)
            size += len(text)
            if size >= PIECE:
                spent += node.clock() - began
                yield "".join(waiting).encode("utf-8", "replace")
                began = node.clock()
                waiting, size = [], 0
    node.meters.scrape.observe(spent + node.clock() - began)
    yield "".join(waiting).encode("utf-8", "replace")
