"""A running agent without I/O, as those who tell of it see it; the datapath is the fake one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import TypeVar

import yaml

from agent import topology
from agent.daemon.core import Core
from agent.errors import WireError
from agent.inputs import Link
from agent.lab.plan import port_request
from agent.rest.files import Stamp
from agent.rest.validate import plugged_ports
from agent.routes import RouteBatch
from agent.sandesh.vrouter import Message
from agent.settings import parse
from agent.telemetry import Node
from agent.telemetry.health import Health
from agent.telemetry.log_levels import LogLevels
from agent.telemetry.meters import Meters
from agent.telemetry.sessions import Sessions, life
from agent.telemetry.statistics import Statistics
from agent.telemetry.traces import Traces
from agent.telemetry.uve import Identity, build
from agent.topology import Topology, uuid_of
from agent.values import Mac
from tests.fake.datapath import FakeDatapath

ONE_HOST = Path(__file__).parents[3] / "agent/lab/topologies/one-host.yaml"
HOST = "[VIRTUAL-HOST-INTERFACE]\nphysical_interface = fabric0\nip = 10.0.0.1/24\n"
STARTED = 1_700_000_000.0
"""The wall time at which the agent of a world was started; its clock is 0 then."""

Row = TypeVar("Row", bound=Message)


class NoDatapath:
    """A datapath that does not answer."""

    async def get(self, request: Message, kind: type[Row]) -> Row:
        raise WireError("the datapath does not answer")

    async def dump(
        self, request: Callable[[Row | None], Message], kind: type[Row]
    ) -> AsyncIterator[Row]:
        raise WireError("the datapath does not answer")
        yield


class NodeWorld:
    """An agent on one host of a topology; `node` is what it shows, `now` its clock."""

    def __init__(self, text: str = HOST, parsed: Topology | None = None) -> None:
        self.topology = parsed or topology.parse(yaml.safe_load(ONE_HOST.read_text()))
        self.datapath = FakeDatapath()
        self._link = self.datapath.connect()
        self.now = 0.0
        settings = parse(text)
        self.core = core = Core(settings, self.topology, pid=7, seed=42, now=self.now)
        host = next(iter(self.topology.hosts))
        wall = self._wall
        self.node = Node(
            host=host,
            version="0.0-test",
            pid=7,
            started=STARTED,
            clock=lambda: self.now,
            wall=wall,
            settings=settings,
            compiler=core.compiler,
            session=core.session,
            controllers=core.controllers,
            store=core.store,
            trapped=core.trapped,
            flows=core.flows,
            datapath=NoDatapath(),
            statistics=Statistics(),
            meters=Meters(),
            traces=Traces(wall),
            logs=LogLevels(),
            health=Health(host=host, version="0.0-test", pid=7, started=STARTED, wall=wall),
            uves=build(
                Identity(host, 7, 8085, "10.0.0.1"),
                wall=wall,
                shuffle=lambda servers: servers.sort(key=str),
                jitter=lambda: 0.5,
            ),
            sessions=Sessions(core.flows, core.compiler, run=life(host, 7, STARTED), seed=1),
        )
        core.followers.append(self.node.uves.follow)
        core.links(self._links(), [])
        core.listed()
        core.session.connected(self.now)
        self.turn()

    def _wall(self) -> float:
        return STARTED + self.now

    def _links(self) -> list[Link]:
        names = ["fabric0", "vhost0", *(vm.tap for vm in self.topology.vms.values())]
        return [
            Link(name, 10 + at, Mac(bytes((2, 0, 0, 0, at >> 8, at & 255))), True)
            for at, name in enumerate(names, 1)
        ]

    def turn(self) -> None:
        """Let everything happen that follows from what came in."""
        core, session = self.core, self.core.session
        core.turn(self.now)
        while True:
            if found := session.events():
                core.datapath_said(found, self.now)
            if found or core.pending:
                core.turn(self.now)
            sent = session.data_to_send()
            if not sent and not found and not core.pending:
                return
            self._link.feed(sent)
            session.receive(self._link.take(), self.now)

    def plug(self, *names: str) -> None:
        """Plug ports of VMs; of all where none is named."""
        for name in names or self.topology.vms:
            vm = self.topology.vms[name]
            network = str(uuid_of("virtual-network", vm.network))
            ports = plugged_ports(json.dumps(port_request(vm, network)).encode())
            self.core.store.plug(ports, Stamp("test", 0.0))
        self.turn()

    def routes(self, peer: str, batches: Iterable[RouteBatch]) -> None:
        """A controller, by its address and port, says this of routes."""
        for batch in batches:
            self.core.compiler.routes(peer, batch)
        self.turn()
