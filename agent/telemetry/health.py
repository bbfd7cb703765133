"""What works and what does not: every part of the agent with its state, reason, and since when.

Parts are judged by checks, each a function without arguments that reads what it judges and gives
`Finding`s; `agent.telemetry.checks` has those of an agent's own parts, and a shell may add more.
`Report.record()` is the JSON form that `/status` and `vrouter-agent status` show: fields may be
added to it, none changes its name or meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum

Number = int | float | str | bool


class State(Enum):
    """How well something works."""

    OK = "ok"
    DEGRADED = "degraded"
    """It works, but not all of it, or not as it should."""
    DOWN = "down"

    @property
    def rank(self) -> int:
        """0 is best."""
        return _RANKS[self]


_RANKS = {State.OK: 0, State.DEGRADED: 1, State.DOWN: 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. `instance` tells parts of one name apart, such as two controllers.

    `reason`: in words, what is wrong and what to do; of a good state what there is to know, or
    "". `ready` False: what forwards is not yet (or not any more) what is configured. `numbers`:
    a few by name, for people and programs.
    """

    state: State
    reason: str = ""
    instance: str = ""
    ready: bool = True
    numbers: Mapping[str, Number] = field(default_factory=dict)


Check = Callable[[], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Part:
    """A part as it is now. `since`: seconds since 1970 at which it came into its state.

    `vital`: the agent as a whole is down when this part is.
    """

    name: str
    instance: str
    state: State
    reason: str
    since: float
    ready: bool = True
    vital: bool = False
    numbers: Mapping[str, Number] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """`datapath`, or `controller 10.0.0.5:5269`."""
        return f"{self.name} {self.instance}" if self.instance else self.name

    def record(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "part": self.name,
            "instance": self.instance,
            "state": self.state.value,
            "reason": self.reason,
            "since": stamp(self.since),
            "ready": self.ready,
            "vital": self.vital,
            "numbers": dict(self.numbers),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All parts at one time. `time` and `since`: seconds since 1970; `started` too."""

    host: str
    version: str
    pid: int
    started: float
    time: float
    state: State
    since: float
    parts: tuple[Part, ...]

    @property
    def ready(self) -> bool:
        """Whether the datapath is as the whole configuration wants it."""
        return all(part.ready for part in self.parts)

    @property
    def faults(self) -> list[Part]:
        """The parts that are not well, the worst first."""
        bad = [part for part in self.parts if part.state is not State.OK]
        return sorted(bad, key=lambda part: (-part.state.rank, not part.vital))

    @property
    def reason(self) -> str:
        """One line: the parts that are not well and why; "" when all are."""
        return "; ".join(f"{part.title}: {part.reason}" for part in self.faults)

    @property
    def waits_for(self) -> str:
        """One line: why it is not ready; "" when it is."""
        bad = [part for part in self.parts if not part.ready]
        return "; ".join(f"{part.title}: {part.reason}" for part in bad)

    def record(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "host": self.host,
            "version": self.version,
            "pid": self.pid,
            "started": stamp(self.started),
            "time": stamp(self.time),
            "uptime": round(max(0.0, self.time - self.started), 3),
            "state": self.state.value,
            "since": stamp(self.since),
            "reason": self.reason,
            "ready": self.ready,
            "waits_for": self.waits_for,
            "parts": [part.record() for part in self.parts],
        }


@dataclass(slots=True)
class _Watched:
    check: Check
    vital: bool
    since: dict[str, tuple[State, float]] = field(default_factory=dict)
    """By instance: its state, and since when."""


class Health:
    """All checks of an agent. `wall` gives seconds since 1970; `started` is such a time.

    `report` judges everything anew and costs well below a millisecond, so anybody may ask; the
    heartbeat does each second, which is what `since` is exact to.
    """

    def __init__(
        self, *, host: str, version: str, pid: int, started: float, wall: Callable[[], float]
    ) -> None:
        self.host = host
        self.version = version
        self.pid = pid
        self.started = started
        self._wall = wall
        self._watched: dict[str, _Watched] = {}
        self._state = State.OK
        self._since = started

    def add(self, name: str, check: Check, *, vital: bool = False) -> None:
        """Judge a part by `check` from now on, instead of what judged it before.

        With `vital` the agent is down when this part is; otherwise it is degraded. A check that
        raises is shown as a part that is down, with what it raised as the reason.
        """
        self._watched[name] = _Watched(check, vital)

    def remove(self, name: str) -> None:
        """Judge a part no longer."""
        self._watched.pop(name, None)

    def report(self) -> Report:
        """Everything as it is now."""
        now = self._wall()
        parts = tuple(
            part for name, one in self._watched.items() for part in _judge(name, one, now)
        )
        state = max(map(_weight, parts), key=lambda each: each.rank, default=State.OK)
        if state is not self._state:
            self._state, self._since = state, now
        return Report(
            self.host, self.version, self.pid, self.started, now, state, self._since, parts
        )


def _judge(name: str, watched: _Watched, now: float) -> list[Part]:
    try:
        findings = list(watched.check())
    except Exception as error:  # whoever asks how we are must get an answer
        findings = [Finding(State.DOWN, f"cannot be judged: {type(error).__name__}: {error}")]
    before, watched.since = watched.since, {}
    parts = []
    for found in findings:
        state, since = before.get(found.instance, (found.state, now))
        if state is not found.state:
            since = now
        watched.since[found.instance] = (found.state, since)
        parts.append(_part(name, found, since, watched.vital))
    return parts


def _part(name: str, found: Finding, since: float, vital: bool) -> Part:
    return Part(
        name=name,
        instance=found.instance,
        state=found.state,
        reason=found.reason,
        since=since,
        ready=found.ready,
        vital=vital,
        numbers=found.numbers,
    )


def _weight(part: Part) -> State:
    """What a part's state makes of the whole agent's."""
    if part.state is State.DOWN and not part.vital:
        return State.DEGRADED
    return part.state


def stamp(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 with milliseconds, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
