"""How `flow --get` prints one flow, with what the datapath would do with its packets.

Facts: vrouter-cli.md (`flow --get`). Nexthops, interfaces and routes are asked for one by one;
what has gone meanwhile is left out. A margin stands where the original leaves one, also before
the next title when a route leads nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network

from agent.cli import render_nh
from agent.cli.datapath_ask import interface, mirror, nexthop, route
from agent.cli.datapath_client import DatapathClient
from agent.cli.flow_match import PROTOCOL_NAMES
from agent.cli.render import mac_unpadded
from agent.cli.render_flow import drop_word, mirror_ids
from agent.sandesh.vrouter import (
    SandeshOp,
    VrDropStatsReq,
    VrInterfaceReq,
    VrNexthopReq,
    VrRouteReq,
)
from agent.shm import FlowAction, FlowEntry, FlowFlag, TcpFlag
from agent.values import Address, Mac

WIDTH = 30
_PAD = " " * WIDTH
TCP, BRIDGE = 6, 7
_NOT_DROPS = frozenset(("h_op", "vds_rid", "vds_core", "vds_pcpu_stats_failure_status"))
_FLOW_DROPS = (
    "flow_queue_limit_exceeded", "flow_no_memory", "flow_invalid_protocol", "flow_nat_no_rflow",
    "flow_action_drop", "flow_action_invalid", "flow_unusable", "flow_table_full",
    "drop_new_flow",
)  # fmt: skip
_NAT = (
    (FlowFlag.SNAT, "SourceNAT"),
    (FlowFlag.SPAT, "SourcePortNAT"),
    (FlowFlag.DNAT, "DestinationNAT"),
    (FlowFlag.DPAT, "DestinationPortNAT"),
    (FlowFlag.LINK_LOCAL, "LinkLocalNAT"),
)
_STATES = (
    (FlowFlag.EVICTED, "EVICTED"),
    (FlowFlag.EVICT_CANDIDATE, "EVICT CANDIDATE"),
    (FlowFlag.NEW_FLOW, "NEW"),
    (FlowFlag.MODIFIED, "MODIFIED"),
    (FlowFlag.MIRROR, "MIRROR"),
)
_TCP_STATES = (
    (TcpFlag.SYN, "SYN"),
    (TcpFlag.SYN_R, "SYN(REVERSE)"),
    (TcpFlag.ESTABLISHED, "ESTABLISHED"),
    (TcpFlag.ESTABLISHED_R, "ESTABLISHED(REVERSE)"),
    (TcpFlag.FIN, "FIN"),
    (TcpFlag.FIN_R, "FIN(REVERSE)"),
    (TcpFlag.RST, "RESET"),
    (TcpFlag.HALF_CLOSE, "HALFCLOSED"),
    (TcpFlag.DEAD, "DEAD"),
)
_SHOWN = {
    render_nh.RECEIVE: "RECEIVE",
    render_nh.ENCAP: "ENCAP",
    render_nh.TUNNEL: "TUNNEL",
    render_nh.COMPOSITE: "COMPOSITE",
}
"""Nexthops that lead somewhere."""


def described(client: DatapathClient, flow: FlowEntry, reverse: FlowEntry | None) -> Iterator[str]:
    """The text of one flow in pieces. `reverse`: the flow of the answers, if there is one."""
    yield from _key(flow)
    yield from _action(flow, reverse)
    yield from _source(client, flow, reverse)
    if flow.action != FlowAction.NAT or reverse is not None:
        yield from _routes(client, flow, reverse)
    yield "\n" + _field("Flow Flags") + _words(flow.flags, _STATES, " ") + "\n"
    if flow.key.proto == TCP:
        yield _field("TCP FLAGS") + _words(flow.tcp_flags, _TCP_STATES, ", ") + "\n"
    yield _field("UDP Source Port") + f"{flow.udp_src_port}\n"
    if flow.flags & FlowFlag.MIRROR:
        yield from _mirrors(client, flow)
    yield "\n" + _field("Flow Statistics") + f"{flow.packets}/{flow.bytes}\n"
    yield from _drops(client)


def _field(title: str) -> str:
    return f"{title + ':':<{WIDTH}}"


def _words(value: int, names: tuple[tuple[int, str], ...], end: str) -> str:
    return "".join(name + end for bit, name in names if value & bit)


def _key(flow: FlowEntry) -> Iterator[str]:
    key = flow.key
    yield _field("Flow Index") + f"{flow.index}\n"
    yield _field("Flow Generation ID") + f"{flow.gen_id}\n"
    yield _field("Reverse Flow Index") + f"{-1 if flow.rflow is None else flow.rflow}\n"
    yield _field("VRF") + f"{flow.vrf}\n"
    yield _field("Destination VRF") + f"{_destination_vrf(flow)}\n"
    yield _field("Flow Source") + f"[{key.source}]:{key.sport:<5}\n"
    yield _field("Flow Destination") + f"[{key.destination}]:{key.dport:<5}\n"
    yield _field("Flow Protocol") + f"{PROTOCOL_NAMES.get(key.proto, 'UNKNOWN')}\n"
    if flow.underlay_ecmp_index >= 0:
        yield _field("Flow Underlay ECMP Index") + f"{flow.underlay_ecmp_index}\n"


def _destination_vrf(flow: FlowEntry) -> int:
    return flow.dvrf if flow.flags & FlowFlag.VRFT else flow.vrf


def _action(flow: FlowEntry, reverse: FlowEntry | None) -> Iterator[str]:
    text = FlowAction(flow.action).name
    if flow.action == FlowAction.DROP:
        text += f":{_PAD}{drop_word(flow.drop_reason)}"
    elif flow.action == FlowAction.NAT:
        text += f": {_words(flow.flags, _NAT, ', ')}"
    yield _field("Flow Action") + f"{text}\n"
    if flow.action == FlowAction.NAT:
        ends = "" if reverse is None else _translated(flow, reverse)
        yield f"{_PAD}NAT(Source, Destination): {ends}\n"


def _translated(flow: FlowEntry, reverse: FlowEntry) -> str:
    """The ends that packets have afterwards: those of the answers, the other way round."""
    key, answer, flags = flow.key, reverse.key, flow.flags
    source = answer.destination if flags & FlowFlag.SNAT else key.source
    sport = answer.dport if flags & FlowFlag.SPAT else key.sport
    destination = answer.source if flags & FlowFlag.DNAT else key.destination
    dport = answer.sport if flags & FlowFlag.DPAT else key.dport
    return f"[{source}]:{sport}, [{destination}]:{dport}"


# --- where packets come from and go


def _source(client: DatapathClient, flow: FlowEntry, reverse: FlowEntry | None) -> Iterator[str]:
    found = nexthop(client, flow.src_nh_index)
    if found is not None:
        chosen = -1 if reverse is None else reverse.ecmp_nh_index
        way = flow.underlay_ecmp_index
        leads = _leads(client, found, "Ingress", chosen=chosen, way=way)
        yield _field("Expected Source") + (leads or "\n")


def _leads(
    client: DatapathClient, found: VrNexthopReq, word: str, *, chosen: int = -1, way: int = -1
) -> str:
    """Lines about a nexthop, the first without its margin; empty if it leads nowhere.

    `chosen`: the component that a flow takes; `way`: the interface of several.
    """
    if found.nhr_type not in _SHOWN:
        return ""
    text = f"NextHop(Index, VRF, Type): {found.nhr_id}, {found.nhr_vrf}, {_SHOWN[found.nhr_type]}\n"
    if found.nhr_type == render_nh.COMPOSITE:
        return text + _component(client, found, word, chosen)
    if found.nhr_type == render_nh.TUNNEL:
        text += f"{_PAD}Tunnel Source: {render_nh.ends(found)[1]}\n"
    ways = found.nhr_encap_oif_id
    if ways:
        index = ways[way] if 0 <= way < len(ways) else ways[0]
        text += _interface(interface(client, index), word)
    return text


def _component(client: DatapathClient, found: VrNexthopReq, word: str, chosen: int) -> str:
    if not found.nhr_flags & render_nh.ECMP:
        return ""
    marked = (
        f"{number}{'*' if position == chosen else ''}, "
        for position, number in enumerate(found.nhr_nh_list)
    )
    text = f"{_PAD}ECMP\n{_PAD}{''.join(marked)}\n"
    if not 0 <= chosen < len(found.nhr_nh_list):
        return text
    component = nexthop(client, found.nhr_nh_list[chosen])
    leads = "" if component is None else _leads(client, component, word)
    return text + (_PAD + leads if leads else "")


def _interface(vif: VrInterfaceReq | None, word: str) -> str:
    if vif is None:
        return ""
    name = vif.vifr_name if vif.vifr_os_idx > 0 else ""
    errors = vif.vifr_ierrors + vif.vifr_oerrors
    return (
        f"{_PAD}{word} Interface(Index, VRF, OS): vif0/{vif.vifr_idx}, {vif.vifr_vrf}, {name}\n"
        f"{_PAD}Interface Statistics(Out, In, Errors): {vif.vifr_opackets}, "
        f"{vif.vifr_ipackets}, {errors}\n"
    )


def _routes(client: DatapathClient, flow: FlowEntry, reverse: FlowEntry | None) -> Iterator[str]:
    destination = flow.key.destination
    if reverse is not None and flow.flags & FlowFlag.DNAT:
        destination = reverse.key.source
    yield from _route(client, "Source", flow.vrf, flow.key.source)
    yield from _route(client, "Destination", _destination_vrf(flow), destination)


def _route(client: DatapathClient, end: str, vrf: int, address: Address) -> Iterator[str]:
    found = route(client, vrf, address)
    if found is None:
        return
    word = "Ingress" if end == "Source" else "Egress"
    yield _field(f"{end} Information") + f"VRF: {vrf}\n{_PAD}Layer 3 Route Information\n"
    yield f"{_PAD}Matching Route: {_matching(address, found)}\n"
    taken = nexthop(client, found.rtr_nh_id)
    if taken is not None:
        yield _PAD + _leads(client, taken, word)
    if any(found.rtr_mac) and len(found.rtr_mac) == 6:
        yield f"\n{_PAD}Layer 2 Route Information\n"
        yield f"{_PAD}{end}MAC: {mac_unpadded(found.rtr_mac)}\n"
        bridged = route(client, vrf, Mac(found.rtr_mac))
        taken = None if bridged is None else nexthop(client, bridged.rtr_nh_id)
        yield "" if taken is None else _PAD + _leads(client, taken, word)


def _matching(address: IPv4Address | IPv6Address, found: VrRouteReq) -> str:
    length = min(max(found.rtr_prefix_len, 0), address.max_prefixlen)
    network = ip_network((address.packed, length), strict=False)
    return f"{network.network_address}/{length:<2}"


# --- copies, drops


def _mirrors(client: DatapathClient, flow: FlowEntry) -> Iterator[str]:
    used = mirror_ids(flow)
    yield "\n" + _field("Mirror Index") + ", ".join(map(str, used)) + "\n"
    for title, number in zip(("Primary Mirror", "Secondary Mirror"), used, strict=False):
        found = mirror(client, number)
        to = None if found is None else nexthop(client, found.mirr_nhid)
        if to is not None:
            yield _field(title) + _mirror(to)


def _mirror(to: VrNexthopReq) -> str:
    if to.nhr_type != render_nh.TUNNEL:
        return f"NextHop {to.nhr_id} of type {to.nhr_type}\n"
    source, destination = render_nh.ends(to)
    vrf = f"in the same VRF ({to.nhr_vrf})" if to.nhr_vrf < 0 else f"in VRF {to.nhr_vrf}"
    copied = to.nhr_flags & render_nh.COPY_SOURCE
    return (
        f"NextHop {to.nhr_id}\n{_PAD}To Destination {destination} {vrf}\n"
        f"{_PAD}Tunnel Source IP {'from packet' if copied else source}\n"
    )


def _drops(client: DatapathClient) -> Iterator[str]:
    stats = client.get(VrDropStatsReq(h_op=SandeshOp.GET).encode(), VrDropStatsReq)
    drops = sum(count for name, count in stats.to_dict().items() if name not in _NOT_DROPS)
    blocked = sum(getattr(stats, f"vds_{name}") for name in _FLOW_DROPS)
    yield _field("System Wide Packet Drops") + f"{drops}\n"
    yield f"{_PAD}Reverse Path Failures: {stats.vds_invalid_source}\n"
    yield f"{_PAD}Flow Block Drops: {blocked}\n"
