"""The compiler's results one by one, for those who show them: no table is copied whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from agent.objects import DatapathMessage, Key, Kind
from agent.oper.datapath import Nexthop, Route, Row
from agent.oper.ids import Ids
from agent.oper.incremental import Engine, Failure, View
from agent.oper.nexthop import DISCARD, L2_RECEIVE
from agent.oper.remote import RemoteRoutes
from agent.oper.wanted import Wanted

P = ParamSpec("P")
R = TypeVar("R")
_FIXED = {one.index: one for one in (DISCARD, L2_RECEIVE)}


class Inspection:
    """What is there at present; nothing of it is kept."""

    __slots__ = ("_engine", "_ids", "_remote", "_wanted")

    def __init__(self, engine: Engine, ids: Ids, wanted: Wanted, remote: RemoteRoutes) -> None:
        self._engine = engine
        self._ids = ids
        self._wanted = wanted
        self._remote = remote

    def result(
        self, function: Callable[Concatenate[View, P], R], *args: P.args, **_: P.kwargs
    ) -> R | None:
        """The result of a function of `oper`; None when nobody demands it, or it failed."""
        try:
            value: Any = self._engine.value(function, *args)
        except KeyError:
            return None
        return None if isinstance(value, Failure) else value

    def row(self, key: Key) -> Row | None:
        """What the host wants of its own under a key."""
        return self._wanted.rows.get(key)

    def owner(self, kind: Kind, number: int) -> Key | None:
        """Who has a number that was given out; those of the host's own things are fixed."""
        return self._ids.owner(kind, number)

    def nexthop(self, number: int) -> Nexthop | None:
        """The nexthop with that number."""
        fixed = _FIXED.get(number)
        if fixed is not None:
            return fixed
        owner = self._ids.owner(Kind.NEXTHOP, number)
        row = self._wanted.rows.get(owner) if owner else None
        return row if isinstance(row, Nexthop) else None

    def route_keys(self) -> list[Key]:
        """The keys of all routes that the host has of its own."""
        return self._wanted.route_keys()

    def offers(self, key: Key) -> list[Route]:
        """The host's own paths of a route, the best first."""
        return self._wanted.offers(key)

    def remote(self, key: Key) -> DatapathMessage | None:
        """What a route of controllers wants in the datapath; None where none is in force."""
        return self._remote.made(key)
