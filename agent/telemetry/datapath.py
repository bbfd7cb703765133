"""How the datapath's own tables are asked, on a connection apart from ksync's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol, TypeVar

from agent.sandesh.vrouter import Message

Row = TypeVar("Row", bound=Message)


class Datapath(Protocol):
    """Questions to the datapath; every answer comes within a few seconds or not at all.

    DatapathError: the datapath refused. WireError: there is none, or it does not answer.
    """

    async def get(self, request: Message, kind: type[Row]) -> Row:
        """The one object that a GET answers with."""
        ...

    def dump(self, request: Callable[[Row | None], Message], kind: type[Row]) -> AsyncIterator[Row]:
        """Every object of a kind. `request(last)` is the DUMP that follows `last` (None: first)."""
        ...
