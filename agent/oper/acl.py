"""Access lists: of networks, of security groups and of firewall policies.

Facts oper-db.md 4.1, xmpp-ifmap.md 10.4. A list is known by the name of its node.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID, uuid5

from agent.ifmap import NodeRef, uuid_of
from agent.inputs import GraphNode
from agent.oper.acl_parts import actions, condition, rule, text
from agent.oper.firewall import FIREWALL_POLICY, firewall_policy
from agent.oper.flow_rows import Acl, Rule
from agent.oper.incremental import View
from agent.oper.world import BadConfig, items, member, neighbours, node

ACCESS_LIST = "access-control-list"
_ENTRIES = "access-control-list-entries"
_OF_NETWORK = "virtual-network-access-control-list"
_NIL = UUID(int=0)


def acl_name(ref: NodeRef) -> str:
    """What identifies a list among all."""
    return ref.name if ref.type == ACCESS_LIST else f"{ref.type} {ref.name}"


def unusable(name: str, problem: str) -> Acl:
    """A list that could not be read: nothing in it holds, so that it denies."""
    return Acl(name, _NIL, (), (problem,))


def acl(view: View, ref: NodeRef) -> Acl | None:
    """The list of an access-control-list or firewall-policy node; None while it is not there."""
    found = node(view, ref)
    if found is None:
        return None
    name, uuid = acl_name(ref), uuid_of(found) or _NIL
    problems: list[str] = []
    if ref.type == FIREWALL_POLICY:
        rules = tuple(firewall_policy(view, ref, problems))
    else:
        decides = not view(is_mirror, ref)
        template = _Template(uuid, _local(view, ref), decides)
        rules = tuple(_entries(found, template, problems))
    return Acl(name, uuid, rules, tuple(problems))


def is_mirror(view: View, ref: NodeRef) -> bool:
    """Whether a network's list only says what is mirrored."""
    found = node(view, ref)
    return member(found and found.properties, _ENTRIES, "dynamic") is True


def _local(view: View, ref: NodeRef) -> str:
    """The network that the list belongs to, "" for that of a security group."""
    owners = neighbours(view, ref, _OF_NETWORK, "virtual-network")
    return owners[0].name if owners else ""


class _Template(NamedTuple):
    """What the rules of a list have in common: its UUID, its network, whether it decides."""

    uuid: UUID
    local: str
    decides: bool


def _entries(found: GraphNode, of: _Template, problems: list[str]) -> Iterator[Rule]:
    try:
        entries = items(found.properties, _ENTRIES, "acl-rule")
    except BadConfig as error:
        problems.append(str(error))
        return
    for at, entry in enumerate(entries):
        uuid = _rule_uuid(member(entry, "rule-uuid"), of.uuid, at)
        try:
            yield from _rules(entry, uuid, of)
        except BadConfig as error:
            problems.append(f"rule {at + 1} ({uuid}) left out: {error}")


def _rule_uuid(value: object, owner: UUID, at: int) -> UUID:
    """The UUID of a rule; one made of its place where configuration has none."""
    try:
        return UUID(str(value))
    except ValueError:
        return uuid5(owner, str(at))


def _rules(entry: object, uuid: UUID, of: _Template) -> tuple[Rule, ...]:
    """The rule of an entry, and the one for the other direction where `<>` says both."""
    direction = text(entry, "direction") or ">"
    if direction not in (">", "<>"):
        raise BadConfig(f"direction: {direction!r} is neither > nor <>")
    does = actions(member(entry, "action-list"), decides=of.decides)
    when = condition(member(entry, "match-condition"), of.local)
    conditions = [when]
    if direction == "<>" and when.swapped != when:
        conditions.append(when.swapped)
    return tuple(rule(uuid, does, each) for each in conditions)
