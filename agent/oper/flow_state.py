"""The access lists in use and what ports say of flows, as last computed, with what changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from agent.oper.acl import acl, acl_name, unusable
from agent.oper.flow_port import flow_port
from agent.oper.flow_rows import Acl, FlowPort, LinkLocalService
from agent.oper.incremental import Changed, Failure
from agent.oper.link_local import link_local_services
from agent.oper.vrf_assign import vrf_assign, vrf_assign_name

K = TypeVar("K")
V = TypeVar("V")

FLOW_FUNCTIONS = (acl, vrf_assign, flow_port, link_local_services)
"""The functions whose results are rows of the flow path."""


@dataclass(slots=True)
class FlowChanges:
    """Rows that are new or different, None for those that are gone.

    `services` are all link-local services when any changed, else None.
    """

    acls: dict[str, Acl | None] = field(default_factory=dict)
    ports: dict[UUID, FlowPort | None] = field(default_factory=dict)
    services: tuple[LinkLocalService, ...] | None = None


class FlowState:
    """Access lists by name, flow rows by port, and the link-local services."""

    def __init__(self) -> None:
        self.acls: dict[str, Acl] = {}
        self.ports: dict[UUID, FlowPort] = {}
        self.services: tuple[LinkLocalService, ...] = ()
        self.problems: dict[str, str] = {}
        """What of lists cannot be used, by the list's name."""
        self._changes = FlowChanges()

    def take(self, changed: Changed) -> None:
        """The result of one of `FLOW_FUNCTIONS` is another one."""
        (function, args), value = changed.call, changed.value
        if function is link_local_services:
            self.services = self._changes.services = value if isinstance(value, tuple) else ()
            return
        [arg] = args
        if function is flow_port:
            row = value if isinstance(value, FlowPort) else None
            _put(self.ports, self._changes.ports, arg, row)
            return
        name = acl_name(arg) if function is acl else vrf_assign_name(arg)
        if isinstance(value, Failure):
            value = unusable(name, value.reason)
        _put(self.acls, self._changes.acls, name, value)
        self.problems.pop(name, None)
        if value is not None and value.problems:
            self.problems[name] = "; ".join(value.problems)

    def changes(self) -> FlowChanges:
        """What changed since this was last asked."""
        changes, self._changes = self._changes, FlowChanges()
        return changes


def _put(rows: dict[K, V], changes: dict[K, V | None], key: K, row: V | None) -> None:
    if rows.get(key) == row:
        return
    changes[key] = row
    if row is None:
        del rows[key]
    else:
        rows[key] = row
