"""Published routes of every family, for hypothesis."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

from hypothesis import strategies as st

from agent.routes import (
    ALL_FIELDS,
    Encapsulation,
    EvpnKey,
    GroupKey,
    InetKey,
    LoadBalanceField,
    PublishedRoute,
    RouteAttributes,
    RouteFamily,
    RouteKey,
    RouteNexthop,
    TreeNeighbour,
)
from agent.values import BROADCAST_MAC, Mac

LABEL, WORD = 0xFFFFFF, 0xFFFFFFFF
TREES = (RouteFamily.ERMVPN, RouteFamily.MVPN)

labels = st.integers(0, LABEL)
words = st.integers(0, WORD)
texts = st.text(
    st.characters(codec="utf-8", min_codepoint=32, exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\n\r"),
    max_size=20,
)
ip4 = st.builds(IPv4Address, words)
ip6 = st.builds(IPv6Address, st.integers(0, (1 << 128) - 1))
macs = st.binary(min_size=6, max_size=6).map(Mac)
encapsulations = st.lists(st.sampled_from(Encapsulation), unique=True).map(tuple)
neighbours = st.lists(st.builds(TreeNeighbour, ip4, labels, encapsulations), max_size=3).map(tuple)


def nexthops(**fields: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[RouteNexthop, ...]]:
    one = st.builds(RouteNexthop, ip4, labels, encapsulations, **fields)
    return st.lists(one, min_size=1, max_size=3).map(tuple)


tagged = {
    "mac": st.none() | macs,
    "tags": st.lists(st.integers(0, (1 << 48) - 1), max_size=3).map(
        lambda tags: tuple(sorted(tags))
    ),
    "local_sequence": words,
}
unicast = {
    "virtual_network": texts,
    "sequence": words,
    "sticky": st.booleans(),
    "local_preference": words,
    "med": words,
    "security_groups": st.lists(words, max_size=3).map(tuple),
}
some_fields = st.frozensets(st.sampled_from(LoadBalanceField), min_size=1)
inet_attributes = st.builds(
    RouteAttributes,
    nexthops=nexthops(virtual_network=texts, **tagged),
    communities=st.lists(texts, max_size=3).map(tuple),
    load_balance=st.just(ALL_FIELDS) | some_fields,
    sub_protocol=texts,
    **unicast,
)
evpn_attributes = st.builds(
    RouteAttributes,
    nexthops=nexthops(l3_label=labels, **tagged),
    etree_leaf=st.booleans(),
    edge_replication_not_supported=st.booleans(),
    assisted_replication_supported=st.booleans(),
    replicator_address=st.none() | ip4,
    neighbours=neighbours,
    leaf_neighbours=neighbours,
    **unicast,
)
ranges = st.tuples(labels, st.integers(1, LABEL)).map(sorted).map(tuple)
plain_hop = st.builds(RouteNexthop, ip4, labels, encapsulations).map(lambda hop: (hop,))
ranged_hop = st.builds(RouteNexthop, ip4, st.just(0), encapsulations).map(lambda hop: (hop,))
ermvpn_attributes = st.builds(
    RouteAttributes,
    nexthops=ranged_hop,
    label_range=ranges,
    neighbours=neighbours,
    source_label=labels,
    source_address=st.none() | ip4,
) | st.builds(RouteAttributes, nexthops=plain_hop, neighbours=neighbours)
mvpn_attributes = st.builds(
    RouteAttributes, nexthops=plain_hop, neighbours=neighbours, route_type=st.integers(0, 7)
)


@st.composite
def prefixes(draw: st.DrawFn, address: st.SearchStrategy[IPv4Address | IPv6Address]) -> InetKey:
    found = draw(address)
    length = draw(st.integers(0, found.max_prefixlen))
    return InetKey(ip_network((found, length), strict=False).network_address.packed, length)


@st.composite
def evpn_keys(draw: st.DrawFn) -> EvpnKey:
    mac = draw(macs | st.just(BROADCAST_MAC) | st.just(Mac(bytes(6))))
    address = IPv4Address(0) if mac == BROADCAST_MAC else draw(ip4 | ip6)
    length = address.max_prefixlen
    if not any(mac):
        length = draw(st.integers(0, length))
        address = ip_network((address, length), strict=False).network_address
    return EvpnKey(draw(labels), mac, address, length)


KEYS: dict[RouteFamily, st.SearchStrategy[RouteKey]] = {
    RouteFamily.INET: prefixes(ip4),
    RouteFamily.INET_MPLS: prefixes(ip4),
    RouteFamily.INET6: prefixes(ip6),
    RouteFamily.EVPN: evpn_keys(),
    RouteFamily.ERMVPN: st.builds(GroupKey, ip4, ip4),
    RouteFamily.MVPN: st.builds(GroupKey, ip4, ip4),
}
ATTRIBUTES = {
    RouteFamily.EVPN: evpn_attributes,
    RouteFamily.ERMVPN: ermvpn_attributes,
    RouteFamily.MVPN: mvpn_attributes,
}


@st.composite
def published_routes(draw: st.DrawFn) -> PublishedRoute:
    family = draw(st.sampled_from(RouteFamily))
    attributes = draw(ATTRIBUTES.get(family, inet_attributes))
    native = draw(st.none() | st.integers(0, 65535)) if family is RouteFamily.INET else None
    vrf = draw(texts.filter(bool))
    return PublishedRoute(family, vrf, draw(KEYS[family]), attributes, native)
