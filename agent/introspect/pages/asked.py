"""What a browser asks a page for, and what is answered when that makes no sense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

from agent.errors import UsageError

PAGE = 50
"""Rows of a table on one page."""
LONGEST = 256
"""Characters of a field that are taken."""

T = TypeVar("T")


class BadRequest(UsageError):
    """A field of the address makes no sense; the text says which."""


class NotThere(UsageError):
    """What the address names does not exist (any more)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The parts of an address: `path` by the names in its pattern, `query` after the `?`."""

    path: Mapping[str, str]
    query: Mapping[str, str]

    def text(self, name: str) -> str:
        """A field without blanks around it, "" when it is missing."""
        return self.query.get(name, "")[:LONGEST].strip()

    def number(self, name: str, default: int = 0) -> int:
        """A field that counts from 0; BadRequest for anything else."""
        text = self.text(name)
        return whole(text, name) if text else default


def whole(text: str, name: str) -> int:
    """A number from 0 up to 32 bits; BadRequest."""
    if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 1 << 32:
        return int(text)
    raise BadRequest(f"{name}: {text!r} is not a number from 0 to 4294967295")


def address(path: str, **query: object) -> str:
    """The address of a page; fields that are empty are left out."""
    given = {name: value for name, value in query.items() if value not in ("", None)}
    return f"{path}?{urlencode(given)}" if given else path
