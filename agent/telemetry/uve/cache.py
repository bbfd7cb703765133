"""The UVEs that were told last: what a collector that connects anew is told again.

A UVE ("user visible entity") is one message of kind `uve`: a struct `data` whose field `name`
is the key of an object in a table of the collector. Collectors merge what they are told: a
field that is not sent stays as it was, so an update carries changed fields alone.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.errors import BugError
from agent.sandesh.schema import Struct, schema

Values = Mapping[str, Any]

MOST_UVES = 1 << 16
"""UVEs of one message; more are refused and counted."""
MOST_DELETED = 1024
"""Deleted UVEs of one message that are still told of; the oldest are forgotten."""


@dataclass(slots=True)
class Uve:
    """One UVE as it is now. `values` are the fields of its struct, "name" among them.

    `sequence` counts the changes of all UVEs of the message; it is that of the last one here.
    """

    message: str
    key: str
    sequence: int
    values: dict[str, Any]
    deleted: bool = False

    def whole(self) -> Values:
        """The message's fields with everything that is known."""
        extra = {"deleted": True} if self.deleted else {}
        return {"data": self.values | extra}

    def part(self, names: frozenset[str]) -> Values:
        """The message's fields with some of the struct's, and those that may not be missing."""
        wanted = names | required(self.message)
        return {"data": {name: each for name, each in self.values.items() if name in wanted}}


@dataclass(slots=True)
class _Type:
    """All UVEs of a message, in the order of their sequence numbers."""

    sequence: int = 0
    uves: dict[str, Uve] = field(default_factory=dict)
    deleted: dict[str, Uve] = field(default_factory=dict)


@functools.cache
def required(message: str) -> frozenset[str]:
    """The fields of a UVE's struct that every update carries."""
    return frozenset(each.name for each in struct_of(message).fields if not each.optional)


def struct_of(message: str) -> Struct:
    """The struct that a UVE message carries. BugError for what is no UVE."""
    found = schema().get(message)
    if found is None or found.kind != "uve":
        raise BugError(f"{message} is not the name of a UVE")
    return schema()[found.field("data").type]


class UveCache:
    """The latest UVE of each message and key, with what changed when it was put."""

    def __init__(self, most: int = MOST_UVES, most_deleted: int = MOST_DELETED) -> None:
        self.refused = 0
        """UVEs that were not taken since there are too many of their message."""
        self._most = most
        self._most_deleted = most_deleted
        self._types: dict[str, _Type] = {}

    def __len__(self) -> int:
        return sum(len(held.uves) + len(held.deleted) for held in self._types.values())

    def put(self, message: str, values: Values) -> frozenset[str]:
        """Take over fields of the UVE that `values["name"]` tells; the others stay.

        Returns the names of the fields that are new or different, nothing when none is. A
        UVE that was deleted begins anew. BugError for a message that is no UVE.
        """
        struct_of(message)
        held = self._types.setdefault(message, _Type())
        key = str(values["name"])
        old = held.uves.get(key)
        if old is None and len(held.uves) >= self._most:
            self.refused += 1
            return frozenset()
        known: Mapping[str, Any] = old.values if old else {}
        changed = frozenset(
            name for name, value in values.items() if name not in known or known[name] != value
        )
        if changed:
            held.sequence += 1
            held.deleted.pop(key, None)
            held.uves.pop(key, None)
            held.uves[key] = Uve(message, key, held.sequence, {**known, **values})
        return changed

    def delete(self, message: str, key: str) -> bool:
        """The object is gone; whether it was there."""
        held = self._types.get(message)
        old = held.uves.pop(key, None) if held else None
        if held is None or old is None:
            return False
        held.sequence += 1
        must = required(message)
        values = {name: value for name, value in old.values.items() if name in must}
        held.deleted[key] = Uve(message, key, held.sequence, values, deleted=True)
        if len(held.deleted) > self._most_deleted:
            del held.deleted[next(iter(held.deleted))]
        return True

    def get(self, message: str, key: str) -> Uve | None:
        """The UVE as it is now, also one that was deleted."""
        held = self._types.get(message)
        return (held.uves.get(key) or held.deleted.get(key)) if held else None

    def sequence(self, message: str) -> int:
        """The number of the last change of UVEs of a message; 0: there was none."""
        held = self._types.get(message)
        return held.sequence if held else 0

    def keys(self, message: str) -> list[str]:
        """The keys of the UVEs of a message that are not deleted."""
        held = self._types.get(message)
        return list(held.uves) if held else []

    def since(self, message: str, sequence: int) -> list[Uve]:
        """UVEs of a message that changed after that change, deleted ones too, in order."""
        held = self._types.get(message)
        if held is None:
            return []
        newer = [*_newer(held.uves, sequence), *_newer(held.deleted, sequence)]
        return sorted(newer, key=lambda uve: uve.sequence)


def _newer(uves: dict[str, Uve], sequence: int) -> Iterator[Uve]:
    """From the newest on, until one that is old enough."""
    for uve in reversed(uves.values()):
        if uve.sequence <= sequence:
            return
        yield uve
