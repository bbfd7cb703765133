"""Trace buffers, and what is logged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from agent.errors import UsageError
from agent.introspect.query import number
from agent.introspect.request import Answer, Query, Request
from agent.telemetry import Node

_ON, _OFF = "Enable", "Disable"


async def names(node: Node, query: Query) -> AsyncIterator[Answer]:
    """The buffers."""
    found = [{"trace_buf_name": name} for name in node.traces.buffers]
    yield Answer("SandeshTraceBufferListResponse", {"trace_buffer_list": found})


async def lines(node: Node, query: Query) -> AsyncIterator[Answer]:
    """The last `count` lines of `buf_name`, all without it."""
    found = node.traces.lines(query["buf_name"], number(query, "count") or 0)
    yield Answer("SandeshTraceTextResponse", {"traces": [str(line) for line in found]})


async def states(node: Node, query: Query) -> AsyncIterator[Answer]:
    """Which buffers are on."""
    found = [
        {"trace_buf_name": name, "enable_disable": _ON if buffer.on else _OFF}
        for name, buffer in node.traces.buffers.items()
    ]
    yield Answer("SandeshTraceBufStatusRes", {"trace_buf_status_list": found})


async def switch(node: Node, query: Query) -> AsyncIterator[Answer]:
    """One buffer on or off."""
    on = _flag(query, "enable")
    node.traces.switch(query["trace_buf_name"], on)
    told = f"{query['trace_buf_name']}: {_ON if on else _OFF}"
    yield Answer("SandeshTraceBufferEnableDisableRes", {"enable_disable_status": told})


async def switch_all(node: Node, query: Query) -> AsyncIterator[Answer]:
    """All buffers off, or those on that are so by default."""
    on = _flag(query, "enable")
    node.traces.switch_all(on)
    told = {"enable_disable_status": _ON if on else _OFF}
    yield Answer("SandeshTraceEnableDisableRes", told)


async def logging(node: Node, query: Query) -> AsyncIterator[Answer]:
    """What is logged."""
    yield Answer("SandeshLoggingParams", _logging(node))


async def set_logging(node: Node, query: Query) -> AsyncIterator[Answer]:
    """Change what is given: with a category and a level, that module's level alone."""
    logs, level, category = node.logs, query["log_level"], query["category"]
    if level:
        logs.set(category, level)
    elif category:
        logs.only("" if category == "*" else category)
    if query["enable"]:
        logs.enable(_flag(query, "enable"))
    yield Answer("SandeshLoggingParams", _logging(node))


def _logging(node: Node) -> dict[str, Any]:
    logs = node.logs
    return {
        "enable": logs.enabled,
        "category": logs.category,
        "log_level": logs.level,
        "trace_print": False,
        "enable_flow_log": node.settings.get("DEFAULT", "log_flow", bool),
    }


def _flag(query: Query, name: str) -> bool:
    word = query[name].strip().lower()
    if word not in ("true", "false", "1", "0"):
        raise UsageError(f"{name}={query[name]}: expected true or false")
    return word in ("true", "1")


SERVED = (
    Request("SandeshTraceBufferListRequest", names),
    Request("SandeshTraceRequest", lines),
    Request("SandeshTraceBufStatusReq", states),
    Request("SandeshTraceBufferEnableDisableReq", switch, changes=True),
    Request("SandeshTraceEnableDisableReq", switch_all, changes=True),
    Request("SandeshLoggingParamsStatus", logging),
    Request("SandeshLoggingParamsSet", set_logging, changes=True),
)
