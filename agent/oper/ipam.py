"""IPAM: the subnets of a virtual network with their services and DHCP content."""

from __future__ import annotations

from typing import Any

from agent.ifmap import NodeRef
from agent.inputs import GraphNode
from agent.oper.incremental import View
from agent.oper.rows import DhcpOption, DhcpScope, HostRoute, Subnet
from agent.oper.world import (
    address,
    address4,
    attributes,
    items,
    member,
    neighbours,
    network4,
    node,
    subnet,
)
from agent.values import Address

_LINK = "virtual-network-network-ipam"


def subnets(view: View, vn: NodeRef) -> tuple[Subnet, ...]:
    """The subnets of a virtual network, by prefix. BadConfig names a malformed one."""
    found = []
    for attribute, ipam in attributes(view, vn, _LINK, "network-ipam"):
        shared = node(view, ipam)
        if shared is None:
            continue
        own = items(attribute.properties, "value", "ipam-subnets")
        if member(shared.properties, "ipam-subnet-method") == "flat-subnet":
            own = items(shared.properties, "ipam-subnets", "subnets")
        common = _common(view, ipam, shared)
        found += [_subnet(entry, common) for entry in own]
    return tuple(sorted(found, key=lambda row: (row.prefix.version, row.prefix)))


def vn_host_routes(view: View, vn: NodeRef) -> tuple[HostRoute, ...]:
    """The host routes that the network gives to all its ports."""
    found: list[HostRoute] = []
    for attribute, _ in attributes(view, vn, _LINK, "network-ipam"):
        found += host_routes(member(attribute.properties, "value", "host-routes"))
    return tuple(found)


def options(value: object) -> tuple[DhcpOption, ...]:
    """A DhcpOptionsListType."""
    return tuple(
        DhcpOption(
            str(member(entry, "dhcp-option-name") or ""),
            str(member(entry, "dhcp-option-value") or ""),
            str(member(entry, "dhcp-option-value-bytes") or ""),
        )
        for entry in items(value, "dhcp-option")
    )


def host_routes(value: object) -> tuple[HostRoute, ...]:
    """The IPv4 routes of a RouteTableType, as DHCP hands them out."""
    found = []
    for entry in items(value, "route"):
        prefix = network4(member(entry, "prefix"), "host-routes")
        if prefix is not None:
            found.append(HostRoute(prefix, address4(member(entry, "next-hop"), "host-routes")))
    return tuple(found)


def scope(options_list: object, routes: object) -> DhcpScope:
    """One level of DHCP configuration."""
    return DhcpScope(options(options_list), host_routes(routes))


def _common(view: View, ipam: NodeRef, shared: GraphNode) -> dict[str, Any]:
    """What every subnet of one IPAM has in common."""
    management = member(shared.properties, "network-ipam-mgmt")
    dns = member(management, "ipam-dns-server", "tenant-dns-server-address")
    servers = [address(text, "tenant-dns-server-address") for text in items(dns, "ip-address")]
    method = str(member(management, "ipam-dns-method") or "default-dns-server")
    return {
        "ipam": scope(
            member(management, "dhcp-option-list"),
            member(management, "host-routes"),
        ),
        "dns_method": method,
        "tenant_dns_servers": tuple(server for server in servers if server is not None),
        "domain_name": _domain(view, ipam) if method == "virtual-dns-server" else "",
    }


def _domain(view: View, ipam: NodeRef) -> str:
    for ref in neighbours(view, ipam, "network-ipam-virtual-DNS", "virtual-DNS"):
        dns = node(view, ref)
        if dns is not None:
            return str(member(dns.properties, "virtual-DNS-data", "domain-name") or "")
    return ""


def _subnet(entry: object, common: dict[str, Any]) -> Subnet:
    prefix = subnet(member(entry, "subnet"), "ipam-subnets")
    gateway = address(member(entry, "default-gateway"), "default-gateway")
    dns = address(member(entry, "dns-server-address"), "dns-server-address") or gateway
    return Subnet(
        prefix,
        _same_family(gateway, prefix.version),
        _same_family(dns, prefix.version),
        dhcp_enabled=member(entry, "enable-dhcp") is not False,
        dhcp=scope(member(entry, "dhcp-option-list"), member(entry, "host-routes")),
        **common,
    )


def _same_family(found: Address | None, version: int) -> Address | None:
    return found if found is not None and found.version == version else None


def containing(rows: tuple[Subnet, ...], wanted: Address | None) -> Subnet | None:
    """The longest subnet that contains an address."""
    if wanted is None:
        return None
    inside = [row for row in rows if row.prefix.version == wanted.version and wanted in row.prefix]
    return max(inside, key=lambda row: row.prefix.prefixlen, default=None)
