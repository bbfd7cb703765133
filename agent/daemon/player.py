"""Making the calls of a recording again, on a fresh core."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from agent._fast.packet import FrameBatch
from agent.daemon.configuration import parse
from agent.daemon.core import Core
from agent.daemon.taps import Outputs
from agent.errors import BugError
from agent.ksync.events import Event as DatapathEvent
from agent.objects import Kind, Numbered
from agent.record import events
from agent.record.events import AnyEvent, Peer
from agent.rest.files import Stamp, StoredFile
from agent.settings import Server
from agent.xmpp import Event as ControlEvent

_STAMP = Stamp("replay", 0.0)


class _Stream:
    """What the shell does with the bytes of one controller: parse what the core leaves of them."""

    def __init__(self) -> None:
        self.pieces: Iterator[bytes] = iter(())
        self._seen = 0
        self._stanzas: deque[Element] = deque()
        self.begin()

    def begin(self) -> None:
        """A new stream, in the clear or inside of TLS."""
        self._parser: XMLPullParser[Element] = XMLPullParser(("start", "end"))
        self._depth = 0
        self._stanzas.clear()

    def receive(self, pieces: Iterator[bytes]) -> None:
        """The pieces that the core will give of received bytes."""
        self.pieces = pieces
        self._seen = 0

    def advance(self, seen: int | None) -> None:
        """Parse until so many pieces were seen (None: all)."""
        while seen is None or self._seen < seen:
            piece = next(self.pieces, None)
            if piece is None:
                return
            self._seen += 1
            self._parse(piece)

    def stanza(self) -> Element | None:
        """The next complete stanza."""
        return self._stanzas.popleft() if self._stanzas else None

    def _parse(self, piece: bytes) -> None:
        self._parser.feed(piece)
        try:
            read = cast("Iterator[tuple[str, Element]]", self._parser.read_events())
            for what, element in read:
                self._depth += 1 if what == "start" else -1
                if what == "end" and self._depth == 1:
                    self._stanzas.append(element)
        except ParseError:
            pass  # what the shell made of that was recorded


class Player:
    """A core that is driven by events; `outputs` sums what it gives out."""

    def __init__(self, started: events.Started, now: float) -> None:
        settings, topology = parse(started.sources)
        self.outputs = Outputs()
        self.core = Core(settings, topology, pid=started.pid, seed=started.seed, now=now)
        self._datapath: Sequence[DatapathEvent] = ()
        self._control: Sequence[ControlEvent] = ()
        self._batch = FrameBatch(64)
        self._streams: dict[Server, _Stream] = {}
        self._last: _Stream | None = None
        self._calls = self._table()

    def play(self, event: AnyEvent, now: float) -> None:
        """Make one call again. Raises whatever it raised when it was recorded."""
        self.finish(event)
        self._calls[type(event)](event, now)

    def finish(self, event: AnyEvent | None = None) -> None:
        """Let the core see what is left of received bytes, unless `event` came between them."""
        if not isinstance(event, events.ControllerStanza | events.ControllerFault):
            last, self._last = self._last, None
            if last is not None:
                last.advance(None)

    def _table(self) -> dict[type, Callable[[Any, float], object]]:
        return {**self._of_core(), **self._of_ports(), **self._of_datapath(), **self._of_traps()}

    def _of_core(self) -> dict[type, Callable[[Any, float], object]]:
        core = self.core
        return {
            events.Reloaded: lambda event, now: core.reload(*parse(event.sources), now),
            events.Restored: lambda event, _: core.restore(
                [Numbered(Kind(kind), *rest) for kind, *rest in event.numbers]
            ),
            events.Turn: lambda _, now: self.outputs.add(core.turn(now)),
            events.LinksChanged: lambda event, _: core.links(event.changed, event.gone),
            events.Listed: lambda *_: core.listed(),
            events.Learned: lambda *_: core.learned(core.trapped.take_events()),
            events.DatapathSaid: lambda _, now: core.datapath_said(self._datapath, now),
            events.MacsUnconfirmed: lambda event, now: core.macs_unconfirmed(event.entries, now),
            events.FlowsLimited: lambda event, _: core.limit_flows(event.vifs, drop=event.drop),
            events.ControllersSaid: lambda _, now: core.controllers_said(self._control, now),
        }

    def _of_ports(self) -> dict[type, Callable[[Any, float], object]]:
        store = self.core.store
        return {
            events.PortsStored: lambda event, _: self._stored(event),
            events.PortsPlugged: lambda event, _: store.plug(
                (*event.plugged, *event.containers), _STAMP
            ),
            events.PortUnplugged: lambda event, _: store.unplug(event.uuid),
            events.VmUnplugged: lambda event, _: store.unplug_vm(event.uuid),
            events.PortSwitched: lambda event, _: store.set_link_state(
                event.uuid, event.up, _STAMP
            ),
            events.GatewaysAdded: lambda event, _: store.add_gateways(event.gateways),
            events.GatewaysRemoved: lambda event, _: store.remove_gateways(event.interfaces),
            events.PortsSynced: lambda _, now: store.sync(now),
            events.PortsExpired: lambda _, now: store.expire(now),
        }

    def _stored(self, event: events.PortsStored) -> None:
        files = [StoredFile(path, text) for path, text in event.files]
        existing = event.existing
        exists = None if existing is None else lambda name: name in existing
        self.core.store.replay(files, exists)

    def _of_datapath(self) -> dict[type, Callable[[Any, float], object]]:
        session = self.core.session
        return {
            events.DatapathConnected: lambda _, now: session.connected(now),
            events.DatapathLost: lambda _, now: session.disconnected(now),
            events.DatapathReceived: lambda event, now: session.receive(event.data, now),
            events.DatapathTick: lambda _, now: session.tick(now),
            events.DatapathDrained: lambda *_: self.outputs.add(session.data_to_send()),
            events.DatapathAsked: lambda *_: self._ask_datapath(),
        }

    def _ask_datapath(self) -> None:
        self._datapath = self.core.session.events()

    def _of_traps(self) -> dict[type, Callable[[Any, float], object]]:
        trapped = self.core.trapped
        return {
            events.Trapped: lambda event, now: self._trapped(event.frames, now),
            events.TrapTurn: lambda _, now: self.outputs.add(trapped.turn(now)),
            events.Relayed: lambda event, now: self.outputs.add(
                trapped.relayed(event.message, event.server, now)
            ),
            events.TrapTick: lambda _, now: self.outputs.add(trapped.tick(now)),
            **self._of_controllers(),
        }

    def _trapped(self, frames: Iterable[bytes], now: float) -> None:
        self._batch.fill(frames)
        self.outputs.add(self.core.trapped.receive(self._batch, now))

    def _of_controllers(self) -> dict[type, Callable[[Any, float], object]]:
        part = self.core.controllers
        return {
            events.ControllerConnected: lambda event, now: self._begin(
                event.peer, part.connected, now
            ),
            events.ControllerSecured: lambda event, now: self._begin(event.peer, part.secured, now),
            events.ControllerLost: lambda event, now: part.disconnected(
                _server(event.peer), now, event.reason
            ),
            events.ControllerReceived: self._received,
            events.ControllerStanza: self._stanza,
            events.ControllerFault: self._fault,
            events.ControllersTick: lambda event, now: part.tick(
                now, {_server(peer) for peer in event.unread}
            ),
            events.ControllerDrained: lambda event, now: self.outputs.add(
                part.data_to_send(_server(event.peer), now)
            ),
            events.ControllersAsked: lambda *_: self._ask_controllers(),
        }

    def _ask_controllers(self) -> None:
        self._control = self.core.controllers.events()

    def _stream(self, peer: Peer) -> _Stream:
        return self._streams.setdefault(_server(peer), _Stream())

    def _begin(self, peer: Peer, call: Callable[[Server, float], None], now: float) -> None:
        self._stream(peer).begin()
        call(_server(peer), now)

    def _received(self, event: events.ControllerReceived, now: float) -> None:
        self._last = self._stream(event.peer)
        self._last.receive(self.core.controllers.receive(_server(event.peer), event.data, now))
        self._last.advance(0)

    def _stanza(self, event: events.ControllerStanza, now: float) -> None:
        stream = self._stream(event.peer)
        stream.advance(event.pieces)
        stanza = stream.stanza()
        if stanza is None:
            raise BugError(f"{event.peer.address}: no stanza is complete where one was")
        self.core.controllers.stanza(_server(event.peer), stanza, now)

    def _fault(self, event: events.ControllerFault, now: float) -> None:
        stream = self._stream(event.peer)
        stream.advance(event.pieces)
        self.core.controllers.fault(_server(event.peer), event.reason, now)


def _server(peer: Peer) -> Server:
    return Server(peer.address, peer.port)
