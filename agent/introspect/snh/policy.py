"""What decides on flows: access lists, security groups, tags, application policy sets."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from agent.ifmap import NodeRef
from agent.introspect.query import uuid
from agent.introspect.reading import VMI, chosen, ends, listed, properties, uuid_text, whole, words
from agent.introspect.request import Query, Row, Table
from agent.introspect.snh.nh_values import vrf_name
from agent.objects import Key, Kind
from agent.oper.datapath import VrfAssign
from agent.oper.firewall import set_policies
from agent.oper.flow_rows import Acl, Action, Endpoint, Rule
from agent.oper.port_nexthops import VmiNexthops, nexthops
from agent.oper.tag import tag
from agent.oper.world import member
from agent.telemetry import Node

_ACL = "access-control-list"
_SET, _POLICY = "application-policy-set", "firewall-policy"
_FAMILIES = {0: "", 4: "IPv4", 6: "IPv6"}
_ENDS = (Action.PASS | Action.DENY).value


# --- Access lists


def acls(node: Node, query: Query) -> Iterator[Row]:
    """The access lists that decide on flows of this host's ports."""
    wanted = uuid(query, "uuid")
    for acl in node.compiler.acls().values():
        if wanted in (None, acl.uuid):
            yield _acl(acl)


def _acl(acl: Acl) -> dict[str, Any]:
    return {
        "uuid": str(acl.uuid),
        "name": acl.name,
        "dynamic_acl": bool(acl.rules) and all(not one.actions.value & _ENDS for one in acl.rules),
        "entries": [partial(_entry, at, rule) for at, rule in enumerate(acl.rules, 1)],
    }


def _entry(at: int, rule: Rule) -> dict[str, Any]:
    source, destination = rule.source, rule.destination
    return {
        "ace_id": str(at),
        "uuid": str(rule.uuid),
        "rule_type": "Terminal" if rule.actions.value & _ENDS else "Non-Terminal",
        "src": endpoint_text(source),
        "dst": endpoint_text(destination),
        "src_type": _kind(source),
        "dst_type": _kind(destination),
        "proto_l": [_range(one.protocols) for one in rule.services],
        "src_port_l": [_range(one.source_ports) for one in rule.services],
        "dst_port_l": [_range(one.destination_ports) for one in rule.services],
        "action_l": [{"action": one} for one in action_words(rule)],
        "match_condition": ", ".join(f"same tag of type {one}" for one in rule.match_tag_types),
        "ether_type": _FAMILIES[rule.ethertype],
    }


def action_words(rule: Rule) -> list[str]:
    """What a rule does, in words."""
    names = {Action.MIRROR: rule.mirror, Action.VRF: rule.vrf, Action.QOS: rule.qos}
    found = []
    for one in Action:
        if one in rule.actions:
            word, name = str(one.name).lower(), names.get(one, "")
            found.append(f"{word} {name}" if name else word)
    return found


def endpoint_text(end: Endpoint) -> str:
    """One side of a rule, in words."""
    parts = [str(one) for one in end.prefixes]
    parts += [end.network] if end.network else []
    parts += [str(end.group)] if end.group is not None else []
    parts += [f"tag {one:#x}" for one in end.tags]
    parts += ["tags " + "+".join(f"{one:#x}" for one in each) for each in end.tag_sets]
    return " ".join(parts) or "any"


def _kind(end: Endpoint) -> str:
    if end.group is not None:
        return "sg"
    if end.network:
        return "network"
    if end.tags or end.tag_sets:
        return "tags"
    return "ip" if end.prefixes else "any"


def _range(ends: tuple[int, int]) -> dict[str, int]:
    return {"min": ends[0], "max": ends[1]}


# --- Security groups and tags


def groups(node: Node, query: Query) -> Iterator[Row]:
    """The security groups; each is used by so many plugged ports."""
    for ref in chosen(node, query, "security-group"):
        yield None if ref is None else _group(node, ref)


def _group(node: Node, ref: NodeRef) -> dict[str, Any]:
    lists = {
        end.name.rpartition(":")[2]: end for end in ends(node, ref, f"{ref.type}-{_ACL}", _ACL)
    }
    egress = next((end for name, end in lists.items() if name.startswith("egress-")), None)
    ingress = next((end for name, end in lists.items() if name.startswith("ingress-")), None)
    ports = ends(node, ref, f"{VMI}-{ref.type}", VMI)
    return {
        "ref_count": len(ports),
        "sg_id": whole(properties(node, ref), "security-group-id"),
        "sg_uuid": uuid_text(node, ref),
        "acl_uuid": uuid_text(node, egress or ingress),
        "egress_acl_uuid": uuid_text(node, egress),
        "ingress_acl_uuid": uuid_text(node, ingress),
    }


