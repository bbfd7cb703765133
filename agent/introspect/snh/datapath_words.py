"""Names of what the datapath holds as numbers, as introspect shows them."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from agent.shm.bridge import BridgeFlag
from agent.shm.flow import FlowAction, FlowFlag, TcpFlag
from agent.shm.reasons import FLOW_DROP_REASONS

INET, BRIDGE, INET6 = 2, 7, 10
FAMILIES = {0: "AF_UNSPEC", INET: "AF_INET", BRIDGE: "AF_BRIDGE", INET6: "AF_INET6"}
VIF_TYPES = (
    "HOST", "AGENT", "PHYSICAL", "VIRTUAL", "XEN_LL_HOST", "GATEWAY", "VIRTUAL_VLAN", "STATS",
    "VLAN", "MONITORING",
)  # fmt: skip
VIF_FLAGS = (
    (0x1, "POLICY"), (0x2, "XCONNECT"), (0x4, "SERVICE_IF"), (0x8, "MIRROR_RX"),
    (0x10, "MIRROR_TX"), (0x20, "TX_CSUM_OFFLOAD"), (0x40, "L3_ENABLED"), (0x80, "L2_ENABLED"),
    (0x100, "DHCP_ENABLED"), (0x200, "VHOST_PHYS"), (0x400, "PROMISCUOUS"),
    (0x800, "NATIVE_VLAN_TAG"), (0x1000, "NO_ARP_PROXY"), (0x2000, "PMD"),
    (0x4000, "FILTERING_OFFLOAD"), (0x8000, "MONITORED"), (0x10000, "UNKNOWN_UC_FLOOD"),
    (0x20000, "VLAN_OFFLOAD"), (0x40000, "DROP_NEW_FLOWS"), (0x80000, "MAC_LEARN"),
    (0x100000, "MAC_PROXY"), (0x200000, "ETREE_ROOT"), (0x400000, "GRO_NEEDED"),
    (0x800000, "MRG_RXBUF"), (0x1000000, "MIRROR_NOTAG"), (0x2000000, "IGMP_ENABLED"),
    (0x4000000, "MOCK_DEVICE"), (0x8000000, "HBS_LEFT"), (0x10000000, "HBS_RIGHT"),
    (0x20000000, "FAB_GW_MODE"), (0x40000000, "MAC_IP_LEARNING"),
)  # fmt: skip
NH_TYPES = (
    "DEAD", "RCV", "ENCAP", "TUNNEL", "RESOLVE", "DISCARD", "COMPOSITE", "VRF_TRANSLATE",
    "L2_RCV",
)  # fmt: skip
NH_FLAGS = (
    (0x1, "VALID"), (0x2, "POLICY"), (0x8, "TUNNEL_GRE"), (0x10, "TUNNEL_UDP"), (0x20, "MCAST"),
    (0x40, "TUNNEL_UDP_MPLS"), (0x80, "TUNNEL_VXLAN"), (0x100, "RELAXED_POLICY"),
    (0x200, "COMPOSITE_FABRIC"), (0x400, "COMPOSITE_ECMP"), (0x1000, "COMPOSITE_EVPN"),
    (0x2000, "COMPOSITE_ENCAP"), (0x4000, "COMPOSITE_TOR"), (0x8000, "ROUTE_LOOKUP"),
    (0x10000, "UNKNOWN_UC_FLOOD"), (0x20000, "TUNNEL_SIP_COPY"), (0x40000, "FLOW_LOOKUP"),
    (0x80000, "TUNNEL_PBB"), (0x100000, "MAC_LEARN"), (0x200000, "ETREE_ROOT"),
    (0x400000, "INDIRECT"), (0x800000, "L2_CONTROL_DATA"), (0x1000000, "CRYPT_TRAFFIC"),
    (0x2000000, "L3_VXLAN"), (0x4000000, "TUNNEL_MPLS_O_MPLS"), (0x10000000, "UNDERLAY_ECMP"),
)  # fmt: skip
ROUTE_FLAGS = (
    (0x1, "LABEL_VALID"), (0x2, "ARP_PROXY"), (0x4, "ARP_TRAP"), (0x8, "ARP_FLOOD"),
    (0x10, "MAC_IP_LEARNT"),
)  # fmt: skip
BRIDGE_FLAGS = tuple((int(flag), str(flag.name)) for flag in BridgeFlag)
MIRROR_FLAGS = ((0x1, "DYNAMIC"), (0x2, "MARKED_DELETE"), (0x4, "HW_ASSISTED"))
_ACTIONS = {action.value: action.name for action in FlowAction}
_FLOW_FLAGS = tuple((int(flag), str(flag.name)) for flag in FlowFlag)
_TCP_FLAGS = tuple((int(flag), str(flag.name)) for flag in TcpFlag)


def word(names: Sequence[str], number: int) -> str:
    """The name of a number; `INVALID` for one that has none."""
    return names[number] if 0 <= number < len(names) else "INVALID"


def flags(names: Sequence[tuple[int, str]], value: int) -> str:
    """The names of the bits that are set."""
    return " | ".join(name for bit, name in names if value & bit)


def action(number: int) -> str:
    """What becomes of a flow's packets."""
    return _ACTIONS.get(number, "INVALID")


def flow_flags(value: int) -> str:
    """Flags of a flow entry."""
    return flags(_FLOW_FLAGS, value)


def tcp_flags(value: int) -> str:
    """What was seen of a TCP flow."""
    return flags(_TCP_FLAGS, value)


def drop_reason(number: int) -> str:
    """Why a flow's packets are dropped."""
    return word(FLOW_DROP_REASONS, number)


def mac(octets: bytes) -> str:
    """`02:00:5e:00:00:01`; "" for what is no MAC address."""
    return ":".join(f"{octet:02x}" for octet in octets) if len(octets) == 6 else ""


def ip4(loaded: int) -> str:
    """An IPv4 address that travels as the word the datapath's memory holds."""
    return str(IPv4Address((loaded & 0xFFFFFFFF).to_bytes(4, "little")))


def prefix(octets: bytes) -> str:
    """The address of 4 or 16 bytes; "" for others."""
    if len(octets) == 4:
        return str(IPv4Address(octets))
    return str(IPv6Address(octets)) if len(octets) == 16 else ""
