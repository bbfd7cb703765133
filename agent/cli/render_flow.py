"""How `flow` prints flows. Facts: vrouter-cli.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address
from typing import Any

from agent.cli.render import flag_names
from agent.sandesh.vrouter import VrFlowTableData
from agent.shm import FLOW_DROP_REASONS, FlowAction, FlowEntry, FlowFlag, TcpFlag


def _plain(*names: tuple[int, str]) -> tuple[tuple[int, str], ...]:
    """Bits as plain numbers: to test one of an IntFlag takes ten times as long."""
    return tuple((int(bit), name) for bit, name in names)


ACTIONS = {int(action): letter for action, letter in zip(FlowAction, "DHFN", strict=True)}
NAT_FLAGS = _plain(
    (FlowFlag.SNAT, "S"),
    (FlowFlag.SPAT, "Ps"),
    (FlowFlag.DNAT, "D"),
    (FlowFlag.DPAT, "Pd"),
    (FlowFlag.LINK_LOCAL, "L"),
)
STATE_FLAGS = _plain(
    (FlowFlag.EVICTED, "E"),
    (FlowFlag.EVICT_CANDIDATE, "Ec"),
    (FlowFlag.NEW_FLOW, "N"),
    (FlowFlag.MODIFIED, "M"),
    (FlowFlag.DELETE_MARKED, "Dm"),
)
TCP_FLAGS = _plain(
    (TcpFlag.SYN, "S"),
    (TcpFlag.SYN_R, "Sr"),
    (TcpFlag.ESTABLISHED, "E"),
    (TcpFlag.ESTABLISHED_R, "Er"),
    (TcpFlag.FIN, "F"),
    (TcpFlag.FIN_R, "Fr"),
    (TcpFlag.RST, "R"),
    (TcpFlag.HALF_CLOSE, "C"),
    (TcpFlag.DEAD, "D"),
)
DROP_WORDS = {
    "UNKNOWN": "Unknown",
    "UNAVAILABLE_INTF": "IntfErr",
    "IPv4_FWD_DIS": "Ipv4Dis",
    "UNAVAILABLE_VRF": "VrfErr",
    "NO_SRC_ROUTE": "NoSrcRt",
    "NO_DST_ROUTE": "NoDstRt",
    "AUDIT_ENTRY": "Audit",
    "VRF_CHANGE": "VrfChange",
    "NO_REVERSE_FLOW": "NoRevFlow",
    "REVERSE_FLOW_CHANGE": "RevFlowChng",
    "NAT_CHANGE": "NatChng",
    "FLOW_LIMIT": "FlowLim",
    "LINKLOCAL_SRC_NAT": "LinkSrcNatErr",
    "FAILED_VROUTER_INSTALL": "VrouterInstallFail",
    "INVALID_L2_FLOW": "InvalidL2Flow",
    "FLOW_ON_TSN": "TSNFlow",
    "NO_MIRROR_ENTRY": "NoMirrorentry",
    "SAME_FLOW_RFLOW_KEY": "SameFlowRflowKey",
    "PORT_MAP_DROP": "NoFipPortMap",
    "NO_SRC_ROUTE_L2RPF": "NoSrcRtRpfNh",
    "FAT_FLOW_NAT_CONFLICT": "FatFlowNatConflict",
    "POLICY": "Policy",
    "OUT_POLICY": "OutPolicy",
    "SG": "SG",
    "OUT_SG": "OutSG",
    "REVERSE_SG": "RevSG",
    "REVERSE_OUT_SG": "RevOutSG",
    "FW_POLICY": "FwPolicy",
    "OUT_FW_POLICY": "OutFwPolicy",
    "REVERSE_FW_POLICY": "RevFwPolicy",
    "REVERSE_OUT_FW_POLICY": "RevOutFwPolicy",
    "FWAAS_POLICY": "FWAASPolicy",
    "OUT_FWAAS_POLICY": "OutFWAASPolicy",
    "REVERSE_FWAAS_POLICY": "RevFWAASPolicy",
    "REVERSE_OUT_FWAAS_POLICY": "RevOutFWAASPolicy",
}
"""Reasons that the flow tool prints as a word; others as their number."""
TCP = 6
INET = 2
MIRROR, VRFT = int(FlowFlag.MIRROR), int(FlowFlag.VRFT)
DROP, NAT = int(FlowAction.DROP), int(FlowAction.NAT)
HBS_LEFT, HBS_RIGHT = 0x1000, 0x2000
NO_MIRROR = 255
_LINE_FULL = 70
_CHAIN_FULL = 65

_LEGEND = [
    "Action:F=Forward, D=Drop N=NAT(S=SNAT, D=DNAT, Ps=SPAT, Pd=DPAT, L=Link Local Port)",
    " Other:K(nh)=Key_Nexthop, S(nh)=RPF_Nexthop",
    " Flags:E=Evicted, Ec=Evict Candidate, N=New Flow, M=Modified Dm=Delete Marked",
    "TCP(r=reverse):S=SYN, F=FIN, R=RST, C=HalfClose, E=Established, D=Dead",
    "",
]
_COLUMNS = [
    "    Index                Source:Port/Destination:Port                      Proto(V)",
    "-" * 83,
]


def header(table: VrFlowTableData, matching: str = "") -> list[str]:
    """The table's size and counters, the legend, what is listed, the column titles."""
    holds = " ".join(map(str, table.ftable_hold_stat))
    listed = [f"Listing flows matching ({matching})", ""] if matching else []
    return [
        f"Flow table(size {table.ftable_size}, entries {table.ftable_size // 256})",
        "",
        f"Entries: Created {table.ftable_created} Added {table.ftable_added} "
        f"Deleted {table.ftable_deleted} Changed {table.ftable_changed}"
        f"Processed {table.ftable_processed} "
        f"Used Overflow entries {table.ftable_oflow_entries}",
        f"(Created Flows/CPU: {holds})(oflows {table.ftable_hold_oflows})",
        "",
        *_LEGEND,
        *listed,
        *_COLUMNS,
    ]


