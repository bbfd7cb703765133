"""What all results together want in the datapath: one owner an object, the best of its routes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.objects import Key
from agent.oper.datapath import Object, Output, Route, Row
from agent.oper.incremental import Call


class Wanted:
    """Outputs by the call that made them, merged by key.

    An object has one owner; who wants it too waits for its turn, and is among the `conflicts`
    until then. A route may be offered by several: the smallest rank wins.
    """

    def __init__(self) -> None:
        self.conflicts: dict[str, str] = {}
        self.rows: dict[Key, Row] = {}
        self._outputs: dict[Call, dict[Key, Row]] = {}
        self._objects: dict[Key, tuple[Call, Object]] = {}
        self._waiting: dict[Key, dict[Call, Object]] = {}
        self._offers: dict[Key, dict[Call, Route]] = {}

    def take(self, outputs: Iterable[tuple[Call, Output]]) -> Iterator[tuple[Key, Row | None]]:
        """Each call now wants that output in place of what it wanted before.

        Yields the keys whose row in `rows` is new, different or (None) gone. All that is
        given up goes before anything is taken: a key may move from one call to another.
        """
        touched: dict[Key, None] = {}
        news: dict[Call, dict[Key, Row]] = {}
        for call, output in outputs:
            news[call] = {row.key: row for row in (*output.objects, *output.routes)}
        for call, new in news.items():
            old = self._outputs.pop(call, {})
            self.conflicts.pop(str(call), None)
            for key in [key for key, row in old.items() if new.get(key) != row]:
                touched[key] = None
                self._give_up(call, key)
            if new:
                self._outputs[call] = new
            for key in [key for key, row in new.items() if old.get(key) != row]:
                touched[key] = None
        for call, new in news.items():
            for key, row in new.items():
                if key in touched:
                    self._put(call, key, row)
        return self._settle(touched)

    def owner(self, key: Key) -> Call | None:
        """The call whose row of that key is in force."""
        if key in self._objects:
            return self._objects[key][0]
        offers = self._offers.get(key, {})
        return min(offers, key=lambda call: offers[call].rank, default=None)

    def route_keys(self) -> list[Key]:
        """The keys of all routes that somebody offers."""
        return list(self._offers)

    def offers(self, key: Key) -> list[Route]:
        """All that is offered for a route, the best first."""
        return sorted(self._offers.get(key, {}).values(), key=_rank)

    def _give_up(self, call: Call, key: Key) -> None:
        if self._objects.get(key, (None,))[0] == call:
            del self._objects[key]
            self._pass_on(key)
        elif key in self._waiting:
            self._waiting[key].pop(call, None)
            if not self._waiting[key]:
                del self._waiting[key]
        offers = self._offers.get(key, {})
        if call in offers:
            del offers[call]
            if not offers:
                del self._offers[key]

    def _pass_on(self, key: Key) -> None:
        """An object has no owner any more: who waited first has it now."""
        waiting = self._waiting.pop(key, {})
        for call in waiting:
            self.conflicts.pop(str(call), None)
        for call, row in waiting.items():
            self._put(call, key, row)

    def _put(self, call: Call, key: Key, row: Row) -> None:
        if isinstance(row, Route):
            self._offers.setdefault(key, {})[call] = row
            return
        owner = self._objects.setdefault(key, (call, row))[0]
        if owner == call:
            self._objects[key] = call, row
        else:
            self._waiting.setdefault(key, {})[call] = row
            self.conflicts[str(call)] = f"{owner} wants {key} too"

    def _settle(self, touched: Iterable[Key]) -> Iterator[tuple[Key, Row | None]]:
        for key in touched:
            row, old = self._best(key), self.rows.get(key)
            if row is None and old is not None:
                del self.rows[key]
                yield key, None
            elif row is not None and row != old:
                self.rows[key] = row
                yield key, row

    def _best(self, key: Key) -> Row | None:
        found = self._objects.get(key)
        if found is not None:
            return found[1]
        offers = self._offers.get(key, {})
        return min(offers.values(), key=_rank, default=None)


def _rank(route: Route) -> tuple[int, int, int, int]:
    return route.rank
