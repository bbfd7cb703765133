"""How `flow --get` prints one flow, with what the datapath would do with its packets.

Facts: vrouter-cli.md (`flow --get`). Nexthops, interfaces and routes are asked for one by one;
what has gone meanwhile is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from agent.cli import render_nh
from agent.cli.datapath_client import DatapathClient
from agent.cli.render import ip4_loaded
from agent.cli.render_flow import as_json
from agent.errors import DatapathError
from agent.sandesh.vrouter import (
    SandeshOp,
    VrDropStatsReq,
    VrInterfaceReq,
    VrNexthopReq,
    VrRouteReq,
)
from agent.shm import FlowAction, FlowEntry, FlowFlag
from agent.values import Address

WIDTH = 30
_PAD = " " * WIDTH
_PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP"}
_NOT_DROPS = frozenset(("h_op", "vds_rid", "vds_core", "vds_pcpu_stats_failure_status"))

Object = TypeVar("Object", VrNexthopReq, VrInterfaceReq, VrRouteReq)


def described(client: DatapathClient, flow: FlowEntry) -> Iterator[str]:
    """The lines of one flow."""
    yield from _key(flow)
    yield from _after(_field("Expected Source", ""), _nexthop(client, flow.src_nh_index, "Ingress"))
    yield from _routes(client, flow)
    yield ""
    named = as_json(flow)
    yield _field("Flow Flags", " ".join([*named["flags"], *named["tcp"]]))
    yield _field("UDP Source Port", flow.udp_src_port)
    yield ""
    yield _field("Flow Statistics", f"{flow.packets}/{flow.bytes}")
    yield from _drops(client)


def _field(title: str, value: object) -> str:
    text = f"{title + ':':<{WIDTH}}{value}"
    return text if value == "" else text.rstrip()


def _key(flow: FlowEntry) -> Iterator[str]:
    key = flow.key
    yield _field("Flow Index", flow.index)
    yield _field("Flow Generation ID", flow.gen_id)
    yield _field("Reverse Flow Index", -1 if flow.rflow is None else flow.rflow)
    yield _field("VRF", flow.vrf)
    yield _field("Destination VRF", _destination_vrf(flow))
    yield _field("Flow Source", f"[{key.source}]:{key.sport}")
    yield _field("Flow Destination", f"[{key.destination}]:{key.dport}")
    yield _field("Flow Protocol", _PROTOCOLS.get(key.proto, str(key.proto)))
    yield _field("Flow Action", FlowAction(flow.action).name)


def _destination_vrf(flow: FlowEntry) -> int:
    return flow.dvrf if flow.flags & FlowFlag.VRFT else flow.vrf


def _after(title: str, lines: Iterator[str]) -> Iterator[str]:
    """Lines of which the first follows the title and the others a margin as wide."""
    yield title + next(lines, "")
    yield from (_PAD + line for line in lines)


def _ask(client: DatapathClient, request: Object) -> Object | None:
    try:
        return client.get(request.encode(), type(request))
    except DatapathError:
        return None


def _nexthop(client: DatapathClient, number: int, word: str) -> Iterator[str]:
    """A nexthop that leads somewhere, its tunnel's source, its interface."""
    nexthop = _ask(client, VrNexthopReq(h_op=SandeshOp.GET, nhr_id=number))
    if nexthop is None or nexthop.nhr_type in (render_nh.DEAD, render_nh.DISCARD):
        return
    kind = render_nh.type_name(nexthop.nhr_type).upper()
    yield f"NextHop(Index, VRF, Type): {number}, {nexthop.nhr_vrf}, {kind}"
    if nexthop.nhr_type == render_nh.TUNNEL and nexthop.nhr_tun_sip:
        yield f"Tunnel Source: {ip4_loaded(nexthop.nhr_tun_sip)}"
    if nexthop.nhr_encap_oif_id:
        yield from _interface(client, nexthop.nhr_encap_oif_id[0], word)


def _interface(client: DatapathClient, index: int, word: str) -> Iterator[str]:
    vif = _ask(client, VrInterfaceReq(h_op=SandeshOp.GET, vifr_idx=index))
    if vif is not None:
        name = f"vif0/{index}, {vif.vifr_vrf}, {vif.vifr_name}".rstrip()
        yield f"{word} Interface(Index, VRF, OS): {name}"
        counts = f"{vif.vifr_opackets}, {vif.vifr_ipackets}, {vif.vifr_ierrors}"
        yield f"Interface Statistics(Out, In, Errors): {counts}"


def _routes(client: DatapathClient, flow: FlowEntry) -> Iterator[str]:
    """Both ends' routes; a title follows the margin of a route that leads nowhere, as it does
    in the original."""
    ends = (
        ("Source", flow.vrf, flow.key.source, "Ingress"),
        ("Destination", _destination_vrf(flow), flow.key.destination, "Egress"),
    )
    margin = ""
    for title, vrf, address, word in ends:
        yield margin + _field(f"{title} Information", f"VRF: {vrf}")
        route = _route(client, vrf, address)
        if route is None:
            margin = ""
            continue
        yield f"{_PAD}Layer 3 Route Information"
        yield f"{_PAD}Matching Route: {_matching(address, route)}"
        leads = list(_nexthop(client, route.rtr_nh_id, word))
        yield from (_PAD + line for line in leads)
        margin = "" if leads else _PAD


def _route(client: DatapathClient, vrf: int, address: Address) -> VrRouteReq | None:
    request = VrRouteReq(
        h_op=SandeshOp.GET,
        rtr_vrf_id=vrf,
        rtr_family=2 if address.version == 4 else 10,
        rtr_prefix=address.packed,
        rtr_prefix_len=address.max_prefixlen,
    )
    return _ask(client, request)


def _matching(address: Address, route: VrRouteReq) -> str:
    """The prefix that was programmed, of which the answer carries the length."""
    length = route.rtr_replace_plen
    bits = address.max_prefixlen
    network = int(address) >> (bits - length) << (bits - length)
    return f"{type(address)(network)}/{length}"


def _drops(client: DatapathClient) -> Iterator[str]:
    stats = client.get(VrDropStatsReq(h_op=SandeshOp.GET).encode(), VrDropStatsReq)
    drops = sum(count for name, count in stats.to_dict().items() if name not in _NOT_DROPS)
    yield _field("System Wide Packet Drops", drops)
    yield f"{_PAD}Reverse Path Failures: {stats.vds_invalid_source}"
    yield f"{_PAD}Flow Block Drops: {stats.vds_flow_action_drop}"
