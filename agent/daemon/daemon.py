"""The agent: builds the parts, connects them, and gives the core one batch a loop turn."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
import uvloop

from agent.daemon.host import host_name, host_settings, standalone_host
from agent.daemon.operational import Operational
from agent.errors import ConfigError
from agent.ifmap.from_topology import Objects, objects
from agent.inputs import ContainerPort, Link, PluggedPort
from agent.io.files import read_settings, read_topology
from agent.io.ksync import KsyncConnection
from agent.io.links import LinkMonitor
from agent.io.pkt0 import TrapLoop
from agent.io.port_api import PortApi
from agent.ksync import Dumped, InSync, Lost, Opening, Refused, Released, Session
from agent.ksync.events import Event
from agent.objects import Kind
from agent.oper.compiler import Compiler
from agent.rest import PortStore
from agent.rest.ports import Change
from agent.services import ArpEvent, Probe, TrappedPackets
from agent.services.view import FABRIC_VRF
from agent.settings import Settings
from agent.topology import Topology

log = structlog.get_logger(__name__)

DATAPATH_SOCKET = "dpdk_netlink"

_LIMITS = {
    Kind.VIF: "vo_interfaces",
    Kind.NEXTHOP: "vo_nexthops",
    Kind.LABEL: "vo_mpls_labels",
    Kind.VRF: "vo_vrfs",
}


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the agent's configuration comes from; read at start and on SIGHUP."""

    config: Path | None
    run_dir: Path

    def load(self) -> tuple[Settings, Topology | None]:
        """ConfigError if a file is wrong."""
        settings = read_settings(self.config)
        name = settings.get("STANDALONE", "topology", str)
        return settings, read_topology(Path(name)) if name else None


