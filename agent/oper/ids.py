"""Indexes and labels: who has which, kept over changes and over a restart of the agent.

An index belongs to a key from its first claim until the datapath has acknowledged that
nothing of it is left (`release`), or, when it was never handed to the datapath, until
nobody reads it any more. The lowest free number is given first.

After a restart the datapath still holds objects under the indexes of the agent before.
They are `seed`ed with what recognises them (never a key, which the datapath does not
know): a claim brings its own recognitions and gets the index of the first that matches.
Seeded numbers that nobody claims stay taken until they are released.

Numbers may also be `restore`d by the texts of their keys, from what an agent before has
written down. They go to those keys alone; what the datapath holds counts for more. Those
that nobody claims stay taken until `forget`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush

from agent.errors import AgentError
from agent.objects import Key, Kind, Numbered
from agent.oper.incremental import Source, View

# Nexthops: 0 the datapath's discard, 1 discard, 2 a hole, 3 L2 receive. VRFs: 0 fabric,
# 1 fabric policy. Vifs: 0 fabric, 1 vhost0, 2 pkt0. Labels below 16 are reserved.
FIRST = {Kind.VIF: 3, Kind.NEXTHOP: 4, Kind.LABEL: 16, Kind.VRF: 2}
FIRST |= dict.fromkeys((Kind.MIRROR, Kind.QOS_MAP), 0)
# How many there are while the datapath has not told otherwise (facts datapath-behaviour.md 9).
LIMITS = {
    Kind.VIF: 4352,
    Kind.NEXTHOP: 524288,
    Kind.LABEL: 5120,
    Kind.VRF: 4096,
    Kind.MIRROR: 255,
    Kind.QOS_MAP: 4096,
}


class ExhaustedError(AgentError):
    """All numbers of a kind are in use."""


@dataclass(slots=True)
class _Space:
    next: int
    limit: int
    freed: list[int] = field(default_factory=list)
    owners: dict[int, Key] = field(default_factory=dict)
    seeded: set[int] = field(default_factory=set)
    kept: Counter[int] = field(default_factory=Counter)
    restored: dict[str, int] = field(default_factory=dict)
    """By the texts of keys; several may wait for one number, which `kept` counts."""

    def take(self) -> int | None:
        while self.freed:
            index = heappop(self.freed)
            if self._is_free(index):
                return index
        while not self._is_free(self.next):
            self.next += 1
        if self.next >= self.limit:
            return None
        self.next += 1
        return self.next - 1

    def _is_free(self, index: int) -> bool:
        return index not in self.owners and index not in self.seeded and index not in self.kept

    def keep(self, text: str, index: int) -> None:
        if text not in self.restored:
            self.restored[text] = index
            self.kept[index] += 1

    def drop(self, text: str) -> int | None:
        """Nothing is kept for a key any more; the number if nobody else waits for it."""
        index = self.restored.pop(text, None)
        if index is None:
            return None
        self.kept[index] -= 1
        if self.kept[index]:
            return None
        del self.kept[index]
        return index


class Ids:
    """The numbers of this host's vifs, nexthops, labels, VRFs, mirrors and QoS maps.

    `freed(kind)` is called when a number becomes free after claims were refused.
    """

    def __init__(self, freed: Callable[[Kind], None]) -> None:
        self._freed = freed
        self._spaces = {kind: _Space(first, LIMITS[kind]) for kind, first in FIRST.items()}
        self._bound: dict[Key, int] = {}
        self._live: set[Key] = set()
        self._handed: set[Key] = set()
        self._known: dict[tuple[Kind, Hashable], int] = {}
        self._refused: set[Kind] = set()
        self.changes = 0
        """How often a number was given or taken back."""

    def bound(self, key: Key) -> int | None:
        """The number of `key`, if it has one."""
        return self._bound.get(key)

    def claim(self, key: Key, recognitions: Iterable[Hashable]) -> int:
        """The number of `key`: its own, a recognised one, or the lowest free one.

        ExhaustedError when there is none; the claim is worth repeating after `freed`.
        """
        self._live.add(key)
        index = self._bound.get(key)
        if index is None:
            space = self._spaces[key.kind]
            kept = self._kept(key)
            index = self._recognise(key.kind, recognitions)
            if index is None:
                index = space.take() if kept is None else kept
            elif kept is not None and kept != index:
                self._give_back(key.kind, kept)
            if index is None:
                self._refused.add(key.kind)
                raise ExhaustedError(f"all {space.limit} {key.kind.value} numbers are in use")
            space.seeded.discard(index)
            space.owners[index] = key
            self._bound[key] = index
            self.changes += 1
        return index

    def _kept(self, key: Key) -> int | None:
        """The number that was restored for a key, if it may be given to it; asked once."""
        space = self._spaces[key.kind]
        if not space.restored:
            return None
        text = key.text
        index = space.restored.get(text)
        space.drop(text)
        usable = index is not None and index < space.limit and index not in space.owners
        return index if usable else None

    def _recognise(self, kind: Kind, recognitions: Iterable[Hashable]) -> int | None:
        seeded = self._spaces[kind].seeded
        if not seeded:
            return None
        for recognition in recognitions:
            index = self._known.get((kind, recognition))
            if index in seeded:
                return index
        return None

    def seed(self, kind: Kind, index: int, *recognitions: Hashable) -> None:
        """The datapath holds number `index`, which whoever claims a recognition shall have."""
        space = self._spaces[kind]
        if index < FIRST[kind] or index in space.owners:
            return
        space.seeded.add(index)
        for recognition in recognitions:
            self._known.setdefault((kind, recognition), index)

    def restore(self, rows: Iterable[Numbered]) -> None:
        """These numbers were given to these keys before; keep them for those."""
        for kind, index, text in rows:
            space = self._spaces.get(kind)
            if space is not None and FIRST[kind] <= index and index not in space.owners:
                space.keep(text, index)

    def forget(self) -> int:
        """Free the restored numbers that were not claimed; how many."""
        found = 0
        for kind, space in self._spaces.items():
            for text in list(space.restored):
                index = space.drop(text)
                if index is not None:
                    found += 1
                    self._give_back(kind, index)
        self.changes += bool(found)
        return found

    def numbered(self) -> Iterator[Numbered]:
        """Every number with its key, and those that are still kept, by kind and number.

        They are those of the moment of the call; making the texts is left to who iterates.
        """
        spaces = self._spaces.items()
        return _rows([(kind, dict(one.owners), dict(one.restored)) for kind, one in spaces])

    def limit(self, kind: Kind, count: int) -> None:
        """The datapath has room for the numbers below `count`."""
        self._spaces[kind].limit = count
        self._tell(kind)

    def handed(self, key: Key) -> None:
        """The object of `key` was given to the datapath's side."""
        if key in self._bound:
            self._handed.add(key)

    def unread(self, key: Key) -> None:
        """Nobody claims `key` any more; a number that the datapath never saw is free again."""
        self._live.discard(key)
        if key not in self._handed:
            self._free(key)

    def release(self, kind: Kind, index: int) -> None:
        """The datapath holds nothing of number `index` any more."""
        space = self._spaces.get(kind)
        if space is None:
            return
        key = space.owners.get(index)
        if key is not None:
            self._handed.discard(key)
            if key not in self._live:
                self._free(key)
        elif index in space.seeded:
            space.seeded.discard(index)
            self._give_back(kind, index)

    def owner(self, kind: Kind, index: int) -> Key | None:
        """Who has a number."""
        space = self._spaces.get(kind)
        return space.owners.get(index) if space else None

    def in_use(self, kind: Kind) -> dict[int, Key]:
        """The numbers that have an owner."""
        return dict(self._spaces[kind].owners)

    def used(self, kind: Kind) -> int:
        """How many have an owner, or are kept for what is always there."""
        return FIRST[kind] + len(self._spaces[kind].owners)

    def _free(self, key: Key) -> None:
        index = self._bound.pop(key, None)
        self._handed.discard(key)
        if index is not None:
            del self._spaces[key.kind].owners[index]
            self.changes += 1
            self._give_back(key.kind, index)

    def _give_back(self, kind: Kind, index: int) -> None:
        space = self._spaces[kind]
        if index < space.next:  # those above are still to come
            heappush(space.freed, index)
        self._tell(kind)

    def _tell(self, kind: Kind) -> None:
        if kind in self._refused:
            self._refused.discard(kind)
            self._freed(kind)


def _rows(spaces: list[tuple[Kind, dict[int, Key], dict[str, int]]]) -> Iterator[Numbered]:
    for kind, owners, restored in spaces:
        rows = [Numbered(kind, index, key.text) for index, key in owners.items()]
        rows += [Numbered(kind, index, text) for text, index in restored.items()]
        yield from sorted(rows, key=lambda row: (row.number, row.text))


INDEX: Source[Key, int | None] = Source("index")
ALLOCATOR: Source[None, Ids] = Source("allocator")
FREED: Source[Kind, None] = Source("freed")


def index(view: View, key: Key, recognitions: Callable[[], Iterable[Hashable]]) -> int:
    """The number of `key`, claimed for as long as the calling function is demanded.

    `recognitions()` tells how a seeded object would be recognised; it is asked only when
    `key` has no number yet.
    """
    bound = view.read(INDEX, key)
    ids = view.read(ALLOCATOR, None)
    try:
        return ids.claim(key, recognitions() if bound is None else ())
    except ExhaustedError:
        view.read(FREED, key.kind)
        raise