def tags(node: Node, query: Query) -> Iterator[Row]:
    """The tags of the configuration."""
    for ref in chosen(node, query, "tag"):
        yield None if ref is None else _tag(node, ref)


def _tag(node: Node, ref: NodeRef) -> dict[str, Any]:
    found = node.compiler.inspection.result(tag, ref)
    number = found.number if found is not None else None
    sets = ends(node, ref, f"{_SET}-tag", _SET)
    return {
        "uuid": uuid_text(node, ref),
        "name": ref.name,
        "id": number or _hexadecimal(words(properties(node, ref), "tag-id")),
        "application_policy_set_list": [
            {"application_policy_set": uuid_text(node, one)} for one in sets
        ],
    }


def _hexadecimal(text: str) -> int:
    try:
        return int(text, 16) & ((1 << 64) - 1)
    except ValueError:
        return 0


def policy_sets(node: Node, query: Query) -> Iterator[Row]:
    """The application policy sets, each with its firewall policies in their order."""
    for ref in chosen(node, query, _SET):
        yield None if ref is None else _policy_set(node, ref)


def _policy_set(node: Node, ref: NodeRef) -> dict[str, Any]:
    policies = node.compiler.inspection.result(set_policies, ref)
    if policies is None:
        policies = tuple(ends(node, ref, f"{_SET}-{_POLICY}", _POLICY))
    return {
        "name": ref.name,
        "uuid": uuid_text(node, ref),
        "firewall_policy_list": [{"firewall_policy": uuid_text(node, one)} for one in policies],
        "all_applications": member(properties(node, ref), "all-applications") is True,
    }


# --- Packets that go to other VRFs, security logging


def vrf_assigns(node: Node, query: Query) -> Iterator[Row]:
    """The VRFs that tags of services lead to."""
    wanted, look = uuid(query, "uuid"), node.compiler.inspection
    for port in node.compiler.vmis():
        if wanted not in (None, port.uuid):
            continue
        for vlan, _ in (look.result(nexthops, port.uuid) or VmiNexthops()).services:
            row = look.row(Key(Kind.VRF_ASSIGN, (str(port.uuid), port.name, vlan)))
            if isinstance(row, VrfAssign):
                named = {"vlan_tag": row.tag, "itf": port.name, "vrf": vrf_name(node, row.vrf)}
                yield {"type": "VLAN"} | named


def logging_objects(node: Node, query: Query) -> Iterator[Row]:
    """The security logging objects of the configuration."""
    for ref in chosen(node, query, "security-logging-object"):
        yield None if ref is None else _logging_object(node, ref)


def _logging_object(node: Node, ref: NodeRef) -> dict[str, Any]:
    found = properties(node, ref)
    rate = whole(found, f"{ref.type}-rate")
    policies = ends(node, ref, f"{_POLICY}-{ref.type}", _POLICY)
    rules = ends(node, ref, f"firewall-rule-{ref.type}", "firewall-rule")
    return {
        "name": ref.name,
        "uuid": uuid_text(node, ref),
        "rate": rate,
        "status": member(found, "id-perms", "enable") is not False,
        "rules": [
            {"uuid": words(one, "rule-uuid"), "rate": whole(one, "rate")}
            for one in listed(found, f"{ref.type}-rules", "rule")
        ],
        "firewall_policy_list": [
            {"uuid": {"firewall_policy": uuid_text(node, one)}, "rate": rate} for one in policies
        ],
        "firewall_rule_list": [{"uuid": uuid_text(node, one), "rate": rate} for one in rules],
    }


SERVED = (
    Table("AclReq", "AclResp", "acl_list", acls),
    Table("SgListReq", "SgListResp", "sg_list", groups),
    Table("TagSandeshReq", "TagSandeshResp", "tag_list", tags),
    Table(
        "ApplicationPolicySetReq",
        "ApplicationPolicySetResp",
        "application_policy_set_list",
        policy_sets,
    ),
    Table("VrfAssignReq", "VrfAssignResp", "vrf_assign_list", vrf_assigns),
    Table("SLOListReq", "SLOListResp", "slo_list", logging_objects),
)
