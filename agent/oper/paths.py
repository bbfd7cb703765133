"""The routes of this host by destination: all that are offered, and the best of them."""

from __future__ import annotations

from agent.objects import Key
from agent.oper.datapath import Route
from agent.oper.incremental import Call


class Paths:
    """Offers of routes by owner. Keeps what each offers; `best` picks by rank."""

    def __init__(self) -> None:
        self._offers: dict[Key, dict[Call, Route]] = {}

    def offer(self, owner: Call, route: Route) -> None:
        """`owner` offers `route`, in place of what it offered for that destination before."""
        self._offers.setdefault(route.key, {})[owner] = route

    def withdraw(self, owner: Call, key: Key) -> None:
        """`owner` no longer offers a route to `key`."""
        offers = self._offers[key]
        del offers[owner]
        if not offers:
            del self._offers[key]

    def best(self, key: Key) -> Route | None:
        """The route to program, None when nobody offers one."""
        return min(self._offers.get(key, {}).values(), key=_rank, default=None)

    def best_owner(self, key: Key) -> Call | None:
        """Who offers it."""
        offers = self._offers.get(key, {})
        return min(offers, key=lambda owner: offers[owner].rank, default=None)


def _rank(route: Route) -> tuple[int, int, int]:
    return route.rank
