"""Policies, security groups, tags and firewall of a topology as a controller sends them.

A controller makes the access lists: one a network that has policies, two a security group.
The firewall is sent as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.ifmap.parts import (
    GLOBAL_CONFIG,
    PROJECT,
    End,
    Parts,
    attribute,
    link,
    network_name,
    node,
    subnet_type,
)
from agent.topology import (
    LOCAL,
    AddressGroup,
    Firewall,
    Network,
    PolicySet,
    RuleEnd,
    SecurityGroup,
    Service,
    Topology,
    TrafficRule,
    uuid_of,
)
from agent.values import prefix

MANAGEMENT = "default-policy-management"
_ANY_PORT = {"start-port": 0, "end-port": 65535}
_FAMILIES = {4: "IPv4", 6: "IPv6"}
_EVERYWHERE = {4: prefix("0.0.0.0/0"), 6: prefix("::/0")}
_ANYONE = "-1"
_ANY: dict[str, Any] = {"virtual-network": "any"}


def group_name(group: str) -> str:
    """The fully qualified name of a security group of the topology."""
    return f"{PROJECT}:{group}"


def policy_objects(topology: Topology) -> Parts:
    """Everything that ports and networks may refer to."""
    for tag, number in topology.policies.tags.items():
        kind, _, value = tag.partition("=")
        number_text = f"0x{number:012x}"
        yield node("tag", tag, tag_id=number_text, tag_type_name=kind, tag_value=value)
    for group in topology.policies.groups.values():
        yield from _security_group(topology, group)
    if topology.policies.firewall.sets:
        yield from _firewall(topology, topology.policies.firewall)


def tag_links(bearer: End, tags: tuple[str, ...]) -> Parts:
    """What ties tags to what bears them."""
    for tag in tags:
        yield link(f"{bearer[0]}-tag", bearer, ("tag", tag))


# Access lists


def _access_list(owner: End, name: str, rules: list[dict[str, Any]]) -> Parts:
    ref = ("access-control-list", f"{owner[1]}:{name}")
    entries = {"dynamic": False, "acl-rule": rules}
    yield node(*ref, access_control_list_entries=entries)
    yield link(f"{owner[0]}-access-control-list", owner, ref)


def _entry(
    name: str, source: dict[str, Any], destination: dict[str, Any], service: Service, **more: Any
) -> dict[str, Any]:
    """An AclRuleType that passes; its UUID derives from `name`."""
    ports = service.ports
    return {
        "match-condition": {
            "protocol": "any" if service.protocol is None else str(service.protocol),
            "src-address": source,
            "src-port": _ANY_PORT,
            "dst-address": destination,
            "dst-port": {"start-port": ports[0], "end-port": ports[1]} if ports else _ANY_PORT,
        },
        "action-list": {"simple-action": "pass"},
        "rule-uuid": str(uuid_of("acl-rule", name)),
        "direction": ">",
    } | more


def network_list(topology: Topology, network: Network) -> Parts:
    """The list of a network that has policies: their rules that are about it, then that its
    own VMs reach each other; all else is denied."""
    if not network.policies:
        return
    rules = [*_policy_entries(topology, network)]
    own, name = {"virtual-network": network_name(network.name)}, f"{network.name}:own"
    rules.append(_entry(f"{name}:in", own, own, Service()))
    deny = {"action-list": {"simple-action": "deny"}}
    rules.append(_entry(f"{name}:out", own, _ANY, Service(), **deny))
    rules.append(_entry(f"{name}:from", _ANY, own, Service(), **deny))
    yield from _access_list(("virtual-network", network_name(network.name)), network.name, rules)


def _policy_entries(topology: Topology, network: Network) -> Iterator[dict[str, Any]]:
    for policy in network.policies:
        for at, rule in enumerate(topology.policies.networks[policy], 1):
            if not _concerns(rule, network.name):
                continue
            source, destination = (
                _address(end, network.name) for end in (rule.source, rule.destination)
            )
            for each, service in enumerate(rule.services, 1):
                actions = {"simple-action": "pass" if rule.passes else "deny", "log": rule.log}
                direction = "<>" if rule.both else ">"
                yield _entry(
                    f"{network.name}:{policy}:{at}:{each}",
                    source,
                    destination,
                    service,
                    **{"action-list": actions, "direction": direction},
                )


def _concerns(rule: TrafficRule, network: str) -> bool:
    """Whether one of a rule's sides may be in the network."""
    return any(end.network in ("", LOCAL, network) for end in (rule.source, rule.destination))


def _address(end: RuleEnd, network: str) -> dict[str, Any]:
    if end.prefix is not None:
        return {"subnet": subnet_type(end.prefix)}
    if not end.network:
        return _ANY
    return {"virtual-network": network_name(network if end.network == LOCAL else end.network)}


def _security_group(topology: Topology, group: SecurityGroup) -> Parts:
    ref = ("security-group", group_name(group.name))
    yield node(*ref, security_group_id=group.number)
    for side, rules in (("egress", group.egress), ("ingress", group.ingress)):
        entries = [
            entry
            for at, rule in enumerate(rules, 1)
            for entry in _group_entries(topology, rule, side, f"{group.name}:{side}:{at}")
        ]
        yield from _access_list(ref, f"{side}-access-control-list", entries)


