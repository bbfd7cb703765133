"""`flow -p`: how long the datapath takes to add and delete flows. Facts: vrouter-cli.md.

The flows are between 1.1.1.1 and 2.2.2.2, of protocol 255, so nobody's. As the original does, it
first makes N that wait for a decision, then decides on each and adds its reverse flow; unlike the
original it deletes them all afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import TypeVar

from agent.cli import tool
from agent.cli.datapath_client import DatapathClient
from agent.errors import DatapathError
from agent.sandesh.vrouter import FlowOp, VrFlowReq, VrFlowResponse, VrResponse, encode_many
from agent.shm import FlowAction, FlowFlag

MOST_FLOWS = 4_000_000
MOST_IN_A_BUNCH = 15
_INET = 2
_HERE, _THERE = int.from_bytes(b"\1\1\1\1", "little"), int.from_bytes(b"\2\2\2\2", "little")
_NOBODYS = -1  # 255 as a signed byte
_NEXTHOP = 1
_NONE16, _NONE32 = 0xFFFF, 0xFFFFFFFF
_FIRST_PORT, _PORTS = 1000, 0xFFFF

Item = TypeVar("Item")
Made = tuple[VrFlowReq, int, int]
"""A flow as it was asked for; its index and its generation."""


def run(client: DatapathClient, count: int, bunch: int, *, json: bool) -> None:
    """Measure and tell. DatapathError when the datapath takes no more; what was made goes."""
    made: list[Made] = []
    times: dict[str, int] = {}
    try:
        times["hold"] = _timed(lambda: _hold(client, count, bunch, made))
        _tell(f"Created {count} HOLD entries in {times['hold']} msec", json)
        times["forward"] = _timed(lambda: _forward(client, count, bunch, made))
        _tell(f"Created {count} HOLD and {count} FWD entries in {times['forward']} msec", json)
    finally:
        times["delete"] = _timed(lambda: _delete(client, bunch, made))
        _tell(f"Deleted {len(made)} entries in {times['delete']} msec", json)
    if json:
        tool.print_json({"flows": count, "bunch": bunch, "milliseconds": times})


def _tell(line: str, json: bool) -> None:
    if not json:
        print(line, flush=True)


def _timed(action: Callable[[], None]) -> int:
    started = time.monotonic()
    action()
    return round(1000 * (time.monotonic() - started))


def _hold(client: DatapathClient, count: int, bunch: int, made: list[Made]) -> None:
    for requests in _bunches((_flow(number) for number in range(count)), bunch):
        _remember(made, requests, _ask(client, requests))


def _forward(client: DatapathClient, count: int, bunch: int, made: list[Made]) -> None:
    reverse = (_reversed(_flow(number)) for number in range(count))
    pairs = zip(made[:count], reverse, strict=True)
    for pair in _bunches(pairs, max(bunch // 2, 1)):
        added = [request for _, request in pair]
        decided = [_decided(flow) for flow, _ in pair]
        answers = _ask(client, [*added, *decided])
        _remember(made, added, answers)


def _delete(client: DatapathClient, bunch: int, made: list[Made]) -> None:
    for flows in _bunches(iter(made), bunch):
        with suppress(DatapathError):  # somebody else has ended one of them
            _ask(client, [_ended(flow) for flow in flows])


def _flow(number: int) -> VrFlowReq:
    return VrFlowReq(
        fr_op=FlowOp.FLOW_SET,
        fr_index=-1,
        fr_rindex=-1,
        fr_family=_INET,
        fr_flags=FlowFlag.ACTIVE,
        fr_action=FlowAction.HOLD,
        fr_flow_sip_l=_HERE,
        fr_flow_dip_l=_THERE,
        fr_flow_proto=_NOBODYS,
        fr_flow_nh_id=_NEXTHOP,
        fr_flow_sport=_swapped(_FIRST_PORT + number // _PORTS),
        fr_flow_dport=_swapped(number % _PORTS),
        fr_src_nh_index=_NEXTHOP,
        fr_ecmp_nh_index=_NONE32,
        fr_underlay_ecmp_index=-1,
        fr_qos_id=_NONE16,
    )


def _swapped(port: int) -> int:
    return int.from_bytes(port.to_bytes(2, "big"), "little")


def _reversed(flow: VrFlowReq) -> VrFlowReq:
    return flow.replace(
        fr_action=FlowAction.FORWARD,
        fr_flow_sip_l=flow.fr_flow_dip_l,
        fr_flow_dip_l=flow.fr_flow_sip_l,
        fr_flow_sport=flow.fr_flow_dport,
        fr_flow_dport=flow.fr_flow_sport,
    )


def _decided(made: Made) -> VrFlowReq:
    flow, index, generation = made
    return flow.replace(fr_action=FlowAction.FORWARD, fr_index=index, fr_gen_id=generation)


def _ended(made: Made) -> VrFlowReq:
    flow, index, generation = made
    return flow.replace(fr_flags=0, fr_index=index, fr_gen_id=generation)


def _bunches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    going = iter(items)
    while bunch := list(islice(going, size)):
        yield bunch


def _ask(client: DatapathClient, requests: list[VrFlowReq]) -> list[VrFlowResponse]:
    """Answers in the order of the requests. DatapathError with the first code that refuses."""
    code, objects = client.request(encode_many(requests))
    codes = [code, *(found.resp_code for found in objects if isinstance(found, VrResponse))]
    refused = next((code for code in codes if code < 0), 0)
    if refused:
        raise DatapathError(-refused, "vr_flow_req")
    return [found for found in objects if isinstance(found, VrFlowResponse)]


def _remember(made: list[Made], requests: list[VrFlowReq], answers: list[VrFlowResponse]) -> None:
    for request, answer in zip(requests, answers, strict=False):
        made.append((request, answer.fresp_index, answer.fresp_gen_id))
