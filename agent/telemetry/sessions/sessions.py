"""Sessions of one host: out of pairs of flows, a bounded piece at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from agent._fast.flow_pairs import FlowPairs
from agent._fast.flow_sessions import ROW, Sampling, SessionWalk
from agent.flow import FlowEngine
from agent.flow.feed import Behind
from agent.oper.session_port import LoggingObject
from agent.telemetry.sessions import making, ports
from agent.telemetry.sessions.logging import Logging
from agent.telemetry.sessions.making import Maker
from agent.telemetry.sessions.model import Counters, OutletCounters, Session
from agent.telemetry.sessions.ports import Ports
from agent.telemetry.sessions.routing import Target
from agent.telemetry.sessions.rows import Row, rows
from agent.telemetry.sessions.sampler import NOTHING, Sampler, wanted_rate

STEP = 32
"""Pairs that one step tells of at most, so that none takes long; some have two sessions."""
BUDGET = 16384
"""Pairs that one step looks at, most of which did not count on."""
_LEAST_PERIOD = 1.0


class View(making.View, ports.View, Protocol):
    """The rows of oper that sessions read."""

    def global_properties(self) -> Mapping[str, Any]: ...
    def has_logging(self) -> bool: ...


class _Numbers:
    def __init__(self, flows: FlowEngine) -> None:
        self._flows = flows

    def rule(self, number: int) -> UUID | None:
        return self._flows.world.classifier.rule_uuid(number)

    def behind(self, meta: int) -> Behind:
        return self._flows.feed.behind(meta)


class Sessions:
    """What is told of sessions: `counters` so far, and how it is chosen (`sampler`).

    Call `begin` about once a second, then `step` until it has no more. `run` names this life of
    the agent (see `life`), `seed` is that of the chance. `targets` are those who want to be
    told; without any nothing is looked at. `outlets` counts what became of it, by destination.
    """

    def __init__(self, flows: FlowEngine, view: View, *, run: UUID, seed: int) -> None:
        self.counters = Counters()
        self.outlets: dict[str, OutletCounters] = {}
        self.sampler = Sampler()
        self.targets: tuple[Target, ...] = ()
        self._flows = flows
        self._view = view
        self._maker = Maker(view, Ports(view), _Numbers(flows), run)
        self._logging = Logging()
        self._seed = seed
        self._walk: SessionWalk | None = None
        self._samples = 0
        self._logs = False
        self._sweeping = False
        self._sweep_due = 0.0

    def begin(self, now: float) -> None:
        """Look at the configuration and at the rate; running flows are gone over when due."""
        properties = self._view.global_properties()
        samples = any(target.sample for target in self.targets)
        self.sampler.rate = wanted_rate(properties) if samples else NOTHING
        self.sampler.update(now)
        self._maker.begin()
        walk = self._current()
        if walk is None:
            return
        logging = properties.get("enable-security-logging") is not False
        logging = logging and self._view.has_logging()
        logging = logging and any(target.slo for target in self.targets)
        walk.choose(_sampling(self.sampler), self.sampler.bound, logging=logging)
        self._logs = logging
        scanner = self._flows.scanner
        if not self._sweeping and now >= self._sweep_due:
            self._sweeping = True
            # Their counters are read that often, not more.
            self._sweep_due = now + max(scanner.period if scanner else 0.0, _LEAST_PERIOD)
        self.counters.lost = walk.pairs.counters["records_lost"]

    def step(self, now: float, wall: float) -> tuple[list[Session], bool]:
        """Sessions to be told next, and whether more is left to do; `wall` is the time of day."""
        walk = self._walk
        if walk is None:
            return [], False
        data = walk.ended()
        more = len(data) == STEP * ROW.size
        if not more and self._sweeping:
            data += walk.running(BUDGET)
            more = self._sweeping = walk.midway
        told = [one for row in rows(data) for one in self._told(walk, row, wall - now)]
        self._count(walk)
        return told, more

    def _current(self) -> SessionWalk | None:
        """The walk over the pairs; another table has other pairs."""
        pairs: FlowPairs | None = self._flows.pairs
        if pairs is not None and (self._walk is None or self._walk.pairs is not pairs):
            self._walk = SessionWalk(pairs, seed=self._seed, rows=STEP)
            self._samples = 0
        return self._walk

    def _told(self, walk: SessionWalk, row: Row, offset: float) -> list[Session]:
        logged = bool(row.logged)
        if self._logs and row.fresh and not logged:
            logged = self._wanted(row)
            if logged and not row.over:
                walk.log(row.number, row.serial)
        if not logged and not row.scale:
            return []
        made = list(self._maker.sessions(row, offset, logged))
        if not made:
            self.counters.nameless += 1
        self.counters.exports += len(made)
        self.counters.logged += logged * len(made)
        return made

    def _wanted(self, row: Row) -> bool:
        """Whether a logging object of its ports wants this new session."""
        objects: dict[UUID, LoggingObject] = {}
        for port in self._maker.parties(row):
            if port is not None:
                objects |= {one.uuid: one for one in port.logging}
        if not objects:
            return False
        rules = dict.fromkeys(map(self._maker.rule, (row.policy_rule, row.sg_rule)))
        wants = self._logging.wants(objects.values(), [one for one in rules if one])
        self.counters.slo_passed_over += wants is False
        return bool(wants)

    def _count(self, walk: SessionWalk) -> None:
        samples, passed_over, disabled = walk.counters
        self.sampler.counted(samples - self._samples)
        self._samples = samples
        self.counters.sampled_out, self.counters.disabled = passed_over, disabled


def _sampling(sampler: Sampler) -> Sampling:
    if not sampler.active:
        return Sampling.NOTHING
    return Sampling.SOME if sampler.bound else Sampling.ALL
