"""The connection to a datapath as a state machine without I/O.

Down -> opening (limits, tables, a dump of everything) -> running (reconcile). Any answer
that does not fit, and any reply that does not come, makes the connection useless: `broken`
tells the shell to close it and connect again, and the next opening's dump restores what is
known. Nothing of it is assumed over a reconnect.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, cast

from agent._fast.records import Record
from agent.errors import DatapathError, WireError
from agent.ksync.bulk import MESSAGES_PER_FRAME, WINDOW, Accepted, Channel, Result, Told, pack
from agent.ksync.counters import Backlog, Counters
from agent.ksync.dump import Answer, Opening, Questions, open_datapath
from agent.ksync.events import Dumped, Event, InSync, LinkChanged, Lost
from agent.ksync.reconciler import Reconciler
from agent.ksync.record import RecordView
from agent.objects import DatapathMessage, Desired, Identity, Key
from agent.sandesh.framing import FAMILY_AGENT
from agent.sandesh.vrouter import VrInterfaceReq

REPLY_TIMEOUT = 45.0
"""Seconds without any reply; adding the agent vif may stall a DPDK datapath for 31
(facts datapath-behaviour.md section 1)."""
NOT_READY_PAUSE = 1.0
OUTPUT_LIMIT = 256 * 1024

_NO_JITTER = 0.5


class Watcher(Protocol):
    """Whoever wants to see each message; None stands for a question that is no object's."""

    def sent(self, records: Iterable[Record | None]) -> None:
        """Messages for these leave now, in one frame."""
        ...

    def answered(self, records: Iterable[Record | None], code: int) -> None:
        """The datapath's answer to them: negative errno or success."""
        ...


