"""Recording what the shell does with a core: each call that may change it is an event.

The calls are intercepted on the core's parts, only while something records: an agent that
does not record runs as if this module did not exist.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from ipaddress import IPv4Address
from typing import Any
from uuid import UUID
from xml.etree.ElementTree import Element

from agent._fast.packet import FrameBatch
from agent.daemon.core import Core, LearntMac
from agent.inputs import ContainerPort, Link, PluggedPort, SimpleGateway
from agent.objects import Numbered
from agent.record import events
from agent.record.events import Event, Peer
from agent.rest import PortStore
from agent.rest.files import StoredFile
from agent.settings import Server

Record = Callable[[Event, float], None]
Clock = Callable[[], float]
Exists = Callable[[str], bool]


class Outputs:
    """The sum over all that a core gave out: equal sums, equal bytes in an equal order."""

    def __init__(self) -> None:
        self.sum = 0

    def add(self, output: bytes | Sequence[bytes]) -> None:
        """Take some more bytes, or frames."""
        for part in (output,) if isinstance(output, bytes) else output:
            self.sum = zlib.crc32(part, self.sum)


class Taps:
    """Records every call of a core and its parts by the shell, before it is made.

    `ports` may come before there is a core: its store is.
    """

    def __init__(self, record: Record, clock: Clock = time.monotonic) -> None:
        self.outputs = Outputs()
        self._record = record
        self._clock = clock
        self._pieces: dict[Server, int] = {}

    def core(self, core: Core) -> None:
        """From now on record all but its ports."""
        self._tap_core(core)
        self._tap_datapath(core)
        self._tap_services(core)
        self._tap_controllers(core)

    # One call

    def _before(self, part: object, name: str, event: Callable[..., tuple[Event, float]]) -> None:
        """Record `event(*arguments)` and its time before each call of `part.name`."""
        call, record = getattr(part, name), self._record

        def tapped(*arguments: Any, **named: Any) -> Any:
            record(*event(*arguments, **named))
            return call(*arguments, **named)

        setattr(part, name, tapped)

    def _giving(self, part: object, name: str, event: Callable[..., tuple[Event, float]]) -> None:
        """As `_before`, of a call that returns bytes or frames to send."""
        call, add = getattr(part, name), self.outputs.add

        def summed(*arguments: Any) -> Any:
            output = call(*arguments)
            add(output)
            return output

        setattr(part, name, summed)
        self._before(part, name, event)

    # The parts

    def _tap_core(self, core: Core) -> None:
        def links(changed: Sequence[Link], gone: Sequence[str]) -> tuple[Event, float]:
            return events.LinksChanged(tuple(changed), tuple(gone)), self._clock()

        def turn(now: float) -> tuple[Event, float]:
            return events.Turn(self.outputs.sum), now

        def limited(vifs: Sequence[int], *, drop: bool) -> tuple[Event, float]:
            return events.FlowsLimited(tuple(vifs), drop), self._clock()

        def restored(rows: Sequence[Numbered]) -> tuple[Event, float]:
            numbers = tuple((row.kind.value, row.number, row.text) for row in rows)
            return events.Restored(numbers), self._clock()

        self._before(core, "restore", restored)
        self._before(core, "links", links)

        def macs(entries: Sequence[LearntMac], now: float) -> tuple[Event, float]:
            return events.MacsUnconfirmed(tuple(entries)), now

        self._before(core, "limit_flows", limited)
        self._before(core, "macs_unconfirmed", macs)
        self._before(core, "listed", lambda: (events.Listed(), self._clock()))
        self._before(core, "learned", lambda _: (events.Learned(), self._clock()))
        self._before(core, "datapath_said", lambda _, now: (events.DatapathSaid(), now))
        self._before(core, "controllers_said", lambda _, now: (events.ControllersSaid(), now))
        self._giving(core, "turn", turn)

    def ports(self, store: PortStore) -> None:
        """From now on record these."""
        clock = self._clock

        def plug(
            rows: Iterable[PluggedPort | ContainerPort], _stamp: object
        ) -> tuple[Event, float]:
            rows = list(rows)
            plugged = tuple(row for row in rows if isinstance(row, PluggedPort))
            containers = tuple(row for row in rows if isinstance(row, ContainerPort))
            return events.PortsPlugged(plugged, containers), clock()

        def switch(uuid: UUID, up: bool, _stamp: object) -> tuple[Event, float]:
            return events.PortSwitched(uuid, up), clock()

        def add(rows: Iterable[SimpleGateway]) -> tuple[Event, float]:
            return events.GatewaysAdded(tuple(rows)), clock()

        def remove(interfaces: Iterable[str]) -> tuple[Event, float]:
            return events.GatewaysRemoved(tuple(interfaces)), clock()

        self._before(store, "plug", plug)
        self._before(store, "unplug", lambda uuid: (events.PortUnplugged(uuid), clock()))
        self._before(store, "unplug_vm", lambda uuid: (events.VmUnplugged(uuid), clock()))
        self._before(store, "set_link_state", switch)
        self._before(store, "add_gateways", add)
        self._before(store, "remove_gateways", remove)
        self._before(store, "sync", lambda now: (events.PortsSynced(), now))
        self._before(store, "expire", lambda now: (events.PortsExpired(), now))
        self._tap_stored(store)

    def _tap_stored(self, store: PortStore) -> None:
        """Recorded after the call: it is then known which interfaces it found."""
        call = store.replay

        def replay(files: Iterable[StoredFile], exists: Exists | None) -> None:
            files, found = list(files), dict[str, None]()

            def noted(name: str) -> bool:
                there = exists is not None and exists(name)
                found.update({name: None} if there else {})
                return there

            call(files, noted if exists else None)
            texts = tuple((file.path, file.text) for file in files)
            event = events.PortsStored(texts, tuple(found) if exists else None)
            self._record(event, self._clock())

        setattr(store, "replay", replay)  # noqa: B010

    def _tap_datapath(self, core: Core) -> None:
        session, clock = core.session, self._clock
        self._before(session, "connected", lambda now: (events.DatapathConnected(), now))
        self._before(session, "disconnected", lambda now: (events.DatapathLost(), now))
        self._before(session, "receive", lambda data, now: (events.DatapathReceived(data), now))
        self._before(session, "tick", lambda now: (events.DatapathTick(), now))
        self._before(session, "events", lambda: (events.DatapathAsked(), clock()))
        self._giving(session, "data_to_send", lambda: (events.DatapathDrained(), clock()))

    def _tap_services(self, core: Core) -> None:
        def receive(
            batch: FrameBatch, now: float, slots: Iterable[int] | None = None
        ) -> tuple[Event, float]:
            """What flows are made of is not kept: a flood of it would fill the recording."""
            places = range(len(batch)) if slots is None else slots
            return events.Trapped(tuple(batch.frame(slot) for slot in places)), now

        self._giving(core.trapped, "receive", receive)
        self._giving(core.trapped, "turn", lambda now: (events.TrapTurn(), now))

        def relayed(message: bytes, server: IPv4Address, now: float) -> tuple[Event, float]:
            return events.Relayed(message, server), now

        self._giving(core.trapped, "relayed", relayed)
        self._giving(core.trapped, "tick", lambda now: (events.TrapTick(), now))

    def _tap_controllers(self, core: Core) -> None:
        part = core.controllers

        def lost(server: Server, now: float, reason: str) -> tuple[Event, float]:
            return events.ControllerLost(_peer(server), reason), now

        def stanza(server: Server, _stanza: Element, now: float) -> tuple[Event, float]:
            return events.ControllerStanza(_peer(server), self._pieces.get(server, 0)), now

        def fault(server: Server, reason: str, now: float) -> tuple[Event, float]:
            event = events.ControllerFault(_peer(server), self._pieces.get(server, 0), reason)
            return event, now

        def tick(now: float, unread: Collection[Server] = ()) -> tuple[Event, float]:
            waiting = sorted(unread, key=lambda server: (server.address, server.port))
            return events.ControllersTick(tuple(map(_peer, waiting))), now

        def connected(server: Server, now: float) -> tuple[Event, float]:
            return events.ControllerConnected(_peer(server)), now

        def secured(server: Server, now: float) -> tuple[Event, float]:
            return events.ControllerSecured(_peer(server)), now

        def drained(server: Server, now: float) -> tuple[Event, float]:
            return events.ControllerDrained(_peer(server)), now

        self._before(part, "connected", connected)
        self._before(part, "disconnected", lost)
        self._before(part, "secured", secured)
        self._before(part, "stanza", stanza)
        self._before(part, "fault", fault)
        self._before(part, "tick", tick)
        self._before(part, "events", lambda: (events.ControllersAsked(), self._clock()))
        self._giving(part, "data_to_send", drained)
        self._tap_received(core)

    def _tap_received(self, core: Core) -> None:
        """The pieces that the shell parses are counted: its own calls come between them."""
        call = core.controllers.receive

        def receive(server: Server, data: bytes, now: float) -> Iterator[bytes]:
            self._record(events.ControllerReceived(_peer(server), data), now)
            self._pieces[server] = 0
            for piece in call(server, data, now):
                self._pieces[server] += 1
                yield piece

        setattr(core.controllers, "receive", receive)  # noqa: B010


def _peer(server: Server) -> Peer:
    return Peer(server.address, server.port)
