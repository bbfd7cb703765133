"""Which two of the configured controllers are used (facts xmpp-ifmap.md 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.settings import Server

SLOTS = 2

Shuffle = Callable[[Sequence[Server]], Sequence[Server]]


class Slots:
    """The first two of the list, each in its slot; a server keeps its slot while it is chosen.

    `shuffle` gives a new list its order, so that hosts spread over the controllers.
    """

    def __init__(self, shuffle: Shuffle) -> None:
        self._shuffle = shuffle
        self._order: list[Server] = []
        self.chosen: list[Server | None] = [None] * SLOTS

    def configure(self, servers: Sequence[Server]) -> None:
        """Take a list; one with the same servers changes nothing."""
        wanted = list(dict.fromkeys(servers))
        if set(wanted) != set(self._order):
            self._order = list(self._shuffle(wanted))
            self._choose()

    def rotate(self, server: Server) -> bool:
        """Put `server` last if others wait for their turn; whether that replaced it."""
        if len(self._order) <= SLOTS or server not in self._order:
            return False
        self._order.remove(server)
        self._order.append(server)
        self._choose()
        return True

    def _choose(self) -> None:
        first = self._order[:SLOTS]
        self.chosen = [server if server in first else None for server in self.chosen]
        free = [server for server in first if server not in self.chosen]
        for slot, server in enumerate(self.chosen):
            if server is None and free:
                self.chosen[slot] = free.pop(0)
