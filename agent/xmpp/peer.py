"""One controller in use: its channel, what it was told, how far its session has come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from agent.settings import Server
from agent.xmpp.channel import Channel, Messages
from agent.xmpp.session import State
from agent.xmpp.telling import Telling


class Farewell(Enum):
    """How far our own end-of-RIB marker has come."""

    WAITING = auto()
    """For the end of configuration, or for quiet."""
    DUE = auto()
    """To be told once every route was."""
    TOLD = auto()


@dataclass(frozen=True, slots=True)
class PeerView:
    """One controller as introspection and logs show it; `messages` is a copy."""

    server: Server
    slot: int
    state: State
    config: bool
    tree_builder: bool
    sequence: int
    attempts: int
    flaps: int
    last_fault: str
    end_of_rib_received: bool
    end_of_rib_sent: bool
    messages: Messages


class Peer:
    """A controller in a slot; `sequence` counts its sessions and marks its routes."""

    def __init__(self, server: Server, slot: int, channel: Channel, telling: Telling) -> None:
        self.server = server
        self.slot = slot
        self.channel = channel
        self.telling = telling
        self.sequence = 0
        self.since = 0.0
        self.published_at = 0.0
        self.end_received = False
        self.farewell = Farewell.WAITING

    @property
    def ready(self) -> bool:
        """Whether its session is established."""
        return self.channel.ready

    @property
    def complete(self) -> bool:
        """Whether it is ready and has sent all its routes."""
        return self.ready and self.end_received

    def begin(self, sequence: int, now: float) -> None:
        """A session is established."""
        self.sequence = sequence
        self.since = self.published_at = now
        self.end_received = False
        self.farewell = Farewell.WAITING
        self.telling.begin()

    def end(self) -> None:
        """The session is gone."""
        self.end_received = False
        self.telling.end()

    def data_to_send(self, limit: int, now: float) -> bytes:
        """What is to be written now: the session's own words, then what is to be told."""
        data = self.channel.data_to_send()
        if self.ready:
            data += self._told(limit, now)
        self.channel.messages.sent_bytes += len(data)
        return data

    def _told(self, limit: int, now: float) -> bytes:
        published, stanzas = self.telling.published, self.telling.stanzas
        data = self.telling.data(limit)
        self.channel.messages.sent += self.telling.stanzas - stanzas
        if self.telling.published != published:
            self.published_at = now
        if self.farewell is Farewell.DUE and self.telling.done:
            self.farewell = Farewell.TOLD
            self.channel.messages.sent += 1
            data += self.channel.identity.end_of_rib()
        return data

    def view(self, *, config: bool, tree_builder: bool) -> PeerView:
        """A snapshot, with the two offices that it may hold."""
        return PeerView(
            server=self.server,
            slot=self.slot,
            state=self.channel.state,
            config=config,
            tree_builder=tree_builder,
            sequence=self.sequence,
            attempts=self.channel.attempts,
            flaps=self.channel.flaps,
            last_fault=self.channel.last_fault,
            end_of_rib_received=self.end_received,
            end_of_rib_sent=self.farewell is Farewell.TOLD,
            messages=replace(self.channel.messages),
        )
