"""Who is at a vif, in the words of configuration; and who is behind a route."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from agent.flow.feed import Behind
from agent.oper.flow_rows import Acl, FlowPort
from agent.oper.rows import Vmi
from agent.oper.session_port import LoggingObject, SessionPort, TagName
from agent.telemetry.sessions.model import Tags
from agent.telemetry.sessions.rows import NO_VIF

UNKNOWN = "__UNKNOWN__"
"""The network of an address of which nothing is known."""
_KINDS = ("label", "application", "tier", "deployment", "site")
"""Of tags, by the upper 16 bits of their numbers; higher ones are of users."""
_NO_PORT = SessionPort()
_MOST_NAMES = 65536


class View(Protocol):
    """The rows that ports are known by."""

    def vmi(self, vif_index: int) -> Vmi | None: ...
    def flow_port(self, uuid: UUID) -> FlowPort | None: ...
    def session_port(self, uuid: UUID) -> SessionPort | None: ...
    def acls(self) -> dict[str, Acl]: ...


@dataclass(frozen=True, slots=True)
class Port:
    """A port of this host. `firewall`: UUIDs of the rules of its firewall policies."""

    vmi: str
    vn: str
    vm: str
    tags: Tags
    service_instance: bool
    logging: tuple[LoggingObject, ...]
    firewall: frozenset[UUID]


class Ports:
    """Ports by vif. What was read holds until `begin`; a port that is gone is known on."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._fresh: dict[int, Port | None] = {}
        self._last: dict[int, Port] = {}  # as many as the datapath has vifs
        self._names: dict[int, TagName] = {}
        self._acls: dict[str, Acl] | None = None

    def begin(self) -> None:
        """Look at everything anew."""
        self._fresh.clear()
        self._acls = None

    def at(self, vif: int) -> Port | None:
        """The port at a vif; None when there never was one of a VM."""
        if vif not in self._fresh:
            self._fresh[vif] = None if vif == NO_VIF else self._read(vif)
        return self._fresh[vif]

    def _read(self, vif: int) -> Port | None:
        row = self._view.vmi(vif)
        if row is None:
            return self._last.get(vif)
        said = self._view.session_port(row.uuid) or _NO_PORT
        if len(self._names) > _MOST_NAMES:
            self._names.clear()
        self._names |= {tag.number: tag for tag in said.tags}
        port = self._last[vif] = Port(
            row.config_name or str(row.uuid),
            row.vn.name if row.vn else "",
            row.vm_name or str(row.vm_uuid),
            _tags(said.tags),
            said.service_instance,
            said.logging,
            self._firewall(self._view.flow_port(row.uuid)),
        )
        return port

    def _firewall(self, flow: FlowPort | None) -> frozenset[UUID]:
        names = (*flow.policy.firewall, *flow.policy.fwaas) if flow else ()
        if not names:
            return frozenset()
        if self._acls is None:
            self._acls = self._view.acls()
        found = [self._acls[name] for name in names if name in self._acls]
        return frozenset(rule.uuid for acl in found for rule in acl.rules)

    def behind(self, said: Behind) -> tuple[str, Tags]:
        """The network and the tags of what is behind a route."""
        return said.network or UNKNOWN, _tags(self._named(said.tags))

    def _named(self, numbers: Iterable[int]) -> list[TagName]:
        return [self._names.get(number) or _nameless(number) for number in numbers]


def _nameless(number: int) -> TagName:
    """A tag that no port of this host has, so that only its number is known here."""
    kind = number >> 32
    return TagName(_KINDS[kind] if kind < len(_KINDS) else "", f"{number:#014x}", number)


def _tags(named: Iterable[TagName]) -> Tags:
    single: dict[str, str] = {}
    labels, custom = [], []
    for tag in named:
        if tag.kind == _KINDS[0]:
            labels.append(tag.name)
        elif tag.kind in _KINDS:
            single[tag.kind] = tag.name
        else:
            custom.append(tag.name)
    return Tags(labels=tuple(sorted(labels)), custom=tuple(sorted(custom)), **single)
