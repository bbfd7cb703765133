"""The agent as a process: the core on its sockets, files, timers and signals."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import structlog

from agent.daemon.backup import BackupShell
from agent.daemon.configuration import Sources, parse
from agent.daemon.core import Core, LearntMac
from agent.daemon.flows import FlowShell
from agent.daemon.follow import Words
from agent.daemon.front import SIGNALS, Front, control_tls
from agent.daemon.macs import MacShell
from agent.daemon.observers import Observers
from agent.daemon.operational import Operational
from agent.daemon.recorder import Recorder
from agent.daemon.selfwatch import SelfWatch
from agent.errors import ConfigError
from agent.flow.question import parse as parse_question
from agent.inputs import Link
from agent.io.datapath import datapath_address
from agent.io.doors import introspect_door, port_api_door
from agent.io.garbage import GarbageCollector
from agent.io.huge_pages import with_huge_pages
from agent.io.ksync import KsyncConnection
from agent.io.links import LinkMonitor
from agent.io.logs import configure as configure_logs
from agent.io.pipes import Pkt0Pipe
from agent.io.pkt0 import Pkt0Socket, TrapLoop
from agent.io.pkt0_channel import Pkt0Channel, Received
from agent.io.pkt0_tap import Pkt0Tap
from agent.io.platforms import WINDOWS, in_kernel
from agent.io.port_api import Core as PortCore
from agent.io.xmpp import ControlConnections
from agent.ksync import InSync, Lost, Session
from agent.ksync.events import Event as DatapathEvent
from agent.services import Learned
from agent.settings import Reload, Settings, differing
from agent.telemetry.checks import watch_files
from agent.telemetry.wires import Wires
from agent.topology import Topology
from agent.xmpp import Event as ControlEvent
from agent.xmpp import PeerView

log = structlog.get_logger(__name__)


class Daemon:
    """One agent on one datapath; `run` returns after SIGTERM, SIGINT or `stop`.

    `front` answers already, or soon; it is told of the core, and stopped at the end.
    """

    def __init__(
        self,
        sources: Sources,
        settings: Settings,
        topology: Topology | None,
        front: Front,
        recorder: Recorder | None = None,
        follow: Sequence[Words] = (),
    ) -> None:
        self._sources = sources
        self._started_with = settings
        self._front = front
        pid, store = front.pid, front.store
        self._core = core = Core(
            settings, topology, pid=pid, seed=front.seed, now=front.began, store=store
        )
        self._recorder = recorder
        if recorder is not None:
            recorder.made(core)
        platform = settings.get("DEFAULT", "platform", str)
        wires = Wires()
        datapath = datapath_address(platform, sources.run_dir, wires.netlink)
        ksync = with_huge_pages(datapath, settings)
        self._ksync = KsyncConnection(ksync, core.session, self._datapath_said)
        self._control = ControlConnections(
            core.controllers,
            self._controllers_said,
            busy=lambda: self._turn_due,
            source=_source(settings),
            context=front.control_tls,
        )
        self._flows = FlowShell(sources.run_dir, datapath, core.flows, self._flows_limited)
        self._pkt0 = TrapLoop(
            _pkt0(platform, sources.run_dir), core.trapped, self._learned, self._flows.traps
        )
        wires.pkt0 = self._pkt0.socket.counters
        wires.connects |= {"ksync": self._ksync.tries, "flows": self._flows.tries}
        self._macs = MacShell(sources.run_dir, self._macs_unconfirmed)
        self._links = LinkMonitor(self._links_changed)
        meters = front.meters
        self._observers = Observers(core, settings, datapath, wires, meters, pid=pid)
        self._backup = BackupShell(core, settings, meters.backup)
        watch_files(self._observers.node.health, meters, backup=self._backup.enabled)
        self._selfwatch = SelfWatch(
            core, self._observers.node, sources.run_dir, lambda: parse(sources.read())[0], follow
        )
        self._garbage = GarbageCollector()
        self._stop = asyncio.Event()
        self._turn_due = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def session(self) -> Session:
        """The datapath's side, to be read."""
        return self._core.session

    def controllers(self) -> list[PeerView]:
        """The controllers in use, to be read."""
        return self._core.controllers.views()

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
        self._garbage.start()
        self._selfwatch.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        if self._front.relay is not None:
            self._front.relay.start(self._pkt0.relayed)
        self._pkt0.start()  # before ksync: the datapath connects to it when it adds the agent vif
        self._links.start()
        await self._backup.restore()
        self._join()
        await self._observers.start()
        await self._links.listed.wait()
        self._core.listed()
        self._control.start()
        self._ksync.start()
        self._flows.start()
        self._selfwatch.begun()

    def _join(self) -> None:
        """Give the ports what they have waited for."""
        core = self._core

        def explain(words: Mapping[str, str]) -> Mapping[str, object]:
            return core.flows.explain(parse_question(words))

        self._front.ports.join(PortCore(Operational(core.compiler), self._schedule, explain))
        self._front.introspect.show(self._observers.node)

    async def _close(self) -> None:
        self._selfwatch.stopping()
        await self._front.stop()
        await self._observers.close()
        await self._control.close()
        await self._ksync.close()
        await self._flows.close()
        self._macs.close()
        await self._backup.close()
        if self._timer is not None:
            self._timer.cancel()
        if self._front.relay is not None:
            self._front.relay.close()
        self._pkt0.close()
        self._links.close()
        self._garbage.close()
        if self._recorder is not None:
            self._recorder.ended(self._core)
        self._selfwatch.close()
        log.info("stopped")

    def reload(self) -> None:
        """Read the files again; a wrong file is logged and what was read before stays."""
        with self._selfwatch.reloading():
            try:
                settings = self._reload()
            except ConfigError as error:
                log.error("configuration not reloaded", reason=str(error))
                return
            log.info("configuration reloaded")
            changed = differing(self._started_with, settings)
            waiting = [one.title for one in changed if one.reload is Reload.RESTART]
            if waiting:
                log.warning("needs a restart", options=", ".join(waiting))
            self._control.kick()
            self._schedule()

    def _reload(self) -> Settings:
        texts, now = self._sources.read(), time.monotonic()
        settings, topology = parse(texts)
        context = control_tls(settings)
        introspect, ports = introspect_door(settings), port_api_door(settings)
        configure_logs(settings)
        if self._recorder is not None:
            self._recorder.reloaded(texts, now)
        self._core.reload(settings, topology, now)
        if context is not None:
            self._control.secure(context)
        self._observers.configure(settings)
        self._front.introspect.renew(introspect)
        self._front.ports.renew(ports)
        self._selfwatch.configure(settings)
        return settings

    # Inputs

    def _links_changed(self, changed: list[Link], gone: list[str]) -> None:
        self._core.links(changed, gone)
        self._schedule()

    def _macs_unconfirmed(self, entries: list[LearntMac]) -> None:
        self._core.macs_unconfirmed(entries, time.monotonic())
        self._ksync.kick()

    def _flows_limited(self, vifs: Sequence[int], drop: bool) -> None:
        self._core.limit_flows(vifs, drop=drop)
        self._schedule()

    def _learned(self, facts: Sequence[Learned]) -> None:
        self._core.learned(facts)
        self._schedule()

    def _controllers_said(self, events: Sequence[ControlEvent]) -> None:
        self._core.controllers_said(events, time.monotonic())
        self._schedule()

    def _datapath_said(self, events: Sequence[DatapathEvent]) -> None:
        self._core.datapath_said(events, time.monotonic())
        self._flows.datapath_said(events)
        self._macs.datapath_said(events)
        for event in events:
            if isinstance(event, InSync):
                self._pkt0.socket.pair()
            elif isinstance(event, Lost):
                self._pkt0.socket.unpair()
        self._schedule()

    # The turn

    def _schedule(self) -> None:
        """Have one turn soon, whatever number of changes asks for it."""
        if not self._turn_due:
            self._turn_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._turn_due = False
        now = time.monotonic()
        self._pkt0.send(self._core.turn(now))
        self._ksync.kick()
        self._flows.kick()
        self._control.kick()
        self._backup.follow()
        if self._core.pending:
            self._schedule()
        self._arm(now)
        self._observers.node.meters.turn.observe(time.monotonic() - now)

    def _arm(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._core.deadline(now)
        if deadline is not None:
            delay = deadline - now
            self._timer = asyncio.get_running_loop().call_later(delay, self._schedule)


def _pkt0(platform: str, run_dir: Path) -> Callable[[Received], Pkt0Channel]:
    """What makes the channel of trapped packets of a datapath."""
    if platform == WINDOWS:
        return Pkt0Pipe
    return Pkt0Tap if in_kernel(platform) else partial(Pkt0Socket, run_dir)


def _source(settings: Settings) -> IPv4Address | None:
    """The address that controllers know this host by."""
    address = settings.optional("VIRTUAL-HOST-INTERFACE", "ip", IPv4Interface)
    return address.ip if address else None
