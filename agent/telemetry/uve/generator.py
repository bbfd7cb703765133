"""The agent as a generator: its one connection to a collector, without the socket.

Collectors are tried in an order that is drawn once, so that hosts spread over them; when one
fails the next one follows, with pauses that grow once all have failed. The handshake tells
which UVEs a collector has from us; it is sent those that changed since, then what changes.
Facts oper-db.md 6.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from agent.errors import WireError
from agent.sandesh.schema import schema
from agent.settings import Server
from agent.telemetry.uve import answer
from agent.telemetry.uve.frames import FrameReader
from agent.telemetry.uve.message_stats import Refusal
from agent.telemetry.uve.outbox import Outbox

CONNECT_TIME = 5.0
HANDSHAKE_TIME = 15.0
STALL_TIME = 60.0
"""A collector that takes nothing for so long is left for the next one."""
FIRST_PAUSE = 0.1
SECOND_PAUSE = 1.0
MOST_PAUSE = 30.0
GOOD_TIME = 30.0
"""A connection that lasted so long was good: the next failure is the first one."""
CHUNK = 1 << 14
"""About so many bytes are written at once: a millisecond of work."""

UNKNOWN = "unknown"
"""Stands for all messages of collectors whose names mean nothing."""


class State(Enum):
    """How far the connection is; the names are those that tools show."""

    IDLE = "Idle"
    """No collector is configured."""
    DISCONNECT = "Disconnect"
    """Waiting to try again."""
    CONNECT = "Connect"
    CLIENT_INIT = "ClientInit"
    """Connected; the handshake is not answered yet."""
    ESTABLISHED = "Established"


@dataclass(frozen=True, slots=True)
class View:
    """The connection as introspection shows it; times in seconds of the core's clock.

    `server` is the collector in use or to be used next, `connects` counts handshakes that
    succeeded, `failures` attempts and connections that did not last.
    """

    state: State
    server: Server | None
    servers: tuple[Server, ...]
    since: float
    last_state: State
    last_event: str
    last_fault: str
    connects: int
    failures: int


class Generator:
    """When to connect, and what then goes both ways; give it bytes and time.

    The owner connects to `server` while there is one, tells `connected` and `disconnected`,
    gives up the connection or the attempt when `broken`, and writes what `data_to_send` gives
    while the peer takes it. `shuffle` orders a list in place, `jitter` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        outbox: Outbox,
        *,
        shuffle: Callable[[list[Server]], None],
        jitter: Callable[[], float],
    ) -> None:
        self.outbox = outbox
        self._shuffle, self._jitter = shuffle, jitter
        self._servers: list[Server] = []
        self._state = self._last_state = State.IDLE
        self._since = self._deadline = 0.0
        self._event = self._fault = ""
        self._connects = self._failures = self._in_a_row = 0
        self._broken = self._moved = False
        self._reader = FrameReader()
        self._first = b""  # the handshake, while it is not written
        self._waits_since: float | None = None

    # Who

    def configure(self, servers: Sequence[Server], now: float) -> None:
        """Use these collectors. Another order of the same ones changes nothing."""
        if set(servers) == set(self._servers):
            return
        self._servers = list(dict.fromkeys(servers))
        self._shuffle(self._servers)
        self._in_a_row = 0
        if self._servers:
            self.outbox.open = True
        else:
            self.outbox.close()
        if self._state in (State.IDLE, State.DISCONNECT):
            self._begin(now)
        else:
            self._broken = self._moved = True

    @property
    def configured(self) -> bool:
        """Whether there are collectors at all: else nothing need be built for them."""
        return bool(self._servers)

    @property
    def server(self) -> Server | None:
        """The collector to be connected to now."""
        if self._state in (State.IDLE, State.DISCONNECT) or not self._servers:
            return None
        return self._servers[0]

    @property
    def broken(self) -> bool:
        """Whether the connection, or the attempt to make one, must be given up."""
        return self._broken

    def view(self) -> View:
        """The connection as it is now."""
        current = self._servers[0] if self._servers else None
        return View(
            self._state, current, tuple(self._servers), self._since, self._last_state,
            self._event, self._fault, self._connects, self._failures,
        )  # fmt: skip

    # The connection

    def connected(self, now: float) -> None:
        """The connection to `server` stands: the handshake begins."""
        self._reader = FrameReader()
        self._enter(State.CLIENT_INIT, now, "connected")
        self._deadline = now + HANDSHAKE_TIME
        self._first = self.outbox.handshake(self._connects)

    def disconnected(self, reason: str, now: float) -> str:
        """The connection is gone, or could not be made: the next collector's turn comes.

        `reason` counts where we did not break it ourselves. Returns the reason that does, ""
        when it was given up only since other collectors are configured.
        """
        good = self._state is State.ESTABLISHED and now - self._since > GOOD_TIME
        moved, broken = self._moved, self._broken
        self._broken = self._moved = False
        self._first, self._waits_since = b"", None
        self.outbox.rest()
        if moved:
            self._begin(now)
            return ""
        self._fault = self._fault if broken else reason
        self._failures += 1
        self._in_a_row = 1 if good else self._in_a_row + 1
        self._servers.append(self._servers.pop(0))
        self._enter(State.DISCONNECT, now, self._fault)
        self._deadline = now + self._pause()
        return self._fault

    def receive(self, data: bytes, now: float) -> None:
        """Bytes of the collector. What cannot be understood ends the connection."""
        if self._broken:
            return
        try:
            for one in self._reader.feed(data):
                self._received(one, now)
                if self._broken:
                    return
        except WireError as problem:
            self.outbox.stats.refused(UNKNOWN, len(data), Refusal.DECODING_FAILED)
            self._break(str(problem))

    def data_to_send(self) -> bytes:
        """The next frames, about CHUNK bytes of them; ask while the peer takes more."""
        self._waits_since = None
        first, self._first = self._first, b""
        parts, size = [first], len(first)
        while self._sends and size < CHUNK and (data := self.outbox.take()):
            parts.append(data)
            size += len(data)
        return b"".join(parts)

    @property
    def has_data(self) -> bool:
        """Whether `data_to_send` would give something."""
        return bool(self._first) or (self._sends and len(self.outbox) > 0)

    def deadline(self) -> float | None:
        """When `tick` is wanted; a time that is past: soon."""
        if self._state is State.IDLE or self._broken:
            return None
        if self._state is not State.ESTABLISHED:
            return self._deadline
        if not self.has_data:
            return None
        return self._since if self._waits_since is None else self._waits_since + STALL_TIME

    def tick(self, now: float) -> None:
        """Time passed."""
        if self._broken or self._state is State.IDLE:
            return
        if self._state is State.ESTABLISHED:
            self._watch(now)
        elif now < self._deadline:
            return
        elif self._state is State.DISCONNECT:
            self._begin(now)
        elif self._state is State.CONNECT:
            self._break("it does not answer")
        else:
            self._break("it does not answer the handshake")

    # Inside

    @property
    def _sends(self) -> bool:
        return self._state is State.ESTABLISHED and not self._broken

    def _watch(self, now: float) -> None:
        """Whoever takes nothing while there is something for him is as good as gone."""
        if not self.has_data:
            self._waits_since = None
        elif self._waits_since is None:
            self._waits_since = now
        elif now - self._waits_since >= STALL_TIME:
            self._break(f"it takes nothing for {STALL_TIME:.0f} s")

    def _begin(self, now: float) -> None:
        self._enter(State.CONNECT if self._servers else State.IDLE, now, "start")
        self._deadline = now + CONNECT_TIME

    def _enter(self, state: State, now: float, event: str) -> None:
        self._last_state, self._state, self._since = self._state, state, now
        self._event = event

    def _break(self, reason: str) -> None:
        self._broken, self._fault = True, reason

    def _pause(self) -> float:
        """Short while there is one that was not tried yet; else it grows from round to round."""
        rounds = self._in_a_row // len(self._servers)
        pause = SECOND_PAUSE * 2.0 ** min(rounds - 1, 16) if rounds else FIRST_PAUSE
        return min(pause, MOST_PAUSE) * (0.5 + self._jitter())

    def _received(self, data: bytes, now: float) -> None:
        name, found = answer.read(data)
        name, stats = name if name in schema() else UNKNOWN, self.outbox.stats
        stats.received(name, len(data))
        if found is None or self._state is not State.CLIENT_INIT:
            stats.refused(name, len(data), Refusal.CREATE_FAILED)
        elif not found.success:
            stats.refused(name, len(data), Refusal.CONTROL_MESSAGE_FAILED)
            self._break("it refuses us")
        else:
            # Before our first connection, what it knows is of a process before this one.
            self.outbox.resume(found.sequences if self._connects else {})
            self._connects += 1
            self._enter(State.ESTABLISHED, now, "handshake answered")
