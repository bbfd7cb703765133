"""One running agent, to be read by those who tell of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.flow import FlowEngine
from agent.ksync import Session
from agent.oper.compiler import Compiler
from agent.rest import PortStore
from agent.services import TrappedPackets
from agent.settings import Settings
from agent.telemetry.datapath import Datapath
from agent.telemetry.health import Health
from agent.telemetry.log_levels import LogLevels
from agent.telemetry.meters import Meters
from agent.telemetry.recent import Recent
from agent.telemetry.sessions import Sessions
from agent.telemetry.statistics import Statistics
from agent.telemetry.traces import Traces
from agent.telemetry.uve import Uves
from agent.telemetry.wires import Wires
from agent.xmpp import Controllers


@dataclass(slots=True)
class Node:
    """The parts of an agent. `settings` is replaced when the file is read again.

    `clock` gives monotonic seconds, the time of the core; `wall` seconds since 1970.
    `started` is such a wall time.
    """

    host: str
    version: str
    pid: int
    started: float
    clock: Callable[[], float]
    wall: Callable[[], float]
    settings: Settings
    compiler: Compiler
    session: Session
    controllers: Controllers
    store: PortStore
    trapped: TrappedPackets
    flows: FlowEngine
    datapath: Datapath
    statistics: Statistics
    meters: Meters
    health: Health
    traces: Traces
    logs: LogLevels
    uves: Uves
    sessions: Sessions
    recent: Recent = field(default_factory=Recent)
    wires: Wires = field(default_factory=Wires)
