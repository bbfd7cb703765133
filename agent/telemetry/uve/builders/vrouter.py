"""The UVE of this host: what it is, what is on it, what it was configured with."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from agent.settings import Settings
from agent.telemetry.uve.cache import Values
from agent.telemetry.uve.world import Builder, World
from agent.telemetry.watermarks import BELOW, Level
from agent.xmpp.session import State

_NO_UUID = UUID(int=0)


def _host(world: World, key: str) -> Values | None:
    """VrouterAgent."""
    node = world.node
    if key != node.host:
        return None
    return (
        {
            "build_info": f'{{"build-info": [{{"build-version": "{node.version}"}}]}}',
            "mode": "VROUTER",
            "platform": "DPDK" if _text(node.settings, "DEFAULT", "platform") == "dpdk" else "HOST",
            "xmpp_peer_list": _controllers(world),
        }
        | _objects(world)
        | _fabric(world)
        | _limits(world)
        | _configuration(node.settings)
    )


def _controllers(world: World) -> list[Values]:
    """The sessions with controllers."""
    return [
        {
            "ip": str(view.server.address),
            "status": view.state is State.ESTABLISHED,
            "primary": view.config,
        }
        for view in world.node.controllers.views()
    ]


def _objects(world: World) -> dict[str, Any]:
    rows = world.rows
    down = [row for row in rows if not row.active]
    return {
        "connected_networks": sorted(world.networks),
        "interface_list": sorted(world.ports),
        "virtual_machine_list": sorted(world.machines),
        "error_intf_list": sorted(row.config_name or str(row.uuid) for row in down),
        "no_config_intf_list": sorted(str(row.uuid) for row in rows if not row.config_name),
        "unmanaged_if_list": [],
        "vmi_count": {"active": (len(rows) - len(down)) & 0xFFFF},
        "down_interface_count": len(down) & 0xFFFF,
        "vn_count": len(world.networks),
        "vm_count": {"active": len(world.machines) & 0xFFFF},
        "gateway_cfg_list": [
            {
                "interface_name": row.interface,
                "vrf_name": row.routing_instance,
                "ip_blocks_list": [str(prefix) for prefix in row.subnets],
                "route_list": [str(prefix) for prefix in row.routes],
            }
            for row in world.node.settings.gateways
        ],
    }


def _fabric(world: World) -> dict[str, Any]:
    """The host's own side; nothing while its interface does not exist."""
    fabric = world.node.compiler.fabric()
    if fabric is None:
        return {}
    name = _text(world.node.settings, "VIRTUAL-HOST-INTERFACE", "name")
    address = str(fabric.router_id or "")
    return {
        "phy_if": [{"name": fabric.interface, "mac_address": str(fabric.mac)}],
        "vhost_if": {"name": name, "mac_address": str(fabric.vhost_mac)},
        "eth_name": [fabric.interface],
        "self_ip_list": [address] if address else [],
        "control_ip": address,
        "vhost_cfg": {
            "name": name,
            "ip": address,
            "ip_prefix_len": fabric.prefix.prefixlen if fabric.prefix else 0,
            "gateway": str(fabric.gateway or ""),
        },
        "gateway_list": [str(fabric.gateway)] if fabric.gateway else [],
    }


_LIMITS = {
    "vif": "max_interfaces",
    "nexthop": "max_nexthops",
    "label": "max_labels",
    "vrf": "max_vrfs",
    "mirror": "max_mirror_entries",
    "bridge": "vrouter_max_bridge_entries",
    "bridge-overflow": "vrouter_max_oflow_bridge_entries",
    "flow": "vrouter_max_flow_entries",
    "flow-overflow": "vrouter_max_oflow_entries",
}


def _limits(world: World) -> dict[str, Any]:
    """How much the datapath has room for, and what is nearly full."""
    settings, marks = world.node.settings, world.node.statistics.watermarks
    high = settings.get("DEFAULT", "vr_object_high_watermark", int)
    near = [mark for mark in marks.values() if mark.level is not Level.NORMAL]
    limits: dict[str, Any] = {
        _LIMITS[name]: mark.limit for name, mark in marks.items() if name in _LIMITS
    }
    limits["vrouter_priority_tagging"] = settings.get("QOS", "priority_tagging", bool)
    return {
        "vr_limits": limits,
        "vr_high_watermark": high,
        "vr_low_watermark": max(0, high - BELOW),
        "vr_limit_exceeded_list": [
            {"name": mark.name, "status": mark.level.value} for mark in near
        ],
        "res_limit": bool(near),
        "res_table_limit": any(mark.level is Level.FULL for mark in near),
    }


def _configuration(settings: Settings) -> dict[str, Any]:
    """What the file says, as far as tools ask for it."""
    return {
        "log_file": _text(settings, "DEFAULT", "log_file"),
        "log_local": settings.get("DEFAULT", "log_local", bool),
        "log_level": _text(settings, "DEFAULT", "log_level"),
        "log_category": _text(settings, "DEFAULT", "log_category"),
        "log_flow": settings.get("DEFAULT", "log_flow", bool),
        "sandesh_http_port": settings.get("DEFAULT", "http_server_port", int),
        "tunnel_type": _text(settings, "DEFAULT", "tunnel_type"),
        "hypervisor": _text(settings, "HYPERVISOR", "type"),
        "subcluster_name": _text(settings, "CONTROL-NODE", "subcluster_name"),
        "loopback_ip": _text(settings, "VIRTUAL-HOST-INTERFACE", "loopback_ip"),
        "hostname_cfg": _text(settings, "DEFAULT", "hostname"),
        "flow_cache_timeout_cfg": settings.get("DEFAULT", "flow_cache_timeout", int) & 0xFFFF,
        "ll_max_system_flows_cfg": settings.get("FLOWS", "max_system_linklocal_flows", int),
        "ll_max_vm_flows_cfg": settings.get("FLOWS", "max_vm_linklocal_flows", int),
        "dns_server_list_cfg": _servers(settings, "DNS", "servers"),
        "dns_servers": _servers(settings, "DNS", "servers"),
        "control_node_list_cfg": _servers(settings, "CONTROL-NODE", "servers"),
        "collector_server_list_cfg": _servers(settings, "DEFAULT", "collectors"),
    }


def _text(settings: Settings, section: str, option: str) -> str:
    return settings.get(section, option, str)


def _servers(settings: Settings, section: str, option: str) -> list[str]:
    return [str(server) for server in settings.get(section, option, tuple)]


HOST = Builder("UveVrouterAgent", World.host, _host, sampled=True)
