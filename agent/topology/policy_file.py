"""Policies and security groups of a topology file."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

from agent.topology.policy_rows import (
    DEFAULT_GROUP,
    LOCAL,
    RuleEnd,
    SecurityGroup,
    Service,
    TrafficRule,
)
from agent.topology.reader import (
    Reader,
    TopologyError,
    cidr,
    flag,
    listed,
    number,
    one_of,
    sequence,
    text,
)

FIRST_GROUP = 8000001
_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58, "sctp": 132}
_WITH_PORTS = (6, 17, 132)
_SERVICE = re.compile(r"([a-z0-9]+)(?:/([0-9]{1,5})(?:-([0-9]{1,5}))?)?")
_group_number = number("the number of a security group", 1, (1 << 32) - 1)

ToEnd = Callable[[Any], RuleEnd]
"""Reads one side of a rule."""


def names(kind: str, known: Collection[str]) -> Callable[[Any], tuple[str, ...]]:
    """A converter of lists of names that must be known."""

    def convert(value: object) -> tuple[str, ...]:
        for one in sequence(value):
            if text(one) not in known:
                raise ValueError(f"no {kind} {one!r}; known: {', '.join(known) or 'none'}")
        return tuple(dict.fromkeys(sequence(value)))

    return convert


def service(value: object) -> Service:
    """`any`, a protocol by name or number, or `tcp/80`, `udp/8000-8010`."""
    found = _SERVICE.fullmatch(str(value))
    name = found[1] if found else ""
    known = None if name == "any" else _PROTOCOLS.get(name, int(name) if name.isdigit() else -1)
    if found is None or (known is not None and not 0 <= known <= 255):
        raise ValueError(
            f"{value!r} is no service; write any, a protocol ({', '.join(_PROTOCOLS)} or its"
            " number) or protocol/port, e.g. tcp/80 or udp/8000-8010"
        )
    if found[2] is None:
        return Service(known)
    first, last = int(found[2]), int(found[3] or found[2])
    if known not in _WITH_PORTS:
        raise ValueError(f"{value!r}: {name} has no ports")
    if not first <= last <= 65535:
        raise ValueError(f"{value!r}: {first} to {last} is no range of ports")
    return Service(known, (first, last))


def services(value: object) -> tuple[Service, ...]:
    """A service, or a list of them."""
    each = value if isinstance(value, list) else [value]
    if not each:
        raise ValueError("expected at least one service")
    return tuple(service(one) for one in each)


COMMON = "service action direction log"


def traffic_rule(reader: Reader, source: RuleEnd, destination: RuleEnd) -> TrafficRule:
    """What all rules have: service, action, direction and whether it is logged."""
    return TrafficRule(
        source,
        destination,
        reader.get("service", services, (Service(),)),
        passes=reader.get("action", one_of("pass", "deny"), "pass") == "pass",
        both=reader.get("direction", one_of(">", "<>"), ">") == "<>",
        log=reader.get("log", flag, False),
    )


def is_anyone(name: str, known: Collection[str], words: tuple[str, ...] = ("any",)) -> bool:
    """Whether an end is `any`; ValueError where a word is also what something is called."""
    if name in words and name in known:
        raise ValueError(f"{name!r} is a word here; give what is called so another name")
    return name == "any"


def policies(reader: Reader, networks: Collection[str]) -> dict[str, tuple[TrafficRule, ...]]:
    """`policies`: rules between networks and prefixes."""
    to_end = _end_of_policy(networks)
    found = {}
    for name, content in reader.named("policies"):
        found[name] = tuple(
            traffic_rule(one, one.need("from", to_end), one.need("to", to_end))
            for one in listed(content, ("policies", name), f"from to {COMMON}")
        )
    return found


def _end_of_policy(networks: Collection[str]) -> ToEnd:
    def convert(value: object) -> RuleEnd:
        name = text(value)
        if is_anyone(name, networks, ("any", LOCAL)):
            return RuleEnd()
        if "/" in name:
            return RuleEnd(prefix=cidr(name))
        if name != LOCAL and name not in networks:
            raise ValueError(
                f"no network {name!r}; write any, local, a prefix or one of {', '.join(networks)}"
            )
        return RuleEnd(network=name)

    return convert


def security_groups(reader: Reader) -> dict[str, SecurityGroup]:
    """`security_groups`: what ports of a group may be sent and may send.

    The default group is always there: all out, in from the group itself.
    """
    said = dict(reader.named("security_groups"))
    found: dict[str, SecurityGroup] = {}
    owners: dict[int, str] = {}
    known = [DEFAULT_GROUP, *(name for name in said if name != DEFAULT_GROUP)]
    for at, name in enumerate(known):
        place = ("security_groups", name)
        default = {"ingress": [{"from": DEFAULT_GROUP}]} if name == DEFAULT_GROUP else {}
        content = Reader(said.get(name, default), place, "id ingress egress")
        group = found[name] = _group(name, content, FIRST_GROUP + at, _end_of_group(known))
        if owners.setdefault(group.number, name) != name:
            problem = f"{group.number} is the id of security_groups.{owners[group.number]}"
            raise TopologyError((*place, "id"), problem)
    return found


def _group(name: str, reader: Reader, default: int, to_end: ToEnd) -> SecurityGroup:
    rules: dict[str, tuple[TrafficRule, ...]] = {}
    for key, side, content in (
        ("ingress", "from", reader.content.get("ingress") or []),
        ("egress", "to", reader.content.get("egress", [{"to": "any"}]) or []),
    ):
        found = listed(content, (*reader.place, key), f"{side} service")
        ends = [(one, one.need(side, to_end)) for one in found]
        rules[key] = tuple(
            traffic_rule(one, end, RuleEnd())
            if side == "from"
            else traffic_rule(one, RuleEnd(), end)
            for one, end in ends
        )
    return SecurityGroup(
        name, reader.get("id", _group_number, default), rules["ingress"], rules["egress"]
    )


def _end_of_group(groups: Collection[str]) -> ToEnd:
    def convert(value: object) -> RuleEnd:
        name = text(value)
        if is_anyone(name, groups):
            return RuleEnd()
        if "/" in name:
            return RuleEnd(prefix=cidr(name))
        if name not in groups:
            raise ValueError(
                f"no security group {name!r}; write any, a prefix or one of {', '.join(groups)}"
            )
        return RuleEnd(group=name)

    return convert
