"""Numbers of the pkt0 protocol (facts pkt0-services.md, sections 3 and 4)."""

from __future__ import annotations

from enum import IntEnum


class Trap(IntEnum):
    """Commands to the datapath (0, 1) and reasons why a packet was trapped."""

    CMD_SWITCH = 0
    CMD_ROUTE = 1
    ARP = 2
    L2_PROTOCOLS = 3
    NEXTHOP = 4
    RESOLVE = 5
    FLOW_MISS = 6
    L3_PROTOCOLS = 7
    DIAG = 8
    ECMP_RESOLVE = 9
    SOURCE_MISMATCH = 10
    HANDLE_DF = 11
    ZERO_TTL = 12
    ICMP_ERROR = 13
    TOR_CONTROL_PKT = 14
    FLOW_ACTION_HOLD = 15
    ROUTER_ALERT = 16
    MAC_LEARN = 17
    MAC_MOVE = 18
    MAC_IP_LEARNING = 19
    BFD = 20


class Module(IntEnum):
    """Who takes a trapped packet: the result of classification."""

    INVALID = 0
    FLOW = 1
    ARP = 2
    DHCP = 3
    DHCPV6 = 4
    DNS = 5
    ICMP = 6
    ICMPV6 = 7
    DIAG = 8
    ICMP_ERROR = 9
    ICMPV6_ERROR = 10
    RX_PACKET = 11
    MAC_LEARNING = 12
    BFD = 13
    IGMP = 14
    MAC_IP_LEARNING = 15


class Status(IntEnum):
    """Why a packet cannot be used: the low byte of a verdict."""

    OK = 0
    TRUNCATED = 1
    BAD_IHL = 2
    BAD_VERSION = 3
    FRAGMENT = 4
    FAMILY_MISMATCH = 5
    FLOW_TRAP_NON_IP = 6
    BAD_TUNNEL = 7
    UNKNOWN_LABEL = 8


class ArpKind(IntEnum):
    """What an ARP packet is, after its fixed fields were checked."""

    INVALID = 0
    REQUEST = 1
    REPLY = 2
    GRATUITOUS = 3
    UNKNOWN_OP = 4


class LabelKind(IntEnum):
    """What an MPLS label leads to, for packets that come out of a tunnel."""

    L3 = 1
    L2 = 2
    L2_CONTROL_WORD = 3


class TunnelKind(IntEnum):
    """The tunnel that a packet came out of."""

    MPLS_GRE = 1
    MPLS_UDP = 2
    VXLAN = 3


class DhcpStatus(IntEnum):
    """How far a DHCP message could be read."""

    OK = 0
    SHORT_HEADER = 1
    BAD_COOKIE = 2


class DhcpType(IntEnum):
    """DHCP message types (RFC 2132 section 9.6)."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8
