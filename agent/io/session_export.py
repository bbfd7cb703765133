"""Sessions on the loop: looked at once a second, told to whom it is configured, in small parts."""

from __future__ import annotations

import asyncio
import logging.handlers
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import structlog

from agent.errors import BugError
from agent.io.session_outlets import Address, DatagramOutlet, FileOutlet, RotatingFile
from agent.settings import Server, Settings
from agent.telemetry.sessions import OutletCounters, Session, Sessions
from agent.telemetry.sessions.documents import lines
from agent.telemetry.sessions.ipfix import Exporter
from agent.telemetry.sessions.messages import MESSAGE, Values, limits, messages
from agent.telemetry.sessions.routing import Target, targets
from agent.telemetry.sessions.syslog import datagrams

_PERIOD = 1.0
_SHARE = 0.2
"""Seconds of each period that are spent at most: what is more waits, and grows in the datapath."""
_PART = 32
"""Sessions that are told before others on the loop have their turn."""
_SYSLOG = "/dev/log"
_FACILITIES = logging.handlers.SysLogHandler.facility_names

log = structlog.get_logger(__name__)


class Collector(Protocol):
    """What carries messages to a collector."""

    def send(self, name: str, values: Values) -> bool:
        """Send a message that is no UVE; whether it will be."""
        ...


class Agent(Protocol):
    """What is told of the agent itself; a `Node` is one."""

    @property
    def host(self) -> str: ...
    @property
    def pid(self) -> int: ...
    @property
    def settings(self) -> Settings: ...
    def clock(self) -> float: ...
    def wall(self) -> float: ...


class Teller(Protocol):
    """One destination."""

    def start(self) -> None: ...
    def tell(self, sessions: list[Session]) -> None:
        """Hand over; never blocks, losses are counted."""
        ...

    async def close(self) -> None: ...


