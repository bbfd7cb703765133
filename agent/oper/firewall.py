"""Firewall policies: rules by tags, address groups and services, in application policy sets.

Facts oper-db.md 4.1, ifmap-schema.json. Order is that of the `sequence` of links. What is a
draft never counts: it belongs to the policy management of that name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

from agent.ifmap import NodeRef, uuid_of
from agent.inputs import GraphNode
from agent.oper.acl_parts import (
    Condition,
    actions,
    prefixes,
    protocols,
    rule,
    service,
    text,
)
from agent.oper.flow_rows import Endpoint, Rule, Service
from agent.oper.incremental import View
from agent.oper.tag import port_tags, tag
from agent.oper.vn import GLOBAL
from agent.oper.world import BadConfig, attributes, items, member, neighbours, node

FIREWALL_POLICY = "firewall-policy"
FIREWALL_RULE = "firewall-rule"
_SET = "application-policy-set"
_MANAGEMENT = "policy-management"
_DRAFT = "draft-policy-management"
_FWAAS = "neutron_fwaas"
_MOST_TAG = (1 << 48) - 1
_MOST_TYPE = 0xFFFF


class FirewallRules(NamedTuple):
    """The rules that a firewall-rule node makes, or why it makes none."""

    rules: tuple[Rule, ...] = ()
    problem: str = ""


class FirewallPolicies(NamedTuple):
    """The firewall policies that hold for a port, in order."""

    fwaas: tuple[NodeRef, ...] = ()
    firewall: tuple[NodeRef, ...] = ()


def firewall_policy(view: View, ref: NodeRef, problems: list[str]) -> Iterator[Rule]:
    """The rules of a policy; those that cannot be used are told in `problems`."""
    for one in _in_sequence(view, ref, f"{FIREWALL_POLICY}-{FIREWALL_RULE}", FIREWALL_RULE):
        made = view(firewall_rule, one)
        if made.problem:
            problems.append(f"rule {one.name} left out: {made.problem}")
        yield from made.rules


def _in_sequence(view: View, ref: NodeRef, metadata: str, kind: str) -> list[NodeRef]:
    """What links of `metadata` lead to, in the order of the text of their sequence.

    A link without one is not complete.
    """
    found = attributes(view, ref, metadata, kind)
    keyed = [(member(link.properties, "value", "sequence"), end) for link, end in found]
    ordered = sorted((key, end) for key, end in keyed if isinstance(key, str) and key)
    return list(dict.fromkeys(end for _, end in ordered))


def firewall_rule(view: View, ref: NodeRef) -> FirewallRules:
    """What one rule says, for each direction that it holds in."""
    found = node(view, ref)
    if found is None:
        return FirewallRules()
    try:
        return FirewallRules(tuple(_directed(view, ref, found)))
    except BadConfig as error:
        return FirewallRules(problem=str(error))


def _directed(view: View, ref: NodeRef, found: GraphNode) -> Iterator[Rule]:
    """Services stay as they are in the other direction: the destination is who serves."""
    direction = text(found.properties, "direction") or ">"
    if direction not in ("<", ">", "<>"):
        raise BadConfig(f"direction: {direction!r} is none of > < <>")
    uuid = uuid_of(found)
    if uuid is None:
        raise BadConfig("id-perms: no UUID")
    does = actions(member(found.properties, "action-list"))
    one, two = (_endpoint(view, found, name) for name in ("endpoint-1", "endpoint-2"))
    services, types = _services(view, ref, found), _match_tag_types(found)
    ways = [(one, two)] if ">" in direction else []
    if direction == "<" or (direction == "<>" and one != two):
        ways.append((two, one))
    for source, destination in ways:
        made = rule(uuid, does, Condition(source, destination, services, 0))
        yield replace(made, match_tag_types=types) if types else made


def _endpoint(view: View, found: GraphNode, place: str) -> Endpoint:
    """Nothing said is any address."""
    value = member(found.properties, place)
    network = text(value, "virtual-network")
    group = text(value, "address-group")
    own = Endpoint(
        prefixes(value, place),
        "" if network == "any" else network,
        tags=_tag_ids(value, place),
    )
    if not group:
        return own
    if own.prefixes:
        raise BadConfig(f"{place}: has both a subnet and an address group")
    members = _address_group(view, NodeRef("address-group", group))
    if not members.prefixes and not members.tag_sets:
        raise BadConfig(f"{place}: address group {group} has no members")
    return replace(own, prefixes=members.prefixes, tag_sets=members.tag_sets)


def _address_group(view: View, ref: NodeRef) -> Endpoint:
    """Who is in an address group: its prefixes, and who has all of its tags."""
    found = node(view, ref)
    place = f"address group {ref.name}"
    listed = items(found and found.properties, "address-group-prefix", "subnet")
    labels = [view(tag, end) for end in neighbours(view, ref, "address-group-tag", "tag")]
    numbers = tuple(sorted({one.number for one in labels if one.number is not None}))
    if len(numbers) < len({one.ref for one in labels}):
        raise BadConfig(f"{place}: a tag has no number")
    listed_prefixes = prefixes({"subnet-list": listed}, place)
    return Endpoint(listed_prefixes, tag_sets=(numbers,) if numbers else ())


def _tag_ids(value: object, place: str) -> tuple[int, ...]:
    """The numbers of the tags that an address must have, all of them."""
    named, ids = items(value, "tags"), items(value, "tag-ids")
    if len(ids) < len(named):
        raise BadConfig(f"{place}: tags {named} have no numbers")
    if not all(isinstance(one, int) and 0 < one <= _MOST_TAG for one in ids):
        raise BadConfig(f"{place}: tag-ids {ids} are not numbers of tags")
    return tuple(sorted(set(ids)))


def _match_tag_types(found: GraphNode) -> tuple[int, ...]:
    """The types of tag of which both sides must have the same."""
    named = items(found.properties, "match-tags", "tag-list")
    types = items(found.properties, "match-tag-types", "tag-type")
    if len(types) < len(named):
        raise BadConfig(f"match-tags: {named} have no numbers of types")
    if not all(isinstance(one, int) and 0 <= one <= _MOST_TYPE for one in types):
        raise BadConfig(f"match-tag-types: {types} are not numbers of types")
    return tuple(sorted(set(types)))


def _services(view: View, ref: NodeRef, found: GraphNode) -> tuple[Service, ...]:
    """Its own service, or those of its service groups; it is not usable without any."""
    own = member(found.properties, "service")
    made = [_service(own)] if own else []
    for group in neighbours(view, ref, "firewall-rule-service-group", "service-group"):
        made += _service_group(view, group)
    if not made:
        raise BadConfig("service: neither a service nor a service group with services")
    return tuple(dict.fromkeys(made))


def _service_group(view: View, ref: NodeRef) -> list[Service]:
    """The services of a service group."""
    found = node(view, ref)
    place = "service-group-firewall-service-list"
    return [_service(one) for one in items(found and found.properties, place, "firewall-service")]


def _service(value: object) -> Service:
    """`any` has no number; of another protocol the number counts, which a controller fills in."""
    name, number = text(value, "protocol"), member(value, "protocol-id")
    if not name and number is None:
        raise BadConfig("service: no protocol")
    which = name if name == "any" or number is None else number
    return service(protocols(which), member(value, "src-ports"), member(value, "dst-ports"))


def firewall_policies(view: View, uuid: UUID) -> FirewallPolicies:
    """The policies of the application policy sets that hold for a port.

    The sets for all applications come first, then those of its tags, the nearest first;
    those of tags of the FWaaS type are apart.
    """
    sets: dict[NodeRef, None] = dict.fromkeys(view(global_sets))
    apart: dict[NodeRef, None] = {}
    for one in view(port_tags, uuid):
        found = neighbours(view, one.ref, f"{_SET}-tag", _SET)
        (apart if one.kind == _FWAAS else sets).update(dict.fromkeys(found))
    return FirewallPolicies(_policies(view, apart), _policies(view, sets))


def global_sets(view: View) -> tuple[NodeRef, ...]:
    """The application policy sets that hold for all ports."""
    found = []
    for end in neighbours(view, GLOBAL, f"{_SET}-global-vrouter-config", _SET):
        one = node(view, end)
        if member(one and one.properties, "all-applications") is True:
            found.append(end)
    return tuple(found)


def _policies(view: View, sets: dict[NodeRef, None]) -> tuple[NodeRef, ...]:
    lists = (view(set_policies, one) for one in sets)
    return tuple(dict.fromkeys(ref for refs in lists for ref in refs))


def set_policies(view: View, ref: NodeRef) -> tuple[NodeRef, ...]:
    """The firewall policies of an application policy set, in order; none of a draft."""
    owners = neighbours(view, ref, f"{_MANAGEMENT}-{_SET}", _MANAGEMENT)
    if any(_DRAFT in one.name.split(":") for one in (ref, *owners)):
        return ()
    return tuple(_in_sequence(view, ref, f"{_SET}-{FIREWALL_POLICY}", FIREWALL_POLICY))
