"""Where the results of a batch go, and what of them is handed on as its difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from agent.objects import DatapathMessage, Desired, Key
from agent.oper import demand, fabric, shared, vmi_objects
from agent.oper.datapath import Output, Row
from agent.oper.desired import desired
from agent.oper.direction import Direction
from agent.oper.enumerations import EXPORTED
from agent.oper.export import Exports
from agent.oper.flow_rows import Acl, FlowPort, LinkLocalService
from agent.oper.flow_state import FLOW_FUNCTIONS, FlowState
from agent.oper.ids import Ids
from agent.oper.incremental import Call, Changed, Engine, Failure
from agent.oper.portrows import PortRows, RowChanges
from agent.oper.remote import RemoteRoutes
from agent.oper.rows import Vmi
from agent.oper.session_port import session_port
from agent.oper.session_state import SessionState
from agent.oper.territory import Made
from agent.oper.vmi import vmi
from agent.oper.vrf_facts import VrfFacts, vrf_facts
from agent.oper.wanted import Wanted
from agent.routes import RouteAttributes


@dataclass(frozen=True, slots=True)
class Delta:
    """What a batch changed: for ksync the desired objects, for services the VMI rows.

    For flows the access lists by name and the rows by port, None for one that is gone; all
    link-local services when one of them changed, else None; and the routes, each with what a
    controller says of it (None: a local one).
    """

    changed: tuple[Desired, ...] = ()
    removed: tuple[Key, ...] = ()
    vmis: tuple[Vmi, ...] = ()
    unplugged: tuple[Vmi, ...] = ()
    acls: Mapping[str, Acl | None] = field(default_factory=dict)
    flow_ports: Mapping[UUID, FlowPort | None] = field(default_factory=dict)
    routes: Sequence[tuple[DatapathMessage, RouteAttributes | None]] = ()
    link_local_services: tuple[LinkLocalService, ...] | None = None


_WITHOUT_OUTPUT = (
    demand.wanted_arp,
    fabric.fabric,
    vrf_facts,
    shared.groups,
    session_port,
    *EXPORTED,
    *FLOW_FUNCTIONS,
)


@dataclass(slots=True)
class _Batch:
    outputs: list[tuple[Call, Output]] = field(default_factory=list)
    rows: RowChanges = field(default_factory=RowChanges)
    local: dict[Key, Row | None] = field(default_factory=dict)


@dataclass(slots=True)
class Results:
    """Takes what the engine computed to those who keep it."""

    engine: Engine
    ids: Ids
    wanted: Wanted
    remote: RemoteRoutes
    rows: PortRows
    exports: Exports
    holdings: shared.Holdings
    flows: FlowState
    sessions: SessionState

    def renew(self) -> Delta:
        """Have the engine compute until nothing changes any more; all that became different."""
        batch = _Batch()
        while changes := self.engine.commit():
            for changed in changes:
                self._take(changed, batch)
            rows = list(self.wanted.take(batch.outputs))
            batch.outputs.clear()
            self.remote.local(rows)
            batch.local |= rows
        self.rows.settle()
        return self._delta(batch)

    def _take(self, changed: Changed, batch: _Batch) -> None:
        (function, args), value = changed.call, changed.value
        if function is vmi_objects.output:
            row, value = value if isinstance(value, tuple) else (None, None)
            self.rows.take(args[0], row or self._failed(changed), batch.rows)
        elif function is demand.direction_output:
            found, value = value if isinstance(value, tuple) else (None, None)
            self.remote.directed(args[0], found if isinstance(found, Direction) else None)
        elif function is vrf_facts:
            self.remote.facts(args[0], value if isinstance(value, VrfFacts) else None)
        elif function is shared.groups:
            self.holdings.take(value if isinstance(value, dict) else {})
        elif function in EXPORTED:
            self.exports.take(changed.call, value if isinstance(value, tuple) else ())
        elif function in FLOW_FUNCTIONS:
            self.flows.take(changed)
        elif function is session_port:
            self.sessions.take(changed)
        if function not in _WITHOUT_OUTPUT:
            output = value if isinstance(value, Output) else Output()
            batch.outputs.append((changed.call, output))

    def _failed(self, changed: Changed) -> Vmi | None:
        """The row of a VMI whose objects could not be made: inactive, with the reason."""
        row: Any = None
        if isinstance(changed.value, Failure):
            row = self.engine.value(vmi, *changed.call.args)
        return vmi_objects.inactive(row, changed.value.reason) if isinstance(row, Vmi) else None

    def _delta(self, batch: _Batch) -> Delta:
        made: Made = {}
        for key, row in batch.local.items():
            made[key] = None if row is None else desired(row)
            if row is not None:
                self.ids.handed(key)
        self.remote.make(made)
        flows = self.flows.changes()
        return Delta(
            tuple(one for one in made.values() if one is not None),
            tuple(key for key, one in made.items() if one is None),
            tuple(batch.rows.changed.values()),
            tuple(batch.rows.unplugged),
            flows.acls,
            flows.ports,
            self.remote.paths(made),
            flows.services,
        )
