"""How two states differ, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from agent.daemon.state import Row


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that only one side has, or that differs in some members."""

    section: str
    key: str
    before: Row | None
    after: Row | None

    def changed(self) -> dict[str, tuple[Any, Any]]:
        """The members that differ, each with its two values (None: not there)."""
        before = self.before.members if self.before else {}
        after = self.after.members if self.after else {}
        names = sorted(before.keys() | after.keys())
        pairs = {name: (before.get(name), after.get(name)) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    def members(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "section": self.section,
            "key": self.key,
            "before": dict(self.before.members) if self.before else None,
            "after": dict(self.after.members) if self.after else None,
        }

    def __str__(self) -> str:
        if self.before is None or self.after is None:
            row = self.after or self.before
            assert row is not None
            return f"{'-' if self.after is None else '+'} {text(row)}"
        said = ", ".join(
            f"{name}: {_short(old)} -> {_short(new)}" for name, (old, new) in self.changed().items()
        )
        return f"~ {self.section} {self.key}: {said}"


def differences(before: Iterable[Row], after: Iterable[Row]) -> Iterator[Difference]:
    """What makes `after` of `before`, in the order of sections and keys."""
    old = {(row.section, row.key): row for row in before}
    new = {(row.section, row.key): row for row in after}
    for section, key in sorted(old.keys() | new.keys()):
        one, other = old.get((section, key)), new.get((section, key))
        if one != other:
            yield Difference(section, key, one, other)


def text(row: Row) -> str:
    """A row as a line."""
    said = " ".join(f"{name}={_short(value)}" for name, value in row.members.items())
    return f"{row.section} {row.key}: {said}"


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return "[" + ", ".join(map(_short, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}={_short(one)}" for name, one in value.items()) + "}"
    return str(value)
