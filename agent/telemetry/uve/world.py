"""What the builders of UVEs read: a running agent, its ports grouped as UVEs name them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING
from uuid import UUID

from agent.oper.flow_rows import Acl
from agent.oper.rows import Vmi
from agent.telemetry.uve.cache import Values
from agent.telemetry.uve.generator import Generator

if TYPE_CHECKING:  # a node has its UVEs
    from agent.telemetry.node import Node

_NO_UUID = UUID(int=0)


uuid_text = lru_cache(1 << 16)(str)
"""The text of a UUID: it is asked for again and again, and slow."""


class World:
    """An agent, with its ports as they are when they are first asked for.

    Ports without configuration have no name, so there are no UVEs of them. Each grouping is
    made when it is needed: one of thousands of ports takes a millisecond or two.
    """

    def __init__(self, node: Node, generator: Generator) -> None:
        self.node = node
        self.generator = generator

    @cached_property
    def rows(self) -> Sequence[Vmi]:
        """All plugged ports, also those without configuration."""
        return self.node.compiler.vmis()

    @cached_property
    def ports(self) -> dict[str, Vmi]:
        """By the name of the VMI in configuration."""
        return {row.config_name: row for row in self.rows if row.config_name}

    @cached_property
    def networks(self) -> dict[str, list[Vmi]]:
        """The ports of each network, by its name."""
        found: dict[str, list[Vmi]] = {}
        for row in self.ports.values():
            if row.vn is not None:
                found.setdefault(row.vn.name, []).append(row)
        return found

    @cached_property
    def machines(self) -> dict[str, list[Vmi]]:
        """The ports of each VM, by its UUID as text."""
        found: dict[str, list[Vmi]] = {}
        for row in self.ports.values():
            if row.vm_uuid != _NO_UUID:
                found.setdefault(uuid_text(row.vm_uuid), []).append(row)
        return found

    @cached_property
    def acls(self) -> dict[str, Acl]:
        """The access lists in use, by name."""
        return self.node.compiler.acls()

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
