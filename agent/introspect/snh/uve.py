"""What collectors are told: the cache of UVEs, the connection, its messages; and the CPU load."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from agent.errors import UsageError
from agent.introspect.request import Answer, Query, Request, Row, Table
from agent.oper.flow_rows import FlowPort
from agent.oper.rows import Vmi
from agent.oper.tag import port_tags
from agent.telemetry import Node
from agent.telemetry.uve import State
from agent.telemetry.uve.builders.counters import cpu


async def cache(node: Node, query: Query) -> AsyncIterator[Answer]:
    """The UVEs of a type, made anew: each is a message of its own, then how many there were.

    The type is the name of the message or of its struct.
    """
    message = _message(node, query["tname"])
    count = 0
    for uve in node.uves.refreshed(node, message, query["key"]):
        count += 1
        yield Answer(message, uve.whole())
    yield Answer("SandeshUVECacheResp", {"returned": count, "period": 0})


def _message(node: Node, name: str) -> str:
    types = node.uves.outbox.types
    for message, struct in types.items():
        if name in (message, struct):
            return message
    known = ", ".join(types.values())
    raise UsageError(f"tname: {name!r} is not the type of a UVE; there are {known}")


async def types(node: Node, query: Query) -> AsyncIterator[Answer]:
    """The types of UVEs with the number of their last change."""
    uves = node.uves
    rows = [
        {"type_name": struct, "seq_num": uves.cache.sequence(message), "period": 0, "timeout": 0}
        for message, struct in uves.outbox.types.items()
    ]
    yield Answer("SandeshUVETypesResp", {"type_info": rows})


async def collector(node: Node, query: Query) -> AsyncIterator[Answer]:
    """The collector in use, or that is tried next."""
    view = node.uves.generator.view()
    address = str(view.server.address) if view.server else ""
    values = {"ip": address, "port": view.server.port if view.server else 0}
    yield Answer("CollectorInfoResponse", values | {"status": view.state.value})


async def message_stats(node: Node, query: Query) -> AsyncIterator[Answer]:
    """Messages to and from collectors, by type, and what waits."""
    outbox, view = node.uves.outbox, node.uves.generator.view()
    rows = [
        {"message_type": name, "stats": counted.values()}
        for name, counted in outbox.stats.by_type().items()
    ]
    queue: dict[str, Any] = {
        "enqueues": outbox.queue.enqueued,
        "count": len(outbox.queue),
        "max_count": outbox.queue.most,
    }
    closed = view.state is State.DISCONNECT
    since = int((node.wall() - node.clock() + view.since) * 1e6)
    yield Answer(
        "SandeshMessageStatsResp",
        {
            "stats": {"type_stats": rows, "aggregate_stats": outbox.stats.total.values()},
            "send_queue_stats": queue,
            "sending_level": f"SYS_{outbox.queue.level.name}",
            "session_close_timestamp": since if closed else 0,
        },
    )


async def load(node: Node, query: Query) -> AsyncIterator[Answer]:
    """CPU and memory as of the last round of statistics."""
    yield Answer("CpuLoadInfoResp", {"cpu_info": cpu(node.statistics)})


def interfaces(node: Node, query: Query) -> Iterator[Row]:
    """The ports with their tags and the firewall policies that decide on their flows."""
    for row in node.compiler.vmis():
        if row.config_name:
            yield _interface(node, row)


def _interface(node: Node, row: Vmi) -> dict[str, Any]:
    flows = node.compiler.flow_port(row.uuid)
    tags = node.compiler.inspection.result(port_tags, row.uuid) or ()
    return {
        "name": row.config_name,
        "local_tagset": [
            {"id": tag.number or 0, "type": tag.kind, "name": tag.ref.name} for tag in tags
        ],
        "policy_list": [{"name": name} for name in _policies(flows)],
    }


def _policies(flows: FlowPort | None) -> tuple[str, ...]:
    return (*flows.policy.fwaas, *flows.policy.firewall) if flows else ()


SERVED = (
    Request("SandeshUVECacheReq", cache),
    Request("SandeshUVETypesReq", types),
    Request("CollectorInfoRequest", collector),
    Request("SandeshMessageStatsReq", message_stats),
    Request("CpuLoadInfoReq", load),
    Table("InterfaceUveInfoReq", "InterfaceUveInfoResp", "resp_list", interfaces),
)
