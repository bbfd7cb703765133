"""One session with one control node: bytes and time in, bytes and events out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from agent.errors import WireError
from agent.xmpp.framing import MAX_STANZA, Framer, Part
from agent.xmpp.session import (
    HOLD_TIME,
    KEEPALIVES_A_HOLD_TIME,
    KEEPALIVES_OF_A_GOOD_SESSION,
    PATIENCE,
    PLAIN,
    TLS,
    Action,
    Input,
    State,
    back_off,
)
from agent.xmpp.stanzas import KEEPALIVE, STARTTLS, Identity


@dataclass(frozen=True, slots=True)
class Ready:
    """The session is established."""


@dataclass(frozen=True, slots=True)
class NotReady:
    """The session that was established is gone."""

    reason: str


@dataclass(frozen=True, slots=True)
class TimedOut:
    """Several attempts failed in a row; told again at each further one."""

    attempts: int


@dataclass(frozen=True, slots=True)
class RouteStanza:
    """A whole route message as received."""

    data: bytes


@dataclass(frozen=True, slots=True)
class ConfigStanza:
    """A configuration `iq`."""

    stanza: Element


@dataclass(slots=True)
class Messages:
    """What was said over all sessions with a controller. Bytes are those inside of TLS.

    `routes` and `config` are received messages of that kind, `received` and `sent` those of
    any; keepalives are apart.
    """

    received: int = 0
    routes: int = 0
    config: int = 0
    keepalives: int = 0
    received_bytes: int = 0
    sent: int = 0
    sent_bytes: int = 0


ChannelEvent = Ready | NotReady | TimedOut | RouteStanza | ConfigStanza


class Channel:
    """The session machine of one control node.

    The shell makes the connection that `attempt` asks for: None = none; each new number = a
    new one, whatever was there before. It then calls `connected`, `receive`, `secured`,
    `disconnected`; it writes `data_to_send`, does a TLS handshake when `handshake` is true,
    and calls `tick` at `deadline`. Times are monotonic seconds.

    `counters` counts by reason: faults that ended a session, stanzas that were ignored.
    `messages` counts what is received here; its owner adds what it sends.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        jitter: Callable[[], float],
        tls: bool = False,
        hold_time: float = HOLD_TIME,
        limit: int = MAX_STANZA,
    ) -> None:
        self.identity = identity
        self.tls = tls
        self.state = State.IDLE
        self.attempt: int | None = None
        self.attempts = 0
        self.handshake = False
        self.flaps = 0
        self.last_fault = ""
        self.counters: Counter[str] = Counter()
        self.messages = Messages()
        self._table = TLS if tls else PLAIN
        self._jitter = jitter
        self._hold_time = hold_time
        self._limit = limit
        self._dialled = 0
        self._framer = Framer(limit)
        self._out: list[bytes] = []
        self._events: list[ChannelEvent] = []
        self._connect_at: float | None = None
        self._hold_at: float | None = None
        self._keepalive_at: float | None = None
        self._keepalives = 0

    # What the owner tells

    @property
    def ready(self) -> bool:
        """Whether the session is established."""
        return self.state is State.ESTABLISHED

    def start(self, now: float) -> None:
        """Begin to connect, and keep at it."""
        self._step(Input.START, now)

    def stop(self, now: float) -> None:
        """Disconnect for good."""
        self._step(Input.STOP, now, "stopped")

    def hold(self, seconds: float, now: float) -> None:
        """Change the hold time; zero or less switches hold timer and keepalives off."""
        if seconds != self._hold_time:
            self._hold_time = seconds
            self._hold(now)
            self._keep_alive(now)

    def send(self, data: bytes) -> None:
        """Say `data`; only while the session is established."""
        self._out.append(data)

    # What the shell tells

    def connected(self, now: float) -> None:
        """The connection of the current `attempt` stands."""
        self._step(Input.UP, now)

    def disconnected(self, now: float, reason: str) -> None:
        """It could not be made, or is lost."""
        self._step(Input.DOWN, now, reason)

    def secured(self, now: float) -> None:
        """The TLS handshake succeeded; what is received from now on is inside of it."""
        self.handshake = False
        self._framer = Framer(self._limit)
        self._step(Input.SECURED, now)

    def fault(self, reason: str, now: float) -> None:
        """The peer's bytes break the protocol: give up this connection."""
        self._step(Input.FAULT, now, reason)

    def receive(self, data: bytes, now: float) -> Iterator[bytes]:
        """Take received bytes. Gives, in order, what the stream's XML parser must see.

        That is the stream's header, then whole stanzas, but for route messages, which are
        told as events at once. The caller exhausts the iterator, and tells the parsed stanzas
        to `stanza` as they come.
        """
        self.messages.received_bytes += len(data)
        if self.state is State.ESTABLISHED:
            self._hold(now)
        framer = self._framer
        pieces = framer.feed(data)
        while self.attempt is not None and framer is self._framer:
            try:
                piece = next(pieces, None)
            except WireError as error:
                self.fault(str(error), now)
                return
            if piece is None:
                return
            if self._piece(*piece, now):
                yield piece[1]

    def stanza(self, stanza: Element, now: float) -> None:
        """Take a parsed stanza."""
        if not self.ready:
            self._fault_of_order("stanza", now)
            return
        self.messages.received += 1
        kind = stanza.tag.rpartition("}")[2]
        resource = stanza.get("to", "").rpartition("/")[2]
        if kind == "iq" and resource == "config":
            self.messages.config += 1
            self._events.append(ConfigStanza(stanza))
        else:
            self.counters[f"ignored: {kind} to {resource or 'nobody'}"[:60]] += 1

    def tick(self, now: float, *, unread: bool = False) -> None:
        """Do what is due. `unread`: bytes wait in the socket, so the peer is not silent."""
        if self._connect_at is not None and self._connect_at <= now:
            self._connect_at = None
            self._step(Input.CONNECT_TIMER, now, "no connection in time")
        if self._hold_at is not None and self._hold_at <= now:
            if unread:
                self._hold(now)
            else:
                self._step(Input.HOLD_TIMER, now, f"nothing heard for {self._hold_time:g} s")
        if self._keepalive_at is not None and self._keepalive_at <= now:
            self._out.append(KEEPALIVE)
            self._keep_alive(now)

    # What the shell asks

    def deadline(self) -> float | None:
        """When `tick` is wanted next."""
        armed = (self._connect_at, self._hold_at, self._keepalive_at)
        return min((at for at in armed if at is not None), default=None)

    def data_to_send(self) -> bytes:
        """What is to be written now."""
        data, self._out = b"".join(self._out), []
        return data

    def events(self) -> list[ChannelEvent]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    # Pieces of the stream

    def _piece(self, part: Part, data: bytes, now: float) -> bool:
        """Whether the stream's parser must see it."""
        match part:
            case Part.ROUTES if self.ready:
                self.messages.received += 1
                self.messages.routes += 1
                self._events.append(RouteStanza(data))
            case Part.FILLER:
                self._filler()
            case Part.STANZA | Part.HEADER:
                return self._for_parser(part, now)
            case Part.END:
                self.fault("the controller closed the stream", now)
            case Part.FEATURES if not self.tls:
                self.fault("the controller requires TLS: see xmpp_auth_enable", now)
            case Part.FEATURES:
                self._in_order(Input.FEATURES, now)
            case Part.PROCEED:
                self._in_order(Input.PROCEED, now)
            case _:
                self._fault_of_order("route message", now)
        return False

    def _for_parser(self, part: Part, now: float) -> bool:
        if part is Part.HEADER:
            return self._in_order(Input.HEADER, now)
        if not self.ready:
            self._fault_of_order("stanza", now)
        return self.ready

    def _filler(self) -> None:
        """Keepalives: the third of a session tells that the controller is a good one."""
        self.messages.keepalives += 1
        if self.ready:
            self._keepalives += 1
            if self._keepalives == KEEPALIVES_OF_A_GOOD_SESSION:
                self.attempts = 0

    def _in_order(self, event: Input, now: float) -> bool:
        if (self.state, event) in self._table:
            self._step(event, now)
            return True
        self._fault_of_order(event.name.lower(), now)
        return False

    def _fault_of_order(self, what: str, now: float) -> None:
        self.fault(f"{what} in state {self.state.value}", now)

    # The machine

    def _step(self, event: Input, now: float, reason: str = "") -> None:
        found = self._table.get((self.state, event))
        if found is None:
            return
        self.state, actions = found
        if Action.HANG_UP in actions:
            self.last_fault = reason
            if event is Input.FAULT:
                self.counters["faults"] += 1
        for action in actions:
            self._do(action, now, reason)

    def _do(self, action: Action, now: float, reason: str) -> None:
        match action:
            case Action.BACK_OFF:
                self._connect_at = now + back_off(self.attempts, self._jitter())
                if self.attempts >= PATIENCE:
                    self._events.append(TimedOut(self.attempts))
            case Action.DIAL:
                self._dial(now)
            case Action.HANG_UP:
                self._hang_up()
            case Action.OPEN:
                self._connect_at = None
                self._out.append(self.identity.open())
            case Action.STARTTLS:
                self._out.append(STARTTLS)
            case Action.SECURE:
                self.handshake = True
            case Action.HOLD:
                self._hold(now)
            case Action.READY:
                self._keepalives = 0
                self._out.append(KEEPALIVE)
                self._keep_alive(now)
                self._events.append(Ready())
            case Action.NOT_READY:
                self.flaps += 1
                self._events.append(NotReady(reason))

    def _dial(self, now: float) -> None:
        self.attempts += 1
        self._dialled += 1
        self.attempt = self._dialled
        self._framer = Framer(self._limit)
        self._connect_at = now + back_off(self.attempts, self._jitter())

    def _hang_up(self) -> None:
        self.attempt = None
        self.handshake = False
        self._out.clear()
        self._connect_at = self._hold_at = self._keepalive_at = None

    def _hold(self, now: float) -> None:
        """Give the peer its time anew. An unfinished opening is never waited for without end."""
        seconds = self._hold_time if self.ready or self._hold_time > 0 else HOLD_TIME
        running = self.state not in (State.IDLE, State.ACTIVE, State.CONNECT)
        self._hold_at = now + seconds if running and seconds > 0 else None

    def _keep_alive(self, now: float) -> None:
        running = self.ready and self._hold_time > 0
        self._keepalive_at = now + self._hold_time / KEEPALIVES_A_HOLD_TIME if running else None
