"""The checks of an agent's own parts, see `agent.telemetry.health`.

| part | degraded | down |
|---|---|---|
| configuration (vital) | no controller serves it, or it still comes | nobody has ever told any |
| controller, each | | no session |
| datapath (vital) | it is being read, or out of sync for long | there is none |
| objects | the datapath refused some, or some could not be made | |
| interfaces | plugged ones do not forward | |
| flows | the flow table cannot be read | |
| port API | files of ports could not be written | |
| backup, where it is enabled | it could not be written | |
| statistics | the counters of the datapath are old | |
| table, each that has a limit | it is nearly full | it is full |

What is about to become right by itself is well, but not ready, for `GRACE` seconds.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Sequence

from agent.ksync import RecordView
from agent.telemetry.health import Finding, Health, State
from agent.telemetry.meters import FileMeter, Meters
from agent.telemetry.node import Node
from agent.telemetry.statistics import Statistics
from agent.telemetry.watermarks import Level
from agent.xmpp import PeerView
from agent.xmpp.session import State as SessionState

GRACE = 30.0
"""Seconds that objects may be on their way, ports may wait for configuration and the like."""
_TARDY = 3
"""Rounds of statistics that may be missed."""
_SHOWN = 3


class _Grace:
    """Whether something has lasted for longer than `GRACE`."""

    __slots__ = ("_clock", "_since")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: float | None = None

    def over(self, lasts: bool) -> bool:
        """`lasts`: it is so now."""
        if not lasts:
            self._since = None
            return False
        now = self._clock()
        if self._since is None:
            self._since = now
        return now - self._since >= GRACE


def watch(health: Health, node: Node, configured: Callable[[], bool]) -> None:
    """Have `health` judge all parts of `node` that are always there.

    `configured`: whether the configuration has ever come whole.
    """
    health.add("configuration", Configuration(node, configured).check, vital=True)
    health.add("controller", lambda: controllers(node.controllers.views()))
    health.add("datapath", Datapath(node).check, vital=True)
    health.add("objects", lambda: objects(node))
    health.add("interfaces", Interfaces(node).check)
    health.add("flows", lambda: flows(node))


class Configuration:
    """Where configuration comes from, and whether it has come whole."""

    def __init__(self, node: Node, configured: Callable[[], bool]) -> None:
        self._node = node
        self._configured = configured

    def check(self) -> list[Finding]:
        numbers = {"objects": len(self._node.compiler.graph)}
        state, reason = self._judge()
        return [Finding(state, reason, ready=self._configured(), numbers=numbers)]

    def _judge(self) -> tuple[State, str]:
        configured = self._configured()
        views = self._node.controllers.views()
        if not views:
            if configured:
                return State.OK, "from the topology file"
            hint = "set [CONTROL-NODE] servers or [STANDALONE] topology"
            return State.DOWN, f"there is no source of configuration: {hint}"
        server = next((str(view.server) for view in views if view.config), "")
        if server and configured:
            return State.OK, f"from {server}"
        if server:
            return State.DEGRADED, f"coming from {server}"
        if configured:
            return State.DEGRADED, "no controller serves it: what is known stays"
        return State.DOWN, "no controller has answered yet"


def controllers(views: Iterable[PeerView]) -> Iterator[Finding]:
    """The session with each controller in use."""
    for view in views:
        numbers = {"attempts": view.attempts, "flaps": view.flaps, "session": view.sequence}
        up = view.state is SessionState.ESTABLISHED
        yield Finding(
            State.OK if up else State.DOWN,
            _session(view) if up else _no_session(view),
            str(view.server),
            ready=not up or view.end_of_rib_received,
            numbers=numbers,
        )


def _session(view: PeerView) -> str:
    gives = "configuration and routes" if view.config else "routes"
    whole = "" if view.end_of_rib_received else ", which still come"
    return f"{view.state.value}: {gives}{whole}"


def _no_session(view: PeerView) -> str:
    return f"{view.state.value}: {view.last_fault}" if view.last_fault else view.state.value


class Datapath:
    """The connection to the datapath, and whether that is as desired."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._long = _Grace(node.clock)

    def check(self) -> list[Finding]:
        session = self._node.session
        state, reason = self._judge()
        counters = session.counters
        numbers = {
            "unsettled": session.unsettled,
            "writes": counters.writes.total(),
            "acknowledged": counters.acks,
            "resyncs": counters.resyncs,
        }
        return [Finding(state, reason, ready=session.in_sync, numbers=numbers)]

    def _judge(self) -> tuple[State, str]:
        session = self._node.session
        late = self._long.over(session.running and not session.in_sync)
        if not session.usable:
            return State.DOWN, session.fault or "there is no connection: is the datapath running?"
        if not session.running:
            return State.DEGRADED, "connected, being read"
        if session.in_sync:
            return State.OK, "in sync"
        waiting = session.unsettled
        what = f"{waiting} objects are on their way" if waiting else "waits for configuration"
        if late:
            return State.DEGRADED, f"out of sync for more than {GRACE:g} s: {what}"
        return State.OK, what


