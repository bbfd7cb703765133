"""What the control side remembers of the objects, for GET and DUMP to echo.

The forwarding structures live in the compiled data plane; here are the messages as
they were accepted, in the order in which dumps list them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from agent.sandesh.vrouter import (
    VrFcMapReq,
    VrInterfaceReq,
    VrMirrorReq,
    VrNexthopReq,
    VrQosMapReq,
    VrVrfAssignReq,
    VrVrfReq,
)

T = TypeVar("T")


class Numbered(Generic[T]):
    """A map from number to record that can be walked in order from any number on."""

    def __init__(self) -> None:
        self._rows: dict[int, T] = {}
        self._order: list[int] = []
        self.freed = 0  # rows that are no longer kept, replaced ones among them

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, number: int) -> bool:
        return number in self._rows

    def get(self, number: int) -> T | None:
        """The record, or None."""
        return self._rows.get(number)

    def put(self, number: int, row: T) -> T | None:
        """Store; returns the record that was there."""
        old = self._rows.get(number)
        if number in self._rows:
            self.freed += 1
        else:
            insort(self._order, number)
        self._rows[number] = row
        return old

    def pop(self, number: int) -> T | None:
        """Remove; returns the record that was there."""
        row = self._rows.pop(number, None)
        if row is not None:
            del self._order[bisect_left(self._order, number)]
            self.freed += 1
        return row

    def after(self, number: int) -> Iterator[tuple[int, T]]:
        """(number, record) of everything above `number`, ascending."""
        for position in range(bisect_right(self._order, number), len(self._order)):
            yield self._order[position], self._rows[self._order[position]]

    def clear(self) -> None:
        """Forget everything."""
        self.freed += len(self._rows)
        self._rows.clear()
        self._order.clear()


class Records:
    """One forwarder's records. `nexthop_users` and `vif_users` count references to an id."""

    def __init__(self) -> None:
        self.vifs: Numbered[VrInterfaceReq] = Numbered()
        self.nexthops: Numbered[VrNexthopReq] = Numbered()
        self.labels: Numbered[int] = Numbered()
        self.vnis: Numbered[int] = Numbered()
        self.mirrors: Numbered[VrMirrorReq] = Numbered()
        self.vrfs: Numbered[VrVrfReq] = Numbered()
        self.vlans: dict[int, Numbered[VrVrfAssignReq]] = {}
        self.qos_maps: Numbered[VrQosMapReq] = Numbered()
        self.fc_maps: Numbered[VrFcMapReq] = Numbered()
        self.nexthop_users: Counter[int] = Counter()
        self.vif_users: Counter[int] = Counter()
        self._forgotten = 0

    def _all(self) -> list[Numbered[Any]]:
        """Every map of objects."""
        return [
            self.vifs, self.nexthops, self.labels, self.vnis, self.mirrors, self.vrfs,
            self.qos_maps, self.fc_maps, *self.vlans.values(),
        ]  # fmt: skip

    @property
    def freed(self) -> int:
        """How many objects are no longer kept."""
        return self._forgotten + sum(rows.freed for rows in self._all())

    def components(self) -> int:
        """How many members the nexthops have together."""
        return sum(len(row.nhr_nh_list) for _, row in self.nexthops.after(-1))

    def clear(self) -> None:
        """Forget every object, as RESET asks."""
        gone = self.freed + sum(map(len, self._all()))
        self.__init__()  # type: ignore[misc]
        self._forgotten = gone

    def moved(self, users: Counter[int], old: int | None, new: int | None) -> None:
        """A reference moved from id `old` to `new`; None is no reference."""
        if new is not None:
            users[new] += 1
        if old is not None:
            users[old] -= 1
            if users[old] == 0:
                del users[old]
