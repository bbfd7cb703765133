"""What one round of sampling gives: the datapath's answers, and numbers of the agent itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from agent.sandesh.vrouter import VrDropStatsReq, VrInterfaceReq, VrouterOps, VrVrfStatsReq


class Process(NamedTuple):
    """One process: seconds of CPU so far, bytes of memory (`peak` of virtual), descriptors."""

    cpu_seconds: float = 0.0
    virtual: int = 0
    peak: int = 0
    resident: int = 0
    threads: int = 0
    descriptors: int = 0
    descriptor_limit: int = 0


class Machine(NamedTuple):
    """The host: processors, load averages over 1, 5, 15 minutes, bytes of memory."""

    cpus: int = 0
    load: tuple[float, float, float] = (0.0, 0.0, 0.0)
    total: int = 0
    free: int = 0
    buffers: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Use:
    """Objects in a table, and how many it has room for (0: not known)."""

    count: int
    limit: int


@dataclass(frozen=True, slots=True)
class FlowSample:
    """What the agent's flow parts have counted so far; empty while there is no table.

    `counters`: of FlowPairs. `scan`: of FlowScanner. `sweep`: of its last whole walk.
    `by_vif`: flows (two a pair) of ports. `pairs`: pairs that the agent keeps.
    """

    pairs: int = 0
    counters: Mapping[str, int] = field(default_factory=dict)
    scan: Mapping[str, int] = field(default_factory=dict)
    sweep: Mapping[str, int] = field(default_factory=dict)
    by_vif: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """One round. What was not asked for this time is None and stays as it was.

    `vif_drops`: drops by reason, by vif index.
    """

    vifs: Sequence[VrInterfaceReq]
    vif_drops: Mapping[int, VrDropStatsReq] | None = None
    vrfs: Sequence[VrVrfStatsReq] | None = None
    drops: VrDropStatsReq | None = None
    limits: VrouterOps | None = None
    flows: FlowSample = field(default_factory=FlowSample)
    used: Mapping[str, Use] = field(default_factory=dict)
    process: Process = field(default_factory=Process)
    machine: Machine = field(default_factory=Machine)
