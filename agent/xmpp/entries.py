"""What an entry of our own says of a route, as XML (facts xmpp-ifmap.md 5.1, 5.2, 6.3).

Every field is said, in the order of the schema, also when it is empty or zero. Element
order, empty elements and their two forms are those of the reference agent.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address
from xml.sax.saxutils import escape

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
    RouteNexthop,
    TreeNeighbour,
)
from agent.values import BROADCAST_MAC
from agent.xmpp.stanzas import quoted

_REMEMBERED = 1024
"""How many different texts and lists are kept for use again, of each kind."""

_FAMILIES = {family: family.value for family in RouteFamily}

# Addresses are written with !s: their own formatting parses a format first.


def node(route: PublishedRoute) -> str:
    """The node's name, for a quoted attribute. EVPN nodes have neither VRF nor Ethernet tag."""
    af, safi = _FAMILIES[route.family]
    match route.key:
        case InetKey() as key:
            native = "" if route.native_vrf is None else f"/{route.native_vrf}"
            return f"{af}/{safi}/{name(route.vrf)}/{_prefix(key)}{native}"
        case EvpnKey(_, mac, ip, length) if mac == BROADCAST_MAC:
            return f"{af}/{safi}/255.255.255.255,{ip!s}/{length},255.255.255.255,0.0.0.0"
        case EvpnKey(_, mac, ip, length):
            return f"{af}/{safi}/{mac!s},{ip!s}/{length}"
        case GroupKey(group, _):
            return f"{af}/{safi}/{name(route.vrf)}/{group!s}"


def entry(route: PublishedRoute) -> str:
    """What stands inside of `entry`."""
    attributes = route.attributes
    match route.key:
        case InetKey() as key:
            return _inet(route.family, key, attributes)
        case EvpnKey() as key:
            return _evpn(route.family, key, attributes)
        case GroupKey() as key if route.family is RouteFamily.MVPN:
            return _mvpn(route.family, key, attributes)
        case GroupKey() as key:
            return _ermvpn(route.family, key, attributes)


@lru_cache(_REMEMBERED)
def name(text: str) -> str:
    """`text` for a quoted attribute."""
    return quoted(text)


def _prefix(key: InetKey) -> str:
    prefix, length = key
    if len(prefix) == 4:
        return f"{prefix[0]}.{prefix[1]}.{prefix[2]}.{prefix[3]}/{length}"
    return f"{IPv6Address(prefix)!s}/{length}"


# Families


def _inet(family: RouteFamily, key: InetKey, route: RouteAttributes) -> str:
    af, safi = _FAMILIES[family]
    return (
        f"<nlri><af>{af}</af><safi>{safi}</safi><address>{_prefix(key)}</address></nlri>"
        f"<next-hops>{''.join([_inet_hop(hop) for hop in route.nexthops])}</next-hops>"
        f"<version>1</version>{_mobility(route)}{_security_groups(route.security_groups)}"
        f"<community-tag-list>{_communities(route.communities)}</community-tag-list>"
        f"<local-preference>{route.local_preference}</local-preference><med>{route.med}</med>"
        f"{_load_balance(route.load_balance)}<sub-protocol>{_text(route.sub_protocol)}"
        "</sub-protocol>"
    )


def _inet_hop(hop: RouteNexthop) -> str:
    new, tags = _tags(hop.tags)
    return (
        f"<next-hop><af>1</af><address>{hop.address!s}</address><mac>{hop.mac or ''}</mac>"
        f"<label>{hop.label}</label><vni>0</vni><tunnel-encapsulation-list>"
        f"{_encapsulations(hop.encapsulations)}</tunnel-encapsulation-list>"
        f"<virtual-network>{_text(hop.virtual_network)}</virtual-network>"
        f"<tag-list>{tags}</tag-list><is-new-tags-list>{new}</is-new-tags-list>"
        f"<local-sequence-number>{hop.local_sequence}</local-sequence-number></next-hop>"
    )


def _evpn(family: RouteFamily, key: EvpnKey, route: RouteAttributes) -> str:
    af, safi = _FAMILIES[family]
    return (
        f"<nlri><af>{af}</af><safi>{safi}</safi><ethernet-tag>{key.tag}</ethernet-tag>"
        f"<mac>{key.mac!s}</mac><address>{key.ip!s}/{key.length}</address><group></group>"
        f"<source></source><flags>0</flags></nlri>"
        f"<next-hops>{''.join([_evpn_hop(hop) for hop in route.nexthops])}</next-hops>"
        f"<olist>{_evpn_list(route.neighbours)}</olist>{_mobility(route)}"
        f"{_security_groups(route.security_groups)}"
        f"<local-preference>{route.local_preference}</local-preference><med>{route.med}</med>"
        f"<edge-replication-not-supported>{_flag(route.edge_replication_not_supported)}"
        "</edge-replication-not-supported><assisted-replication-supported>"
        f"{_flag(route.assisted_replication_supported)}</assisted-replication-supported>"
        f"<leaf-olist>{_evpn_list(route.leaf_neighbours)}</leaf-olist>"
        f"{_optional('replicator-address', route.replicator_address)}"
        f"<etree-leaf>{_flag(route.etree_leaf)}</etree-leaf>"
    )


