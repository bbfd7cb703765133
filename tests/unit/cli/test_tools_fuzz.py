"""Whatever a datapath answers, the tools print something or say what is wrong."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cli import (
    nh_json,
    render_flow,
    render_nh,
    render_route,
    render_vif,
    rt_monitor,
    tool,
    vif_json,
    vif_rate,
)
from agent.cli.render_vif_counters import Look
from agent.errors import SandeshError, WireError
from agent.sandesh.vrouter import Message, VrInterfaceReq, VrNexthopReq, VrRouteReq
from agent.shm import FlowEntry

Kind = TypeVar("Kind", bound=Message)
NUMBERS = st.integers(-2, 300) | st.sampled_from([2**n - 1 for n in (15, 16, 31, 32, 64)])
VALUES = {
    int: NUMBERS,
    str: st.text(max_size=20),
    bytes: st.binary(max_size=40),
    tuple: st.lists(NUMBERS, max_size=5).map(tuple),
}


def messages(kind: type[Kind]) -> st.SearchStrategy[Kind]:
    """Messages of a kind with any values that its fields can hold."""
    empty = kind()
    fields = {name: VALUES[type(getattr(empty, name))] for name in kind.FIELDS}

    def made(chosen: dict[str, Any]) -> Kind:
        message = kind()
        for name, value in chosen.items():
            try:
                message = message.replace(**{name: value})
            except SandeshError:  # more than the field holds
                continue
        return message

    return st.fixed_dictionaries({}, optional=fields).map(made)


LOOKS = st.builds(
    Look,
    core=st.none() | st.integers(0, 9),
    kernel=st.booleans(),
    fabric=st.booleans(),
    rate=st.booleans(),
)


@settings(max_examples=30)
@given(messages(VrInterfaceReq), messages(VrInterfaceReq), LOOKS)
def test_any_interface(one: VrInterfaceReq, other: VrInterfaceReq, look: Look) -> None:
    shown = list(render_vif.lines(one, look))
    assert shown[0].startswith(f"vif{one.vifr_rid}/{one.vifr_idx}")
    assert shown[-1] == ""
    json.dumps(vif_json.as_json(one))
    now = vif_rate.Sample(2.0, {1: one}).since(vif_rate.Sample(1.0, {1: other}))
    assert all("\n" not in line for line in vif_rate.rows(now) if one.vifr_name.isprintable())


@settings(max_examples=100)
@given(messages(VrNexthopReq))
def test_any_nexthop(nexthop: VrNexthopReq) -> None:
    assert render_nh.text(nexthop).endswith("\n\n")
    json.dumps(nh_json.as_json(nexthop))


@settings(max_examples=100)
@given(messages(VrRouteReq))
def test_any_route(route: VrRouteReq) -> None:
    json.dumps(rt_monitor.described(route))
    try:
        assert "/" in render_route.route_line(route, 0)
        json.dumps(render_route.route_json(route, 0))
        render_route.network(route, route.rtr_prefix_len)
    except WireError:
        assert len(route.rtr_prefix) not in (4, 16) or route.rtr_prefix_len not in range(33)


@settings(max_examples=100)
@given(st.binary(min_size=256, max_size=256))
def test_any_entry_of_the_flow_table(raw: bytes) -> None:
    try:
        flow = FlowEntry.decode(raw)
    except ValueError:
        return
    assert list(render_flow.lines(flow, [1, 2]))[-1] == ""
    json.dumps(render_flow.as_json(flow))


JSON = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@settings(max_examples=60)
@given(st.lists(JSON, max_size=4))
def test_rows_of_json_are_one_document(rows: list[Any]) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        tool.print_json_rows(iter(rows))
    assert printed.getvalue() == json.dumps(rows, indent=2) + "\n"
