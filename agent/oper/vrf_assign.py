"""VRF-assign rules of a port: which of its packets are forwarded in another VRF."""

from __future__ import annotations

from uuid import UUID, uuid5

from agent.ifmap import Identity
from agent.inputs import GraphNode
from agent.oper.acl_parts import condition, text
from agent.oper.flow_rows import Acl, Action, Rule
from agent.oper.incremental import View
from agent.oper.world import BY_UUID, BadConfig, items, member, node

_VMI = "virtual-machine-interface"


def vrf_assign_name(uuid: UUID) -> str:
    """The name of a port's list."""
    return f"vrf-assign {uuid}"


def has_vrf_assign(view: View, uuid: UUID) -> bool:
    """Whether a port has such rules."""
    found = _port(view, uuid)
    return bool(member(found and found.properties, "vrf-assign-table", "vrf-assign-rule"))


def vrf_assign(view: View, uuid: UUID) -> Acl | None:
    """The list of a port, in the order of its rules; None where it has none.

    A packet that no rule holds for stays in its VRF: the list denies nothing.
    """
    found = _port(view, uuid)
    if found is None or not view(has_vrf_assign, uuid):
        return None
    rules: list[Rule] = []
    problems: list[str] = []
    try:
        entries = items(found.properties, "vrf-assign-table", "vrf-assign-rule")
    except BadConfig as error:
        return Acl(vrf_assign_name(uuid), uuid, (), (str(error),))
    for at, entry in enumerate(entries):
        try:
            rules.append(_rule(entry, uuid5(uuid, f"vrf-assign-rule:{at}")))
        except BadConfig as error:
            problems.append(f"rule {at + 1} left out: {error}")
    return Acl(vrf_assign_name(uuid), uuid, tuple(rules), tuple(problems))


def _rule(entry: object, uuid: UUID) -> Rule:
    vrf = text(entry, "routing-instance")
    if not vrf:
        raise BadConfig("routing-instance: is missing")
    when = condition(member(entry, "match-condition"), "")
    ignored = member(entry, "ignore-acl") is True
    return Rule(uuid, Action.PASS | Action.VRF, *when, vrf=vrf, ignore_acl=ignored)


def _port(view: View, uuid: UUID) -> GraphNode | None:
    ref = view.read(BY_UUID, Identity(_VMI, uuid))
    return node(view, ref) if ref else None
