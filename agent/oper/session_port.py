"""What is told of a port's sessions beside its rows: names of tags, and what is to be logged.

Facts oper-db.md 6.3 name security-logging-objects only in outline. From the schema is derived:
an object holds for a port when it is linked to the VMI, to its network or to the global
vrouter configuration; it wants each `rate`th session of the rules that it lists, of firewall
rules that are linked to it, and of the rules of firewall policies that are linked to it. A link
may carry a rate of its own; -1 is the object's. Rates below 1 log nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agent.ifmap import Identity, NodeRef, uuid_of
from agent.oper.firewall import FIREWALL_POLICY, FIREWALL_RULE
from agent.oper.incremental import View
from agent.oper.tag import port_tags
from agent.oper.vmi import config
from agent.oper.vn import GLOBAL
from agent.oper.world import BY_UUID, BadConfig, attributes, items, member, neighbours, node

_SLO = "security-logging-object"
_VMI = "virtual-machine-interface"
_NIL = UUID(int=0)


@dataclass(frozen=True, slots=True)
class TagName:
    """A tag: the name of its type, its own (`tier=web`), and its number of 48 bits."""

    kind: str
    name: str
    number: int


@dataclass(frozen=True, slots=True)
class LoggingObject:
    """Of each rule, by UUID, every how many sessions are logged (1: all)."""

    name: str
    uuid: UUID
    rates: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class SessionPort:
    """`logging` in the order in which objects are asked: of the VMI, its network, the globe."""

    service_instance: bool = False
    tags: tuple[TagName, ...] = ()
    logging: tuple[LoggingObject, ...] = ()


def session_port(view: View, uuid: UUID) -> SessionPort | None:
    """What is told of a VMI's sessions; None while it is not configured."""
    found, ref = view(config, uuid), view.read(BY_UUID, Identity(_VMI, uuid))
    if found is None or ref is None:
        return None
    own = node(view, ref)
    kind = member(own and own.properties, f"{_VMI}-properties", "service-interface-type")
    objects = [view(logging_object, one) for one in _objects(view, ref, found.network)]
    return SessionPort(
        bool(kind),
        tuple(
            TagName(one.kind, _short(one.ref.name), one.number)
            for one in view(port_tags, uuid)
            if one.number is not None
        ),
        tuple(one for one in objects if one is not None and one.rates),
    )


def _short(name: str) -> str:
    """A tag of a project has the project's name before its own."""
    return name.rpartition(":")[2]


def _objects(view: View, vmi: NodeRef, network: NodeRef | None) -> list[NodeRef]:
    bearers = [vmi, *([network] if network else []), GLOBAL]
    found = [ref for one in bearers for ref in neighbours(view, one, f"{one.type}-{_SLO}", _SLO)]
    return list(dict.fromkeys(found))


def logging_object(view: View, ref: NodeRef) -> LoggingObject | None:
    """An object with the rates of its rules; None while it is not there or switched off."""
    found = node(view, ref)
    if found is None or member(found.properties, "id-perms", "enable") is False:
        return None
    rate = member(found.properties, f"{_SLO}-rate")
    own = rate if isinstance(rate, int) else 100
    rates = dict(_linked(view, ref, own)) | dict(_listed(found.properties, own))
    kept = {rule: rate for rule, rate in rates.items() if rate >= 1}
    return LoggingObject(ref.name, uuid_of(found) or _NIL, kept)


def _listed(properties: Mapping[str, Any], own: int) -> Iterator[tuple[str, int]]:
    try:
        entries = items(properties, f"{_SLO}-rules", "rule")
    except BadConfig:
        return
    for entry in entries:
        rule = str(member(entry, "rule-uuid") or "")
        if rule:
            yield rule, _rate(member(entry, "rate"), own)


def _linked(view: View, ref: NodeRef, own: int) -> Iterator[tuple[str, int]]:
    """Of a rule that is linked itself and by its policy the rule's rate counts, which is last."""
    for link, policy in attributes(view, ref, f"{FIREWALL_POLICY}-{_SLO}", FIREWALL_POLICY):
        rate = _rate(member(link.properties, "value", "rate"), own)
        for _, end in attributes(view, policy, f"{FIREWALL_POLICY}-{FIREWALL_RULE}", FIREWALL_RULE):
            yield from ((uuid, rate) for uuid in _uuids(view, end))
    for link, end in attributes(view, ref, f"{FIREWALL_RULE}-{_SLO}", FIREWALL_RULE):
        rate = _rate(member(link.properties, "value", "rate"), own)
        yield from ((uuid, rate) for uuid in _uuids(view, end))


def _uuids(view: View, rule: NodeRef) -> Iterator[str]:
    found = node(view, rule)
    uuid = uuid_of(found) if found else None
    if uuid is not None:
        yield str(uuid)


def _rate(value: object, own: int) -> int:
    return value if isinstance(value, int) and value >= 0 else own
