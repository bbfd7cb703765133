"""What the builders of UVEs read: a running agent, its ports grouped as UVEs name them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from agent.oper.rows import Vmi
from agent.telemetry.uve.cache import Values
from agent.telemetry.uve.generator import Generator

if TYPE_CHECKING:  # a node has its UVEs
    from agent.telemetry.node import Node

_NO_UUID = UUID(int=0)


class World:
    """An agent as it is when this is made. Ports without configuration have no name: no UVE."""

    def __init__(self, node: Node, generator: Generator) -> None:
        self.node = node
        self.generator = generator
        self._rows = node.compiler.vmis()
        self.ports: dict[str, Vmi] = {}
        """By the name of the VMI in configuration."""
        self.acls = node.compiler.acls()
        self.networks: dict[str, list[Vmi]] = {}
        self.machines: dict[str, list[Vmi]] = {}
        """By the UUID of the VM, as text."""
        for row in self._rows:
            if row.config_name:
                self._place(row)

    def _place(self, row: Vmi) -> None:
        self.ports[row.config_name] = row
        if row.vn is not None:
            self.networks.setdefault(row.vn.name, []).append(row)
        if row.vm_uuid != _NO_UUID:
            self.machines.setdefault(str(row.vm_uuid), []).append(row)

    @property
    def rows(self) -> Sequence[Vmi]:
        """All plugged ports, also those without configuration."""
        return self._rows

    def host(self) -> Collection[str]:
        """The one key of UVEs that are about this host."""
        return (self.node.host,)


@dataclass(frozen=True, slots=True)
class Builder:
    """What makes the UVEs of one message: the names of their objects, and their fields.

    `values` has no "name"; it is None where there is no such object. It gives every field each
    time, empty where there is nothing: a field that is left out stays what it was. `sampled`:
    it tells of counters, so it is made anew each interval; else when something changed.
    """

    message: str
    keys: Callable[[World], Collection[str]]
    values: Callable[[World, str], Values | None]
    sampled: bool = False