def _evpn_hop(hop: RouteNexthop) -> str:
    new, tags = _tags(hop.tags)
    return (
        f"<next-hop><af>1</af><address>{hop.address!s}</address><mac>{hop.mac or ''}</mac>"
        f"<label>{hop.label}</label><l3-label>{hop.l3_label}</l3-label>"
        f"<tunnel-encapsulation-list>{_encapsulations(hop.encapsulations)}"
        f"</tunnel-encapsulation-list>{_optional('tag-list', tags)}"
        f"<is-new-tags-list>{new}</is-new-tags-list>"
        f"<local-sequence-number>{hop.local_sequence}</local-sequence-number></next-hop>"
    )


def _evpn_list(neighbours: tuple[TreeNeighbour, ...]) -> str:
    if not neighbours:
        return ""
    hops = (RouteNexthop(one.address, one.label, one.encapsulations) for one in neighbours)
    return "".join(map(_evpn_hop, hops))


def _ermvpn(family: RouteFamily, key: GroupKey, route: RouteAttributes) -> str:
    """Labels of our own are a range that the tree's builder may take from."""
    first_last = route.label_range
    labels = None if first_last is None else f"{first_last[0]}-{first_last[1]}"
    hops = [_tree_hop(hop, labels or str(hop.label)) for hop in route.nexthops]
    return (
        f"<nlri>{_group(family, key)}<source-label>{route.source_label}</source-label>"
        f"{_optional('source-address', route.source_address)}</nlri>"
        f"<next-hops>{''.join(hops)}</next-hops>{_olist(route)}"
    )


def _mvpn(family: RouteFamily, key: GroupKey, route: RouteAttributes) -> str:
    hops = [_tree_hop(hop, str(hop.label)) for hop in route.nexthops]
    return (
        f"<nlri>{_group(family, key)}<route-type>{route.route_type}</route-type></nlri>"
        f"{''.join(hops)}{_olist(route)}"
    )


def _group(family: RouteFamily, key: GroupKey) -> str:
    af, safi = _FAMILIES[family]
    return (
        f"<af>{af}</af><safi>{safi}</safi>"
        f"<group>{key.group!s}</group><source>{key.source!s}</source>"
    )


def _tree_hop(hop: RouteNexthop | TreeNeighbour, label: str) -> str:
    listed = _optional("tunnel-encapsulation-list", _encapsulations(hop.encapsulations))
    return (
        f"<next-hop><af>1</af><address>{hop.address!s}</address><label>{label}</label>"
        f"{listed}</next-hop>"
    )


def _olist(route: RouteAttributes) -> str:
    return _optional("olist", "".join(_tree_hop(one, str(one.label)) for one in route.neighbours))


# Parts


def _mobility(route: RouteAttributes) -> str:
    return (
        f"<virtual-network>{_text(route.virtual_network)}</virtual-network>"
        f'<mobility sticky="{_flag(route.sticky)}" seqno="{route.sequence}" /><peers />'
        f"<sequence-number>{route.sequence}</sequence-number>"
    )


@lru_cache(_REMEMBERED)
def _security_groups(groups: tuple[int, ...]) -> str:
    return f"<security-group-list>{_repeated('security-group', groups)}</security-group-list>"


@lru_cache(_REMEMBERED)
def _communities(communities: tuple[str, ...]) -> str:
    return _repeated("community-tag", map(_text, communities))


@lru_cache(_REMEMBERED)
def _tags(tags: tuple[int, ...]) -> tuple[str, str]:
    """Whether they are of the new format, and the tags; the old one where it can hold them."""
    old = [(tag & 0xFFFF) | (tag & 0xFFFF_0000_0000) >> 16 for tag in tags]
    if any(tag & 0xFFFF_0000 for tag in tags):
        return "true", _repeated("tag", tags)
    return "false", _repeated("tag", old)


@lru_cache(_REMEMBERED)
def _encapsulations(listed: tuple[Encapsulation, ...]) -> str:
    return _repeated("tunnel-encapsulation", (one.value for one in listed))


@lru_cache(_REMEMBERED)
def _load_balance(fields: frozenset[LoadBalanceField]) -> str:
    """Without names when all fields are meant."""
    names = [field.value for field in LoadBalanceField if field in fields]
    listed = _repeated("load-balance-field-list", names if fields != ALL_FIELDS else ())
    return (
        f"<load-balance><load-balance-fields>{listed}</load-balance-fields>"
        "<load-balance-decision>field-hash</load-balance-decision></load-balance>"
    )


@lru_cache(_REMEMBERED)
def _text(text: str) -> str:
    """`text` between tags; a bare carriage return would be read as a line feed."""
    return escape(text, {"\r": "&#13;"})


def _repeated(element: str, values: Iterable[object]) -> str:
    return "".join([f"<{element}>{value}</{element}>" for value in values])


def _optional(element: str, value: object) -> str:
    return f"<{element}>{value}</{element}>" if value else f"<{element} />"


def _flag(value: bool) -> str:
    return "true" if value else "false"
