"""All tables of routes that controllers told us, and what changed in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.rib.table import Changes, Table
from agent.routes import RouteAttributes, RouteBatch, RouteFamily, RouteKey


@dataclass(slots=True)
class Counters:
    """What happened since the start."""

    updates: int = 0
    late: Counter[str] = field(default_factory=Counter)
    """Sweeps that were asked for after the peer had begun anew, by peer."""


class Rib:
    """Routes by VRF, family and key; of several peers' paths the best counts.

    Peers are the controllers, by address and port. A VRF that nobody dropped may have routes,
    whether anyone forwards in it or not: that is the business of whoever reads them.
    """

    def __init__(self) -> None:
        self.counters = Counters()
        self._tables: dict[tuple[str, RouteFamily], Table] = {}
        self._changed: dict[Table, None] = {}
        self._sequences: dict[str, int] = {}
        self._builder: str | None = None

    # Reading

    def best(self, vrf: str, family: RouteFamily, key: RouteKey) -> RouteAttributes | None:
        """The best path of a route."""
        table = self._tables.get((vrf, family))
        return table.best(key) if table else None

    def table(self, vrf: str, family: RouteFamily) -> Table | None:
        """The table of a VRF, for tools and walks; None while it has no route."""
        return self._tables.get((vrf, family))

    def tables(self) -> list[Table]:
        """Every table that has routes."""
        return list(self._tables.values())

    def __len__(self) -> int:
        return sum(map(len, self._tables.values()))

    # Changes

    def begin(self, peer: str, sequence: int) -> None:
        """A session with the peer starts: what it said before is stale until `sweep`."""
        self._sequences[peer] = sequence
        for table in self._tables.values():
            table.retain(peer)
            self._note(table)

    def sweep(self, peer: str, sequence: int) -> None:
        """The peer has told all routes of session `sequence`: its stale paths go.

        Does nothing when the peer has begun a newer session meanwhile.
        """
        if self._sequences.get(peer, sequence) != sequence:
            self.counters.late[peer] += 1
            return
        for table in self._tables.values():
            table.sweep(peer)
            self._note(table)

    def apply(self, peer: str, batch: RouteBatch) -> None:
        """Take over one message of the peer. Its end marker is the caller's business."""
        name = batch.vrf, batch.family
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = Table(*name)
            if batch.family is RouteFamily.ERMVPN:
                table.restrict(self._builder)
        table.apply(peer, batch.updates)
        self._changed[table] = None
        self.counters.updates += len(batch.updates)

    def remove_peer(self, peer: str) -> None:
        """The peer is gone for good, and all that it said."""
        self._sequences.pop(peer, None)
        for table in self._tables.values():
            table.remove(peer)
            self._note(table)

    def drop_vrf(self, vrf: str) -> None:
        """The VRF does not exist any more; its routes go without a word."""
        for name in [name for name in self._tables if name[0] == vrf]:
            self._changed.pop(self._tables.pop(name), None)

    def build_trees(self, peer: str | None) -> None:
        """Only this peer builds the broadcast trees; None: not chosen, everybody's count."""
        self._builder = peer
        for table in self._tables.values():
            if table.family is RouteFamily.ERMVPN:
                table.restrict(peer)
                self._note(table)

    def _note(self, table: Table) -> None:
        if table.waiting:
            self._changed[table] = None

    @property
    def pending(self) -> bool:
        """Whether `changes` has something to tell."""
        return bool(self._changed)

    def changes(self, most: int) -> Iterator[Changes]:
        """What changed since it was last told, table by table; looks at `most` keys at most."""
        while self._changed and most > 0:
            table = next(iter(self._changed))
            before = table.waiting
            routes = table.drain(most)
            if routes:
                yield Changes(table.vrf, table.family, routes)
            most -= before - table.waiting
            if not table.waiting:
                del self._changed[table]
                if table.is_empty:
                    self._tables.pop((table.vrf, table.family), None)
