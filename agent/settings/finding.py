"""What is wrong or worth knowing of a configuration, with its place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """What a finding means."""

    ERROR = "error"
    """The agent does not start with this."""
    WARNING = "warning"
    """Nobody knows it; it is ignored."""
    NOTE = "note"
    """It is known and has no effect in this agent."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`source`: a file, or what overrides it. `value` is as it may be shown.

    `option` and `value` are "" where a whole section or file is meant. `line` counts from 1;
    0: unknown. `expected` says what would be right, `near` which known name comes closest.
    """

    severity: Severity
    source: str
    problem: str
    section: str = ""
    option: str = ""
    value: str = ""
    expected: str = ""
    near: str = ""
    line: int = 0

    @property
    def place(self) -> str:
        """`[SECTION] option`."""
        return f"[{self.section}] {self.option}"

    def __str__(self) -> str:
        if self.severity is Severity.WARNING:
            hint = f"; did you mean {self.near!r}?" if self.near else ""
            return f"{self.source}: {self.problem}{hint}"
        place = f" [{self.section}]" if self.section else ""
        place += f" {self.option}" if self.option else ""
        if self.severity is Severity.NOTE or self.problem == MISSING:
            return f"{self.source}:{place} {self.problem}"
        if self.option:
            place += f" = {self.value}"
        return f"{self.source}:{place}: {self.problem}" if place else self.problem

    def record(self) -> dict[str, object]:
        """The JSON form; fields are only ever added."""
        return {
            "severity": self.severity.value,
            "file": self.source,
            "line": self.line or None,
            "section": self.section,
            "option": self.option,
            "value": self.value,
            "problem": self.problem,
            "expected": self.expected,
            "near": self.near,
        }


MISSING = "is missing"
IDLE = "has no effect in this agent"


def nearest(word: str, known: Iterable[str]) -> str:
    """The known name that comes closest; "" when none is close."""
    return next(iter(difflib.get_close_matches(word, known, 1)), "")
