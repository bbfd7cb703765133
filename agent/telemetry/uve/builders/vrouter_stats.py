"""UVEs of this host's counters: traffic, drops, flows, load, routes, controllers."""

from __future__ import annotations

from typing import Any

from agent.routes import RouteFamily
from agent.telemetry.statistics import VifStatistics
from agent.telemetry.uve.builders.counters import (
    KILO,
    cpu,
    drops,
    flow_rate,
    machine_memory,
    port_bitmaps,
    share,
    traffic,
)
from agent.telemetry.uve.cache import Values
from agent.telemetry.uve.world import Builder, World

_VIRTUAL = 3
"""vifr_type of ports of VMs."""
_FIVE_MINUTES = 300.0
_FAMILIES = {
    RouteFamily.INET: "inet4_unicast",
    RouteFamily.INET6: "inet6_unicast",
    RouteFamily.EVPN: "evpn",
    RouteFamily.ERMVPN: "inet4_multicast",
}


def _stats(world: World, key: str) -> Values | None:
    """VrouterStatsAgent. Totals are those of the VMs' ports, uptime is when the agent began.

    Counters that were never read are not told as zeros.
    """
    node = world.node
    if key != node.host:
        return None
    values = {"uptime": int(node.started * 1e6)} | _exceptions(world)
    return values if node.statistics.taken is None else values | _sampled(world)


def _sampled(world: World) -> dict[str, Any]:
    node, statistics = world.node, world.node.statistics
    interval = float(max(1, node.settings.get("DEFAULT", "vmi_vm_vn_uve_interval", int)))
    return (
        {
            "cpu_info": cpu(statistics),
            "total_flows": statistics.flows.created,
            "aged_flows": statistics.flows.aged,
            "flow_rate": flow_rate(statistics, interval, node.clock()),
            "raw_drop_stats": drops(statistics.drops),
        }
        | port_bitmaps(statistics)
        | _totals(world)
        | _fabric(statistics.fabric())
        | _vhost(statistics.vhost())
    )


def _totals(world: World) -> dict[str, Any]:
    in_bytes = in_packets = out_bytes = out_packets = 0
    for vif in world.node.statistics.vifs():
        if vif.type == _VIRTUAL:
            counters = vif.counters  # thousands of ports: no tuple of each
            in_bytes += counters[0]
            in_packets += counters[1]
            out_bytes += counters[3]
            out_packets += counters[4]
    return {
        "in_tpkts": in_packets,
        "in_bytes": in_bytes,
        "out_tpkts": out_packets,
        "out_bytes": out_bytes,
    }


def _exceptions(world: World) -> dict[str, Any]:
    """Packets that the datapath gave to us: all, those dropped and those served."""
    counters = world.node.trapped.dispatcher.counters
    return {
        "exception_packets": counters.pkt_exceptions,
        "exception_packets_dropped": counters.pkt_dropped,
        "exception_packets_allowed": counters.pkt_exceptions - counters.pkt_dropped,
    }


def _fabric(vifs: list[VifStatistics]) -> dict[str, Any]:
    if not vifs:
        return {}
    minute = {vif.name: vif.bandwidth() for vif in vifs}
    lately = {vif.name: vif.bandwidth(_FIVE_MINUTES) for vif in vifs}
    used = [found for vif in vifs if (found := vif.utilization()) is not None]
    return {
        "phy_if_info": {
            vif.name: {"speed": vif.speed, "duplexity": vif.row.vifr_duplex} for vif in vifs
        },
        "raw_phy_if_stats": {vif.name: traffic(vif) for vif in vifs},
        "raw_phy_if_drop_stats": {vif.name: drops(vif.drops or {}) for vif in vifs},
        "phy_band_in_bps": {name: found.in_bps for name, found in minute.items()},
        "phy_band_out_bps": {name: found.out_bps for name, found in minute.items()},
        "phy_if_5min_usage": [
            {
                "name": name,
                "in_bandwidth_usage": found.in_bps,
                "out_bandwidth_usage": found.out_bps,
            }
            for name, found in lately.items()
        ],
        "total_in_bandwidth_utilization": _mean([found[0] for found in used]),
        "total_out_bandwidth_utilization": _mean([found[1] for found in used]),
    }


def _mean(shares: list[float]) -> float:
    return round(sum(shares) / max(1, len(shares)), 3)


def _vhost(vif: VifStatistics | None) -> dict[str, Any]:
    if vif is None:
        return {}
    named = {"name": vif.name, "speed": vif.speed, "duplexity": vif.row.vifr_duplex}
    return {
        "raw_vhost_stats": named | traffic(vif),
        "raw_vhost_drop_stats": drops(vif.drops or {}),
    }


def _control(world: World, key: str) -> Values | None:
    """VrouterControlStats: sessions with controllers, and their routes by VRF."""
    node = world.node
    if key != node.host:
        return None
    sizes: dict[str, dict[str, int]] = {}
    for table in node.compiler.rib.tables():
        if table.family in _FAMILIES:
            size = sizes.setdefault(table.vrf, {})
            size[_FAMILIES[table.family]] = table.most
    return {
        "raw_xmpp_stats": {
            str(view.server.address): {
                "reconnects": view.flaps & 0xFFFF,
                "in_msgs": view.messages.received,
                "out_msgs": view.messages.sent,
            }
            for view in node.controllers.views()
        },
        "raw_ifmap_stats": {"nodes": len(node.compiler.graph)},
        "raw_rt_table_size": sizes,
    }


def _cpu(world: World, key: str) -> Values | None:
    """ComputeCpuState."""
    if key != world.node.host:
        return None
    statistics = world.node.statistics
    if statistics.taken is None:
        return {}
    info = {
        "mem_virt": statistics.process.virtual // KILO,
        "mem_res": statistics.process.resident // KILO,
        "cpu_share": share(statistics),
        "used_sys_mem": machine_memory(statistics.machine)["used"],
        "one_min_cpuload": statistics.machine.load[0],
    }
    return {"cpu_info": [info]}


STATS = Builder("VrouterStats", World.host, _stats, sampled=True)
CONTROL = Builder("VrouterControlStatsTrace", World.host, _control, sampled=True)
CPU = Builder("ComputeCpuStateTrace", World.host, _cpu, sampled=True)
