"""Route entries that agents publish (facts xmpp-ifmap.md 5.2, 6.2, 6.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_interface
from xml.etree.ElementTree import Element

from agent.errors import WireError
from agent.lab.controller.upstream import child, local, number, text
from agent.routes import (
    ALL_FIELDS,
    Encapsulation,
    EvpnKey,
    GroupKey,
    InetKey,
    LoadBalanceField,
    RouteAttributes,
    RouteFamily,
    RouteKey,
    RouteNexthop,
)
from agent.values import Mac

MAX_LABEL = (1 << 24) - 1
_TAGS = 1 << 48


@dataclass(frozen=True, slots=True)
class Entry:
    """A published route. `labels` is the range offered for a tree, (0, 0) in other families."""

    family: RouteFamily
    key: RouteKey
    attributes: RouteAttributes
    labels: tuple[int, int] = (0, 0)


def read_entry(node: str, entry: Element) -> Entry:
    """Read the entry published as `node`; WireError says what a control node would refuse."""
    try:
        return _entry(node, entry)
    except ValueError as error:
        raise WireError(str(error)) from None


def _entry(node: str, entry: Element) -> Entry:
    nlri = child(entry, "nlri")
    pair = number(text(nlri, "af"), 1, 25), number(text(nlri, "safi"), 1, 255)
    family = RouteFamily(pair)
    if not node.startswith(f"{pair[0]}/{pair[1]}/"):
        raise WireError(f"an entry of {pair[0]}/{pair[1]} published as {node!r}")
    key = _key(family, nlri)
    hop = _one_nexthop(entry, family)
    if family is RouteFamily.ERMVPN:
        hops = (_nexthop(hop, label="0"),)
        return Entry(family, key, RouteAttributes(nexthops=hops), _range(text(hop, "label")))
    if family is RouteFamily.MVPN:
        kind = number(text(nlri, "route-type"), 1, 7)
        hops = (_nexthop(hop, label=text(hop, "label")),)
        return Entry(family, key, RouteAttributes(nexthops=hops, route_type=kind))
    return Entry(family, key, _unicast(entry, hop))


def _key(family: RouteFamily, nlri: Element | None) -> RouteKey:
    if family in (RouteFamily.ERMVPN, RouteFamily.MVPN):
        return GroupKey(IPv4Address(text(nlri, "group")), IPv4Address(text(nlri, "source")))
    address = ip_interface(text(nlri, "address"))
    length = address.network.prefixlen
    if family is RouteFamily.EVPN:
        tag = number(text(nlri, "ethernet-tag"), 0, 2**32 - 1)
        return EvpnKey(tag, Mac.parse(text(nlri, "mac")), address.ip, length)
    if address.version != (6 if family is RouteFamily.INET6 else 4):
        raise WireError(f"{address} is not of the family {family.name}")
    return InetKey(address.network.network_address.packed, length)


def _one_nexthop(entry: Element, family: RouteFamily) -> Element:
    where = entry if family is RouteFamily.MVPN else child(entry, "next-hops")
    hops = [hop for hop in (() if where is None else where) if local(hop) == "next-hop"]
    if len(hops) != 1:
        raise WireError(f"{len(hops)} next-hops where one belongs")
    return hops[0]


def _nexthop(hop: Element, label: str) -> RouteNexthop:
    mac = text(hop, "mac")
    return RouteNexthop(
        IPv4Address(text(hop, "address")),
        number(label, 0, MAX_LABEL),
        tuple(_encapsulations(hop)),
        text(hop, "virtual-network"),
        Mac.parse(mac) if mac else None,
        tuple(sorted(_tags(hop))),
        number(text(hop, "l3-label"), 0, MAX_LABEL),
        number(text(hop, "local-sequence-number"), 0, 2**32 - 1),
    )


def _encapsulations(hop: Element) -> Iterator[Encapsulation]:
    for name in _list(hop, "tunnel-encapsulation-list"):
        if name in Encapsulation._value2member_map_:
            yield Encapsulation(name)


def _tags(hop: Element) -> Iterator[int]:
    new = text(hop, "is-new-tags-list") == "true"
    for word in _list(hop, "tag-list"):
        tag = number(word, 0, _TAGS - 1)
        yield tag if new else (tag & 0xFFFF0000) << 16 | tag & 0xFFFF


def _list(element: Element, name: str) -> list[str]:
    parent = child(element, name)
    return [] if parent is None else [(one.text or "").strip() for one in parent]


def _range(label: str) -> tuple[int, int]:
    low, _, high = label.partition("-")
    labels = number(low, 16, MAX_LABEL), number(high, 16, MAX_LABEL)
    if labels[0] > labels[1]:
        raise WireError(f"{label!r} is not a range of labels")
    return labels


def _unicast(entry: Element, hop: Element) -> RouteAttributes:
    mobility = child(entry, "mobility")
    replicator = text(entry, "replicator-address")
    return RouteAttributes(
        nexthops=(_nexthop(hop, text(hop, "label")),),
        virtual_network=text(entry, "virtual-network"),
        sequence=number(text(entry, "sequence-number"), 0, 2**32 - 1),
        sticky=mobility is not None and mobility.get("sticky") == "true",
        local_preference=number(text(entry, "local-preference"), 0, 2**32 - 1),
        med=number(text(entry, "med"), 0, 2**32 - 1),
        security_groups=tuple(
            number(group, 0, 2**32 - 1) for group in _list(entry, "security-group-list")
        ),
        communities=tuple(_list(entry, "community-tag-list")),
        load_balance=_fields(child(entry, "load-balance")),
        sub_protocol=text(entry, "sub-protocol"),
        etree_leaf=text(entry, "etree-leaf") == "true",
        edge_replication_not_supported=text(entry, "edge-replication-not-supported") == "true",
        assisted_replication_supported=text(entry, "assisted-replication-supported") == "true",
        replicator_address=IPv4Address(replicator) if replicator else None,
    )


def _fields(balance: Element | None) -> frozenset[LoadBalanceField]:
    names = [] if balance is None else _list(balance, "load-balance-fields")
    fields = frozenset(
        LoadBalanceField(name) for name in names if name in LoadBalanceField._value2member_map_
    )
    return (
        fields if fields and text(balance, "load-balance-decision") == "field-hash" else ALL_FIELDS
    )
