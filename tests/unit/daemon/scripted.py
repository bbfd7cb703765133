"""An agent's short life without any I/O, recorded: what a replay must match bit for bit.

The shell is played by the script; the datapath is the fake one.
"""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

from agent._fast.packet import FrameBatch
from agent.daemon.configuration import parse
from agent.daemon.core import Core
from agent.daemon.state import digest
from agent.daemon.taps import Taps
from agent.inputs import Link, PluggedPort
from agent.lab.plan import port_request
from agent.record import events
from agent.record.events import Event
from agent.rest.files import Stamp
from agent.rest.validate import plugged_ports
from agent.topology import uuid_of
from agent.values import Mac
from tests.fake.datapath import FakeDatapath

TOPOLOGY = Path(__file__).parents[3] / "agent/lab/topologies/one-host.yaml"
TEXTS = events.Sources(
    "agent.conf", "[STANDALONE]\ntopology = one-host.yaml\n", TOPOLOGY.read_text(), "host1"
)
NOBODY = Stamp("test", 0.0)


class Life:
    """The core, and `calls`: what was recorded of it."""

    def __init__(self, texts: events.Sources = TEXTS, datapath: FakeDatapath | None = None) -> None:
        settings, topology = parse(texts)
        assert topology is not None
        self.vms = topology.vms
        self.calls: list[tuple[Event, float]] = []
        self._times = count(1)
        self._link = (datapath or FakeDatapath()).connect()
        started = events.Started("test", 0.0, texts, 7, 42)
        self._record(started, 0.5)
        self.core = Core(settings, topology, pid=7, seed=42, now=0.5)
        self._taps = taps = Taps(self._record, self.now)
        taps.ports(self.core.store)
        taps.core(self.core)

    def now(self) -> float:
        """A clock that goes on whenever it is read."""
        return next(self._times) / 1000

    def _record(self, event: Event, now: float) -> None:
        self.calls.append((event, now))

    def turn(self) -> None:
        """Let everything happen that follows from what came in."""
        core, session = self.core, self.core.session
        core.turn(self.now())
        while True:
            if found := session.events():
                core.datapath_said(found, self.now())
                core.turn(self.now())
            sent = session.data_to_send()
            if not sent and not found:
                return
            self._link.feed(sent)
            session.receive(self._link.take(), self.now())

    def port(self, name: str) -> list[PluggedPort]:
        """The port of a VM, as one is plugged."""
        vm = self.vms[name]
        network = str(uuid_of("virtual-network", vm.network))
        return plugged_ports(json.dumps(port_request(vm, network)).encode())

    def plug(self, name: str) -> None:
        """Plug the port of a VM."""
        self.core.store.plug(self.port(name), NOBODY)
        self.turn()

    def unplug(self, name: str) -> None:
        """Unplug it."""
        self.core.store.unplug(self.vms[name].port)
        self.turn()

    def trap(self, frame: bytes) -> None:
        """The datapath hands a packet up."""
        batch = FrameBatch(64)
        batch.fill([frame])
        self.core.trapped.receive(batch, self.now())
        self.core.learned(self.core.trapped.take_events())
        self.turn()

    def limit(self, name: str, *, drop: bool) -> None:
        """The VM has as many flows as it may (`drop`), or fewer again."""
        row = self.core.compiler.vmi_by_uuid(self.vms[name].port)
        assert row is not None
        self.core.limit_flows([row.vif_index], drop=drop)
        self.turn()

    def end(self) -> None:
        """Write the end."""
        ended = events.Ended("the agent ended", digest(self.core), self._taps.outputs.sum)
        self._record(ended, self.now())


def life() -> list[tuple[Event, float]]:
    """Two ports plugged, one unplugged again, some packets, too many flows; what was recorded."""
    agent = Life()
    links = ["fabric0", *(agent.vms[name].tap for name in ("red1", "red2"))]
    macs = [Mac(bytes((2, 0, 0, 0, 1, index))) for index in range(len(links))]
    agent.core.links(
        [Link(name, 10 + index, macs[index], True) for index, name in enumerate(links)], []
    )
    agent.core.listed()
    agent.core.session.connected(agent.now())
    agent.turn()
    agent.plug("red1")
    agent.plug("red2")
    agent.trap(bytes(60))
    agent.core.trapped.tick(agent.now() + 2.0)
    agent.unplug("red2")
    agent.limit("red1", drop=True)
    agent.limit("red1", drop=False)
    agent.end()
    return agent.calls
