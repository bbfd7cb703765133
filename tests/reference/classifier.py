"""The slow, clear oracle of the classifier: access lists as their rows say, rule after rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from agent.oper.flow_rows import ANY_GROUP, Acl, Action, Endpoint, Rule, Service
from agent.values import Address

PORTED = (6, 17, 132)  # TCP, UDP, SCTP
ENDING = Action.PASS | Action.DENY | Action.REJECT
IMPLICIT_ALLOW, IMPLICIT_DENY = UUID(int=1), UUID(int=2)


@dataclass(frozen=True)
class SlowEnd:
    address: Address
    networks: frozenset[str] = frozenset()
    groups: frozenset[int] = frozenset()
    tags: frozenset[int] = frozenset()


@dataclass(frozen=True)
class SlowPacket:
    source: SlowEnd
    destination: SlowEnd
    protocol: int
    source_port: int = 0
    destination_port: int = 0


@dataclass(frozen=True)
class SlowVerdict:
    outcome: str
    actions: Action
    rule: UUID
    acl: str | None
    vrf: int | None = None
    ignore_acl: bool = False
    mirrors: tuple[int, ...] = ()
    qos: int | None = None


def within(number: int, bounds: tuple[int, int]) -> bool:
    return bounds[0] <= number <= bounds[1]


def service_miss(service: Service, packet: SlowPacket) -> str:
    if not within(packet.protocol, service.protocols):
        return "protocol"
    if packet.protocol not in PORTED:
        return ""
    if not within(packet.source_port, service.source_ports):
        return "source port"
    if not within(packet.destination_port, service.destination_ports):
        return "destination port"
    return ""


def services_miss(rule: Rule, packet: SlowPacket) -> str:
    """Of services that all miss, the nearest miss is told."""
    misses = [service_miss(service, packet) for service in rule.services]
    if "" in misses:
        return ""
    order = ["protocol", "source port", "destination port"]
    return max(misses, key=order.index, default="protocol")


def address_holds(endpoint: Endpoint, end: SlowEnd) -> bool:
    if not endpoint.prefixes and not endpoint.tag_sets:
        return True
    return any(end.address in prefix for prefix in endpoint.prefixes) or any(
        tags and end.tags.issuperset(tags) for tags in endpoint.tag_sets
    )


def end_miss(endpoint: Endpoint, end: SlowEnd) -> str:
    if not address_holds(endpoint, end):
        return "address"
    if endpoint.network and endpoint.network not in end.networks:
        return "network"
    if endpoint.group not in (None, ANY_GROUP) and endpoint.group not in end.groups:
        return "group"
    return "" if end.tags.issuperset(endpoint.tags) else "tags"


def share(packet: SlowPacket, tag_type: int) -> bool:
    both = packet.source.tags & packet.destination.tags
    return any(tag >> 32 == tag_type for tag in both)


def miss(rule: Rule, packet: SlowPacket) -> str:
    """Why a rule does not hold, "" when it does."""
    if rule.ethertype not in (0, packet.source.address.version):
        return "ethertype"
    if found := services_miss(rule, packet):
        return found
    if found := end_miss(rule.source, packet.source):
        return f"source {found}"
    if found := end_miss(rule.destination, packet.destination):
        return f"destination {found}"
    if all(share(packet, tag_type) for tag_type in rule.match_tag_types):
        return ""
    return "tags of one type on both sides"


def holding(acls: Sequence[Acl], packet: SlowPacket) -> list[tuple[Acl, Rule]]:
    """The rules that hold, up to the one that ends the walk."""
    found = []
    for acl in acls:
        for rule in acl.rules:
            if not miss(rule, packet):
                found.append((acl, rule))
                if rule.actions & ENDING:
                    return found
    return found


def first_number(rules: Sequence[Rule], action: Action, field: str, known: Mapping[str, int]):
    for rule in rules:
        if action in rule.actions:
            return known.get(getattr(rule, field))
    return None


def walk(
    acls: Sequence[Acl], packet: SlowPacket, known: Mapping[str, int] | None = None
) -> SlowVerdict:
    """What these lists say together; `known` gives the numbers of names in rules."""
    known = known or {}
    if not acls:
        return SlowVerdict("no list", Action(0), IMPLICIT_ALLOW, None)
    found = holding(acls, packet)
    if not found:
        return SlowVerdict("unmatched", Action(0), IMPLICIT_DENY, None)
    rules = [rule for _, rule in found]
    decided = bool(rules[-1].actions & ENDING)
    acl, rule = found[-1 if decided else 0]
    actions = Action(0)
    mirrors: list[int] = []
    for each in rules:
        actions |= each.actions
        number = known.get(each.mirror) if Action.MIRROR in each.actions else None
        if number is not None and number not in mirrors:
            mirrors.append(number)
    translating = [each for each in rules if Action.VRF in each.actions]
    return SlowVerdict(
        "decided" if decided else "held",
        actions,
        rule.uuid,
        acl.name,
        first_number(rules, Action.VRF, "vrf", known),
        bool(translating) and translating[0].ignore_acl,
        tuple(mirrors[:2]),
        first_number(rules, Action.QOS, "qos", known),
    )
