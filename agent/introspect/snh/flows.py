"""Flows that the agent has set up: of all, of one key, of an access list; and what ends them.

Facts oper-db.md 6.5. Answers that go over many pairs hold a bounded part of them and a token
for the rest: the number of the pair that comes next.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from uuid import UUID

from agent.errors import UsageError
from agent.introspect.query import address, number, uuid
from agent.introspect.request import Answer, Query, Request, Row, Table, Values
from agent.introspect.slices import pause, sliced
from agent.introspect.snh.flow_values import (
    Pair,
    acl_flow,
    both,
    export_info,
    flow_data,
    flow_key,
    pair,
)
from agent.shm import FlowKey
from agent.telemetry import Node

PAGE = 50
"""Pairs of one answer, with two flows each."""
LOOK = 4096
"""Pairs that one answer looks at, of which few may be wanted."""
_PART = 256
_SEARCH = 16384
_BOUND_PORT = 0x1000


def _found(node: Node, number: int) -> Pair | None:
    pairs = node.flows.pairs
    try:
        return pair(node, pairs.describe(number)) if pairs is not None else None
    except KeyError:
        return None  # it ended meanwhile


# --- All flows


async def fetch_all(node: Node, _: Query) -> AsyncIterator[Answer]:
    """FetchAllFlowRecords: the first of all flows."""
    yield await _page(node, "FlowRecordsResp", 0, lambda _: True)


async def fetch_next(node: Node, query: Query) -> AsyncIterator[Answer]:
    """NextFlowRecordsSet: the flows from a token on."""
    start = _token(query["flow_key"])
    yield await _page(node, "FlowRecordsResp", start, lambda _: True)


async def fetch_service(node: Node, query: Query) -> AsyncIterator[Answer]:
    """ShowFlowStatsCollector: the flows of a protocol and port; 0: any."""
    protocol, port = number(query, "protocol", 0, 255), number(query, "port", 0, 65535)
    yield await _service(node, 0, protocol or 0, port or 0)


async def fetch_service_next(node: Node, query: Query) -> AsyncIterator[Answer]:
    """NextFlowStatsRecordsSet: from a token on, `<pair>:<protocol>:<port>`."""
    parts = query["flow_key"].split(":")
    if len(parts) != 3:
        raise UsageError(f"flow_key: {query['flow_key'][:80]!r} is no token of an answer")
    yield await _service(node, *map(_token, parts))


async def _service(node: Node, start: int, protocol: int, port: int) -> Answer:
    def fits(found: Pair) -> bool:
        key = flow_key(found.data, "forward")
        return protocol in (0, key.proto) and port in (0, key.sport, key.dport)

    answer = await _page(node, "FlowStatsCollectorRecordsResp", start, fits)
    token = answer.values["flow_key"]
    if token:
        return Answer(answer.name, {**answer.values, "flow_key": f"{token}:{protocol}:{port}"})
    return answer


async def _page(node: Node, response: str, start: int, fits: Callable[[Pair], bool]) -> Answer:
    """Up to PAGE pairs that fit, and the token of the next one."""
    pairs, rows, shown = node.flows.pairs, list[Values](), 0
    numbers = pairs.pairs(start, LOOK + 1) if pairs is not None else []
    token = str(numbers[LOOK]) if len(numbers) > LOOK else ""
    async for each in sliced(numbers[:LOOK]):
        if shown == PAGE:
            token = str(each)
            break
        found = _found(node, each)
        if found is not None and fits(found):
            rows += both(node, found)
            shown += 1
    return Answer(response, {"flow_list": rows, "flow_key": token})


def _token(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise UsageError(f"flow_key: {text[:80]!r} is no token of an answer")
    return int(text)


# --- One flow


async def fetch(node: Node, query: Query) -> AsyncIterator[Answer]:
    """FetchFlowRecord: the flow of a key, of either direction."""
    key = _key(query)
    pairs = node.flows.pairs
    at = pairs.find(key) if pairs is not None else None
    found = None if at is None else _found(node, at)
    if found is None:
        yield Answer("FlowErrorResp", {"resp": "Flow not found"})
        return
    side = "forward" if found.data["forward"]["key"] == key else "reverse"
    yield Answer("FlowRecordResp", {"record": flow_data(node, found, side)})


def _key(query: Query) -> bytes:
    """The key of a flow as the table has it."""
    source, destination = address(query, "sip"), address(query, "dip")
    if source is None or destination is None or source.version != destination.version:
        raise UsageError("sip and dip: two addresses of one family are needed")
    protocol = number(query, "protocol", 0, 255) or 0
    sport, dport = (number(query, name, 0, 65535) or 0 for name in ("src_port", "dst_port"))
    nexthop = number(query, "nh") or 0
    return FlowKey(nexthop, source, destination, protocol, sport, dport).pack()


# --- What ends them, and when


async def delete_all(node: Node, _: Query) -> AsyncIterator[Answer]:
    """DeleteAllFlowRecords: every flow ends; those that are used are decided on anew."""
    pairs, now, ended, start = node.flows.pairs, node.clock(), 0, 0
    while pairs is not None:
        numbers = pairs.pairs(start, _PART)
        if not numbers:
            break
        ended += sum(pairs.end(each, now) for each in numbers)
        start = numbers[-1] + 1
        await pause()
    yield Answer("FlowErrorResp", {"resp": f"{ended} pairs of flows are deleted"})


async def age_time(node: Node, query: Query) -> AsyncIterator[Answer]:
    """FlowAgeTimeReq: how long flows may be silent; a number above 0 sets it."""
    old, wanted = node.flows.timeouts.common, number(query, "new_age_time", 0, 7 * 24 * 3600)
    if wanted:
        node.flows.age(wanted)
    new = node.flows.timeouts.common
    yield Answer("FlowAgeTimeResp", {"old_age_time": int(old), "new_age_time": int(new)})


async def aging(node: Node, _: Query) -> AsyncIterator[Answer]:
    """ShowAgingConfig: the timeouts of services, and that of all others first."""
    scanner, times = node.flows.scanner, node.flows.timeouts
    period = int(scanner.period) if scanner else 0
    rows = [(0, 0, times.common)]
    rows += [(one.protocol, one.port, one.seconds) for one in times.services]
    listed = [
        {"protocol": protocol, "port": port, "stats_interval": period, "cache_timeout": int(least)}
        for protocol, port, least in rows
    ]
    yield Answer("AgingConfigResponse", {"aging_config_list": listed})


# --- Some of them


async def link_local(node: Node, _: Query) -> AsyncIterator[Answer]:
    """FetchLinkLocalFlowInfo: flows to link-local services that have a port of the host."""
    pairs, rows = node.flows.pairs, list[Values]()
    start, numbers = 0, [0]
    while pairs is not None and numbers:
        numbers = pairs.pairs(start, _PART)
        async for each in sliced(numbers):
            found = _found(node, each)
            if found is not None and found.data["flags"] & _BOUND_PORT:
                rows.append(_link_local(node, found))
            start = each + 1
        await pause()
    yield Answer("LinkLocalFlowInfoResp", {"linklocal_flow_list": rows})


def _link_local(node: Node, found: Pair) -> Values:
    data, key = found.data, flow_key(found.data, "forward")
    values: dict[str, Any] = dict(flow_data(node, found, "forward"))
    return {
        "flow_index": max(values["flow_handle"], 0),
        "source_addr": key.source,
        "dest_addr": key.destination,
        "protocol": key.proto,
        "source_port": data["bound_port"],
        "dest_port": key.dport,
        "timestamp": values["setup_time"],
    }


def records(node: Node, _: Query) -> Iterator[Row]:
    """FlowStatsRecordsReq: what was counted on each pair."""
    pairs = node.flows.pairs
    start, numbers = 0, [0]
    while pairs is not None and numbers:
        numbers = pairs.pairs(start, _PART)
        for each in numbers:
            yield lambda each=each: _record(node, each)  # type: ignore[misc]
            start = each + 1


def _record(node: Node, number: int) -> Values:
    found = _found(node, number)
    return {} if found is None else {"info": export_info(node, found)}


# --- Of an access list


async def acl_flows(node: Node, query: Query) -> AsyncIterator[Answer]:
    """AclFlowReq: flows that a rule of an access list decided on."""
    yield await _acl_page(node, _list(query), 0)


async def acl_flows_next(node: Node, query: Query) -> AsyncIterator[Answer]:
    """NextAclFlowReq: from a token on, `<uuid>:<pair>`."""
    text, _, start = query["iteration_key"].partition(":")
    yield await _acl_page(node, _list({"uuid": text}), _token(start))


async def _acl_page(node: Node, acl: UUID, start: int) -> Answer:
    rules, pairs = _rules(node, acl), node.flows.pairs
    rows: list[Values] = []
    following = start if rules and pairs is not None else None
    while pairs is not None and following is not None and not rows:
        _, numbers, following = pairs.decided_by(rules.values(), following, _SEARCH, PAGE)
        async for each in sliced(numbers):
            found = _found(node, each)
            if found is not None:
                rows.append(acl_flow(node, found))
        await pause()
    token = "" if following is None else f"{acl}:{following}"
    values = {"flow_count": len(rows), "flow_entries": rows, "iteration_key": token}
    return Answer("AclFlowResp", values)


async def acl_counts(node: Node, query: Query) -> AsyncIterator[Answer]:
    """AclFlowCountReq: how many flows each rule of an access list decided on."""
    rules, pairs = _rules(node, _list(query)), node.flows.pairs
    counts = [0] * len(rules)
    start: int | None = 0 if rules else None
    while pairs is not None and start is not None:
        part, _, start = pairs.decided_by(rules.values(), start, _SEARCH, 0)
        counts = [one + other for one, other in zip(counts, part, strict=True)]
        await pause()
    listed = [
        {"ace_id": str(rule), "flow_cnt": count} for rule, count in zip(rules, counts, strict=True)
    ]
    values = {"flow_count": sum(counts), "aceid_cnt_list": listed}
    yield Answer("AclFlowCountResp", values)


def _list(query: Query) -> UUID:
    found = uuid(query, "uuid")
    if found is None:
        raise UsageError("uuid: which access list?")
    return found


def _rules(node: Node, acl: UUID) -> dict[UUID, int]:
    """The rules of a list with their numbers, each once."""
    found = [one for one in node.compiler.acls().values() if one.uuid == acl]
    classifier = node.flows.world.classifier
    numbers = {rule.uuid: classifier.rule_number(rule.uuid) for one in found for rule in one.rules}
    return {rule: number for rule, number in numbers.items() if number is not None}


SERVED = (
    Request("FetchAllFlowRecords", fetch_all),
    Request("NextFlowRecordsSet", fetch_next),
    Request("FetchFlowRecord", fetch),
    Request("ShowFlowStatsCollector", fetch_service),
    Request("NextFlowStatsRecordsSet", fetch_service_next),
    Request("DeleteAllFlowRecords", delete_all, changes=True),
    Request("FlowAgeTimeReq", age_time),
    Request("ShowAgingConfig", aging),
    Request("FetchLinkLocalFlowInfo", link_local),
    Table("FlowStatsRecordsReq", "FlowStatsRecordsResp", "records_list", records),
    Request("AclFlowReq", acl_flows),
    Request("NextAclFlowReq", acl_flows_next),
    Request("AclFlowCountReq", acl_counts),
)
