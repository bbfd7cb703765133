"""The process watches itself: its heart beats, its traces hear what happens, its log is flushed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from agent.daemon.core import Core
from agent.daemon.follow import Words
from agent.errors import ConfigError, UsageError
from agent.io import logs
from agent.io.heartbeat import STACKS, Heartbeat
from agent.io.service_manager import ServiceManager
from agent.settings import Settings
from agent.telemetry import Node
from agent.telemetry.health import Report
from agent.telemetry.loop import LoopWatch
from agent.telemetry.trace_flow import PERIOD, FlowLook
from agent.telemetry.trace_subjects import FlowSubject, parse
from agent.telemetry.traces import FLOW, Traces

log = structlog.get_logger(__name__)
told = structlog.get_logger("agent.trace")


class SelfWatch:
    """Joins a core to its node's traces and health.

    `read` gives the settings as the file has them now, or ConfigError. `follow`: what to log
    traces of from the start, each as the fields of a request.
    """

    def __init__(
        self,
        core: Core,
        node: Node,
        run_dir: Path,
        read: Callable[[], Settings],
        follow: Sequence[Words] = (),
    ) -> None:
        self._node = node
        self._read = read
        core.trace = node.traces
        node.traces.watching = lambda on: _watch(core, node.traces if on else None)
        stacks = str(run_dir / STACKS)
        loop = LoopWatch(node.meters, node.clock, node.wall, stacks)
        node.health.add("loop", loop.check)
        after = node.settings.get("DEFAULT", "stall_exit", int)
        self._heart = Heartbeat(run_dir, loop, self._second, exit_after=after)
        self._manager = ServiceManager()
        self._begun = self._ready = False
        self._logged = [LoggedTrace(node, words) for words in follow]

    def start(self) -> None:
        """Begin on the running loop; ConfigError when the run directory cannot be written."""
        try:
            self._heart.start()
        except OSError as error:
            raise ConfigError(f"{error.filename}: {error.strerror}") from None
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._reload)
        for trace in self._logged:
            trace.start()

    def begun(self) -> None:
        """All other parts have begun to work: the agent is ready once their work is done."""
        self._begun = True

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """While the files are read again."""
        self._manager.reloading()
        try:
            yield
        finally:
            self._manager.reloaded()

    def stopping(self) -> None:
        """The agent is about to end."""
        self._manager.stopping()

    def close(self) -> None:
        """The last thing of all to end."""
        asyncio.get_running_loop().remove_signal_handler(signal.SIGUSR1)
        for trace in self._logged:
            trace.close()
        self._heart.close()

    def configure(self, settings: Settings) -> None:
        """The file was read again."""
        self._node.traces.resize(settings.trace_sizes)

    def _reload(self) -> None:
        """At SIGUSR1: the sizes of trace buffers alone."""
        try:
            self.configure(self._read())
        except ConfigError as error:
            log.error("sizes of trace buffers not read", reason=str(error))

    def _second(self) -> None:
        """About once a second, so that parts know since when they are as they are."""
        report = self._node.health.report()
        if self._begun and report.ready and not self._ready:
            self._ready = True
            self._manager.ready()
        self._manager.alive(_status(report, self._ready))
        logs.flush()


def _watch(core: Core, traces: Traces | None) -> None:
    core.session.watcher = core.trapped.watcher = traces


def _status(report: Report, ready: bool) -> str:
    """One line for `systemctl status`."""
    if not ready:
        return f"waits for {report.waits_for}"
    state = report.state.value
    return f"{state}: {report.reason}" if report.reason else state


class LoggedTrace:
    """A followed subject whose lines go to the log. ConfigError for what makes no sense."""

    def __init__(self, node: Node, words: Words) -> None:
        try:
            subject = parse(words, node.compiler)
        except UsageError as error:
            raise ConfigError(f"--trace: {error}") from None
        self._node = node
        self._name = str(subject)
        self._look: FlowLook | None = None
        if isinstance(subject, FlowSubject):
            self._look = FlowLook(subject, node.flows, node.compiler)
        self._follow = node.traces.follow(subject, self._woken)
        self._wake: asyncio.Handle | None = None

    def start(self) -> None:
        """Begin on the running loop."""
        if self._look is not None:
            self._wake = asyncio.get_running_loop().call_later(PERIOD, self._looked, self._look)

    def close(self) -> None:
        """Log what is left, and follow no more."""
        if self._wake is not None:
            self._wake.cancel()
        self._tell()
        self._node.traces.drop(self._follow)

    def _woken(self) -> None:
        self._wake = asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        for line in self._follow.take():
            told.info(line.text, part=line.part, follows=self._name)

    def _looked(self, look: FlowLook) -> None:
        for text in look.news():
            told.info(text, part=FLOW, follows=self._name)
        self.start()