def _group_entries(
    topology: Topology, rule: TrafficRule, side: str, name: str
) -> Iterator[dict[str, Any]]:
    """An entry for each service and family."""
    other = rule.destination if side == "egress" else rule.source
    own = {"security-group": _ANYONE}
    for family in (other.prefix.version,) if other.prefix is not None else _FAMILIES:
        far = _group_end(topology, other, family)
        source, destination = (own, far) if side == "egress" else (far, own)
        for at, service in enumerate(rule.services, 1):
            entry = _entry(f"{name}:{at}:v{family}", source, destination, service)
            entry["match-condition"]["ethertype"] = _FAMILIES[family]
            yield entry


def _group_end(topology: Topology, end: RuleEnd, family: int) -> dict[str, Any]:
    if end.group:
        return {"security-group": str(topology.policies.groups[end.group].number)}
    return {"subnet": subnet_type(end.prefix or _EVERYWHERE[family])}


# Firewall


def _scoped(name: str) -> str:
    return f"{MANAGEMENT}:{name}"


def _firewall(topology: Topology, wall: Firewall) -> Parts:
    yield node("policy-management", MANAGEMENT)
    for name, members in wall.address_groups.items():
        yield from _address_group(name, members)
    for name, services in wall.service_groups.items():
        listed = {"firewall-service": [_service(one) for one in services]}
        yield node("service-group", _scoped(name), service_group_firewall_service_list=listed)
    for name, rules in wall.policies.items():
        yield from _firewall_policy(topology, name, rules)
    for name, one in wall.sets.items():
        yield from _policy_set(name, one)


def _address_group(name: str, members: AddressGroup) -> Parts:
    ref = ("address-group", _scoped(name))
    listed = {"subnet": [subnet_type(one) for one in members.prefixes]}
    yield node(*ref, address_group_prefix=listed)
    yield from tag_links(ref, members.tags)


def _service(service: Service) -> dict[str, Any]:
    ports = service.ports
    protocol = "any" if service.protocol is None else str(service.protocol)
    return {
        "protocol": protocol,
        "protocol-id": service.protocol or 0,
        "src-ports": _ANY_PORT,
        "dst-ports": {"start-port": ports[0], "end-port": ports[1]} if ports else _ANY_PORT,
    }


def _firewall_policy(topology: Topology, name: str, rules: tuple[TrafficRule, ...]) -> Parts:
    """A rule with several services is one for each, at the same place."""
    policy = ("firewall-policy", _scoped(name))
    yield node(*policy)
    for at, rule in enumerate(rules, 1):
        services = [None] if rule.service_group else [*rule.services]
        for each, service in enumerate(services, 1):
            ref = ("firewall-rule", _scoped(f"{name}-{at}-{each}"))
            yield from _firewall_rule(topology, ref, rule, service)
            sequence = {"sequence": f"{at:05}.{each:03}"}
            yield from attribute("firewall-policy-firewall-rule", policy, ref, sequence)


def _firewall_rule(
    topology: Topology, ref: End, rule: TrafficRule, service: Service | None
) -> Parts:
    types = topology.policies.tag_types
    said: dict[str, Any] = {
        "action_list": {"simple-action": "pass" if rule.passes else "deny", "log": rule.log},
        "direction": "<>" if rule.both else ">",
        "endpoint_1": _endpoint(topology, rule.source),
        "endpoint_2": _endpoint(topology, rule.destination),
    }
    if service is not None:
        said["service"] = _service(service)
    if rule.match_tags:
        said["match_tags"] = {"tag-list": list(rule.match_tags)}
        said["match_tag_types"] = {"tag-type": [types[kind] for kind in rule.match_tags]}
    yield node(*ref, **said)
    if rule.service_group:
        group = ("service-group", _scoped(rule.service_group))
        yield link("firewall-rule-service-group", ref, group)
    ends = (rule.source, rule.destination)
    for name in dict.fromkeys(end.address_group for end in ends if end.address_group):
        yield link("firewall-rule-address-group", ref, ("address-group", _scoped(name)))
    yield from tag_links(ref, tuple(dict.fromkeys(tag for end in ends for tag in end.tags)))


def _endpoint(topology: Topology, end: RuleEnd) -> dict[str, Any]:
    if end.tags:
        ids = [topology.policies.tags[tag] for tag in end.tags]
        return {"tags": [f"global:{tag}" for tag in end.tags], "tag-ids": ids}
    if end.prefix is not None:
        return {"subnet": subnet_type(end.prefix)}
    if end.address_group:
        return {"address-group": _scoped(end.address_group)}
    if end.network:
        return {"virtual-network": network_name(end.network)}
    return {"any": True}


def _policy_set(name: str, one: PolicySet) -> Parts:
    ref = ("application-policy-set", _scoped(name))
    yield node(*ref, all_applications=not one.tags)
    management = ("policy-management", MANAGEMENT)
    yield link("policy-management-application-policy-set", management, ref)
    if not one.tags:
        yield link("application-policy-set-global-vrouter-config", ref, GLOBAL_CONFIG)
    for at, policy in enumerate(one.policies, 1):
        end = ("firewall-policy", _scoped(policy))
        sequence = {"sequence": f"{at:05}"}
        yield from attribute("application-policy-set-firewall-policy", ref, end, sequence)
    yield from tag_links(ref, one.tags)
