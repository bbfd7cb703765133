"""Objects of the datapath as structs of introspect."""

from __future__ import annotations

from collections.abc import Iterator

from agent.introspect.request import Values
from agent.introspect.snh import datapath_words as words
from agent.sandesh.vrouter import (
    VrFcMapReq,
    VrInterfaceReq,
    VrMirrorReq,
    VrMplsReq,
    VrNexthopReq,
    VrQosMapReq,
    VrRouteReq,
    VrVrfAssignReq,
    VrVrfReq,
    VrVrfStatsReq,
    VrVxlanReq,
)
from agent.shm.flow import FlowEntry
from agent.telemetry.statistics import VRF_COUNTERS

_ENCAP, _TUNNEL, _COMPOSITE = 2, 3, 6
_UDP = 0x10
_UP = 1
_SAME_NAME = tuple(
    (name, f"vifr_{name}")
    for name in (
        *("idx", "vrf", "rid", "os_idx", "mtu", "name", "ibytes", "ipackets", "ierrors", "obytes"),
        *("opackets", "oerrors", "ref_cnt", "speed", "qos_map_index", "core", "vlan_id", "nh_id"),
        *("queue_ipackets", "queue_ierrors", "queue_opackets", "queue_oerrors", "port_ipackets"),
        *("port_ierrors", "port_isyscalls", "port_inombufs", "port_opackets", "port_oerrors"),
        *("port_osyscalls", "dev_ibytes", "dev_ipackets", "dev_ierrors", "dev_inombufs"),
        *("dev_obytes", "dev_opackets", "dev_oerrors", "transport", "isid"),
    )
)


def interface(row: VrInterfaceReq) -> Values:
    """KInterfaceInfo."""
    values = {name: getattr(row, field) for name, field in _SAME_NAME}
    return values | {
        "type": words.word(words.VIF_TYPES, row.vifr_type),
        "flags": words.flags(words.VIF_FLAGS, row.vifr_flags),
        "mac": words.mac(row.vifr_mac),
        "ip": words.ip4(row.vifr_ip),
        "mirror_id": row.vifr_mir_id,
        "duplexity": row.vifr_duplex,
        "queue_ierrors_to_lcore": _joined(row.vifr_queue_ierrors_to_lcore),
        "parent_vif_id": row.vifr_parent_vif_idx,
        "cross_connect_id": row.vifr_cross_connect_idx,
        "bridge_idx": _joined(row.vifr_bridge_idx),
        "ovlan_id": row.vifr_ovlan_id,
        "src_mac": words.mac(row.vifr_src_mac),
        "fat_flow_protocol_port": _joined(row.vifr_fat_flow_protocol_port),
        "pbb_bmac": words.mac(row.vifr_pbb_mac),
        "status": "UP" if row.vifr_intf_status == _UP else "DOWN",
    }


def _joined(numbers: tuple[int, ...]) -> str:
    return " ".join(map(str, numbers))


def nexthop(row: VrNexthopReq) -> Values:
    """KNHInfo; optional fields only where the type has them."""
    values: dict[str, object] = {
        "id": row.nhr_id,
        "type": words.word(words.NH_TYPES, row.nhr_type),
        "family": words.FAMILIES.get(row.nhr_family, str(row.nhr_family)),
        "rid": row.nhr_rid,
        "vrf": row.nhr_vrf,
        "flags": words.flags(words.NH_FLAGS, row.nhr_flags),
        "ref_cnt": row.nhr_ref_cnt,
    }
    if row.nhr_type in (_ENCAP, _TUNNEL):
        values |= {
            "encap_family": f"0x{row.nhr_encap_family & 0xFFFF:04x}",
            "encap_oif_id": row.nhr_encap_oif_id,
            "encap_len": len(row.nhr_encap),
            "encap": row.nhr_encap.hex(" "),
        }
    if row.nhr_type == _TUNNEL:
        values |= _ends(row)
    if row.nhr_type == _COMPOSITE:
        values["component_nh"] = list(_components(row))
    return values


def _ends(row: VrNexthopReq) -> dict[str, object]:
    inet6 = row.nhr_family == words.INET6
    ends: dict[str, object] = {
        "tun_sip": words.prefix(row.nhr_tun_sip6) if inet6 else words.ip4(row.nhr_tun_sip),
        "tun_dip": words.prefix(row.nhr_tun_dip6) if inet6 else words.ip4(row.nhr_tun_dip),
    }
    if row.nhr_flags & _UDP:
        ends["tun_sport"], ends["tun_dport"] = map(_port, (row.nhr_tun_sport, row.nhr_tun_dport))
    return ends


def _port(loaded: int) -> int:
    """A port that travels in network order inside a host integer."""
    return int.from_bytes((loaded & 0xFFFF).to_bytes(2, "little"), "big")


def _components(row: VrNexthopReq) -> Iterator[Values]:
    labels = row.nhr_label_list
    for place, number in enumerate(row.nhr_nh_list):
        yield {"nh_id": number, "label": labels[place] if place < len(labels) else -1}


def label(row: VrMplsReq) -> Values:
    """KMplsInfo."""
    return {"label": row.mr_label, "rid": row.mr_rid, "nhid": row.mr_nhid}


def vxlan(row: VrVxlanReq) -> Values:
    """KVxLanInfo."""
    return {"vxlanid": row.vxlanr_vnid, "rid": row.vxlanr_rid, "nhid": row.vxlanr_nhid}


