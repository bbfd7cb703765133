"""One agent's channel: what it said, what it was told, and what waits to be sent."""

from __future__ import annotations

from collections import deque
from ipaddress import IPv4Address

from agent.lab.controller.configuration import Part
from agent.lab.controller.wire import KEEPALIVE, Scanner
from agent.xmpp.routes import PublicationDecoder

RECENT = 64
BACKLOG = 1 << 18
"""Bytes waiting in a session above which no more routes are written for it."""


class Session:
    """The state of one connection. `agent` is empty until its stream header came.

    `activity` is the time of the last stanza in either direction; `closed` says why the
    connection must close, once that is so.
    """

    def __init__(self, number: int, remote: IPv4Address, now: float) -> None:
        self.number = number
        self.remote = remote
        self.agent = ""
        self.closed = ""
        self.scanner = Scanner()
        self.opened_at = self.activity = self.last_heard = self.last_said = now
        self.instances: dict[str, int] = {}
        self.decoder = PublicationDecoder()
        self.wants_config = False
        self.config_due = False
        self.machines: dict[str, None] = {}
        self.served = Part({}, {})
        self.end_of_rib_sent = False
        self.end_of_rib_received = False
        self.received = 0
        self.sent = 0
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._backlog = 0
        self._recent: deque[bytes] = deque(maxlen=RECENT)

    def say(self, stanza: bytes, due: float, now: float) -> None:
        """Send a stanza at `due`, never before what was said earlier."""
        self.sent += 1
        self.activity = now
        self._recent.append(stanza)
        self.put(stanza, due)

    def put(self, data: bytes, due: float) -> None:
        """Send bytes that are no stanza."""
        last = self._waiting[-1][0] if self._waiting else due
        self._waiting.append((max(due, last), data))
        self._backlog += len(data)

    def repeat(self, count: int, due: float) -> int:
        """Send the last `count` stanzas again; returns how many there were."""
        again = list(self._recent)[-count:]
        for stanza in again:
            self.put(stanza, due)
        return len(again)

    def keep_alive(self, interval: float, due: float, now: float) -> None:
        """Say that we live, if we have said nothing for so long."""
        if self.agent and now >= self.last_said + interval:
            self.last_said = now
            self.put(KEEPALIVE, due)

    @property
    def full(self) -> bool:
        """Whether enough waits to be sent."""
        return self._backlog > BACKLOG

    @property
    def next_due(self) -> float | None:
        """When the next bytes are to go out."""
        return self._waiting[0][0] if self._waiting else None

    def take(self, now: float) -> bytes:
        """The bytes to send now."""
        parts = []
        while self._waiting and self._waiting[0][0] <= now:
            parts.append(self._waiting.popleft()[1])
        data = b"".join(parts)
        self._backlog -= len(data)
        if data:
            self.last_said = now
        return data
