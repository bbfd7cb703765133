"""What is to be sent to the collector: UVEs that changed, and messages that wait in a queue.

UVEs are not queued but noted: each is written when its turn comes, as it is then, so that a
collector that takes little gets fewer updates, and nothing grows. Other messages are written
at once and wait as frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from agent.sandesh import xml
from agent.telemetry.uve.cache import Uve, UveCache, Values, struct_of
from agent.telemetry.uve.frames import (
    INSTANCE,
    MODULE,
    NODE_TYPE,
    Header,
    Hint,
    Identity,
    Level,
    Type,
    frame,
)
from agent.telemetry.uve.message_stats import Drop, MessageStats
from agent.telemetry.uve.send_queue import SendQueue

HANDSHAKE = "SandeshCtrlClientToServer"


class Outbox:
    """Takes what is to be told, gives frames.

    `wall` gives seconds since 1970; `types` are the UVE messages that are ever told.
    """

    def __init__(
        self,
        identity: Identity,
        cache: UveCache,
        wall: Callable[[], float],
        *,
        types: Iterable[str],
        queue: SendQueue | None = None,
    ) -> None:
        self.identity = identity
        self.cache = cache
        self.stats = MessageStats()
        self.queue = queue or SendQueue()
        self.types = {message: struct_of(message).name for message in types}
        """The UVE messages that are ever told, with the names that collectors know them by."""
        self.open = False
        """Whether there is somebody to send to, some time: else nothing is kept for him."""
        self._wall = wall
        self._live = False
        self._due: dict[tuple[str, str], frozenset[str] | None] = {}  # None: all fields
        self._again: set[tuple[str, str]] = set()
        self._lacks: dict[str, int] = {}  # messages of which all that is newer is due
        self._sequences: dict[str, int] = {}
        self._rate, self._tokens, self._filled = 0, 0.0, 0.0
        self._turn = False

    def __len__(self) -> int:
        """How many UVEs and messages wait; of what a new collector lacks a part is counted."""
        return len(self._due) + len(self._lacks) + len(self.queue)

    # What comes in

    def put(self, message: str, values: Values) -> frozenset[str]:
        """Fields of a UVE: what of them is new or different is sent. Returns its names."""
        changed = self.cache.put(message, values)
        if changed:
            self._note(message, str(values["name"]), changed)
        return changed

    def delete(self, message: str, key: str) -> None:
        """The object of a UVE is gone."""
        if self.cache.delete(message, key):
            self._note(message, key, None)

    def send(self, name: str, values: Values, level: Level, type_: Type, now: float) -> bool:
        """Send a message that is no UVE; whether it will be. Losses are counted.

        BugError for fields that the message does not have.
        """
        if not self.open:
            self.stats.dropped(name, 0, Drop.NO_CLIENT)
            return False
        if not self._in_rate(now):
            self.stats.dropped(name, 0, Drop.RATE_LIMITED)
            return False
        self._sequences[name] = sequence = self._sequences.get(name, 0) + 1
        data = self._frame(name, values, sequence, type_, level)
        if self.queue.put(name, data, level):
            return True
        self.stats.dropped(name, len(data), Drop.QUEUE_LEVEL)
        return False

    def limit(self, rate: int, now: float) -> None:
        """At most so many messages a second that are no UVEs; 0: as many as there are."""
        if rate != self._rate:
            self._rate, self._tokens, self._filled = rate, float(rate), now

    def close(self) -> None:
        """There is nobody to send to, and nobody is expected."""
        self.open = False
        self.rest()
        for name, left in self.queue.clear():
            self.stats.dropped(name, len(left), Drop.NO_CLIENT)

    # Where it goes

    def resume(self, known: Mapping[str, int]) -> None:
        """A collector listens that knows of UVEs up to these changes, by the struct's name.

        A number that is not reached yet is of a process before this one and counts as none.
        """
        self._live = True
        for message, name in self.types.items():
            last = known.get(name, 0)
            newest = self.cache.sequence(message)
            last = 0 if last > newest else last
            if last < newest:
                self._lacks[message] = last

    def rest(self) -> None:
        """Nobody listens: the next one will say which UVEs he lacks. Messages go on waiting."""
        self._live = False
        self._due.clear()
        self._again.clear()
        self._lacks.clear()

    def handshake(self, connects: int) -> bytes:
        """The frame that a connection begins with, after so many that were answered."""
        identity = self.identity
        values = {
            "source": identity.host,
            "module_name": MODULE,
            "sucessful_connections": connects,
            "uve_types": sorted(self.types.values()),
            "pid": identity.pid,
            "http_port": identity.http_port,
            "node_type_name": NODE_TYPE,
            "instance_id_name": INSTANCE,
        }
        control = Hint.CONTROL
        data = self._frame(HANDSHAKE, values, 0, Type.REQUEST, Level.DEBUG, control, "ctrl")
        self.stats.sent(HANDSHAKE, len(data))
        return data

    def take(self) -> bytes:
        """The next frame, b"" when there is none: UVEs and other messages in turn."""
        self._turn = not self._turn
        found = self._take_uve() if self._turn or not self.queue else self.queue.take()
        found = found or self.queue.take()
        if found is None:
            return b""
        name, data = found
        self.stats.sent(name, len(data))
        return data

    # Inside

    def _note(self, message: str, key: str, changed: frozenset[str] | None) -> None:
        """Have it sent, at the end, with all of its fields that changed since it was."""
        if not self._live or message in self._lacks:
            return
        place = message, key
        if place in self._due:
            before = self._due.pop(place)
            changed = None if before is None or changed is None else before | changed
        self._due[place] = changed

    def _in_rate(self, now: float) -> bool:
        if not self._rate:
            return True
        grown = self._tokens + (now - self._filled) * self._rate
        self._tokens, self._filled = min(float(self._rate), grown), now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def _take_uve(self) -> tuple[str, bytes] | None:
        while self._due or self._lacks:
            if not self._due:
                self._catch_up(*self._lacks.popitem())
                continue
            place = next(iter(self._due))
            changed = self._due.pop(place)
            hints = Hint.KEY | Hint.SYNC if place in self._again else Hint.KEY
            self._again.discard(place)
            if uve := self.cache.get(*place):  # a deleted one may be forgotten by now
                return uve.message, self._uve_frame(uve, changed, hints)
        return None

    def _catch_up(self, message: str, known: int) -> None:
        """What a collector lacks of a message: one after another, since all take a while."""
        for uve in self.cache.since(message, known):
            place = message, uve.key
            self._due[place] = None
            self._again.add(place)

    def _uve_frame(self, uve: Uve, changed: frozenset[str] | None, hints: Hint) -> bytes:
        values = uve.whole() if changed is None or uve.deleted else uve.part(changed)
        return self._frame(uve.message, values, uve.sequence, Type.UVE, Level.UVE, hints)

    def _frame(
        self,
        name: str,
        values: Values,
        sequence: int,
        type_: Type,
        level: Level,
        hints: Hint = Hint.NONE,
        context: str = "",
    ) -> bytes:
        stamp = int(self._wall() * 1e6)
        header = Header(stamp, sequence, type_, level, hints, context)
        return frame(self.identity, header, xml.message(name, values))
