"""Pairs of flows as answers show them: SandeshFlowData and its kin, one for each direction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Any, NamedTuple
from uuid import UUID

from agent.flow.words import REASON_NAMES, REASONS
from agent.introspect.request import Values
from agent.oper.rows import Vmi
from agent.shm import FlowKey
from agent.telemetry import Node
from agent.telemetry.sessions import flow_uuid, life

UNKNOWN = "__UNKNOWN__"
_DROP, _NAT = 0, 3
_SHORT, _INGRESS, _LOCAL, _L2 = 0x1, 0x2, 0x4, 0x100
_RULES_IMPLICIT_DENY = 2
_TUNNELS = ("", "MPLSoGRE", "MPLSoUDP", "VXLAN")
_MICRO = 1_000_000


class Pair(NamedTuple):
    """A pair as `FlowPairs.describe` gives it, with what its numbers stand for."""

    data: Mapping[str, Any]
    source: Vmi | None
    destination: Vmi | None

    @property
    def short(self) -> bool:
        """Whether it is refused, and has no reverse flow."""
        return bool(self.data["flags"] & _SHORT)

    @property
    def ingress(self) -> bool:
        """Whether its first packet came from a port of this host."""
        return bool(self.data["flags"] & _INGRESS)


def pair(node: Node, data: Mapping[str, Any]) -> Pair:
    """What `FlowPairs.describe` gave."""
    course = data["course"]
    ends = (course["from_vif"], course["to_vif"])
    return Pair(data, *(None if vif is None else node.compiler.vmi(vif) for vif in ends))


def flow_key(data: Mapping[str, Any], side: str) -> FlowKey:
    """The key of a direction."""
    return FlowKey.unpack(data[side]["key"].ljust(44, b"\0"))


def rule_text(node: Node, number: int) -> str:
    """The UUID of a rule."""
    uuid = node.flows.world.classifier.rule_uuid(number)
    return "" if uuid is None else str(uuid)


def both(node: Node, found: Pair) -> list[Values]:
    """SandeshFlowData of the forward flow, and of the reverse one where there is one."""
    sides = ("forward",) if found.short else ("forward", "reverse")
    return [flow_data(node, found, side) for side in sides]


def flow_data(node: Node, found: Pair, side: str) -> Values:
    """SandeshFlowData of one direction."""
    data, at = found.data, found.data[side]
    drops, short = at["action"] == _DROP, found.short
    reverse = side == "reverse"
    policy, group = data["forward"]["rules"]
    return {
        **_ends(node, found, reverse=reverse),
        "gen_id": at["gen_id"],
        "flow_handle": -1 if at["index"] is None else at["index"],
        **key_values(flow_key(data, side)),
        "vrf": at["vrf"],
        "dest_vrf": at["dvrf"] or at["vrf"],
        "action": at["action"],
        "action_str": [{"action": "drop" if drops else "pass"}],
        "sg_action_summary": [{"action": "drop" if drops else "pass"}],
        "direction": "ingress" if found.ingress != reverse else "egress",
        "stats_bytes": at["bytes"],
        "stats_packets": at["packets"],
        "uuid": uuid_of(node, data, side),
        "nat": "enabled" if at["action"] == _NAT else "disabled",
        "setup_time": _text(_started(node, data)),
        "setup_time_utc": round(_started(node, data) * _MICRO),
        "implicit_deny": "yes" if policy == _RULES_IMPLICIT_DENY else "no",
        "short_flow": f"yes ({REASONS[at['reason']]})" if short else "no",
        "local_flow": "yes" if data["flags"] & _LOCAL else "no",
        "reverse_flow": "yes" if reverse else "no",
        "sg_rule_uuid": rule_text(node, group) or None,
        "nw_ace_uuid": rule_text(node, policy) or None,
        "fw_policy_match": rule_text(node, policy),
        "rpf_nh": at["source_nexthop"],
        "src_ip_nh": at["source_nexthop"],
        "drop_reason": REASON_NAMES[at["reason"]] if drops else None,
        "enable_rpf": bool(at["source_nexthop"]),
        "l3_flow": not data["flags"] & _L2,
        "deleted": data["state"] == "ending",
    }


def _ends(node: Node, found: Pair, *, reverse: bool) -> Values:
    """Networks, tags and the other vrouter of a direction."""
    course = found.data["course"]
    vns = [
        _network(node, row, course[meta])
        for row, meta in (
            (found.source, "source_meta"),
            (found.destination, "destination_meta"),
        )
    ]
    own = found.source or found.destination
    remote = course["destination_meta" if found.ingress else "source_meta"]
    ports = found.destination, found.source
    leaves = ports[reverse]
    return {
        "src_vn_list": [vns[reverse]],
        "dst_vn_list": [vns[not reverse]],
        "src_vn_match": vns[reverse],
        "dst_vn_match": vns[not reverse],
        "egress_uuid": str(leaves.uuid) if leaves else None,
        "vmi": own.config_name if own else None,
        "local_tag_list": _tags(node, own),
        "remote_tag_list": node.flows.feed.behind(remote).tags or None,
        "peer_vrouter": str(IPv4Address(course["peer"])) if course["peer"] else None,
        "tunnel_type": _TUNNELS[course["tunnel"]] or None,
    }


def _tags(node: Node, row: Vmi | None) -> tuple[int, ...] | None:
    flow = node.compiler.flow_port(row.uuid) if row else None
    return (flow.policy.tags or None) if flow else None


def _network(node: Node, row: Vmi | None, meta: int) -> str:
    if row is not None:
        return row.vn.name if row.vn else ""
    return node.flows.feed.behind(meta).network or UNKNOWN


def export_info(node: Node, found: Pair) -> Values:
    """SandeshFlowExportInfo of the forward flow."""
    data, at, key = found.data, found.data["forward"], flow_key(found.data, "forward")
    course = data["course"]
    policy, group = at["rules"]
    return {
        "key": key_values(key),
        "egress_uuid": str(found.destination.uuid) if found.destination else "",
        "rev_flow_uuid": uuid_of(node, data, "reverse"),
        "source_vn": _network(node, found.source, course["source_meta"]),
        "dest_vn": _network(node, found.destination, course["destination_meta"]),
        "sg_rule_uuid": rule_text(node, group),
        "nw_ace_uuid": rule_text(node, policy),
        "setup_time": round(_started(node, data) * _MICRO),
        "last_modified_time": round((at["last_seen"] / 1000 + _offset(node)) * _MICRO),
        "bytes": at["bytes"],
        "packets": at["packets"],
        "flags": data["flags"],
        "flow_handle": at["index"] if at["index"] is not None else (1 << 32) - 1,
        "action": [{"action": "drop" if at["action"] == _DROP else "pass"}],
        "vm_cfg_name": (found.source or found.destination or _NOBODY).vm_name,
        "peer_vrouter": str(IPv4Address(course["peer"])) if course["peer"] else "",
        "tunnel_type": _TUNNELS[course["tunnel"]],
        "delete_enqueued": data["state"] == "ending",
        "uuid": uuid_of(node, data, "forward"),
    }


class _Nobody(NamedTuple):
    vm_name: str = ""


_NOBODY = _Nobody()


def key_values(key: FlowKey) -> Values:
    """SandeshFlowKey."""
    return {
        "nh": key.nh_id,
        "sip": key.source,
        "dip": key.destination,
        "src_port": key.sport,
        "dst_port": key.dport,
        "protocol": key.proto,
    }


def acl_flow(node: Node, found: Pair) -> Values:
    """FlowSandeshData of the forward flow: which rules decided."""
    data, at, key = found.data, found.data["forward"], flow_key(found.data, "forward")
    feed, course = node.flows.feed, data["course"]
    ends = ("source_meta", "destination_meta")
    vns = [
        _network(node, row, course[meta])
        for row, meta in zip((found.source, found.destination), ends, strict=True)
    ]
    groups = [feed.behind(course[meta]).groups for meta in ends]
    drops = at["action"] == _DROP
    return {
        "ace_l": [{"id": rule} for each in at["rules"] if (rule := rule_text(node, each))],
        "vrf": str(at["vrf"]),
        "src": key.source,
        "dst": key.destination,
        "src_port": key.sport,
        "dst_port": key.dport,
        "protocol": key.proto,
        "ingress": found.ingress,
        "action_l": [{"action": "drop" if drops else "pass"}],
        "flow_uuid": uuid_of(node, data, "forward"),
        "flow_handle": "" if at["index"] is None else str(at["index"]),
        "dest_vrf": str(at["dvrf"] or at["vrf"]),
        "source_vn": vns[0],
        "dest_vn": vns[1],
        "source_sg_id_l": groups[0],
        "dest_sg_id_l": groups[1],
        "bytes": str(at["bytes"]),
        "packets": str(at["packets"]),
        "setup_time": _text(_started(node, data)),
        "setup_time_utc": round(_started(node, data) * _MICRO),
        "current_time": _text(node.wall()),
        "reverse_flow": "no",
        "nat": "enabled" if at["action"] == _NAT else "disabled",
        "implicit_deny": "yes" if at["rules"][0] == _RULES_IMPLICIT_DENY else "no",
        "short_flow": "yes" if found.short else "no",
        "l3_flow": not data["flags"] & _L2,
        "source_vn_list": vns[:1],
        "dest_vn_list": vns[1:],
    }


def uuid_of(node: Node, data: Mapping[str, Any], side: str) -> str:
    """The name of a flow, as in records of sessions."""
    run: UUID = life(node.host, node.pid, node.started)
    return str(flow_uuid(run, data["serial"], int(side == "reverse")))


def _offset(node: Node) -> float:
    return node.wall() - node.clock()


def _started(node: Node, data: Mapping[str, Any]) -> float:
    created: float = data["created"]
    return created + _offset(node)


def _text(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%b-%d %H:%M:%S.%f")
