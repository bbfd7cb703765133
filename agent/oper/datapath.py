"""Rows of the datapath: what `oper` wants there, with indexes, before it becomes messages.

Every row names itself by `key` and what must be there before it by `refs`. Constants are
those of the vrouter messages (facts sandesh-ksync.md 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from agent.objects import Key, Kind
from agent.oper.flow_rows import FatFlow
from agent.routes import InetKey
from agent.values import Mac, Prefix

NO_VRF = 0xFFFF
HOLE = -1


class Family(IntEnum):
    """Address families of the messages."""

    INET = 2
    BRIDGE = 7
    INET6 = 10


class VifType(IntEnum):
    """vifr_type."""

    HOST = 0
    AGENT = 1
    PHYSICAL = 2
    VIRTUAL = 3
    GATEWAY = 5


class Transport(IntEnum):
    """vifr_transport."""

    ETHERNET = 1
    PMD = 2
    SOCKET = 3


class VifFlag(IntFlag):
    """vifr_flags."""

    NONE = 0
    POLICY = 0x1
    SERVICE = 0x4
    MIRROR_RX = 0x8
    MIRROR_TX = 0x10
    L3 = 0x40
    L2 = 0x80
    DHCP = 0x100
    VHOST_PHYS = 0x200
    UNKNOWN_UC_FLOOD = 0x10000
    DROP_NEW_FLOWS = 0x40000
    ETREE_ROOT = 0x200000


class NexthopType(IntEnum):
    """nhr_type."""

    RECEIVE = 1
    ENCAP = 2
    TUNNEL = 3
    RESOLVE = 4
    DISCARD = 5
    COMPOSITE = 6
    VRF_TRANSLATE = 7
    L2_RECEIVE = 8


class NexthopFlag(IntFlag):
    """nhr_flags."""

    NONE = 0
    VALID = 0x1
    POLICY = 0x2
    TUNNEL_GRE = 0x8
    TUNNEL_UDP = 0x10
    MCAST = 0x20
    TUNNEL_UDP_MPLS = 0x40
    TUNNEL_VXLAN = 0x80
    RELAXED_POLICY = 0x100
    COMPOSITE_FABRIC = 0x200
    COMPOSITE_ECMP = 0x400
    COMPOSITE_EVPN = 0x1000
    COMPOSITE_ENCAP = 0x2000
    UNKNOWN_UC_FLOOD = 0x10000
    TUNNEL_SIP_COPY = 0x20000
    ETREE_ROOT = 0x200000
    L3_VXLAN = 0x2000000


class MirrorFlag(IntFlag):
    """mirr_flags."""

    NONE = 0
    DYNAMIC = 0x1
    HW_ASSISTED = 0x4


class InetFlag(IntFlag):
    """rtr_label_flags of inet and inet6 routes."""

    NONE = 0
    LABEL_VALID = 0x1
    ARP_PROXY = 0x2
    ARP_TRAP = 0x4
    ARP_FLOOD = 0x8


class BridgeFlag(IntFlag):
    """rtr_label_flags of bridge routes."""

    NONE = 0
    LABEL_VALID = 0x2
    FLOOD_DHCP = 0x4


class Peer(IntEnum):
    """Who offers a path; the smallest wins (facts oper-db.md 3.1)."""

    MULTICAST = 0
    EVPN = 1
    EVPN_ROUTING = 3
    LINK_LOCAL = 4
    ECMP = 5
    LOCAL_VM_PORT = 7
    LOCAL_VM = 8
    LOCAL = 9
    VGW = 11


@dataclass(frozen=True, slots=True)
class Vif:
    """A vif. `nexthop` is the index of its flow key nexthop, `cross_connect` an OS index.

    `mirror` is the index of the mirror to which its packets are copied, with metadata for
    what comes in and what goes out; `qos` is the index of its QoS map or -1.
    `vhostuser_mode` counts for PMD: the datapath is client (0) or server (1) of its socket.
    """

    key: Key
    index: int
    name: str
    type: VifType
    flags: VifFlag
    mac: Mac
    transport: int = Transport.ETHERNET
    os_index: int = 0
    vrf: int = NO_VRF
    mcast_vrf: int = NO_VRF
    nexthop: int = 0
    ip: IPv4Address | None = None
    ip6: IPv6Address | None = None
    cross_connect: int | None = None
    refs: tuple[Key, ...] = ()
    fat_flows: tuple[FatFlow, ...] = ()
    mirror: int | None = None
    mirrored_in: bytes = b""
    mirrored_out: bytes = b""
    qos: int = -1
    vhostuser_mode: int = 0


@dataclass(frozen=True, slots=True)
class Nexthop:
    """A nexthop. `vif` is the outgoing vif's index.

    `members` are the nexthops of a composite (HOLE for a place that is kept free) and
    `labels` what goes with each; `hash_fields` are the bits of an ECMP composite. `ends`
    are the outer source and destination of a tunnel, `ports` those of one that carries
    copies to an analyzer, `rewrite` the inner destination MAC of one that routes.
    """

    key: Key
    index: int
    type: NexthopType
    flags: NexthopFlag
    family: Family = Family.INET
    vrf: int = 0
    vif: int | None = None
    encap: bytes = b""
    members: tuple[int, ...] = ()
    refs: tuple[Key, ...] = ()
    labels: tuple[int, ...] = ()
    hash_fields: int = 0
    ends: tuple[IPv4Address, IPv4Address] | None = None
    rewrite: Mac | None = None
    ports: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """An MPLS label bound to a nexthop."""

    key: Key
    label: int
    nexthop: int
    refs: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class VxlanId:
    """A VNI bound to a nexthop."""

    key: Key
    vni: int
    nexthop: int
    refs: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class VrfEntry:
    """The VRF object itself."""

    key: Key
    index: int
    refs: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class VrfAssign:
    """The VRF of what has a tag at a vif of a service, and the nexthop that names it in flows."""

    key: Key
    vif: int
    tag: int
    vrf: int
    nexthop: int
    refs: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where copies of packets go: a nexthop, or what the NIC makes of a VLAN."""

    key: Key
    index: int
    flags: MirrorFlag
    nexthop: int = 0
    vni: int = 0
    vlan: int = 0
    refs: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class QosMap:
    """The forwarding class of each DSCP (64), MPLS EXP (8) and 802.1p (8) mark, from 0."""

    key: Key
    index: int
    dscp: bytes
    mpls: bytes
    dotonep: bytes
    refs: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class ForwardingClass:
    """What a class is marked with, and its queue."""

    key: Key
    number: int
    dscp: int
    mpls: int
    dotonep: int
    queue: int
    refs: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """One peer's path to a prefix or a MAC address of a VRF.

    Of several, the smallest `rank` is programmed. `mac` is the address stitched to a host
    route; `label` counts for bridge routes and for tunnel nexthops.
    """

    vrf: str
    vrf_index: int
    destination: Prefix | Mac
    peer: Peer
    nexthop: Key
    nexthop_index: int
    flags: int
    label: int = 0
    mac: Mac | None = None
    preference: int = 100
    order: int = 0
    sequence: int = 0

    @property
    def key(self) -> Key:
        """The route's key: its VRF by name, and the destination."""
        return route_key(self.vrf, self.destination)

    @property
    def rank(self) -> tuple[int, int, int, int]:
        """Peer, then higher preference, higher sequence number, the lower vif index."""
        return self.peer, -self.preference, -self.sequence, self.order

    @property
    def refs(self) -> tuple[Key, ...]:
        """The VRF, the nexthop, and the bridge route of the stitched MAC."""
        refs = (vrf_key(self.vrf), self.nexthop)
        return refs if self.mac is None else (*refs, route_key(self.vrf, self.mac))


Object: TypeAlias = (
    Vif | Nexthop | Label | VxlanId | VrfEntry | VrfAssign | Mirror | QosMap | ForwardingClass
)
"""What exactly one function of `oper` owns; routes may have several who offer them."""
Row: TypeAlias = Object | Route


def vrf_key(name: str) -> Key:
    """The key of a VRF."""
    return Key(Kind.VRF, name)


def route_key(vrf: str, destination: Prefix | Mac) -> Key:
    """The key of a route by the name of its VRF."""
    if isinstance(destination, Mac):
        return Key(Kind.BRIDGE_ROUTE, (vrf, destination))
    return Key(Kind.INET_ROUTE, (vrf, inet_key(destination)))


def inet_key(prefix: Prefix) -> InetKey:
    """The key by which a prefix is exchanged."""
    return InetKey(prefix.network_address.packed, prefix.prefixlen)


@dataclass(frozen=True, slots=True)
class Output:
    """What one thing of the configuration wants in the datapath."""

    objects: tuple[Object, ...] = ()
    routes: tuple[Route, ...] = ()
