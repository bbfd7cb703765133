"""Everything that tells of the agent: built around the core, started and ended with it."""

from __future__ import annotations

import random
import secrets
import time
from ipaddress import IPv4Interface

from agent import __version__
from agent.daemon.core import Core
from agent.daemon.host import host_name
from agent.io.collector import CollectorConnection
from agent.io.datapath import Address
from agent.io.datapath_reader import DatapathReader
from agent.io.logs import LEVELS
from agent.io.session_export import SessionExport
from agent.io.statistics import StatisticsShell
from agent.settings import Settings
from agent.telemetry import Node
from agent.telemetry.checks import watch, watch_statistics
from agent.telemetry.health import Health
from agent.telemetry.meters import Meters
from agent.telemetry.sessions import Sessions, life
from agent.telemetry.statistics import Statistics
from agent.telemetry.traces import Traces
from agent.telemetry.uve import Identity, Uves, build, collector
from agent.telemetry.wire_checks import pkt0
from agent.telemetry.wires import Wires


class Observers:
    """They read the core and never change it, but for what a user asks of introspect."""

    def __init__(
        self,
        core: Core,
        settings: Settings,
        datapath: Address,
        wires: Wires,
        meters: Meters,
        *,
        pid: int,
    ) -> None:
        self._reader = DatapathReader(datapath)
        wires.questions = self._reader.counters
        wires.connects["questions"] = self._reader.tries
        self.node = node = _node(core, settings, self._reader, wires, meters, pid)
        watch(node.health, node, lambda: core.configured)
        self._statistics = StatisticsShell(node)
        node.health.add("pkt0", lambda: pkt0(wires.pkt0))
        watch_statistics(node.health, node, node.statistics, lambda: node.statistics.interval)
        node.health.add("collector", lambda: collector(node.uves.generator))
        self._collector = CollectorConnection(node, node.uves)
        core.followers.append(self._collector.follow)
        self._sessions = SessionExport(node, node.sessions, self._collector, self._domain)

    async def start(self) -> None:
        """Begin on the running loop."""
        self._reader.start()
        self._statistics.start()
        self._collector.start()
        self._sessions.start()

    async def close(self) -> None:
        """End, within seconds."""
        await self._sessions.close()
        await self._collector.close()
        await self._statistics.close()
        await self._reader.close()

    def configure(self, settings: Settings) -> None:
        """The file was read again."""
        self.node.settings = settings
        self._statistics.configure(settings)
        self._collector.configure(settings)
        self._sessions.configure(settings)

    def _domain(self) -> int:
        """What tells this host from others that export records."""
        address = self.node.settings.optional("VIRTUAL-HOST-INTERFACE", "ip", IPv4Interface)
        return int(address.ip) if address else self.node.pid


def _node(
    core: Core,
    settings: Settings,
    reader: DatapathReader,
    wires: Wires,
    meters: Meters,
    pid: int,
) -> Node:
    host, started = host_name(settings), time.time()
    return Node(
        host=host,
        version=__version__,
        pid=pid,
        started=started,
        clock=time.monotonic,
        wall=time.time,
        settings=settings,
        compiler=core.compiler,
        session=core.session,
        controllers=core.controllers,
        store=core.store,
        trapped=core.trapped,
        flows=core.flows,
        datapath=reader,
        statistics=Statistics(
            high_watermark=settings.get("DEFAULT", "vr_object_high_watermark", int)
        ),
        meters=meters,
        traces=Traces(time.time, settings.trace_sizes),
        logs=LEVELS,
        health=Health(host=host, version=__version__, pid=pid, started=started, wall=time.time),
        uves=_uves(host, settings, pid),
        sessions=Sessions(
            core.flows,
            core.compiler,
            run=life(host, pid, started),
            seed=secrets.randbits(64),
        ),
        wires=wires,
    )


def _uves(host: str, settings: Settings, pid: int) -> Uves:
    address = settings.optional("VIRTUAL-HOST-INTERFACE", "ip", IPv4Interface)
    port = settings.get("DEFAULT", "http_server_port", int)
    identity = Identity(host, pid, port, str(address.ip) if address else "")
    return build(identity, wall=time.time, shuffle=random.shuffle, jitter=random.random)
