"""Counters of the agent, and how often those of the datapath are sampled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from agent.errors import UsageError
from agent.flow.limits import limits
from agent.introspect.query import number
from agent.introspect.request import Answer, Query, Request
from agent.telemetry import Node

_LONGEST = 3600
"""Seconds between samples, at most."""


async def agent_stats(node: Node, query: Query) -> AsyncIterator[Answer]:
    """AgentStatsReq: one message each of ksync, traps, flows, controllers, collectors, sessions."""
    counters = node.session.counters
    yield Answer(
        "IpcStatsResp",
        {
            "ipc_in_msgs": counters.acks + counters.nacks.total(),
            "ipc_out_msgs": counters.writes.total(),
        },
    )
    yield Answer("PktTrapStatsResp", _traps(node))
    yield Answer("FlowStatsResp", _flows(node))
    yield Answer("XmppStatsResp", {"xmpp_list": _controllers(node)})
    yield Answer("SandeshStatsResp", _collector(node))
    yield Answer("SessionEndpointExportStatsResp", _sessions(node))


def _sessions(node: Node) -> dict[str, int]:
    counters, outlets = node.sessions.counters, node.sessions.outlets.values()
    return {
        "record_export_count": sum(one.records for one in outlets),
        "msg_export_count": sum(one.messages for one in outlets),
        "session_export_disable_drops": counters.disabled,
        "session_export_sampling_drops": counters.sampled_out,
        "session_exports": counters.exports,
        "session_export_drops": counters.lost + sum(one.lost for one in outlets),
        "session_slo_logging_drops": counters.slo_passed_over,
    }


def _traps(node: Node) -> dict[str, int]:
    """What the original counts and we have no word for stays 0: it cannot happen here."""
    counters = node.trapped.dispatcher.counters
    return {
        "exceptions": counters.pkt_exceptions,
        "invalid_agent_hdr": counters.pkt_invalid_agent_hdr,
        "invalid_interface": counters.pkt_invalid_interface,
        "no_handler": counters.pkt_no_handler,
        "pkt_dropped": counters.pkt_dropped,
        "pkt_fragments_dropped": counters.pkt_fragments_dropped,
        "pkt_invalid_ip_pkt": counters.pkt_invalid_ip_pkt,
        "pkt_drop_due_to_decode_error": counters.pkt_drop_due_to_decode_error
        + counters.pkt_truncated,
        "pkt_drop_due_to_flow_trap": counters.pkt_drop_due_to_flow_trap,
    }


def _flows(node: Node) -> dict[str, int]:
    pairs, scanner, table = node.flows.pairs, node.flows.scanner, node.flows.table
    if pairs is None:
        return {}
    counted = pairs.counters
    peak = node.statistics.watermarks.get("flow")
    entries = 0 if table is None else len(table)
    known = limits(node.settings, node.compiler.global_properties(), entries)
    return {
        "flow_active": 2 * len(pairs),
        "flow_created": 2 * counted["pairs_created"],
        "flow_aged": 2 * (0 if scanner is None else scanner.counters["aged"]),
        "flow_drop_due_to_max_limit": counted["pairs_limited"],
        "flow_max_system_flows": 0 if peak is None else peak.peak,
        "flow_max_vm_flows": known["vm_flows"],
    }


def _controllers(node: Node) -> list[dict[str, Any]]:
    return [
        {
            "ip": str(view.server.address),
            "in_msgs": view.messages.received,
            "out_msgs": view.messages.sent,
            "reconnect": view.flaps,
            "config_in_msgs": view.messages.config,
        }
        for view in node.controllers.views()
    ]


def _collector(node: Node) -> dict[str, int]:
    total = node.uves.outbox.stats.total
    asked = sum(count for (who, _), count in node.meters.http.items() if who == "introspect")
    return {
        "sandesh_in_msgs": total.received.messages,
        "sandesh_out_msgs": total.sent.messages,
        "sandesh_http_sessions": asked,
        "sandesh_reconnects": max(0, node.uves.generator.view().connects - 1),
    }


async def intervals(node: Node, query: Query) -> AsyncIterator[Answer]:
    """GetStatsInterval: seconds, of the datapath's counters and of a walk over all flows."""
    yield Answer(
        "StatsIntervalResp_InSeconds",
        {"agent_stats_interval": int(node.statistics.interval), "flow_stats_interval": _walk(node)},
    )


async def interval(node: Node, query: Query) -> AsyncIterator[Answer]:
    """GetAgentStatsInterval."""
    yield Answer(
        "AgentStatsIntervalResp_InSeconds", {"agent_stats_interval": int(node.statistics.interval)}
    )


async def set_interval(node: Node, query: Query) -> AsyncIterator[Answer]:
    """SetAgentStatsInterval_InSeconds: until the file is read again, or the agent ends."""
    try:
        wanted = number(query, "interval", 1, _LONGEST)
    except UsageError as error:
        yield Answer("AgentStatsCfgErrResp", {"resp": str(error)})
        return
    if wanted is None:
        yield Answer("AgentStatsCfgErrResp", {"resp": f"interval: 1 to {_LONGEST} seconds"})
        return
    node.statistics.interval = float(wanted)
    yield Answer("AgentStatsCfgResp", {"resp": "Success"})


async def flow_interval(node: Node, query: Query) -> AsyncIterator[Answer]:
    """GetFlowStatsInterval: seconds for a walk over all flows; it follows from their timeouts."""
    yield Answer("FlowStatsIntervalResp_InSeconds", {"flow_stats_interval": _walk(node)})


def _walk(node: Node) -> int:
    return 0 if node.flows.scanner is None else max(1, int(node.flows.scanner.period))


async def flow_table(node: Node, query: Query) -> AsyncIterator[Answer]:
    """SandeshFlowTableInfoRequest: all flows are in one table."""
    pairs, table = node.flows.pairs, node.flows.table
    if pairs is None or table is None:
        yield Answer("SandeshFlowTableInfoResp", {})
        return
    counted = pairs.counters
    numbers = {
        "flow_count": 2 * len(pairs),
        "total_added": 2 * counted["pairs_created"],
        "total_deleted": 2 * counted["pairs_ended"],
    }
    one = {
        "index": 0,
        "count": numbers["flow_count"],
        "total_add": numbers["total_added"],
        "total_del": numbers["total_deleted"],
        "freelist_count": max(0, len(table) - numbers["flow_count"]),
    }
    yield Answer(
        "SandeshFlowTableInfoResp", numbers | {"max_flows": len(table), "table_list": [one]}
    )


SERVED = (
    Request("AgentStatsReq", agent_stats),
    Request("GetStatsInterval", intervals),
    Request("GetAgentStatsInterval", interval),
    Request("SetAgentStatsInterval_InSeconds", set_interval, changes=True),
    Request("GetFlowStatsInterval", flow_interval),
    Request("SandeshFlowTableInfoRequest", flow_table),
)
