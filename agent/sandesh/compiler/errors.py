"""Errors and warnings of the compiler: each names the file, the line and the column."""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import UsageError


@dataclass(frozen=True, slots=True)
class Position:
    """Where something stands in an IDL file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class IdlError(UsageError):
    """An IDL text that cannot be compiled; the text starts with file:line:column."""

    def __init__(self, position: Position, message: str) -> None:
        self.position = position
        super().__init__(f"{position}: {message}")
