"""Words for what decisions, rules and table entries hold in numbers."""

from __future__ import annotations

from agent.oper.flow_rows import Action, Endpoint, Rule, Service

ACTIONS = ("drop", "hold", "forward", "NAT")
REASONS = (
    "no reason",
    "the interface is not there or not active",
    "IPv4 forwarding is off in the network",
    "the VRF is not there",
    "no route to the source",
    "no route to the destination",
    "the entry was found held by an audit",
    "the VRF changed",
    "no reverse flow",
    "the reverse flow changed",
    "the translation changed",
    "the limit of flows is reached",
    "no port of the host is free for a link-local service",
    "the datapath could not take it",
    "the frame cannot be bridged",
    "flows are not made on a service node",
    "the mirror is not there",
    "forward and reverse flow would be the same",
    "the floating IP does not map the port",
    "no route to the source MAC address",
    "a fat flow cannot be translated",
    "the fabric interface is down",
    "denied by network policy",
    "denied by the network policy of the other port",
    "denied by security groups",
    "denied by the security groups of the other port",
    "the way back is denied by security groups",
    "the way back is denied by the security groups of the other port",
    "denied by firewall policy",
    "denied by the firewall policy of the other port",
    "the way back is denied by firewall policy",
    "the way back is denied by the firewall policy of the other port",
    "denied by FWaaS",
    "denied by the FWaaS of the other port",
    "the way back is denied by FWaaS",
    "the way back is denied by the FWaaS of the other port",
)
"""By the agent's number of a drop reason (facts pkt0-services.md 12)."""

REASON_NAMES = (
    "UNKNOWN", "UNAVAILABLE_INTERFACE", "IPV4_FWD_DIS", "UNAVAILABLE_VRF", "NO_SRC_ROUTE",
    "NO_DST_ROUTE", "AUDIT_ENTRY", "VRF_CHANGE", "NO_REVERSE_FLOW", "REVERSE_FLOW_CHANGE",
    "NAT_CHANGE", "FLOW_LIMIT", "LINKLOCAL_SRC_NAT", "FAILED_VROUTER_INSTALL", "INVALID_L2_FLOW",
    "FLOW_ON_TSN", "NO_MIRROR_ENTRY", "SAME_FLOW_RFLOW_KEY", "PORT_MAP_DROP", "NO_SRC_ROUTE_L2RPF",
    "FAT_FLOW_NAT_CONFLICT", "L3MH_PHY_INTF_DOWN", "POLICY", "OUT_POLICY", "SG", "OUT_SG",
    "REVERSE_SG", "REVERSE_OUT_SG", "FIREWALL_POLICY", "OUT_FIREWALL_POLICY",
    "REVERSE_FIREWALL_POLICY", "REVERSE_OUT_FIREWALL_POLICY", "FWAAS_POLICY", "FWAAS_OUT_POLICY",
    "FWAAS_REVERSE_POLICY", "FWAAS_REVERSE_OUT_POLICY",
)  # fmt: skip
"""The same as programs know them."""

RESERVED_RULES = (
    "no rule was asked",
    "implicit allow (there is no list)",
    "implicit deny (no rule matches)",
    "the default gateway answers ping and DNS",
    "link-local traffic is not filtered",
    "multicast is not filtered",
    "not IP",
    "BGP as a service is not filtered",
)
RULE_ACTIONS = tuple((action.value, str(action.name).lower()) for action in Action)
FLAGS = (
    (0x2, "source NAT"),
    (0x4, "source port translation"),
    (0x8, "destination NAT"),
    (0x10, "destination port translation"),
    (0x2000, "mirroring"),
    (0x4000, "VRF translation"),
    (0x8000, "link-local NAT"),
)
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6", 132: "sctp"}
_ANY_PROTOCOL, _ANY_PORTS = (0, 255), (0, 65535)


def rule_text(rule: Rule) -> str:
    """A rule in one line."""
    services = " or ".join(map(_service, rule.services))
    return f"{services} from {_endpoint(rule.source)} to {_endpoint(rule.destination)}"


def _service(service: Service) -> str:
    first, last = service.protocols
    if service.protocols == _ANY_PROTOCOL:
        name = "any protocol"
    else:
        name = _PROTOCOLS.get(first, str(first)) if first == last else f"protocols {first}-{last}"
    source, destination = map(_ports, (service.source_ports, service.destination_ports))
    return (
        name
        + (f" from ports {source}" if source else "")
        + (f" ports {destination}" if destination else "")
    )


def _ports(ports: tuple[int, int]) -> str:
    first, last = ports
    if ports == _ANY_PORTS:
        return ""
    return str(first) if first == last else f"{first}-{last}"


def _endpoint(endpoint: Endpoint) -> str:
    parts = [", ".join(map(str, endpoint.prefixes))] if endpoint.prefixes else []
    if endpoint.network:
        parts.append(f"network {endpoint.network}")
    if endpoint.group is not None and endpoint.group >= 0:
        parts.append(f"security group {endpoint.group}")
    if endpoint.tags:
        parts.append("tags " + ", ".join(f"{tag:#x}" for tag in endpoint.tags))
    parts += ["any of tags " + ", ".join(f"{tag:#x}" for tag in tags) for tags in endpoint.tag_sets]
    return " and ".join(parts) or "anywhere"
