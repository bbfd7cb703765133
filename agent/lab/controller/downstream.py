"""Route messages as a control node writes them (facts xmpp-ifmap.md 5.1, 5.2, 7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from xml.sax.saxutils import escape

from agent.lab.controller.wire import JID, PUBSUB, quoted
from agent.routes import (
    ALL_FIELDS,
    Encapsulation,
    EvpnKey,
    GroupKey,
    InetKey,
    LoadBalanceField,
    RouteAttributes,
    RouteBatch,
    RouteFamily,
    RouteKey,
    RouteNexthop,
    TreeNeighbour,
)

ROUTES = 32
RETRACTS = 256
"""How many items of each kind a message holds."""


def messages(agent: str, batch: RouteBatch, distinguisher: str) -> Iterator[bytes]:
    """The batch, of routes only or retracts only, as messages.

    `distinguisher` is "ADDRESS:INSTANCE" of the agent in the VRF; it names tree routes.
    """
    updates = batch.updates
    room = ROUTES if updates and updates[0].attributes else RETRACTS
    af, safi = batch.family.value
    for start in range(0, len(updates), room):
        rows = (
            _item(batch.family, item_id(key, distinguisher), key, attributes)
            for key, attributes in updates[start : start + room]
        )
        items = "".join(f"\t\t\t{row}\n" for row in rows)
        yield (
            f'<message from="{JID}" to="{quoted(agent)}/bgp-peer">\n'
            f'\t<event xmlns="{PUBSUB}">\n'
            f'\t\t<items node="{af}/{safi}/{quoted(batch.vrf)}">\n{items}\t\t</items>\n'
            "\t</event>\n</message>\n"
        ).encode()


def item_id(key: RouteKey, distinguisher: str) -> str:
    """The id of an item; for a retract it is all that names the route."""
    match key:
        case InetKey(prefix, length):
            return f"{ip_address(prefix)}/{length}"
        case EvpnKey(tag, mac, ip, length):
            return f"{tag}-{mac},{ip}/{length}" if tag else f"{mac},{ip}/{length}"
        case GroupKey(group, source):
            return f"{distinguisher}:{group},{source}"


def _item(family: RouteFamily, name: str, key: RouteKey, route: RouteAttributes | None) -> str:
    if route is None:
        return f'<retract id="{name}" />'
    match key:
        case InetKey():
            entry = _inet(family, key, route)
        case EvpnKey():
            entry = _evpn(family, key, route)
        case GroupKey():
            entry = _tree(family, key, route)
    return f'<item id="{name}"><entry>{entry}</entry></item>'


def _inet(family: RouteFamily, key: InetKey, route: RouteAttributes) -> str:
    hops = "".join(map(_inet_hop, route.nexthops))
    return (
        f"<nlri>{_family(family)}<address>{item_id(key, '')}</address></nlri>"
        f"<next-hops>{hops}</next-hops><version>1</version>{_named(route)}"
        f"{_groups(route)}<community-tag-list>{_repeated('community-tag', route.communities)}"
        f"</community-tag-list>{_preference(route)}{_balance(route.load_balance)}"
        f"<sub-protocol>{escape(route.sub_protocol)}</sub-protocol>"
    )


def _inet_hop(hop: RouteNexthop) -> str:
    tags = f"<tag-list>{_repeated('tag', hop.tags)}</tag-list>"
    return (
        f"<next-hop><af>1</af><address>{hop.address}</address><mac></mac>"
        f"<label>{hop.label}</label><vni>0</vni>"
        f"{_encapsulations(hop.encapsulations, default=bool(hop.label))}"
        f"<virtual-network>{escape(hop.virtual_network)}</virtual-network>{tags}"
        "<is-new-tags-list>true</is-new-tags-list>"
        f"<local-sequence-number>{hop.local_sequence}</local-sequence-number></next-hop>"
    )


def _evpn(family: RouteFamily, key: EvpnKey, route: RouteAttributes) -> str:
    hops = "".join(map(_evpn_hop, route.nexthops))
    olist, leaves = (
        "".join(
            _evpn_hop(RouteNexthop(one.address, one.label, one.encapsulations)) for one in listed
        )
        for listed in (route.neighbours, route.leaf_neighbours)
    )
    replicator = route.replicator_address
    return (
        f"<nlri>{_family(family)}<ethernet-tag>{key.tag}</ethernet-tag><mac>{key.mac}</mac>"
        f"<address>{key.ip}/{key.length}</address><group>0.0.0.0</group>"
        f"<source>0.0.0.0</source><flags>0</flags></nlri>"
        f"<next-hops>{hops}</next-hops><olist>{olist}</olist>{_named(route)}"
        f"{_groups(route)}{_preference(route)}"
        f"{_flag('edge-replication-not-supported', route.edge_replication_not_supported)}"
        f"{_flag('assisted-replication-supported', route.assisted_replication_supported)}"
        f"<leaf-olist>{leaves}</leaf-olist>"
        + (
            f"<replicator-address>{replicator}</replicator-address>"
            if replicator
            else "<replicator-address />"
        )
        + _flag("etree-leaf", route.etree_leaf)
    )


def _evpn_hop(hop: RouteNexthop) -> str:
    tags = f"<tag-list>{_repeated('tag', hop.tags)}</tag-list>" if hop.tags else "<tag-list />"
    return (
        f"<next-hop><af>1</af><address>{hop.address}</address><mac>{hop.mac or ''}</mac>"
        f"<label>{hop.label}</label><l3-label>{hop.l3_label}</l3-label>"
        f"{_encapsulations(hop.encapsulations, default=True)}{tags}"
        f"{_flag('is-new-tags-list', bool(hop.tags))}"
        f"<local-sequence-number>{hop.local_sequence}</local-sequence-number></next-hop>"
    )


def _tree(family: RouteFamily, key: GroupKey, route: RouteAttributes) -> str:
    source = route.source_address
    helper = f"<source-address>{source}</source-address>" if source else "<source-address />"
    olist = "".join(map(_tree_hop, route.neighbours))
    return (
        f"<nlri>{_family(family)}<group>{key.group}</group><source>{key.source}</source>"
        f"<source-label>{route.source_label}</source-label>{helper}</nlri>"
        f"<next-hops /><olist>{olist}</olist>"
    )


def _tree_hop(neighbour: TreeNeighbour) -> str:
    return (
        f"<next-hop><af>1</af><address>{neighbour.address}</address>"
        f"<label>{neighbour.label}</label>"
        f"{_encapsulations(neighbour.encapsulations, default=True)}</next-hop>"
    )


def _family(family: RouteFamily) -> str:
    af, safi = family.value
    return f"<af>{af}</af><safi>{safi}</safi>"


def _named(route: RouteAttributes) -> str:
    """The entry's network and its mobility sequence, in both forms."""
    sticky = "true" if route.sticky else "false"
    return (
        f"<virtual-network>{escape(route.virtual_network)}</virtual-network>"
        f'<mobility sticky="{sticky}" seqno="{route.sequence}" /><peers />'
        f"<sequence-number>{route.sequence}</sequence-number>"
    )