class SessionExport:
    """Drives `sessions`. `collector` carries to collectors, `domain` numbers this host in IPFIX."""

    def __init__(
        self, agent: Agent, sessions: Sessions, collector: Collector, domain: Callable[[], int]
    ) -> None:
        self._agent = agent
        self._sessions = sessions
        self._collector = collector
        self._domain = domain
        self._tellers: list[tuple[Target, Teller]] = []
        self._configured: tuple[Any, ...] = ()
        self._task: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin on the running loop. BugError when started twice."""
        if self._task is not None:
            raise BugError("the export of sessions is started already")
        self.configure(self._agent.settings)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="sessions")

    async def close(self) -> None:
        """End, after what was taken out has left or had its time."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._sessions.targets = ()
        self._let_go()
        await asyncio.gather(*self._closing)

    def configure(self, settings: Settings) -> None:
        """The file as it is: other destinations, or the same at other places."""
        said = tuple(settings.get(*one, object) for one in _OPTIONS)
        if said == self._configured:
            return
        self._configured = said
        self._let_go()
        self._sessions.targets = targets(settings)
        for target in self._sessions.targets:
            counters = self._sessions.outlets.setdefault(target.name, OutletCounters())
            teller = _TELLERS[target.name](self, settings, counters)
            teller.start()
            self._tellers.append((target, teller))

    def _let_go(self) -> None:
        tellers, self._tellers = self._tellers, []
        for _, teller in tellers:
            task = asyncio.get_running_loop().create_task(teller.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _run(self) -> None:
        while True:
            try:
                await self._turn()
            except Exception:  # records are not worth more than a line in the log
                log.exception("sessions are not told")
            await asyncio.sleep(_PERIOD)

    async def _turn(self) -> None:
        """All that is to be told now, as far as the share of the time goes; the rest waits."""
        clock, sessions = self._agent.clock, self._sessions
        sessions.begin(clock())
        spent, more = 0.0, True
        while more and spent < _SHARE:
            began = clock()
            told, more = sessions.step(began, self._agent.wall())
            spent += clock() - began
            for at in range(0, len(told), _PART):
                spent += await self._tell(told[at : at + _PART])
            await asyncio.sleep(0)

    async def _tell(self, sessions: Sequence[Session]) -> float:
        """Tell one destination after another; the seconds that it took."""
        clock, spent = self._agent.clock, 0.0
        for each in self._tellers:
            await asyncio.sleep(0)
            if each not in self._tellers:
                continue  # there are other destinations by now
            target, teller = each
            began = clock()
            chosen = target.chosen(sessions)
            if chosen:
                teller.tell(chosen)
            spent += clock() - began
        return spent

    # Destinations

    def collector(self, settings: Settings, counters: OutletCounters) -> Teller:
        """Messages to collectors."""
        return _ToCollector(self._collector, settings, counters)

    def file(self, settings: Settings, counters: OutletCounters) -> Teller:
        """Lines of JSON."""
        return _ToFile(self._agent, settings, counters)

    def syslog(self, settings: Settings, counters: OutletCounters) -> Teller:
        """Messages of RFC 5424."""
        return _ToSyslog(self._agent, settings, counters)

    def ipfix(self, settings: Settings, counters: OutletCounters) -> Teller:
        """Messages of RFC 7011."""
        return _ToIpfix(self._agent, settings, counters, self._domain())


_TELLERS = {
    "collector": SessionExport.collector,
    "file": SessionExport.file,
    "syslog": SessionExport.syslog,
    "ipfix": SessionExport.ipfix,
}
_OPTIONS = (
    ("DEFAULT", "collectors"),
    ("DEFAULT", "syslog_facility"),
    ("SESSION", "sample_destination"),
    ("SESSION", "slo_destination"),
    ("SESSION", "sessions_file"),
    ("SESSION", "sessions_file_size"),
    ("SESSION", "sessions_files_count"),
    ("SESSION", "syslog_server"),
    ("SESSION", "ipfix_collector"),
    ("FLOWS", "max_endpoints_per_session_msg"),
    ("FLOWS", "max_aggregates_per_session_endpoint"),
    ("FLOWS", "max_sessions_per_aggregate"),
)


class _ToCollector:
    def __init__(self, collector: Collector, settings: Settings, counters: OutletCounters) -> None:
        self._collector, self._counters = collector, counters
        self._limits = limits(settings)

    def start(self) -> None:
        """The connection is another's."""

    def tell(self, sessions: list[Session]) -> None:
        taken = [self._collector.send(MESSAGE, each) for each in messages(sessions, self._limits)]
        self._counters.messages += sum(taken)
        if all(taken):
            self._counters.records += len(sessions)
            self._counters.problem = ""
        else:
            self._counters.lost += len(sessions)
            self._counters.problem = "no collector takes them"

    async def close(self) -> None:
        """The connection is another's."""


class _ToFile:
    def __init__(self, agent: Agent, settings: Settings, counters: OutletCounters) -> None:
        path = Path(settings.get("SESSION", "sessions_file", str))
        size = settings.get("SESSION", "sessions_file_size", int)
        file = RotatingFile(path, size, settings.get("SESSION", "sessions_files_count", int))
        self._agent = agent
        self._outlet = FileOutlet(file, counters)

    def start(self) -> None:
        self._outlet.start()

    def tell(self, sessions: list[Session]) -> None:
        self._outlet.put(lines(sessions, self._agent.host, self._agent.wall()), len(sessions))

    async def close(self) -> None:
        await self._outlet.close()


class _ToSyslog:
    def __init__(self, agent: Agent, settings: Settings, counters: OutletCounters) -> None:
        self._agent = agent
        self._facility = _facility(settings)
        self._outlet = DatagramOutlet("syslog", _place(settings, "syslog_server"), counters)

    def start(self) -> None:
        self._outlet.start()

    def tell(self, sessions: list[Session]) -> None:
        agent = self._agent
        told = datagrams(sessions, agent.host, agent.pid, self._facility, agent.wall())
        self._outlet.put([(each, 1) for each in told])

    async def close(self) -> None:
        await self._outlet.close()


class _ToIpfix:
    def __init__(
        self, agent: Agent, settings: Settings, counters: OutletCounters, domain: int
    ) -> None:
        self._agent = agent
        self._exporter = Exporter(domain)
        self._outlet = DatagramOutlet("ipfix", _place(settings, "ipfix_collector"), counters)

    def start(self) -> None:
        self._outlet.start()

    def tell(self, sessions: list[Session]) -> None:
        now, wall = self._agent.clock(), self._agent.wall()
        self._outlet.put(self._exporter.packets(sessions, now, wall))

    async def close(self) -> None:
        await self._outlet.close()


def _place(settings: Settings, option: str) -> Address:
    servers: tuple[Server, ...] = settings.get("SESSION", option, tuple)
    return (str(servers[0].address), servers[0].port) if servers else _SYSLOG


def _facility(settings: Settings) -> int:
    """LOG_LOCAL0 stands in for a name that is none: records are wanted all the same."""
    word = settings.get("DEFAULT", "syslog_facility", str)
    found = _FACILITIES.get(word.lower().removeprefix("log_"))
    if found is None:
        log.warning("syslog_facility is unknown; records go to LOG_LOCAL0", facility=word)
        found = _FACILITIES["local0"]
    return found
