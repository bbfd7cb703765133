"""Counters of the datapath as UVEs have them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from agent.sandesh.schema import schema
from agent.telemetry.sample import Machine, Process
from agent.telemetry.statistics import Statistics, VifStatistics
from agent.telemetry.uve.cache import Values

KILO = 1024


@functools.cache
def _drop_fields() -> frozenset[str]:
    return frozenset(field.name for field in schema()["AgentDropStats"].fields)


def drops(reasons: Mapping[str, int]) -> Values:
    """AgentDropStats; reasons that it has no field for are in the sum `ds_drop_pkts` alone."""
    known = _drop_fields()
    values = {f"ds_{name}": count for name, count in reasons.items() if f"ds_{name}" in known}
    return values | {"ds_drop_pkts": sum(reasons.values())}


def flow_rate(statistics: Statistics, seconds: float, now: float) -> Values:
    """VrouterFlowRate of the last `seconds`."""
    rate = statistics.flows.over(seconds, now)
    return {
        "added_flows": rate.added,
        "max_flow_adds_per_second": rate.most_added,
        "min_flow_adds_per_second": rate.least_added,
        "deleted_flows": rate.deleted,
        "max_flow_deletes_per_second": rate.most_deleted,
        "min_flow_deletes_per_second": rate.least_deleted,
        "active_flows": statistics.flows.active,
        "hold_flows": statistics.flows.held,
    }


def port_bitmaps(statistics: Statistics, vifs: Iterable[int] | None = None) -> dict[str, Any]:
    """Which ports flows of interfaces use, or all flows; nothing while nobody has looked."""
    if not statistics.ports.walks:
        return {}
    found = statistics.ports.of() if vifs is None else statistics.ports.of_all(vifs)
    return {f"{name}_bitmap": words for name, words in found._asdict().items()}


def traffic(vif: VifStatistics) -> dict[str, Any]:
    """Packets and bytes of an interface."""
    found = vif.traffic
    return {
        "in_pkts": found.in_packets,
        "in_bytes": found.in_bytes,
        "out_pkts": found.out_packets,
        "out_bytes": found.out_bytes,
    }


def memory(process: Process) -> Values:
    """MemInfo, in KiB."""
    return {
        "virt": process.virtual // KILO,
        "peakvirt": process.peak // KILO,
        "res": process.resident // KILO,
    }


def machine_memory(machine: Machine) -> Values:
    """SysMemInfo, in KiB."""
    total, free = machine.total // KILO, machine.free // KILO
    return {
        "total": total,
        "used": max(0, total - free),
        "free": free,
        "buffers": machine.buffers // KILO,
        "cached": machine.cached // KILO,
        "node_type": "vrouter",
    }


def load(machine: Machine) -> Values:
    """CpuLoadAvg."""
    one, five, fifteen = machine.load
    return {"one_min_avg": one, "five_min_avg": five, "fifteen_min_avg": fifteen}


def cpu(statistics: Statistics) -> Values:
    """CpuLoadInfo: the share is percent of all processors, as load averages are of all."""
    machine = statistics.machine
    return {
        "num_cpu": machine.cpus,
        "meminfo": memory(statistics.process),
        "cpuload": load(machine),
        "cpu_share": share(statistics),
        "sys_mem_info": machine_memory(machine),
    }


def share(statistics: Statistics) -> float:
    """Percent of all processors that the agent used in the last interval."""
    return round(100.0 * statistics.cpu_share / max(1, statistics.machine.cpus), 2)
