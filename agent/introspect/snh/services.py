"""The services on trapped packets: what each counted; 0 for what this agent does not do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

from agent.introspect.request import Answer, Query, Request, Row, Table
from agent.oper.fabric import FABRIC_VRF
from agent.pkt import Module
from agent.telemetry import Node


def packets(node: Node) -> Answer:
    """Trapped packets by the service that took them."""
    counters, modules = node.trapped.dispatcher.counters, node.trapped.dispatcher.modules
    values: dict[str, Any] = {
        "total_rcvd": counters.pkt_exceptions,
        "dropped": counters.pkt_dropped,
        "total_sent": sum(one.sent for one in modules.values()),
    }
    names = {Module.DHCP: "dhcp", Module.ARP: "arp", Module.DNS: "dns", Module.ICMP: "icmp"}
    for module, name in names.items():
        one = modules[module]
        values[f"{name}_rcvd"] = one.received
        values[f"{name}_sent"] = one.sent
        values[f"{name}_q_threshold_exceeded"] = one.q_threshold_exceeded
    return Answer("PktStats", values)


def dhcp(node: Node) -> Answer:
    """DHCPv4 of VMs."""
    counters = node.trapped.dhcp4.counters
    values = {
        "dhcp_discover": counters.discover,
        "dhcp_request": counters.request,
        "dhcp_inform": counters.inform,
        "dhcp_decline": counters.decline,
        "dhcp_other": counters.other + counters.release,
        "dhcp_errors": counters.errors,
        "offers_sent": counters.offers,
        "acks_sent": counters.acks,
        "nacks_sent": counters.nacks,
        "relay_request": counters.relay_req,
        "relay_response": counters.relay_resp,
        "unknown_msg_drop": counters.other,
        "dhcp_disabled_drop": counters.dhcp_disabled_drop,
        "incorrect_mac": counters.incorrect_mac,
    }
    return Answer("DhcpStats", values)


def arp(node: Node) -> Answer:
    """ARP of the fabric and of VMs."""
    service = node.trapped.arp
    counters = service.counters
    values = {
        "arp_entries": len(service.table),
        "arp_requests": counters.requests,
        "arp_replies": counters.replies,
        "arp_gratuitous": counters.gratuitous,
        "arp_resolved": counters.resolved,
        "arp_max_retries_exceeded": counters.max_retries_exceeded,
        "arp_errors": counters.errors,
        "arp_invalid_packets": counters.invalid_packets,
        "arp_invalid_interface": counters.invalid_interface,
        "arp_invalid_vrf": counters.invalid_vrf,
        "arp_invalid_address": counters.invalid_address,
        "vm_arp_req": counters.vm_arp_req,
        "vm_garp_req": counters.vm_garp_req,
        "ipfabric_not_inst": counters.ipfabric_not_inst,
    }
    return Answer("ArpStats", values)


def _nothing(name: str) -> Callable[[Node], Answer]:
    """A service that this agent does not have: all its counters are 0."""
    return lambda node: Answer(name, {})


dns, icmp = _nothing("DnsStats"), _nothing("IcmpStats")
dhcp6, icmp6 = _nothing("Dhcpv6Stats"), _nothing("Icmpv6Stats")


def metadata(node: Node) -> Answer:
    """The metadata service: where it would be, and that nobody asked it."""
    port = node.settings.get("METADATA", "metadata_proxy_port", int)
    return Answer("MetadataResponse", {"metadata_server_port": port})


_EVERY = (packets, dhcp, arp, dns, icmp, metadata, dhcp6, icmp6)


async def _told(
    kinds: tuple[Callable[[Node], Answer], ...], node: Node, _: Query
) -> AsyncIterator[Answer]:
    for kind in kinds:
        yield kind(node)


def _request(name: str, *kinds: Callable[[Node], Answer]) -> Request:
    return Request(name, partial(_told, kinds))


def arp_table(node: Node, query: Query) -> Iterator[Row]:
    """The neighbours on the fabric."""
    fabric = node.compiler.fabric()
    for entry in list(node.trapped.arp.table.values()):
        yield {
            "ip": str(entry.ip),
            "vrf": FABRIC_VRF,
            "mac": str(entry.mac or ""),
            "state": entry.state.value,
            "interface_name": fabric.interface if fabric is not None else "",
        }


def announced(node: Node, query: Query) -> Iterator[Row]:
    """The addresses of this host's ports, which are announced to them and for them."""
    for port in node.compiler.vmis():
        if port.ip4_active and port.vrf is not None:
            yield {
                "ip": str(port.ip),
                "vrf": port.vrf.name,
                "mac": str(port.mac),
                "state": "active",
                "interface_name": port.name,
            }


def nothing(node: Node, query: Query) -> Iterator[Row]:
    """What this agent does not have: it counts by service, not by port, and keeps no names."""
    yield from ()


async def packet_buffers(node: Node, query: Query) -> AsyncIterator[Answer]:
    """How many packets are kept to be looked at: none, tracing is asked for when it is needed."""
    text = "Packets are not kept: trace a port, prefix or flow with vrouter-agent --trace"
    yield Answer("PktTraceInfoResponse", {"resp": text})


SERVED = (
    _request("DhcpInfo", dhcp),
    _request("Dhcpv6Info", dhcp6),
    _request("ArpInfo", arp),
    _request("DnsInfo", dns),
    _request("IcmpInfo", icmp),
    _request("Icmpv6Info", icmp6),
    _request("MetadataInfo", metadata),
    _request("ShowAllInfo", *_EVERY),
    Request("PktTraceInfo", packet_buffers),
    Table("ShowArpCache", "ArpCacheResp", "arp_list", arp_table),
    Table("ShowGratuitousArpCache", "ArpCacheResp", "arp_list", announced),
    Table("InterfaceArpStatsReq", "InterfaceArpStatsResponse", "stats_list", nothing),
    Table("InterfaceIcmpv6StatsReq", "InterfaceIcmpv6StatsResponse", "stats_list", nothing),
    Table("VmVdnsListReq", "VmVdnsListResponse", "rlist", nothing),
    Table("VmVdnsDataReq", "VmVdnsDataResponse", "rlist", nothing),
)