def drop_word(reason: int) -> str:
    """The reason of a drop as the flow tool prints it."""
    if reason < len(FLOW_DROP_REASONS):
        return DROP_WORDS.get(FLOW_DROP_REASONS[reason], str(reason))
    return str(reason)


def action_text(flow: FlowEntry) -> str:
    """F, D(reason), N(what is translated), H."""
    letter = ACTIONS.get(flow.action, "U")
    if flow.action == DROP:
        return f"{letter}({drop_word(flow.drop_reason)})"
    if flow.action == NAT:
        return f"{letter}({''.join(flag_names(flow.flags, NAT_FLAGS))})"
    return letter


def _key_part(flow: FlowEntry) -> str:
    text = f"(Gen: {flow.gen_id}, K(nh):{flow.key.nh_id}, Action:{action_text(flow)}, "
    text += f"Flags:{''.join(flag_names(flow.flags, STATE_FLAGS))}, "
    if flow.key.proto == TCP:
        text += f"TCP:{''.join(flag_names(flow.tcp_flags, TCP_FLAGS))}, "
    if flow.ecmp_nh_index != -1:
        text += f"E:{flow.ecmp_nh_index}, "
    return text + f"QOS:{flow.qos_id}, S(nh):{flow.src_nh_index}, "


def _mirrors(flow: FlowEntry) -> str:
    text = " Mirror Index :"
    if flow.mirror_id != NO_MIRROR:
        text += f" {flow.mirror_id}"
    if flow.sec_mirror_id != NO_MIRROR:
        text += f", {flow.sec_mirror_id}, "
    return text


def mirror_ids(flow: FlowEntry) -> list[int]:
    """The mirrors that a flow's packets are copied to."""
    return [number for number in (flow.mirror_id, flow.sec_mirror_id) if number != NO_MIRROR]