class Session:
    """Bytes in, bytes and events out; `now` is monotonic seconds.

    `pid` goes into the requests; `jitter` gives numbers in [0, 1) that spread retries.
    """

    watcher: Watcher | None = None
    """Told of each frame and of each answer, before they have any effect."""

    def __init__(
        self,
        *,
        pid: int,
        opening: Opening | None = None,
        jitter: Callable[[], float] | None = None,
        family: int = FAMILY_AGENT,
        messages_per_frame: int = MESSAGES_PER_FRAME,
        window: int = WINDOW,
        reply_timeout: float = REPLY_TIMEOUT,
    ) -> None:
        self._opening = opening or Opening()
        self._per_frame = messages_per_frame
        self._reply_timeout = reply_timeout
        self._reconciler = Reconciler(jitter or (lambda: _NO_JITTER))
        self._channel: Channel[Record | None] = Channel(
            family=family, pid=pid, window=window, latency=self.counters.latency
        )
        self._now = 0.0
        self._connected = False
        self._broken = False
        self._questions: Questions[Dumped] | None = None
        self._question: DatapathMessage | None = None
        self._ask_at: float | None = None  # when the question is due; None: it is out
        self._applied = False
        self._told_in_sync = False
        self._fault = ""
        self._events: list[Event] = []

    # ---- what can be read

    @property
    def broken(self) -> bool:
        """True when the shell must close the connection."""
        return self._broken

    @property
    def usable(self) -> bool:
        """Whether there is a usable connection, though perhaps not all was read yet."""
        return self._connected and not self._broken

    @property
    def fault(self) -> str:
        """Why the last connection was lost; "" before that and once another one was read."""
        return self._fault

    @property
    def unsettled(self) -> int:
        """Slots of the datapath that are not yet as desired, as far as is known."""
        return self._reconciler.unsettled

    def refused(self, most: int) -> tuple[list[RecordView], int]:
        """Up to `most` of the records whose last request was refused, and how many there are."""
        return self._reconciler.refused(most)

    @property
    def running(self) -> bool:
        """True between `Dumped` and `Lost`: what is desired is being made true."""
        return self._connected and not self._broken and self._questions is None

    @property
    def in_sync(self) -> bool:
        return self.running and self._applied and self._reconciler.in_sync

    @property
    def counters(self) -> Counters:
        return self._reconciler.counters

    @property
    def backlog(self) -> Backlog:
        """What is not done now."""
        return self._reconciler.backlog(len(self._channel))

    def snapshot(self) -> Iterator[RecordView]:
        """Every record with its derived state and what it waits for."""
        return self._reconciler.snapshot()

    def look(self, at: Identity | Key) -> RecordView | None:
        """The record of a slot of the datapath, or the one that a key has."""
        return self._reconciler.look(at)

    def beneath(self, at: Identity | Key) -> list[RecordView]:
        """The records that it refers to: they must be there first."""
        return self._reconciler.beneath(at)

    def above(self, at: Identity | Key, most: int) -> tuple[list[RecordView], int]:
        """Up to `most` of the records that refer to it, and how many there are."""
        return self._reconciler.above(at, most)

    def routes(self) -> Mapping[int, int]:
        """How many routes each VRF has, wanted or in the datapath, by its index."""
        return self._reconciler.routes()

    def identities(self) -> tuple[Identity, ...]:
        """Every slot that is desired or programmed; what is in the tuple may go meanwhile."""
        return self._reconciler.identities()

    @property
    def has_events(self) -> bool:
        return bool(self._events) or self.in_sync is not self._told_in_sync

    def events(self) -> list[Event]:
        """What happened since the last call, in order.

        The edge into sync is looked for here, so that a batch of calls is judged as one.
        """
        if self.in_sync is not self._told_in_sync:
            self._told_in_sync = self.in_sync
            if self._told_in_sync:
                self._events.append(InSync())
        events, self._events = self._events, []
        return events

    # ---- the connection

    def connected(self, now: float) -> None:
        """A new connection: everything in the datapath is read before anything is written."""
        self._now = now
        self._connected = True
        self._broken = False
        self._channel.reset()
        self._reconciler.unknown()
        self._questions = open_datapath(self._opening, self._reconciler.vrfs())
        self._question = next(self._questions)
        self._ask_at = now

    def disconnected(self, now: float) -> None:
        """The connection is closed, by whichever side."""
        self._now = now
        was_usable = self._connected and not self._broken
        self._connected = False
        self._broken = False
        self._forget_connection()
        if was_usable:
            self._lost("the datapath closed the connection")

    def receive(self, data: bytes, now: float) -> None:
        """Bytes from the datapath, cut anywhere."""
        self._now = now
        if not self._connected or self._broken:
            return
        try:
            for result in self._channel.receive(data, now):
                self._replied(result, now)
        except WireError as problem:
            self._break(str(problem))
        except DatapathError as problem:
            self._break(f"the datapath refused {problem}")
        self._events += self._reconciler.events()

    def data_to_send(self) -> bytes:
        """The next requests, up to about OUTPUT_LIMIT bytes; b"" when nothing may leave.

        Call it again when the transport has taken what it gave.
        """
        frames: list[bytes] = []
        if not self._connected or self._broken:
            return b""
        if self._question is not None and self._ask_at is not None and self._ask_at <= self._now:
            self._ask_at = None
            frames.append(self._channel.send((None,), self._question.encode(), self._now))
        elif self._questions is None:
            self._fill(frames)
        return b"".join(frames)

    def deadline(self) -> float | None:
        """When `tick` wants to be called, or None."""
        times = [self._reply_deadline(), self._ask_at]
        if self.running:
            times.append(self._reconciler.deadline())
        return min((time for time in times if time is not None), default=None)

    def tick(self, now: float) -> None:
        """Time has passed: retries, and replies that did not come."""
        self._now = now
        if not self._connected or self._broken:
            return
        overdue = self._reply_deadline()
        if overdue is not None and overdue <= now:
            self.counters.timeouts += 1
            self._break(f"no reply for {self._reply_timeout:g} seconds")
        elif self.running:
            self._reconciler.tick(now)
        self._events += self._reconciler.events()

    # ---- desired state

    def apply(self, changes: Iterable[Desired], removed: Iterable[Key], now: float) -> None:
        """Objects to add or change, and keys that are no longer wanted; any order is right.

        Raises BugError for a message that is not a datapath object's.
        """
        self._now = now
        self._applied = True
        self._reconciler.apply(changes, removed)
        self._events += self._reconciler.events()

    def complete(self, now: float) -> None:
        """All desired objects have been applied once: leftovers may be swept from now on."""
        self._now = now
        self._applied = True
        self._reconciler.complete()
        self._events += self._reconciler.events()

    def found(self, held: Iterable[DatapathMessage], now: float) -> None:
        """An audit saw objects in the datapath that nobody asked for: what is not wanted goes.

        `held` are their ADD messages.
        """
        self._now = now
        self._reconciler.found(held)
        self._events += self._reconciler.events()

    # ---- inside

    def _fill(self, frames: list[bytes]) -> None:
        size = 0
        while self._channel.has_room and size < OUTPUT_LIMIT:
            records, messages = self._reconciler.take(self._per_frame)
            if not records:
                return
            packed = pack(records, messages)
            for sent, payload in packed.payloads:
                if self.watcher is not None:
                    self.watcher.sent(sent)
                frame = self._channel.send(sent, payload, self._now)
                frames.append(frame)
                size += len(frame)
            for record, error in packed.refused:
                self.counters.unsendable += 1
                self._reconciler.answered(record, -error, self._now)
            if packed.refused:
                self._events += self._reconciler.events()

    def _replied(
        self, result: Result[Record | None] | Accepted[Record | None] | Told, now: float
    ) -> None:
        if isinstance(result, Told):
            self._events += [
                LinkChanged(one.vifr_idx, one.vifr_intf_status != 0)
                for one in result.objects
                if isinstance(one, VrInterfaceReq)
            ]
        elif isinstance(result, Result):
            if result.token is None:
                self._answered(result)
            else:
                if self.watcher is not None:
                    self.watcher.answered((result.token,), result.code)
                self._reconciler.answered(result.token, result.code, now)
        elif self._questions is None:
            if self.watcher is not None:
                self.watcher.answered(result.tokens, 0)
            self._reconciler.accepted(cast("Sequence[Record]", result.tokens), now)
        else:
            self._answered(Result(None, 0, ()))

    def _answered(self, result: Result[Record | None]) -> None:
        """The answer to the question that is out: on to the next, or to running."""
        if result.code == -errno.ENETRESET:  # the datapath is not ready
            self._ask_at = self._now + NOT_READY_PAUSE
            return
        assert self._questions is not None
        try:
            self._question = self._questions.send(Answer(result.code, result.objects))
            self._ask_at = self._now
        except StopIteration as done:
            self._opened(done.value)

    def _opened(self, dumped: Dumped) -> None:
        self._questions = self._question = self._ask_at = None
        # RESET is for the first connection: later ones adopt what this session wrote.
        self._opening = self._opening._replace(reset=False)
        self._fault = ""
        self._events.append(dumped)
        self._reconciler.learn(dumped.messages)

    def _reply_deadline(self) -> float | None:
        since = self._channel.waiting_since
        return None if since is None else since + self._reply_timeout

    def _break(self, reason: str) -> None:
        self.counters.resyncs += 1
        self._broken = True
        self._forget_connection()
        self._lost(reason)

    def _lost(self, reason: str) -> None:
        self._fault = reason
        self._events.append(Lost(reason))

    def _forget_connection(self) -> None:
        self._channel.reset()
        self._reconciler.unknown()
        self._questions = self._question = self._ask_at = None
        self._told_in_sync = False
