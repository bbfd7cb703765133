"""Learnt MAC addresses that nobody confirmed: looked for in the bridge table, slice by slice.

Facts shared-memory.md 7, 12.1. A datapath marks an address that it learnt MAC_NEW and traps its
first packet; the agent's answer clears the mark. When packet or answer was lost the mark stays,
and the entry has to be deleted, so that the address is learnt again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from agent.shm.bridge import BridgeEntry, BridgeFlag, BridgeTable

_MARK = BridgeFlag.VALID | BridgeFlag.MAC_NEW
_LEAST_TICK = 0.1
_TICK_ENTRIES = 16384


@dataclass(frozen=True, slots=True)
class _Seen:
    at: float
    index: int
    key: tuple[int, bytes]


class MacAudit:
    """Walks a table again and again; one walk takes `period` seconds.

    An address that is still new `delay` seconds after it was seen is given out. At most `room`
    addresses are remembered at a time; others wait for a later walk and count as `postponed`.
    """

    def __init__(
        self, table: BridgeTable, *, period: float = 60.0, delay: float = 5.0, room: int = 4096
    ) -> None:
        self.postponed = 0
        self.deadline = 0.0
        """When `slice` should be called next (monotonic seconds)."""
        self._table = table
        self._delay = delay
        self._room = room
        self._seen: deque[_Seen] = deque()
        self._waiting: set[int] = set()
        self._cursor = 0
        entries = len(table)
        self._tick = min(max(_LEAST_TICK, period * _TICK_ENTRIES / entries), period)
        self._step = max(1, int(entries * self._tick / period))

    def slice(self, now: float) -> list[BridgeEntry]:
        """Look at what is due; the entries to delete. WireError as `BridgeTable.check`."""
        unconfirmed = list(filter(None, (self._judge(seen) for seen in self._due(now))))
        self._look(now)
        self.deadline = now + self._tick
        return unconfirmed

    def _due(self, now: float) -> list[_Seen]:
        due = []
        while self._seen and now - self._seen[0].at >= self._delay:
            due.append(self._seen.popleft())
            self._waiting.discard(due[-1].index)
        return due

    def _judge(self, seen: _Seen) -> BridgeEntry | None:
        entry = self._table.entry(seen.index)
        if entry is None or not entry.flags & BridgeFlag.MAC_NEW:
            return None
        return entry if (entry.vrf, entry.mac) == seen.key else None

    def _look(self, now: float) -> None:
        found = self._table.scan(self._cursor, self._step, mask=_MARK, value=_MARK)
        self._cursor = 0 if found.next_index >= len(self._table) else found.next_index
        for index in found.picked:
            if index not in self._waiting:
                self._remember(index, now)

    def _remember(self, index: int, now: float) -> None:
        entry = self._table.entry(index)
        if entry is None:
            return
        if len(self._seen) >= self._room:
            self.postponed += 1
            return
        self._waiting.add(index)
        self._seen.append(_Seen(now, index, (entry.vrf, entry.mac)))