def _pieces(flow: FlowEntry) -> Iterator[str]:
    """Parts after each of which a line may end."""
    yield _key_part(flow)
    yield f" Stats:{flow.packets}/{flow.bytes}, "
    if flow.flags & MIRROR:
        yield _mirrors(flow)
    yield f" SPort {flow.udp_src_port},"
    yield _last_part(flow)


def _last_part(flow: FlowEntry) -> str:
    text = f" TTL {flow.ttl},"
    if flow.underlay_ecmp_index != -1:
        text += f" UnderlayEcmpIdx:{flow.underlay_ecmp_index},"
    if flow.flags1 & HBS_LEFT:
        text += " HbsLeft,"
    elif flow.flags1 & HBS_RIGHT:
        text += " HbsRight,"
    return f"{text} Sinfo {_source(flow)})"


def _source(flow: FlowEntry) -> IPv4Address:
    return IPv4Address(flow.src_info.to_bytes(4, "little"))


def _folded(pieces: Iterator[str]) -> Iterator[str]:
    """Pieces on lines that end once they have 70 characters."""
    line = ""
    for piece in pieces:
        if len(line) >= _LINE_FULL:
            yield line
            line = ""
        line += piece
    yield line


def _chain(overflow: Iterable[int]) -> Iterator[str]:
    """The entries of the same bucket that lie in the table's overflow part."""
    line, width = "\t", 0
    for index in overflow:
        line += f" {index}"
        width += 1 + len(str(index))
        if width > _CHAIN_FULL:
            yield line
            line, width = "     ", 0
    yield line


def lines(flow: FlowEntry, overflow: Sequence[int] = ()) -> Iterator[str]:
    """The lines of one flow, a blank one at the end. `overflow`: its chain of entries."""
    pair = " " * 12 if flow.rflow is None else f"<=>{flow.rflow:<9}"
    width = 5 if flow.key.family == INET else 9
    source = f"{flow.key.source}:{flow.key.sport:<{width}}"
    vrf = f"{flow.vrf}->{flow.dvrf}" if flow.flags & VRFT else str(flow.vrf)
    yield f"{flow.index:9}{pair}    {source:<46}    {flow.key.proto:3} ({vrf})"
    yield f"{'':25}{flow.key.destination}:{flow.key.dport:<{width}}"
    yield from _folded(_pieces(flow))
    if overflow:
        yield "     Oflow entries:"
        yield from _chain(overflow)
    yield ""


def as_json(flow: FlowEntry) -> dict[str, Any]:
    """One flow for programs."""
    return {
        "index": flow.index,
        "reverse": flow.rflow,
        "gen_id": flow.gen_id,
        "source": str(flow.key.source),
        "sport": flow.key.sport,
        "destination": str(flow.key.destination),
        "dport": flow.key.dport,
        "proto": flow.key.proto,
        "key_nexthop": flow.key.nh_id,
        "vrf": flow.vrf,
        "dvrf": flow.dvrf if flow.flags & VRFT else None,
        "action": FlowAction(flow.action).name.lower(),
        "drop_reason": drop_word(flow.drop_reason) if flow.action == DROP else None,
        "nat": flag_names(flow.flags, NAT_FLAGS),
        "flags": flag_names(flow.flags, STATE_FLAGS),
        "tcp": flag_names(flow.tcp_flags, TCP_FLAGS),
        "rpf_nexthop": flow.src_nh_index,
        "ecmp_index": None if flow.ecmp_nh_index < 0 else flow.ecmp_nh_index,
        "packets": flow.packets,
        "bytes": flow.bytes,
        "udp_source_port": flow.udp_src_port,
        "mirrors": mirror_ids(flow) if flow.flags & MIRROR else [],
        "qos": None if flow.qos_id < 0 else flow.qos_id,
        "ttl": flow.ttl,
        "underlay_ecmp_index": None if flow.underlay_ecmp_index < 0 else flow.underlay_ecmp_index,
        "source_info": str(_source(flow)),
    }
