"""The checked values of a configuration."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

from agent.inputs import SimpleGateway
from agent.settings.option import Option

T = TypeVar("T")


class Settings:
    """Checked values by section and option; immutable."""

    __slots__ = ("_values", "gateways", "trace_sizes", "unknown", "unused")

    def __init__(
        self,
        values: Mapping[tuple[str, str], Any],
        gateways: tuple[SimpleGateway, ...],
        unknown: tuple[str, ...],
        trace_sizes: Mapping[str, int],
        unused: tuple[str, ...] = (),
    ) -> None:
        self._values = values
        self.trace_sizes = trace_sizes
        """Lines of trace buffers by name, from [TRACEBUFFSIZE]."""
        self.gateways = gateways
        """The simple gateways of [GATEWAY-n], one an interface."""
        self.unknown = unknown
        """Warnings on options that the table does not know, for the log."""
        self.unused = unused
        """Options that are given and have no effect in this agent, as `[SECTION] option`."""

    def get(self, section: str, option: str, kind: type[T]) -> T:
        """The value of a known option, which must be of type `kind`."""
        value = self._values[section, option]
        if not isinstance(value, kind):
            raise TypeError(f"[{section}] {option} is {type(value).__name__}, not {kind.__name__}")
        return value

    def optional(self, section: str, option: str, kind: type[T]) -> T | None:
        """As `get`, for options that may be unset."""
        return None if self._values[section, option] is None else self.get(section, option, kind)

    def raw(self, option: Option) -> object:
        """The value of a row of the table, to be compared."""
        return self._values[option.section, option.name]

    def named(self, host: str) -> Settings:
        """These settings, with `host` as the agent's name where none is configured."""
        if self.get("DEFAULT", "agent_name", str) or self.get("DEFAULT", "hostname", str):
            return self
        named = copy.copy(self)
        named._values = {**self._values, ("DEFAULT", "agent_name"): host}
        return named
