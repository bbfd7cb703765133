"""Routes as controllers and the agent exchange them: the vocabulary of xmpp, rib, oper and lab.

Facts xmpp-ifmap.md sections 5 to 7. Attributes are interned by whoever decodes them: equal
content is the same object, so that 100 k routes share a few of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, ip_address
from typing import NamedTuple

from agent.values import Address, Mac


class RouteFamily(Enum):
    """(af, safi) of the tables of a VRF; INET_MPLS 1/4 is the fabric's inet.3 table."""

    INET = (1, 1)
    INET6 = (2, 1)
    INET_MPLS = (1, 4)
    EVPN = (25, 242)
    ERMVPN = (1, 241)
    MVPN = (1, 5)

    # Members are single objects; Enum's own hash is Python code, and these are hashed a lot.
    __hash__ = object.__hash__


class Encapsulation(Enum):
    """Names of the tunnel-encapsulation-list that have a forwarding type."""

    GRE = "gre"
    UDP = "udp"
    VXLAN = "vxlan"
    NATIVE = "native"
    MPLS = "mpls"

    __hash__ = object.__hash__


class LoadBalanceField(Enum):
    """Names of the load-balance-field-list."""

    SOURCE_ADDRESS = "l3-source-address"
    DESTINATION_ADDRESS = "l3-destination-address"
    PROTOCOL = "l4-protocol"
    SOURCE_PORT = "l4-source-port"
    DESTINATION_PORT = "l4-destination-port"


ALL_FIELDS = frozenset(LoadBalanceField)


class InetKey(NamedTuple):
    """Key of INET, INET6 and INET_MPLS routes: packed big-endian prefix and its length in bits."""

    prefix: bytes
    length: int

    def __repr__(self) -> str:
        prefix, length = self
        text = ip_address(prefix) if len(prefix) in (4, 16) else prefix.hex()
        return f"{text}/{length}"


class EvpnKey(NamedTuple):
    """Key of EVPN routes.

    Type 2 (host): `mac` set, `ip`/`length` its address or 0.0.0.0/32; type 3 (inclusive
    multicast): broadcast MAC; type 5 (prefix): zero MAC.
    """

    tag: int
    mac: Mac
    ip: Address
    length: int


class GroupKey(NamedTuple):
    """Key of ERMVPN and MVPN routes; source 0.0.0.0 means any."""

    group: IPv4Address
    source: IPv4Address


RouteKey = InetKey | EvpnKey | GroupKey


@dataclass(frozen=True, slots=True)
class RouteNexthop:
    """One next-hop element. `label` is an MPLS label or a VNI, by the encapsulation chosen.

    `tags` are 48-bit in the new format. `mac` is None when not given.
    """

    address: IPv4Address
    label: int
    encapsulations: tuple[Encapsulation, ...] = ()
    virtual_network: str = ""
    mac: Mac | None = None
    tags: tuple[int, ...] = ()
    l3_label: int = 0
    local_sequence: int = 0


@dataclass(frozen=True, slots=True)
class TreeNeighbour:
    """A member of a broadcast tree or replication list: where to send a copy, with which label."""

    address: IPv4Address
    label: int
    encapsulations: tuple[Encapsulation, ...] = ()


@dataclass(frozen=True, slots=True)
class RouteAttributes:
    """Everything of an entry but its key.

    `neighbours` is the olist of EVPN type 3, ERMVPN and MVPN routes; `source_label` the label
    that this node answers to in the tree, `source_address` the ingress helper.
    """

    nexthops: tuple[RouteNexthop, ...] = ()
    virtual_network: str = ""
    sequence: int = 0
    sticky: bool = False
    local_preference: int = 0
    med: int = 0
    security_groups: tuple[int, ...] = ()
    communities: tuple[str, ...] = ()
    load_balance: frozenset[LoadBalanceField] = ALL_FIELDS
    sub_protocol: str = ""
    etree_leaf: bool = False
    edge_replication_not_supported: bool = False
    assisted_replication_supported: bool = False
    replicator_address: IPv4Address | None = None
    neighbours: tuple[TreeNeighbour, ...] = ()
    leaf_neighbours: tuple[TreeNeighbour, ...] = ()
    source_label: int = 0
    source_address: IPv4Address | None = None
    route_type: int = 0
    """MVPN route type 1 to 7; 0 for other families."""
    label_range: tuple[int, int] | None = None
    """ERMVPN routes of our own: the first and last label that trees may take from this node."""


class RouteUpdate(NamedTuple):
    """One route of a batch; no attributes = retracted."""

    key: RouteKey
    attributes: RouteAttributes | None


class RouteBatch(NamedTuple):
    """What one route message says, in its order."""

    family: RouteFamily
    vrf: str
    updates: list[RouteUpdate]
    end_of_rib: bool = False


class PublishedRoute(NamedTuple):
    """One route of our own as it goes to controllers: an upstream entry of `vrf`.

    `native_vrf` is the index of the VRF whose inet route is forwarded by the underlay.
    """

    family: RouteFamily
    vrf: str
    key: RouteKey
    attributes: RouteAttributes
    native_vrf: int | None = None
