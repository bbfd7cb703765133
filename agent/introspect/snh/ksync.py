"""What ksync has asked of the datapath: interfaces and nexthops."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.introspect.request import Query, Row, Table
from agent.ksync import Identity, RecordView
from agent.objects import Key, Kind
from agent.oper.datapath import Label, NexthopFlag, NexthopType, VifFlag
from agent.telemetry import Node
from agent.values import Mac

_FEW = 256
_NO_VRF = 0xFFFF


def _records(node: Node, kind: Kind) -> Iterator[RecordView | None]:
    """The records of a kind, by number; None now and then while it looks for them."""
    numbers = []
    for at, identity in enumerate(node.session.identities()):
        if identity.kind is kind:
            numbers.append(identity.number)
        if at % _FEW == 0:
            yield None
    for number in sorted(numbers):
        record = node.session.look(Identity(kind, number))
        if record is not None and record.desired is not None:
            yield record


def interfaces(node: Node, query: Query) -> Iterator[Row]:
    """The interfaces that the datapath is to have."""
    for record in _records(node, Kind.VIF):
        yield None if record is None else _interface(node, record)


def _interface(node: Node, record: RecordView) -> dict[str, Any]:
    vif: Any = record.desired
    flags, port = VifFlag(vif.vifr_flags & 0xFFFFFFFF), node.compiler.vmi(vif.vifr_idx)
    return {
        "interface_id": vif.vifr_idx,
        "interface_name": vif.vifr_name,
        "ipv4_active": _yes(port.ip4_active if port else vif.vifr_vrf != _NO_VRF),
        "layer3_forwarding": _yes(VifFlag.L3 in flags),
        "l2_active": _yes(port.l2_active if port else VifFlag.L2 in flags),
        "bridging": _yes(VifFlag.L2 in flags),
        "mac": str(port.mac) if port else str(Mac(vif.vifr_mac)),
        "smac": str(Mac(vif.vifr_mac)),
        "flow_key_nh_id": vif.vifr_nh_id,
        "network_id": vif.vifr_os_idx,
        "os_index": vif.vifr_os_idx,
        "has_service_vlan": _yes(VifFlag.SERVICE in flags),
        "dhcp_service": _yes(VifFlag.DHCP in flags),
        "drop_new_flows": _yes(VifFlag.DROP_NEW_FLOWS in flags),
        "policy_enabled": _yes(VifFlag.POLICY in flags),
        "metadata_ip_active": _yes(port is not None and port.ip4_active),
        "metadata_l2_active": _yes(port is not None and port.l2_active),
        "flood_unknown_unicast": _yes(VifFlag.UNKNOWN_UC_FLOOD in flags),
        "etree_leaf": _yes(VifFlag.ETREE_ROOT not in flags),
        "vrf_id": vif.vifr_vrf,
        "ip": vif.vifr_ip,
        "rx_vlan_id": -1,
        "tx_vlan_id": port.tx_vlan_id if port and port.tx_vlan_id is not None else -1,
        "display_name": port.vm_name if port else vif.vifr_name,
    }


def nexthops(node: Node, query: Query) -> Iterator[Row]:
    """The nexthops that the datapath is to have."""
    for record in _records(node, Kind.NEXTHOP):
        yield None if record is None else _nexthop(node, record)


def _nexthop(node: Node, record: RecordView) -> dict[str, Any]:
    made: Any = record.desired
    flags = NexthopFlag(made.nhr_flags & 0xFFFFFFFF)
    bridge = made.nhr_family == 7
    look = node.compiler.inspection
    row = look.nexthop(made.nhr_id)
    name = row.key.name if row is not None else None
    bound = look.row(Key(Kind.LABEL, name))
    return {
        "nh_id": made.nhr_id,
        "vrf_id": made.nhr_vrf,
        "label": bound.label if isinstance(bound, Label) else -1,
        "valid": _yes(NexthopFlag.VALID in flags),
        "policy": _yes(NexthopFlag.POLICY in flags),
        "is_mcast_nh": _yes(NexthopFlag.MCAST in flags),
        "defer": _yes(bool(record.waits_for)),
        "vlan_tag": _tag(made),
        "is_local_ecmp_nh": _yes(isinstance(name, tuple) and name[:2] == ("ecmp", "local")),
        "is_bridge": _yes(bridge),
        "bridge_nh": _yes(bridge and made.nhr_type == NexthopType.VRF_TRANSLATE),
        "flood_unknown_unicast": _yes(NexthopFlag.UNKNOWN_UC_FLOOD in flags),
    }


def _tag(made: Any) -> int:
    """The tag that frames get; 0 for none."""
    frame = bytes(made.nhr_encap)
    return int.from_bytes(frame[14:16], "big") if frame[12:14] == b"\x81\x00" else 0


def _yes(flag: bool) -> str:
    return "true" if flag else "false"


SERVED = (
    Table("KSyncItfReq", "KSyncItfResp", "KSyncitf_list", interfaces),
    Table("KSyncNhListReq", "KSyncNhListResp", "KSyncNhList_list", nexthops),
)