class Daemon:
    """One agent on one datapath; `run` returns after SIGTERM, SIGINT or `stop`."""

    def __init__(self, sources: Sources, settings: Settings, topology: Topology | None) -> None:
        self._sources = sources
        self._compiler = Compiler(host_settings(settings, topology))
        self._configure(settings, topology)
        self.session = Session(
            pid=os.getpid(),
            opening=Opening(reset=settings.get("RESTART", "reset", bool)),
            jitter=random.random,
        )
        self._ksync = KsyncConnection(
            sources.run_dir / DATAPATH_SOCKET, self.session, self._ksync_events
        )
        self._trapped = TrappedPackets(self._compiler)
        self._pkt0 = TrapLoop(sources.run_dir, self._trapped, self._learned)
        self._links = LinkMonitor(self._links_changed)
        self._store = PortStore(
            float(settings.get("DEFAULT", "stale_interface_cleanup_timeout", int))
        )
        self._ports = PortApi(
            self._store,
            Operational(self._compiler),
            self._schedule,
            directory=Path(settings.get("DEFAULT", "agent_base_directory", str)) / "ports",
            host=settings.get("DEFAULT", "rest_ip", str),
            port=settings.get("DEFAULT", "rest_port", int),
        )
        self._stop = asyncio.Event()
        self._turn_due = False
        self._failures: dict[str, str] = {}
        self._seeded = False
        self._complete = False

    def stop(self) -> None:
        """Let `run` return. The datapath goes on forwarding as it is."""
        self._stop.set()

    async def run(self) -> None:
        """Work until told to stop. ConfigError if a port or directory cannot be used."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        try:
            await self._start()
            await self._stop.wait()
        finally:
            await self._close()

    async def _start(self) -> None:
        self._pkt0.start()  # before ksync: the datapath connects to it when it adds the agent vif
        self._links.start()
        await self._ports.start()
        await self._links.listed.wait()
        self._complete = True
        self._compiler.complete()
        self._ksync.start()

    async def _close(self) -> None:
        await self._ports.stop()
        await self._ksync.close()
        self._pkt0.close()
        self._links.close()
        log.info("stopped")

    # Configuration

    def reload(self) -> None:
        """Read the files again; a wrong file is logged and what was read before stays."""
        try:
            settings, topology = self._sources.load()
            self._compiler.settings(host_settings(settings, topology))
            self._configure(settings, topology)
        except ConfigError as error:
            log.error("configuration not reloaded", reason=str(error))
            return
        log.info("configuration reloaded")
        self._schedule()

    def _configure(self, settings: Settings, topology: Topology | None) -> None:
        """Make the graph equal to the topology, where there is one."""
        for warning in settings.unknown:
            log.warning(warning)
        host = standalone_host(settings, topology)
        if topology is None or host is None:
            log.warning("no topology", host=host_name(settings), hint="[STANDALONE] topology")
            return
        self._fill(objects(topology, host.name))

    def _fill(self, wanted: Objects) -> None:
        graph = self._compiler.graph
        graph.begin(graph.sequence + 1)
        for node in wanted.nodes:
            graph.put_node(node)
        for link in wanted.links:
            graph.put_link(link)
        graph.sweep()

    # Inputs

    def _links_changed(self, changed: list[Link], gone: list[str]) -> None:
        for name in gone:
            self._compiler.remove_link(name)
        for link in changed:
            self._compiler.put_link(link)
        self._schedule()

    def _port_changed(self, change: Change) -> None:
        before, after = change.before, change.after
        if isinstance(after, PluggedPort):
            self._compiler.put_port(after)
        elif isinstance(after, ContainerPort):
            self._compiler.put_container(after)
        elif isinstance(before, PluggedPort):
            self._compiler.remove_port(before.uuid)
        elif isinstance(before, ContainerPort):
            self._compiler.remove_container(before)

    def _learned(self, facts: Sequence[ArpEvent]) -> None:
        for fact in facts:
            self._compiler.learned(fact)
        self._schedule()

    def _ksync_events(self, events: Sequence[Event]) -> None:
        for event in events:
            self._ksync_event(event)
        self._schedule()

    def _ksync_event(self, event: Event) -> None:
        match event:
            case Dumped():
                self._dumped(event)
            case Released(identity=identity):
                self._compiler.release(identity.kind, identity.number)
            case Refused():
                log.warning("datapath refused", object=str(event.identity), errno=event.errno)
            case InSync():
                self._pkt0.socket.pair()
                self._report_sync()
            case Lost():
                self._pkt0.socket.unpair()
                log.warning("datapath lost", reason=event.reason)

    def _report_sync(self) -> None:
        counters = self.session.counters
        log.info(
            "in sync",
            writes=counters.writes.total(),
            adopted=counters.adopted,
            swept=counters.swept,
            refused=counters.nacks.total(),
        )

    def _dumped(self, event: Dumped) -> None:
        for kind, name in _LIMITS.items():
            if room := getattr(event.limits, name):  # a datapath may not tell
                self._compiler.limit(kind, room)
        if not self._seeded:
            self._seeded = True
            neighbours = self._compiler.seed(event.messages)
            self._trapped.arp.adopt(neighbours, time.monotonic())
            if self._complete:
                self._compiler.complete()
        log.info("datapath read", objects=len(event.messages))

    # The turn

    def _schedule(self) -> None:
        """Have one turn soon, whatever number of changes asks for it."""
        if not self._turn_due:
            self._turn_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._turn_due = False
        for change in self._store.changes():
            self._port_changed(change)
        if not self._seeded:
            return
        now = time.monotonic()
        delta = self._compiler.commit()
        self.session.apply(delta.changed, delta.removed, now)
        if self._complete:
            self.session.complete(now)
        self._report_failures()
        self._services_follow(now)
        self._ksync.kick()

    def _report_failures(self) -> None:
        """Log what is new: a failure stays until its cause goes."""
        failures = self._compiler.failures()
        for place, reason in failures.items() - self._failures.items():
            log.error("oper failed", place=place, reason=reason)
        self._failures = failures

    def _services_follow(self, now: float) -> None:
        """Let ARP resolve, announce and probe what the new state asks for."""
        arp, view = self._trapped.arp, self._compiler
        wanted = [ip for vrf, ip in view.wanted_arp() if vrf == FABRIC_VRF]
        active = [row.vif_index for row in view.vmis() if row.ip4_active]
        frames = arp.wanted(view, wanted, now)
        frames += arp.announce(view, active, now)
        frames += arp.probe(view, [Probe(*address) for address in view.waiting()], now)
        self._pkt0.send(frames)


def run(sources: Sources, settings: Settings, topology: Topology | None) -> None:
    """Run an agent on a uvloop of its own until it is told to stop."""

    async def main() -> None:
        await Daemon(sources, settings, topology).run()

    uvloop.run(main())
