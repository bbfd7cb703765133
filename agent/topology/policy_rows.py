"""Policies, security groups and firewall of a topology file, as rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.values import Prefix

DEFAULT_GROUP = "default"
LOCAL = "local"
"""As the network of an end: the one that a policy is given to."""


@dataclass(frozen=True, slots=True)
class RuleEnd:
    """One side of a rule, in one of the ways that its kind of rule has; none is anyone.

    `tags` (`type=value`) must all be there.
    """

    prefix: Prefix | None = None
    network: str = ""
    group: str = ""
    address_group: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """A protocol by number, None any, and the destination's ports; None all."""

    protocol: int | None = None
    ports: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class TrafficRule:
    """Who may, or may not (`passes` False), open what to whom; `both`: or the other way round."""

    source: RuleEnd
    destination: RuleEnd
    services: tuple[Service, ...] = (Service(),)
    service_group: str = ""
    passes: bool = True
    both: bool = False
    log: bool = False
    match_tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """What may come to ports of the group (`ingress`) and from them; all else is denied."""

    name: str
    number: int
    ingress: tuple[TrafficRule, ...]
    egress: tuple[TrafficRule, ...]


@dataclass(frozen=True, slots=True)
class AddressGroup:
    """Prefixes, and who has all of these tags."""

    prefixes: tuple[Prefix, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Firewall policies in order, for who has one of these tags; without any for all."""

    policies: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Firewall:
    """The firewall's parts by name."""

    address_groups: Mapping[str, AddressGroup] = field(default_factory=dict)
    service_groups: Mapping[str, tuple[Service, ...]] = field(default_factory=dict)
    policies: Mapping[str, tuple[TrafficRule, ...]] = field(default_factory=dict)
    sets: Mapping[str, PolicySet] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policies:
    """All policy of a file: network policies by name, security groups, firewall.

    `tags` are the numbers of all tags that the file names, in 48-bit form, `tag_types` those
    of their types.
    """

    networks: Mapping[str, tuple[TrafficRule, ...]] = field(default_factory=dict)
    groups: Mapping[str, SecurityGroup] = field(default_factory=dict)
    firewall: Firewall = Firewall()
    tags: Mapping[str, int] = field(default_factory=dict)
    tag_types: Mapping[str, int] = field(default_factory=dict)
