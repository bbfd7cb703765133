"""Our own routes as stanzas for controllers (facts xmpp-ifmap.md 6.2 and 6.3).

A route is said in two stanzas: `publish` with the whole entry, then `collection` with what
it means: `associate` to add or change, `dissociate` to withdraw.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from ipaddress import IPv4Address

from agent.routes import (
    Encapsulation,
    EvpnKey,
    GroupKey,
    PublishedRoute,
    RouteAttributes,
    RouteFamily,
    RouteNexthop,
)
from agent.values import BROADCAST_MAC
from agent.xmpp.entries import entry, name, node
from agent.xmpp.stanzas import PUBSUB, Identity, quoted

_NOWHERE = IPv4Address(0)
_LOW = 100
_WITHDRAWN = (Encapsulation.GRE, Encapsulation.UDP, Encapsulation.VXLAN)
"""What the reference agent lists when it withdraws an address."""

_IDS = {
    RouteFamily.INET: ("pubsub", "collection"),
    RouteFamily.INET6: ("pubsub", "collection"),
    RouteFamily.INET_MPLS: ("pubsub", "collection"),
    RouteFamily.EVPN: ("pubsub_l2", "collection_l2"),
    RouteFamily.ERMVPN: ("pubsub_b", "collection"),
    RouteFamily.MVPN: ("pubsub_b", "collection"),
}


class StanzaEncoder:
    """Says routes for the agent `identity`; one serves all its sessions.

    Texts are expected to be such as XML can carry; those of a configuration are.
    """

    def __init__(self, identity: Identity) -> None:
        self._start = (
            f'<iq type="set" from="{quoted(identity.name)}" '
            f'to="{identity.controller}/bgp-peer" id="'
        )
        self._said = dict.fromkeys((publish for publish, _ in _IDS.values()), 0)

    def publish(self, route: PublishedRoute) -> bytes:
        """The two stanzas that add or change `route`."""
        return self._pair(route, "associate")

    def withdraw(self, route: PublishedRoute) -> bytes:
        """The two stanzas that take back `route`, which is as it was published.

        The key is the published one. The reference agent puts the label in the place of the
        Ethernet tag when it withdraws inclusive multicast; a controller that knows routes by
        their keys, as ours does, would find none.
        """
        return self._pair(route._replace(attributes=_withdrawn(route)), "dissociate")

    def _pair(self, route: PublishedRoute, verb: str) -> bytes:
        publish, collect = _IDS[route.family]
        number = self._said[publish]
        self._said[publish] = number + 1
        named = node(route)
        return (
            f'{self._start}{publish}{number}">\n'
            f'  <pubsub xmlns="{PUBSUB}">\n'
            f'    <publish node="{named}">\n'
            f"      <item><entry>{entry(route)}</entry></item>\n"
            "    </publish>\n"
            "  </pubsub>\n"
            "</iq>"
            f'{self._start}{collect}{number}">\n'
            f'  <pubsub xmlns="{PUBSUB}">\n'
            f'    <collection node="{name(route.vrf)}">\n'
            f'      <{verb} node="{named}" />\n'
            "    </collection>\n"
            "  </pubsub>\n"
            "</iq>"
        ).encode()


def _withdrawn(route: PublishedRoute) -> RouteAttributes:
    """What a withdrawal says beside the key: no more than the reference agent does."""
    key, attributes = route.key, route.attributes
    if isinstance(key, GroupKey) or (isinstance(key, EvpnKey) and key.mac == BROADCAST_MAC):
        return attributes
    if isinstance(key, EvpnKey):
        return _withdrawn_host(key.tag)
    hops = tuple(
        RouteNexthop(hop.address, 0, _WITHDRAWN, hop.virtual_network, hop.mac)
        for hop in attributes.nexthops
    )
    return replace(attributes, nexthops=hops, security_groups=(), communities=())


@lru_cache(1024)
def _withdrawn_host(tag: int) -> RouteAttributes:
    hop = RouteNexthop(_NOWHERE, tag)
    return RouteAttributes((hop,), local_preference=_LOW, etree_leaf=True)
