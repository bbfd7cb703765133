"""What happened lately, by part of the agent; and one port, prefix or flow followed live.

Buffers are rings of bounded size, named as in [TRACEBUFFSIZE]. Those of rare events are always
on; the costly ones (`COSTLY`: a line for each message) only while somebody has switched them on
or follows something. The daemon tells what happens (the methods under "Hooks", once a batch);
while nothing costly is wanted it need not tell of objects at all, see `watching`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from agent._fast.packet import Packet
from agent._fast.records import Record
from agent.errors import UsageError
from agent.ksync.events import Event as DatapathEvent
from agent.objects import Key
from agent.oper import Delta
from agent.oper.export import Exported
from agent.rest.ports import Change
from agent.routes import RouteFamily, RouteKey
from agent.telemetry import trace_words as words
from agent.telemetry.health import stamp
from agent.telemetry.trace_subjects import Subject
from agent.xmpp import ConfigUpdate, Routes
from agent.xmpp import Event as ControlEvent

RARE = ("Config", "Xmpp", "Oper", "KSync", "Port")
"""Configuration, sessions with controllers, ports' states, the datapath's connection, the port
API: always on."""
COSTLY = ("Routes", "Objects", "Writes", "Published", "Services")
"""Routes of controllers, desired objects, messages to the datapath with their answers, routes
of ours, packets that services got: on when asked for."""
FLOW = "Flow"
"""Where lines on a followed flow are said to come from; it has no buffer."""
SIZE = 1000
MOST_SIZE = 100_000
MOST_FOLLOWS = 8
_MOST_WAITING = 5000


class Line(NamedTuple):
    """One event: seconds since 1970, the buffer that it is of, and what happened."""

    at: float
    part: str
    text: str

    def __str__(self) -> str:
        return f"{stamp(self.at)} {self.part}: {self.text}"

    def record(self) -> dict[str, object]:
        """For JSON."""
        return {"time": stamp(self.at), "part": self.part, "text": self.text}


class Buffer:
    """The last lines of a part; none while it is not `on`."""

    __slots__ = ("lines", "name", "on")

    def __init__(self, name: str, size: int, *, on: bool) -> None:
        self.name = name
        self.on = on
        self.lines: deque[Line] = deque(maxlen=size)


class Follow:
    """What happens to a subject, from now until `Traces.drop`. `woken` is called for news."""

    def __init__(self, subject: Subject, woken: Callable[[], None]) -> None:
        self.subject = subject
        self.lost = 0
        """Lines that nobody took in time."""
        self._woken = woken
        self._lines: deque[Line] = deque()

    def put(self, line: Line) -> None:
        """A line for whoever follows."""
        if len(self._lines) >= _MOST_WAITING:
            self.lost += 1
            return
        self._lines.append(line)
        if len(self._lines) == 1:
            self._woken()

    def take(self) -> list[Line]:
        """The lines since last asked."""
        lines = list(self._lines)
        self._lines.clear()
        return lines


class Traces:
    """All buffers and follows of an agent.

    `wall` gives seconds since 1970; `sizes` those of buffers by name, in lines. `watching` is
    called with whether objects and packets are to be told of from now on (`sent`, `answered`,
    `served`); whoever tells puts itself there.
    """

    def __init__(
        self,
        wall: Callable[[], float],
        sizes: Mapping[str, int] | None = None,
        watching: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._wall = wall
        self.watching = watching
        self.buffers = {
            name: Buffer(name, SIZE, on=name in RARE) for name in sorted((*RARE, *COSTLY))
        }
        self._follows: list[Follow] = []
        self._busy = False
        self.resize(sizes or {})

    # ---- buffers

    def resize(self, sizes: Mapping[str, int]) -> None:
        """The configuration file was read (again); the oldest lines go first."""
        for name, size in sizes.items():
            buffer = self._find(name)
            if buffer is not None:
                buffer.lines = deque(buffer.lines, maxlen=max(1, min(size, MOST_SIZE)))

    def lines(self, name: str, count: int = 0) -> list[Line]:
        """The last `count` lines of a buffer, oldest first; 0: all. UsageError."""
        lines = list(self._known(name).lines)
        return lines[-count:] if count > 0 else lines

    def switch(self, name: str, on: bool) -> None:
        """Have a buffer filled, or not any more; what is in it stays. UsageError."""
        self._known(name).on = on
        self._settle()

    def switch_all(self, on: bool) -> None:
        """All buffers, the costly ones only off."""
        for buffer in self.buffers.values():
            buffer.on = on and buffer.name in RARE
        self._settle()

    def _find(self, name: str) -> Buffer | None:
        """By name, in whatever case: sections of the file have theirs."""
        wanted = name.strip().lower()
        return next((one for each, one in self.buffers.items() if each.lower() == wanted), None)

    def _known(self, name: str) -> Buffer:
        buffer = self._find(name)
        if buffer is None:
            raise UsageError(f"{name}: expected one of the buffers {', '.join(self.buffers)}")
        return buffer

    # ---- follows

    def follow(self, subject: Subject, woken: Callable[[], None] = lambda: None) -> Follow:
        """Tell what happens to a subject. UsageError when too many are followed already."""
        if len(self._follows) >= MOST_FOLLOWS:
            raise UsageError(f"{MOST_FOLLOWS} traces are being followed already: end one first")
        follow = Follow(subject, woken)
        self._follows.append(follow)
        self._settle()
        return follow

    def drop(self, follow: Follow) -> None:
        """Nobody follows it any more."""
        if follow in self._follows:
            self._follows.remove(follow)
            self._settle()

    @property
    def follows(self) -> int:
        """How many subjects are followed."""
        return len(self._follows)

    def _settle(self) -> None:
        busy = bool(self._follows) or any(self.buffers[name].on for name in COSTLY)
        if busy is not self._busy:
            self._busy = busy
            self.watching(busy)

    # ---- hooks

    def controllers(self, events: Sequence[ControlEvent]) -> None:
        """What controllers told, in order."""
        for event in events:
            if isinstance(event, Routes):
                if self._busy:
                    self._routes(event)
            elif not isinstance(event, ConfigUpdate):
                self._put(words.control_part(event), words.control(event))

    def datapath(self, events: Sequence[DatapathEvent]) -> None:
        """What ksync told, in order."""
        for event in events:
            text = words.datapath(event)
            if text:
                self._put("KSync", text)

    def port(self, change: Change) -> None:
        """The port API changed a port."""
        takers = [one for one in self._follows if one.subject.port(change)]
        self._told("Port", words.port(change), takers)

    def delta(self, delta: Delta) -> None:
        """What a batch of the compiler changed."""
        for row in delta.vmis:
            takers = [one for one in self._follows if one.subject.vmi(row)]
            self._told("Oper", words.vmi(row), takers)
        for row in delta.unplugged:
            self._put("Oper", f"port {row.uuid} ({row.name}) is unplugged")
        if not self._busy:
            return
        for desired in delta.changed:
            takers = self._about(desired.key, desired.refs)
            if takers or self.buffers["Objects"].on:
                self._told("Objects", words.desired(desired), takers)
        for key in delta.removed:
            takers = self._about(key, ())
            if takers or self.buffers["Objects"].on:
                self._told("Objects", f"no longer wanted: {key}", takers)

    def published(self, exported: Exported) -> None:
        """What changed of the routes that controllers are told."""
        if not self._busy:
            return
        for routes, word in ((exported.changed, "published"), (exported.withdrawn, "withdrawn")):
            for route in routes:
                takers = self._routed(route.vrf, route.family, route.key)
                if takers or self.buffers["Published"].on:
                    self._told("Published", words.published(word, route), takers)

    def sent(self, records: Iterable[Record | None]) -> None:
        """Messages for these leave to the datapath now, in one frame."""
        self._records(records, words.sent)

    def answered(self, records: Iterable[Record | None], code: int) -> None:
        """The datapath's answer to what was sent for these: negative errno or success."""
        self._records(records, lambda record: words.answered(record, code))

    def served(self, service: str, packet: Packet, replies: int) -> None:
        """A service got a packet, and answered with so many frames."""
        takers = [one for one in self._follows if one.subject.vif(packet.ifindex)]
        if takers or self.buffers["Services"].on:
            self._told("Services", words.served(service, packet, replies), takers)

    # ---- inside

    def _records(self, records: Iterable[Record | None], text: Callable[[Record], str]) -> None:
        for record in records:
            key = None if record is None else record.key or record.programmed_key
            if record is None or key is None:
                continue  # a question, or what an agent before has left
            used = (*record.refs, *record.programmed_refs)
            takers = self._about(key, [ref.key for ref in used if ref.key is not None])
            if takers or self.buffers["Writes"].on:
                self._told("Writes", text(record), takers)

    def _routes(self, event: Routes) -> None:
        batch = event.batch
        if self.buffers["Routes"].on:
            self._put("Routes", words.routes(event))
        for update in batch.updates if self._follows else ():
            takers = self._routed(batch.vrf, batch.family, update.key)
            for follow in takers:
                follow.put(Line(self._wall(), "Routes", words.route(event, update)))

    def _about(self, key: Key, refs: Sequence[Key]) -> list[Follow]:
        return [one for one in self._follows if one.subject.object(key, refs)]

    def _routed(self, vrf: str, family: RouteFamily, key: RouteKey) -> list[Follow]:
        return [one for one in self._follows if one.subject.route(vrf, family, key)]

    def _put(self, part: str, text: str) -> None:
        self._told(part, text, ())

    def _told(self, part: str, text: str, takers: Iterable[Follow]) -> None:
        line = Line(self._wall(), part, text)
        buffer = self.buffers[part]
        if buffer.on:
            buffer.lines.append(line)
        for follow in takers:
            follow.put(line)
