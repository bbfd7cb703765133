"""All controllers of the agent: which two, configuration from one, routes from both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from enum import Enum, auto
from typing import NamedTuple
from uuid import UUID
from xml.etree.ElementTree import Element

from agent.errors import WireError
from agent.routes import PublishedRoute, RouteBatch, RouteFamily, RouteKey
from agent.settings import Server
from agent.timers import Deadlines
from agent.xmpp.channel import (
    Channel,
    ChannelEvent,
    ConfigStanza,
    NotReady,
    Ready,
    RouteStanza,
    TimedOut,
)
from agent.xmpp.events import (
    ConfigComplete,
    ConfigServer,
    ConfigUpdate,
    EndOfRib,
    Event,
    PeerDown,
    PeerTimedOut,
    PeerUp,
    Routes,
    SweepConfig,
    SweepRoutes,
    TreeBuilder,
)
from agent.xmpp.peer import Farewell, Peer, PeerView
from agent.xmpp.session import HOLD_TIME
from agent.xmpp.slots import Shuffle, Slots
from agent.xmpp.stanzas import Identity
from agent.xmpp.telling import Encoder, RouteId, Telling, Wishes
from agent.xmpp.timings import GracefulRestart, Patience, Timings
from agent.xmpp.watch import ConfigWatch, Step

SEND_SIZE = 256 << 10
"""About how many bytes one `data_to_send` gives."""

Decode = Callable[[bytes], Sequence[RouteBatch]]


class _Timer(Enum):
    END_OF_RIB_SENT = auto()
    END_OF_RIB_RECEIVED = auto()
    STALE_ROUTES = auto()


class _Due(NamedTuple):
    timer: _Timer
    server: Server


class Controllers:
    """The controllers' side of the agent, without sockets and clocks.

    For each server of `servers` a shell keeps the connection that `channel(server).attempt`
    asks for, tells `connected`, `receive`, `secured`, `disconnected`, writes `data_to_send`,
    and calls `tick` at `deadline`. After each of these calls `events` may have something.
    All times are monotonic seconds. `decode` turns a route message into batches (WireError
    if it cannot), `encoder` a route into stanzas.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        decode: Decode,
        encoder: Encoder,
        shuffle: Shuffle,
        jitter: Callable[[], float],
        timings: Timings | None = None,
        tls: bool = False,
    ) -> None:
        self._identity = identity
        self._decode = decode
        self._encoder = encoder
        self._jitter = jitter
        self._tls = tls
        self._hold_time = HOLD_TIME
        self._patience = Patience(timings or Timings())
        self._slots = Slots(shuffle)
        self._wishes = Wishes()
        self._peers: dict[Server, Peer] = {}
        self._sequences: dict[Server, int] = {}
        self._absent: dict[Server, int] = {}
        """Servers whose routes are kept though no session is up, with the slot they had."""
        self._config: Peer | None = None
        self._config_sequence = 0
        self._watch: ConfigWatch | None = None
        self._builder: Peer | None = None
        self._builder_sequence = 0
        self._trees_of: int | None = None
        """The slot that the trees are left to, if a controller of it comes."""
        self._deadlines: Deadlines[_Due] = Deadlines()
        self._events: list[Event] = []
        self.counters: Counter[str] = Counter()

    # Configuration

    def configure(self, servers: Sequence[Server], now: float) -> None:
        """Use this list. Servers that stay chosen keep their sessions."""
        self._slots.configure(servers)
        self._apply_slots(now)

    def timings(self, timings: Timings) -> None:
        """What the file says, read again; for timers armed from now on."""
        self._patience = Patience(timings, self._patience.graceful)

    def restart_policy(self, graceful: GracefulRestart) -> None:
        """What the global configuration says of graceful restart; for timers armed from now on."""
        self._patience = Patience(self._patience.timings, graceful)

    def hold_time(self, seconds: float, now: float) -> None:
        """What the global configuration says of the hold time; `session.HOLD_TIME` by default."""
        self._hold_time = seconds
        for peer in self._peers.values():
            peer.channel.hold(seconds, now)

    def leave_trees_to(self, slot: int | None) -> None:
        """Whoever is in this slot builds the trees, as before; None: no matter who.

        Each slot has labels of its own, so that another builder means new labels. Until the
        one that is wanted is there, the first one builds.
        """
        self._trees_of = slot
        peer = next((one for one in self._peers.values() if one.slot == slot and one.ready), None)
        if peer is not None and peer is not self._builder:
            self._build_trees(peer)

    # What controllers are to be told

    def subscribe_vrf(self, vrf: str, index: int) -> None:
        """Join a VRF (or join it anew with another index)."""
        self._wishes.join(vrf, index)
        self._each(lambda telling: telling.vrf_changed(vrf))

    def unsubscribe_vrf(self, vrf: str) -> None:
        """Leave a VRF; its published routes are withdrawn and forgotten."""
        gone = self._wishes.routes.pop(vrf, {})
        # If it is joined again before this is told, its routes still go one by one.
        self._each(lambda telling: telling.routes_changed(vrf, gone))
        if self._wishes.vrfs.pop(vrf, None) is not None:
            self._each(lambda telling: telling.vrf_changed(vrf))

    def subscribe_vm(self, machine: UUID, port: UUID) -> None:
        """Ask for a VM's configuration: it has the local port `port`."""
        ports = self._wishes.machines.setdefault(machine, set())
        ports.add(port)
        self._each(lambda telling: telling.machine_changed(machine))

    def unsubscribe_vm(self, machine: UUID, port: UUID) -> None:
        """The port is gone; with the last one the VM's configuration is no longer wanted."""
        ports = self._wishes.machines.get(machine, set())
        ports.discard(port)
        if not ports and self._wishes.machines.pop(machine, None) is not None:
            self._each(lambda telling: telling.machine_changed(machine))

    def publish(self, route: PublishedRoute) -> None:
        """Add or change a route of ours at every controller that has joined its VRF."""
        name = RouteId(route.family, route.key)
        self._wishes.routes.setdefault(route.vrf, {})[name] = route
        self._each(lambda telling: telling.route_changed(route.vrf, name))

    def withdraw(self, family: RouteFamily, vrf: str, key: RouteKey) -> None:
        """Take back a route wherever it was published."""
        name = RouteId(family, key)
        routes = self._wishes.routes.get(vrf, {})
        if routes.pop(name, None) is not None:
            if not routes:
                del self._wishes.routes[vrf]
            self._each(lambda telling: telling.route_changed(vrf, name))

    def _each(self, tell: Callable[[Telling], None]) -> None:
        for peer in self._peers.values():
            tell(peer.telling)

    # What the shell does

    @property
    def servers(self) -> Collection[Server]:
        """The controllers in use."""
        return self._peers.keys()

    def channel(self, server: Server) -> Channel:
        """The session machine of a server in use."""
        return self._peers[server].channel

    def connected(self, server: Server, now: float) -> None:
        """The connection that was asked for stands."""
        self._peers[server].channel.connected(now)
        self._follow(now)

    def disconnected(self, server: Server, now: float, reason: str) -> None:
        """It could not be made, or is lost."""
        self._peers[server].channel.disconnected(now, reason)
        self._follow(now)

    def secured(self, server: Server, now: float) -> None:
        """The TLS handshake succeeded."""
        self._peers[server].channel.secured(now)
        self._follow(now)

    def receive(self, server: Server, data: bytes, now: float) -> Iterator[bytes]:
        """Take received bytes; gives what the XML parser must see, see `Channel.receive`."""
        yield from self._peers[server].channel.receive(data, now)
        self._follow(now)

    def stanza(self, server: Server, stanza: Element, now: float) -> None:
        """Take a stanza that the XML parser completed."""
        self._peers[server].channel.stanza(stanza, now)
        self._follow(now)

    def fault(self, server: Server, reason: str, now: float) -> None:
        """The XML parser refused the bytes."""
        self._peers[server].channel.fault(reason, now)
        self._follow(now)

    def tick(self, now: float, unread: Collection[Server] = ()) -> None:
        """Do what is due; `unread` are the servers in whose sockets bytes wait."""
        for server, peer in list(self._peers.items()):
            peer.channel.tick(now, unread=server in unread)
        self._follow(now)
        self._tick_config(now, unread)
        for due in self._deadlines.due(now):
            self._timer(due, now)

    def deadline(self) -> float | None:
        """When `tick` is wanted next."""
        channels = (peer.channel.deadline() for peer in self._peers.values())
        config = self._watch.deadline if self._watch else None
        armed = (self._deadlines.next(), config, *channels)
        return min((at for at in armed if at is not None), default=None)

    def data_to_send(self, server: Server, now: float) -> bytes:
        """Some of what is to be written to `server` now; empty when nothing is left."""
        return self._peers[server].data_to_send(SEND_SIZE, now)

    @property
    def has_events(self) -> bool:
        """Whether `events` would give any."""
        return bool(self._events)

    def events(self) -> list[Event]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    def views(self) -> list[PeerView]:
        """The controllers in use, by slot."""
        return [
            peer.view(config=peer is self._config, tree_builder=peer is self._builder)
            for peer in self._by_slot()
        ]

    # Slots

    def _apply_slots(self, now: float) -> None:
        """Make the peers equal to what is chosen."""
        chosen = {server: slot for slot, server in enumerate(self._slots.chosen) if server}
        for server in [server for server in self._peers if server not in chosen]:
            self._peers[server].channel.stop(now)
            self._follow(now)
            del self._peers[server]
        for server, slot in chosen.items():
            if server not in self._peers:
                self._peers[server] = self._new_peer(server, slot)
                self._peers[server].channel.start(now)
        self._sweep_absent()

    def _new_peer(self, server: Server, slot: int) -> Peer:
        channel = Channel(
            self._identity, jitter=self._jitter, tls=self._tls, hold_time=self._hold_time
        )
        return Peer(server, slot, channel, Telling(self._identity, self._wishes, self._encoder))

    def _by_slot(self) -> list[Peer]:
        return sorted(self._peers.values(), key=lambda peer: peer.slot)

    # Events of the channels

    def _follow(self, now: float) -> None:
        for peer in list(self._peers.values()):
            while events := peer.channel.events():
                for event in events:
                    self._channel_event(peer, event, now)

    def _channel_event(self, peer: Peer, event: ChannelEvent, now: float) -> None:
        match event:
            case RouteStanza(data):
                self._routes(peer, data, now)
            case ConfigStanza(stanza):
                self._config_stanza(peer, stanza, now)
            case Ready():
                self._up(peer, now)
            case NotReady(reason):
                self._down(peer, reason, now)
            case TimedOut(attempts):
                self._timed_out(peer, attempts, now)

    def _up(self, peer: Peer, now: float) -> None:
        sequence = self._sequences.get(peer.server, 0) + 1
        self._sequences[peer.server] = sequence
        self._absent.pop(peer.server, None)
        self._deadlines.disarm(_Due(_Timer.STALE_ROUTES, peer.server))
        peer.begin(sequence, now)
        self._events.append(PeerUp(peer.server, sequence))
        if self._config is None:
            self._serve_config(peer, now)
        else:
            peer.farewell = Farewell.DUE
        if self._builder is None or peer.slot == self._trees_of:
            self._build_trees(peer)
        self._arm(_Timer.END_OF_RIB_RECEIVED, now + self._patience.end_of_rib, peer)

    def _down(self, peer: Peer, reason: str, now: float) -> None:
        peer.end()
        for timer in (_Timer.END_OF_RIB_SENT, _Timer.END_OF_RIB_RECEIVED):
            self._deadlines.disarm(_Due(timer, peer.server))
        self._events.append(PeerDown(peer.server, reason))
        self._absent[peer.server] = peer.slot
        self._arm(_Timer.STALE_ROUTES, now + self._patience.stale_routes, peer)
        other = next((candidate for candidate in self._by_slot() if candidate.ready), None)
        if peer is self._config:
            self._serve_config(other, now)
        if peer is self._builder:
            self._build_trees(other)
        self._sweep_absent()

    def _timed_out(self, peer: Peer, attempts: int, now: float) -> None:
        reason = peer.channel.last_fault
        replaced = self._slots.rotate(peer.server)
        self._events.append(PeerTimedOut(peer.server, attempts, reason, replaced))
        if replaced:
            self._apply_slots(now)

    def _arm(self, timer: _Timer, at: float, peer: Peer) -> None:
        self._deadlines.arm(_Due(timer, peer.server), at)

    # Configuration

    def _serve_config(self, peer: Peer | None, now: float) -> None:
        """Take the configuration from `peer` on, anew."""
        self._config = peer
        self._watch = None
        if peer is None:
            self._events.append(ConfigServer(None, self._config_sequence))
            return
        self._config_sequence += 1
        self._events.append(ConfigServer(peer.server, self._config_sequence))
        peer.telling.ask_config()
        self._watch = ConfigWatch(self._patience.timings, now)
        for each in self._peers.values():
            self._deadlines.disarm(_Due(_Timer.END_OF_RIB_SENT, each.server))
            if each.farewell is Farewell.DUE:
                each.farewell = Farewell.WAITING

    def _config_stanza(self, peer: Peer, stanza: Element, now: float) -> None:
        if peer is not self._config or self._watch is None:
            self.counters["config of another server"] += 1
            return
        self._watch.seen(now)
        self._events.append(ConfigUpdate(self._config_sequence, stanza))

    def _tick_config(self, now: float, unread: Collection[Server]) -> None:
        quiet = self._patience.config_quiet
        if self._watch and self._config and self._config.server in unread:
            self._watch.seen(now)  # it was we who were busy, not the server that was silent
        match self._watch.tick(now, quiet) if self._watch else None:
            case Step.SWEEP:
                self._events.append(SweepConfig(self._config_sequence))
            case Step.COMPLETE:
                self._events.append(ConfigComplete(self._config_sequence))
                for peer in self._peers.values():
                    if peer.ready and peer.farewell is Farewell.WAITING:
                        self._poll_farewell(peer, now)

    # End of routes

    def _poll_farewell(self, peer: Peer, now: float) -> None:
        """Our end marker leaves when no route was published for a while."""
        patience = self._patience
        wait = patience.rib_quiet if peer.telling.published else patience.no_routes
        since = peer.published_at if peer.telling.published else peer.since
        if now - since >= wait:
            peer.farewell = Farewell.DUE
        else:
            at = now + patience.timings.end_of_rib_tx_poll
            self._arm(_Timer.END_OF_RIB_SENT, at, peer)

    def _end_of_rib(self, peer: Peer, *, told: bool) -> None:
        """All routes of the peer's session are here: the older ones go."""
        self._deadlines.disarm(_Due(_Timer.END_OF_RIB_RECEIVED, peer.server))
        if not peer.end_received:
            peer.end_received = True
            self._events.append(EndOfRib(peer.server, peer.sequence, told))
            self._events.append(SweepRoutes(peer.server, peer.sequence))
            self._sweep_absent()

    def _sweep_absent(self) -> None:
        """Drop routes of lost controllers that a complete one makes up for."""
        for server, slot in list(self._absent.items()):
            if self._made_up_for(server, slot):
                self._sweep(server)

    def _made_up_for(self, server: Server, slot: int) -> bool:
        """A controller out of use is replaced by the one in its slot.

        One in use may come back: with graceful restart its routes wait for it, else they go
        as soon as another controller has sent all. With nobody left everything stays.
        """
        if server in self._peers:
            graceful = self._patience.graceful.enabled
            return not graceful and any(peer.complete for peer in self._peers.values())
        heirs = [peer for peer in self._peers.values() if peer.slot == slot]
        return any(peer.complete for peer in heirs or self._peers.values())

    def _sweep(self, server: Server) -> None:
        self._absent.pop(server, None)
        self._deadlines.disarm(_Due(_Timer.STALE_ROUTES, server))
        self._events.append(SweepRoutes(server, self._sequences[server] + 1))

    # Routes

    def _routes(self, peer: Peer, data: bytes, now: float) -> None:
        if not peer.ready:
            return  # behind what ended the session
        try:
            batches = self._decode(data)
        except WireError as error:
            self.counters["malformed route messages"] += 1
            peer.channel.fault(f"route message: {error}", now)
            return
        for batch in batches:
            self._batch(peer, batch)

    def _batch(self, peer: Peer, batch: RouteBatch) -> None:
        if batch.end_of_rib:
            self._end_of_rib(peer, told=True)
        elif batch.family is RouteFamily.ERMVPN and peer is not self._builder:
            self.counters["trees of another server"] += 1
        else:
            self._events.append(Routes(peer.server, peer.sequence, batch))

    def _build_trees(self, peer: Peer | None) -> None:
        """One controller builds the multicast trees."""
        if self._builder is not None:
            self._builder.telling.build_trees(False)
        self._builder = peer
        if peer is not None:
            self._builder_sequence += 1
            peer.telling.build_trees(True)
        slot = None if peer is None else peer.slot
        server = None if peer is None else peer.server
        self._events.append(TreeBuilder(server, slot, self._builder_sequence))

    # Timers

    def _timer(self, due: _Due, now: float) -> None:
        peer = self._peers.get(due.server)
        match due.timer:
            case _Timer.END_OF_RIB_SENT if peer:
                self._poll_farewell(peer, now)
            case _Timer.END_OF_RIB_RECEIVED if peer:
                self._end_of_rib(peer, told=False)
            case _Timer.STALE_ROUTES:
                self._sweep(due.server)
