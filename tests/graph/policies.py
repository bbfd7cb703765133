"""Configuration of policy for the tests of `oper`: lists, groups, tags and firewall policies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid5

from agent.inputs import GraphLink, GraphNode

PROJECT = "default-domain:default-project"
GLOBAL = ("global-vrouter-config", "default-global-system-config:default-global-vrouter-config")
_SPACE = UUID("2c4b1a52-9a33-45a4-8d0b-0b1a1f0f5a11")

End = tuple[str, str]


def uuid(name: str) -> UUID:
    """A UUID of a name."""
    return uuid5(_SPACE, name)


def node(kind: str, name: str, **properties: Any) -> GraphNode:
    """A node with id-perms; `_` in names of properties stands for `-`."""
    value = uuid(name).int
    perms = {
        "uuid": {"uuid-mslong": value >> 64, "uuid-lslong": value & (1 << 64) - 1},
        "enable": True,
    }
    members = {key.replace("_", "-"): content for key, content in properties.items()}
    return GraphNode(kind, name, members | {"id-perms": perms})


def tied(metadata: str, left: End, right: End, value: Any) -> list[Any]:
    """A link with content: an attribute node between two links."""
    middle = (metadata, f"attr({left[1]},{right[1]})")
    return [
        GraphNode(*middle, {"value": value}),
        GraphLink(metadata, left, middle),
        GraphLink(metadata, middle, right),
    ]


def subnet(text: str) -> dict[str, Any]:
    """A SubnetType."""
    prefix, _, length = text.partition("/")
    return {"ip-prefix": prefix, "ip-prefix-len": int(length)}


def ports(first: int, last: int) -> dict[str, int]:
    """A PortType."""
    return {"start-port": first, "end-port": last}


def rule(
    source: Any = None,
    destination: Any = None,
    *,
    action: str | None = "pass",
    name: str = "rule",
    direction: str = ">",
    actions: dict[str, Any] | None = None,
    **match: Any,
) -> dict[str, Any]:
    """An AclRuleType; `match` are further members of its condition."""
    condition = {"protocol": "any", "src-address": source or {}, "dst-address": destination or {}}
    condition |= {key.replace("_", "-"): value for key, value in match.items()}
    simple = {"simple-action": action} if action is not None else {}
    return {
        "match-condition": condition,
        "action-list": simple | (actions or {}),
        "rule-uuid": str(uuid(name)),
        "direction": direction,
    }


def access_list(owner: End, name: str, rules: Iterable[Any], *, dynamic: bool = False) -> list[Any]:
    """A list of a network or security group, with the link to it."""
    ref = ("access-control-list", f"{owner[1]}:{name}")
    entries = {"dynamic": dynamic, "acl-rule": list(rules)}
    return [
        node(*ref, access_control_list_entries=entries),
        GraphLink(f"{owner[0]}-access-control-list", owner, ref),
    ]


def tag(bearer: End | None, kind: str, value: str, number: int) -> list[Any]:
    """A tag, and the link to who bears it."""
    ref = ("tag", f"{kind}={value}")
    made: list[Any] = [node(*ref, tag_id=f"0x{number:012x}", tag_type_name=kind, tag_value=value)]
    if bearer:
        made.append(GraphLink(f"{bearer[0]}-tag", bearer, ref))
    return made


def firewall_rule(name: str, **properties: Any) -> GraphNode:
    """A firewall rule; TCP from anywhere to anywhere passes where nothing else is said."""
    said: dict[str, Any] = {
        "action_list": {"simple-action": "pass"},
        "direction": ">",
        "endpoint_1": {"any": True},
        "endpoint_2": {"any": True},
        "service": {"protocol": "tcp", "protocol-id": 6},
    }
    return node("firewall-rule", name, **said | properties)


def firewall_policy(name: str, *rules: tuple[str, GraphNode]) -> list[Any]:
    """A firewall policy of (sequence, rule)."""
    ref = ("firewall-policy", name)
    made: list[Any] = [node(*ref)]
    for sequence, one in rules:
        made.append(one)
        end = (one.type, one.name)
        made += tied("firewall-policy-firewall-rule", ref, end, {"sequence": sequence})
    return made


def policy_set(
    name: str, *policies: tuple[str, str], everywhere: bool = False, tags: Iterable[str] = ()
) -> list[Any]:
    """An application policy set of (sequence, policy's name)."""
    ref = ("application-policy-set", name)
    made: list[Any] = [node(*ref, all_applications=everywhere)]
    for sequence, policy in policies:
        end = ("firewall-policy", policy)
        made += tied("application-policy-set-firewall-policy", ref, end, {"sequence": sequence})
    if everywhere:
        made.append(GraphLink("application-policy-set-global-vrouter-config", ref, GLOBAL))
    return made + [GraphLink("application-policy-set-tag", ref, ("tag", one)) for one in tags]
