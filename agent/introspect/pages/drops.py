"""Dropped packets by the datapath's reason, of a port or of all."""

from __future__ import annotations

from collections.abc import Mapping

from agent.introspect.pages.shown import Cell, Grid
from agent.telemetry import Node


def of_all(node: Node) -> Grid:
    """Those of the whole datapath."""
    return _grid("Dropped packets", node.statistics.drops)


def of_port(node: Node, vif: int) -> Grid:
    """Those of a vif; their reasons are asked for less often than the other counters."""
    found = node.statistics.vif(vif)
    return _grid("Dropped packets of its vif", (found.drops if found else None) or {})


def _grid(caption: str, drops: Mapping[str, int]) -> Grid:
    ordered = sorted(drops.items(), key=lambda one: -one[1])
    rows: list[list[Cell]] = [[name.replace("_", " "), f"{count:,}"] for name, count in ordered]
    empty = "No packet that was dropped is known of."
    return Grid(caption, ("Reason", "Packets"), rows, numeric=frozenset((1,)), empty=empty)