def objects(node: Node) -> list[Finding]:
    """What could not be made, by us or by the datapath."""
    views, refused = node.session.refused(_SHOWN)
    failures = node.compiler.failures()
    problems = node.compiler.policy_problems()
    told = []
    if refused:
        told.append(f"the datapath refused {refused}: {_listed(map(_refusal, views), refused)}")
    if failures:
        told.append(f"{len(failures)} could not be made: {_pairs(failures.items())}")
    if problems:
        told.append(f"{len(problems)} access lists in part: {_pairs(problems.items())}")
    numbers = {"refused": refused, "failed": len(failures), "policy problems": len(problems)}
    state = State.DEGRADED if told else State.OK
    return [Finding(state, "; ".join(told), numbers=numbers)]


def _refusal(view: RecordView) -> str:
    name = errno.errorcode.get(view.errno, str(view.errno))
    return f"{view.key or view.identity} ({name})"


def _pairs(items: Iterable[tuple[str, str]]) -> str:
    told = [f"{name}: {reason}" for name, reason in items]
    return _listed(told[:_SHOWN], len(told))


def _listed(shown: Iterable[str], count: int) -> str:
    words = list(shown)
    more = [f"{count - len(words)} more"] if count > len(words) else []
    return ", ".join(words + more)


class Interfaces:
    """The ports that are plugged, and why some of them do not forward."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._long = _Grace(node.clock)

    def check(self) -> list[Finding]:
        rows = self._node.compiler.vmis()
        idle = [row for row in rows if not row.active]
        numbers = {"ports": len(rows), "inactive": len(idle)}
        late = self._long.over(bool(idle))
        if not idle:
            return [Finding(State.OK, numbers=numbers)]
        shown = [f"{row.name} ({row.reason})" for row in idle[:_SHOWN]]
        reason = f"{len(idle)} of {len(rows)} do not forward: {_listed(shown, len(idle))}"
        return [Finding(State.DEGRADED if late else State.OK, reason, numbers=numbers)]


def flows(node: Node) -> list[Finding]:
    """The flow table, without which no flows are set up. The datapath's own loss is told there."""
    engine = node.flows
    pairs = len(engine.pairs) if engine.pairs is not None else 0
    if node.session.running and engine.scanner is None:
        reason = "the flow table is not readable: no flows are set up"
        return [Finding(State.DEGRADED, reason)]
    return [Finding(State.OK, numbers={"pairs": pairs})]


def watch_statistics(
    health: Health, node: Node, statistics: Statistics, interval: Callable[[], float]
) -> None:
    """Judge how old the datapath's counters are, and how full its tables.

    `interval`: seconds between two rounds.
    """
    started = node.clock()
    health.add("statistics", lambda: fresh(statistics, node.clock(), started, interval()))
    health.add("table", lambda: tables(statistics))


def fresh(statistics: Statistics, now: float, started: float, interval: float) -> list[Finding]:
    """Whether the counters were read lately; times are monotonic seconds."""
    age = now - (started if statistics.taken is None else statistics.taken)
    numbers = {"rounds": statistics.rounds, "failed": statistics.failed, "age": round(age, 1)}
    if age <= max(_TARDY * interval, GRACE):
        return [Finding(State.OK, numbers=numbers)]
    reason = f"the last counters are {age:.0f} s old"
    if statistics.problem:
        reason = f"{reason}: {statistics.problem}"
    return [Finding(State.DEGRADED, reason, numbers=numbers)]


_LEVELS = {Level.NORMAL: State.OK, Level.HIGH: State.DEGRADED, Level.FULL: State.DOWN}


def tables(statistics: Statistics) -> Iterator[Finding]:
    """How full the datapath's tables are that have a limit."""
    for mark in statistics.watermarks.values():
        if not mark.limit:
            continue
        share = 100 * mark.count / mark.limit
        reason = f"{mark.count} of {mark.limit} ({share:.0f} %)"
        numbers = {"used": mark.count, "limit": mark.limit, "peak": mark.peak}
        yield Finding(_LEVELS[mark.level], reason, mark.name, numbers=numbers)


def watch_files(health: Health, meters: Meters, *, backup: bool) -> None:
    """Judge the files of ports and, where there is such, the `backup` of numbers."""
    health.add("port API", lambda: written(meters.ports, f"{meters.ports.waiting} files of ports"))
    if backup:
        health.add("backup", lambda: written(meters.backup, "the backup of numbers"))


def written(meter: FileMeter, what: str) -> Sequence[Finding]:
    """Whether files are as they should be: a restart would not know what is not written."""
    numbers = {"failed files": meter.waiting, "failures": meter.failures}
    if not meter.waiting:
        return (Finding(State.OK, numbers=numbers),)
    reason = f"{what} could not be written, which is tried again: {meter.reason}"
    return (Finding(State.DEGRADED, reason, numbers=numbers),)
