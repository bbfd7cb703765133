"""Request bodies and stored files: JSON text to values, and values to JSON text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NoReturn

from agent.errors import UsageError

_ECHOED = 4096
_INT32 = range(-(2**31), 2**31)


class Rejected(UsageError):
    """A request that is refused; the text goes to the client as it is."""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if isinstance(value, str):
            value.encode()  # ValueError on a lone surrogate, which no file or message could hold
        members.setdefault(name, value)
    return members


def decode(body: bytes) -> Any:
    """The JSON value of `body`; of duplicate members the first counts.

    Rejected unless it is exactly one well-formed UTF-8 JSON text.
    """
    try:
        return json.loads(
            body.decode(), parse_constant=_refuse_constant, object_pairs_hook=_first_wins
        )
    except (ValueError, RecursionError):
        raise Rejected(f"Invalid Json string ==> {echo(body)}") from None


def echo(body: bytes) -> str:
    """The body as it stands in error texts: verbatim, cut when it is long."""
    text = body[: _ECHOED + 1].decode(errors="replace")
    return text if len(body) <= _ECHOED else text[:_ECHOED] + "…"


def encode(value: object) -> bytes:
    """Compact JSON, the form of acknowledgements and errors."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def encode_pretty(value: object) -> bytes:
    """JSON with four blanks a level, the form of GET answers and of stored files."""
    return json.dumps(value, indent=4, ensure_ascii=False).encode(errors="replace")


class Members:
    """Typed reading of a JSON object's members; `null` counts as missing."""

    def __init__(self, content: dict[str, Any]) -> None:
        self._content = content

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def text(self, name: str, what: str = "field") -> str:
        """A string member; Rejected with the documented text when missing."""
        value = self._content.get(name)
        if not isinstance(value, str):
            raise Rejected(f"Invalid or missing {what} for <{name}>")
        return value

    def number(self, name: str) -> int:
        """A signed 32-bit integer member; Rejected with the documented text when missing."""
        value = self.optional_number(name)
        if value is None:
            raise Rejected(f"Invalid or missing field for <{name}>")
        return value

    def optional_text(self, name: str) -> str:
        """A string member, or "" for anything else."""
        value = self._content.get(name)
        return value if isinstance(value, str) else ""

    def optional_number(self, name: str) -> int | None:
        """A signed 32-bit integer member, or None for anything else."""
        value = self._content.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value in _INT32:
            return value
        return None

    def array(self, name: str) -> list[Any] | None:
        """An array member, or None for anything else."""
        value = self._content.get(name)
        return value if isinstance(value, list) else None