def _groups(route: RouteAttributes) -> str:
    groups = _repeated("security-group", route.security_groups)
    return f"<security-group-list>{groups}</security-group-list>"


def _preference(route: RouteAttributes) -> str:
    return f"<local-preference>{route.local_preference}</local-preference><med>{route.med}</med>"


def _balance(fields: frozenset[LoadBalanceField]) -> str:
    """Without fields when all are meant."""
    some = fields != ALL_FIELDS
    names = [field.value for field in LoadBalanceField if some and field in fields]
    return (
        f"<load-balance><load-balance-fields>{_repeated('load-balance-field-list', names)}"
        f"</load-balance-fields><load-balance-decision>{'field-hash' if some else ''}"
        "</load-balance-decision></load-balance>"
    )


def _encapsulations(listed: Iterable[Encapsulation], *, default: bool) -> str:
    names = [one.value for one in listed] or (["gre"] if default else [])
    inside = _repeated("tunnel-encapsulation", names)
    return f"<tunnel-encapsulation-list>{inside}</tunnel-encapsulation-list>"


def _repeated(name: str, values: Iterable[object]) -> str:
    return "".join(f"<{name}>{escape(str(value))}</{name}>" for value in values)


def _flag(name: str, value: bool) -> str:
    return f"<{name}>{'true' if value else 'false'}</{name}>"
