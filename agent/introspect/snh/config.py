"""Configuration of the whole system and of services beside networks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from agent.ifmap import Neighbours, NodeRef
from agent.introspect.query import uuid
from agent.introspect.reading import VMI, chosen, ends, listed, properties, uuid_text, whole, words
from agent.introspect.request import Answer, Query, Request, Row, Table
from agent.oper.logical_router import attached, is_internal
from agent.oper.vn import GLOBAL
from agent.oper.world import member
from agent.telemetry import Node

_SYSTEM = NodeRef("global-system-config", "default-global-system-config")
_CHECK = "service-health-check"
_ZONE, _ROUTER = "control-node-zone", "bgp-router"
_MICROSECONDS = 1_000_000


async def system(node: Node, query: Query) -> AsyncIterator[Answer]:
    """What the global system configuration says of restarts, BGP as a service, and IGMP."""
    found = properties(node, _SYSTEM)
    restart = member(found, "graceful-restart-parameters")
    ports = member(found, "bgpaas-parameters")
    values = {
        "bgp_parameters": {
            "port_start": whole(ports, "port-start"),
            "end_port": whole(ports, "port-end"),
        },
        "llgr_parameters": {
            "enable": member(restart, "enable") is True,
            "end_of_rib_time": whole(restart, "end-of-rib-timeout"),
            "xmpp_helper_enable": member(restart, "xmpp-helper-enable") is True,
            "config_seen": bool(found),
        },
        "igmp_parameters": {"cfg_igmp_enable": found.get("igmp-enable") is True},
    }
    yield Answer("GlobalSystemConfigResp", values)


def link_local(node: Node, query: Query) -> Iterator[Row]:
    """The services on link-local addresses."""
    for one in node.compiler.link_local_services():
        yield {
            "linklocal_service_name": one.name,
            "linklocal_service_ip": str(one.address),
            "linklocal_service_port": one.port,
            "ipfabric_dns_name": one.server_name,
            "ipfabric_ip": [str(server) for server in one.servers],
            "ipfabric_port": one.server_port,
        }


def encrypted(node: Node, query: Query) -> Iterator[Row]:
    """The hosts to which traffic is to be encrypted; this agent has no tunnel that does it."""
    host = node.compiler.fabric()
    own = str(host.router_id or "") if host is not None else ""
    for one in listed(properties(node, GLOBAL), "encryption-tunnel-endpoints", "endpoint"):
        far = words(one, "tunnel-remote-ip-address")
        if query["remote"] in far:
            yield {"source": own, "remote": far, "available": False, "crypt": False}


def routed(node: Node, query: Query) -> Iterator[Row]:
    """The VRFs between networks of logical routers, with the networks that are attached."""
    look, networks = node.compiler.inspection, node.compiler.networks()
    for network in networks:
        ref = NodeRef("virtual-network", network.name)
        if not look.result(is_internal, ref):
            continue
        routers = ends(node, ref, "logical-router-virtual-network", "logical-router")
        others = set(look.result(attached, ref) or ())
        yield {
            "routing_vrf": network.vrf_name or "",
            "logical_router_uuid": uuid_text(node, routers[0]) if routers else "",
            "parent_routing_vn": network.name,
            "bridge_vrfs": [
                {"bridge_vrf": one.vrf_name or "", "bridge_vn": one.name}
                for one in networks
                if NodeRef("virtual-network", one.name) in others
            ],
        }


# --- Services


def health_checks(node: Node, query: Query) -> Iterator[Row]:
    """The health checks of the configuration; this agent runs none, so they have no instances."""
    for ref in chosen(node, query, _CHECK):
        yield None if ref is None else _health_check(node, ref)


def _health_check(node: Node, ref: NodeRef) -> dict[str, Any]:
    found = member(properties(node, ref), f"{_CHECK}-properties")
    return {
        "uuid": uuid_text(node, ref),
        "name": ref.name,
        "service_type": words(found, "health-check-type"),
        "monitor_type": words(found, "monitor-type"),
        "http_method": words(found, "http-method"),
        "url_path": words(found, "url-path"),
        "expected_codes": words(found, "expected-codes"),
        "delay": whole(found, "delay"),
        "delay_usecs": whole(found, "delayUsecs"),
        "timeout": whole(found, "timeout"),
        "timeout_usecs": whole(found, "timeoutUsecs"),
        "max_retries": whole(found, "max-retries"),
    }


def instances(node: Node, query: Query) -> Iterator[Row]:
    """The service instances of the configuration."""
    for ref in chosen(node, query, "service-instance"):
        yield None if ref is None else _instance(node, ref)


def _instance(node: Node, ref: NodeRef) -> dict[str, Any]:
    templates = ends(node, ref, "service-instance-service-template", "service-template")
    found = properties(node, templates[0]) if templates else {}
    said = member(found, "service-template-properties")
    return {
        "uuid": uuid_text(node, ref),
        "service_type": words(said, "service-type"),
        "virtualization_type": words(said, "service-virtualization-type"),
    }


def bgp_services(node: Node, query: Query) -> Iterator[Row]:
    """BGP as a service: the sessions of VMIs."""
    wanted = uuid(query, "vmi_uuid")
    for ref in chosen(node, {}, "bgp-as-a-service"):
        if ref is None:
            yield None
            continue
        for port in ends(node, ref, "bgpaas-virtual-machine-interface", VMI):
            if wanted is None or uuid_text(node, port) == str(wanted):
                yield _bgp_service(node, ref, port)


def _bgp_service(node: Node, ref: NodeRef, port: NodeRef) -> dict[str, Any]:
    checks = ends(node, ref, "bgpaas-health-check", _CHECK)
    check = _health_check(node, checks[0]) if checks else {}
    routers = ends(node, port, f"{VMI}-{_ROUTER}", _ROUTER)
    said = member(properties(node, routers[0]), "bgp-router-parameters") if routers else None
    zones = _zones(node, ref)
    return {
        "vm_bgp_peer_ip": words(said, "address"),
        "vm_nat_source_port": whole(said, "source-port"),
        "vmi_uuid": uuid_text(node, port),
        "is_shared": member(properties(node, ref), "bgpaas-shared") is True,
        "health_check_configured": bool(checks),
        "health_check_uuid": str(check.get("uuid", "")),
        "health_check_delay_usecs": _microseconds(check, "delay"),
        "health_check_timeout_usecs": _microseconds(check, "timeout"),
        "health_check_retries": check.get("max_retries", 0),
        "primary_control_node_zone": zones.get("primary", ""),
        "secondary_control_node_zone": zones.get("secondary", ""),
    }


def _microseconds(check: dict[str, Any], name: str) -> int:
    return int(check.get(name, 0)) * _MICROSECONDS + int(check.get(f"{name}_usecs", 0))


def _zones(node: Node, ref: NodeRef) -> dict[str, str]:
    """The zone of control nodes by what it is for."""
    graph, metadata = node.compiler.graph, f"bgpaas-{_ZONE}"
    found = {}
    for link in graph.neighbours(Neighbours(ref, metadata)):
        kind = words(properties(node, link), "value", f"{metadata}-type")
        for end in graph.neighbours(Neighbours(link, metadata)):
            if end.type == _ZONE:
                found[kind] = end.name
    return found


def routers(node: Node, query: Query) -> Iterator[Row]:
    """The BGP routers of the configuration."""
    for ref in chosen(node, query, _ROUTER):
        yield None if ref is None else _router(node, ref)


def _router(node: Node, ref: NodeRef) -> dict[str, Any]:
    said = member(properties(node, ref), "bgp-router-parameters")
    zones = ends(node, ref, f"{_ROUTER}-{_ZONE}", _ZONE)
    return {
        "name": ref.name,
        "ipv4_address_port": f"{words(said, 'address')}:{whole(said, 'port')}",
        "control_node_zone": zones[0].name if zones else "",
    }


def zones(node: Node, query: Query) -> Iterator[Row]:
    """The zones of control nodes, with the BGP routers in each."""
    for ref in chosen(node, query, _ZONE):
        if ref is None:
            yield None
            continue
        inside = ends(node, ref, f"{_ROUTER}-{_ZONE}", _ROUTER)
        yield {"name": ref.name, "bgp_router_list": [_router(node, one) for one in inside]}


def multicast_policies(node: Node, query: Query) -> Iterator[Row]:
    """Which sources of which groups are let through."""
    for ref in chosen(node, query, "multicast-policy"):
        if ref is None:
            yield None
            continue
        entries = listed(properties(node, ref), "multicast-source-groups", "multicast-source-group")
        yield {
            "name": ref.name,
            "entries": [
                {
                    "entry_id": at,
                    "source_address": words(one, "source-address"),
                    "group_address": words(one, "group-address"),
                    "action": words(one, "action"),
                }
                for at, one in enumerate(entries)
            ],
        }


SERVED = (
    Request("GlobalSystemConfigReq", system),
    Table("LinkLocalServiceInfo", "LinkLocalServiceResponse", "service_list", link_local),
    Table("CryptTunnelReq", "CryptTunnelResp", "crypt_tunnel_list", encrypted),
    Table("VxlanRoutingReq", "VxlanRoutingResp", "vr_map", routed),
    Table("HealthCheckSandeshReq", "HealthCheckSandeshResp", "hc_list", health_checks),
    Table("ServiceInstanceReq", "ServiceInstanceResp", "service_instance_list", instances),
    Table(
        "BgpAsAServiceSandeshReq",
        "BgpAsAServiceSandeshResp",
        "bgp_as_a_service_list",
        bgp_services,
    ),
    Table("BgpRouterSandeshReq", "BgpRouterSandeshResp", "bgp_router_list", routers),
    Table(
        "ControlNodeZoneSandeshReq", "ControlNodeZoneSandeshResp", "control_node_zone_list", zones
    ),
    Table("MulticastPolicyReq", "MulticastPolicyResp", "mp_list", multicast_policies),
)
