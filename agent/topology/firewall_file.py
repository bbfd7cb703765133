"""Tags and firewall of a topology file."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import replace

from agent.topology.policy_file import COMMON, ToEnd, is_anyone, names, services, traffic_rule
from agent.topology.policy_rows import AddressGroup, Firewall, PolicySet, RuleEnd, TrafficRule
from agent.topology.reader import Reader, cidr, converted, listed, sequence, text

_FIRST_OWN_TYPE = 256
_TYPES = {"label": 0, "application": 1, "tier": 2, "deployment": 3, "site": 4}
_WORD = "[A-Za-z0-9][A-Za-z0-9_.-]{0,31}"
_TAG = re.compile(f"({_WORD})=({_WORD})")


def tag(value: object) -> str:
    """`type=value`."""
    if not _TAG.fullmatch(text(value)):
        raise ValueError(f"{value!r} is no tag; write it as type=value, e.g. tier=web")
    return str(value)


def tags(value: object) -> tuple[str, ...]:
    """A list of tags."""
    return tuple(dict.fromkeys(tag(one) for one in sequence(value)))


def firewall(reader: Reader, networks: Collection[str]) -> Firewall:
    """`firewall`: policies by tags, and where they hold."""
    known = "address_groups service_groups policies sets"
    content = Reader(reader.content.get("firewall") or {}, ("firewall",), known)
    addresses = {
        name: converted((*content.place, "address_groups", name), _address_group, value)
        for name, value in content.named("address_groups")
    }
    groups = {
        name: converted((*content.place, "service_groups", name), services, value)
        for name, value in content.named("service_groups")
    }
    to_end = _end(networks, addresses)
    rules = {
        name: tuple(
            _rule(one, to_end, groups)
            for one in listed(value, (*content.place, "policies", name), f"from to match {COMMON}")
        )
        for name, value in content.named("policies")
    }
    sets = {
        name: _policy_set(Reader(value, (*content.place, "sets", name), "policies tags"), rules)
        for name, value in content.named("sets")
    }
    return Firewall(addresses, groups, rules, sets)


def _address_group(value: object) -> AddressGroup:
    """A list of prefixes and tags."""
    members = [text(one) for one in sequence(value)]
    if not members:
        raise ValueError("expected at least one prefix or tag")
    return AddressGroup(
        tuple(cidr(one) for one in members if "=" not in one),
        tuple(tag(one) for one in members if "=" in one),
    )


def _rule(reader: Reader, to_end: ToEnd, groups: Collection[str]) -> TrafficRule:
    """As every rule; `service` may name a service group, `match` are types of tags."""
    name = reader.content.get("service")
    grouped = isinstance(name, str) and name in groups
    plain = {key: value for key, value in reader.content.items() if key != "service" or not grouped}
    rule = traffic_rule(
        Reader(plain, reader.place, f"from to match {COMMON}"),
        reader.need("from", to_end),
        reader.need("to", to_end),
    )
    types = reader.get("match", _tag_types, ())
    return replace(rule, service_group=str(name) if grouped else "", match_tags=types)


def _tag_types(value: object) -> tuple[str, ...]:
    for one in sequence(value):
        if not re.fullmatch(_WORD, text(one)):
            raise ValueError(f"{one!r} is no type of tag, e.g. tier")
    return tuple(dict.fromkeys(sequence(value)))


def _policy_set(reader: Reader, known: Collection[str]) -> PolicySet:
    return PolicySet(
        reader.need("policies", names("firewall policy", known)), reader.get("tags", tags, ())
    )


def _end(networks: Collection[str], groups: Collection[str]) -> ToEnd:
    def convert(value: object) -> RuleEnd:
        if isinstance(value, list):
            return RuleEnd(tags=tags(value))
        name = text(value)
        if is_anyone(name, [*networks, *groups]):
            return RuleEnd()
        if "=" in name:
            return RuleEnd(tags=(tag(name),))
        if "/" in name:
            return RuleEnd(prefix=cidr(name))
        if name in groups and name in networks:
            raise ValueError(f"{name!r} is a network and an address group; rename one")
        if name in groups:
            return RuleEnd(address_group=name)
        if name not in networks:
            raise ValueError(
                f"no network or address group {name!r}; write any, a prefix, a tag, a list of"
                f" tags or one of {', '.join([*networks, *groups])}"
            )
        return RuleEnd(network=name)

    return convert


def numbers(used: Iterable[str], types: Iterable[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Tags and types of tags with their numbers, in the order in which they are first named.

    A tag has its type in the upper 16 of 48 bits. Types of one's own come after the known ones.
    """
    named = [*dict.fromkeys([*(one.partition("=")[0] for one in used), *types])]
    own = [name for name in named if name not in _TYPES]
    kinds = {name: _TYPES.get(name, -1) for name in named}
    kinds |= {name: _FIRST_OWN_TYPE + at for at, name in enumerate(own)}
    found: dict[str, int] = {}
    for at, one in enumerate(dict.fromkeys(used), 1):
        found[one] = kinds[one.partition("=")[0]] << 32 | at
    return found, kinds


def tags_of(firewall: Firewall) -> list[str]:
    """All tags that a firewall names."""
    rules = [rule for rules in firewall.policies.values() for rule in rules]
    ends = [end for rule in rules for end in (rule.source, rule.destination)]
    named = [end.tags for end in ends]
    named += [group.tags for group in firewall.address_groups.values()]
    named += [one.tags for one in firewall.sets.values()]
    return [one for each in named for one in each]


def match_types(firewall: Firewall) -> list[str]:
    """All types of tags that rules compare."""
    rules = [rule for rules in firewall.policies.values() for rule in rules]
    return [one for rule in rules for one in rule.match_tags]