def mirror(row: VrMirrorReq) -> Values:
    """KMirrorInfo."""
    return {
        "mirr_index": row.mirr_index,
        "mirr_rid": row.mirr_rid,
        "mirr_flags": words.flags(words.MIRROR_FLAGS, row.mirr_flags),
        "mirr_users": row.mirr_users,
        "mirr_nhid": row.mirr_nhid,
        "mirr_vni": row.mirr_vni,
    }


def vrf(row: VrVrfReq) -> Values:
    """KVrfInfo."""
    return {
        "rid": row.vrf_rid,
        "vrf_idx": row.vrf_idx,
        "hbf_lintf": row.vrf_hbfl_vif_idx,
        "hbf_rintf": row.vrf_hbfr_vif_idx,
    }


def vrf_assign(row: VrVrfAssignReq) -> Values:
    """KVrfAssignInfo."""
    return {
        "vif_index": row.var_vif_index,
        "vlan_id": row.var_vlan_id,
        "vif_vrf": row.var_vif_vrf,
        "rid": row.var_rid,
        "nh_id": row.var_nh_id,
    }


_VRF_FIELDS = tuple(
    (name if name.startswith("vrf_") else f"vrf_{name}", f"vsr_{name}")
    for name in VRF_COUNTERS
    if name not in ("pbb_tunnels", "udp_mpls_over_mpls_tunnels")  # the struct has none
)


def vrf_stats(row: VrVrfStatsReq) -> Values:
    """KVrfStatsInfo."""
    counts = {name: getattr(row, field) for name, field in _VRF_FIELDS}
    counts["vrf_translates"] = row.vsr_vrf_translates
    return counts | {
        "vrf_id": row.vsr_vrf,
        "vrf_family": words.FAMILIES.get(row.vsr_family, str(row.vsr_family)),
        "vrf_rid": row.vsr_rid,
    }


def route(row: VrRouteReq) -> Values:
    """KRouteInfo."""
    bridge = row.rtr_family == words.BRIDGE
    names = words.BRIDGE_FLAGS if bridge else words.ROUTE_FLAGS
    return {
        "vrf_id": row.rtr_vrf_id,
        "family": words.FAMILIES.get(row.rtr_family, str(row.rtr_family)),
        "prefix": "" if bridge else words.prefix(row.rtr_prefix),
        "prefix_len": row.rtr_prefix_len,
        "rid": row.rtr_rid,
        "label_flags": words.flags(names, row.rtr_label_flags),
        "label": row.rtr_label,
        "nh_id": row.rtr_nh_id,
        "rtr_mac": words.mac(row.rtr_mac),
        "replace_plen": row.rtr_replace_plen,
        "index": row.rtr_index,
    }


def qos_map(row: VrQosMapReq) -> Values:
    """KQosConfig."""
    return {
        "id": row.qmr_id,
        "rid": row.qmr_rid,
        "dscp_map": _marks(row.qmr_dscp, row.qmr_dscp_fc_id),
        "vlan_priority_map": _marks(row.qmr_dotonep, row.qmr_dotonep_fc_id),
        "mpls_exp_map": _marks(row.qmr_mpls_qos, row.qmr_mpls_qos_fc_id),
    }


def _marks(marks: bytes, classes: bytes) -> list[Values]:
    return [{"qos": mark, "fc_id": number} for mark, number in zip(marks, classes, strict=False)]


def forwarding_classes(row: VrFcMapReq) -> Iterator[Values]:
    """KForwardingClass; one message has several."""
    columns = (
        row.fmr_id, row.fmr_dscp, row.fmr_dotonep, row.fmr_mpls_qos, row.fmr_queue_id,
    )  # fmt: skip
    for number, dscp, priority, exp, queue in zip(*columns, strict=False):
        yield {
            "id": number,
            "dscp": dscp,
            "vlan_priority": priority,
            "mpls_exp": exp,
            "qos_queue": queue,
            "rid": row.fmr_rid,
        }


def flow(row: FlowEntry) -> Values:
    """KFlowInfo."""
    return {
        "index": row.index,
        "rflow": -1 if row.rflow is None else row.rflow,
        "sip": str(row.key.source),
        "sport": row.key.sport,
        "dip": str(row.key.destination),
        "dport": row.key.dport,
        "proto": row.key.proto,
        "vrf_id": row.vrf,
        "action": words.action(row.action),
        "flags": words.flow_flags(row.flags),
        "d_vrf_id": row.dvrf,
        "bytes": row.bytes & 0xFFFFFFFF,
        "pkts": row.packets & 0xFFFFFFFF,
        "nhid": row.key.nh_id,
        "underlay_udp_sport": row.udp_src_port,
        "mirror_id": row.mirror_id,
        "sec_mirror_id": row.sec_mirror_id,
        "ecmp_index": row.ecmp_nh_index,
        "tcp_flags": words.tcp_flags(row.tcp_flags),
        "drop_reason": words.drop_reason(row.drop_reason),
        "ttl": row.ttl,
        "qos_id": row.qos_id,
        "gen_id": row.gen_id,
        "tcp_seq": row.tcp_seq,
        "oflow_bytes": row.bytes >> 32,
        "oflow_packets": row.packets >> 32,
        "underlay_gw_index": row.underlay_ecmp_index,
    }
