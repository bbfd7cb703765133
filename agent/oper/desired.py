"""Rows and messages: rows become desired objects, a dump becomes what ids recognise.

The only module of `oper` that knows the messages. Byte orders: facts sandesh-ksync.md 4.1.
"""

from __future__ import annotations

from functools import singledispatch

from agent.errors import BugError
from agent.objects import DatapathMessage, Desired
from agent.oper.datapath import (
    Family,
    ForwardingClass,
    Label,
    Mirror,
    Nexthop,
    NexthopType,
    QosMap,
    Route,
    Row,
    Vif,
    VrfAssign,
    VrfEntry,
    VxlanId,
    inet_key,
)
from agent.oper.fat_flows import columns
from agent.routes import InetKey
from agent.sandesh.vrouter import (
    SandeshOp,
    VrFcMapReq,
    VrInterfaceReq,
    VrMirrorReq,
    VrMplsReq,
    VrNexthopReq,
    VrQosMapReq,
    VrRouteReq,
    VrVrfAssignReq,
    VrVrfReq,
    VrVxlanReq,
)
from agent.values import Mac, ip4_as_loaded, ip6_as_loaded

_ADD = SandeshOp.ADD
_ARP_FAMILY = 0x0806
_NO_HBF_VIF = -1
_HBF_VALID = 0x6
_NO_CRYPT_VIF = -1
_INET, _INET6, _BRIDGE = int(Family.INET), int(Family.INET6), int(Family.BRIDGE)


def desired(row: Row) -> Desired:
    """The desired object of a row: its key, its references, its full ADD message."""
    return Desired(row.key, row.refs, message(row))


@singledispatch
def message(row: Row) -> DatapathMessage:
    """The ADD message of a row."""
    raise BugError(f"no message for {row!r}")


@message.register
def _vif(row: Vif) -> DatapathMessage:
    upper, lower = ip6_as_loaded(row.ip6) if row.ip6 else (0, 0)
    fat = columns(row.fat_flows)
    return VrInterfaceReq(
        h_op=_ADD,
        vifr_idx=row.index,
        vifr_type=int(row.type),
        vifr_flags=int(row.flags),
        vifr_name=row.name,
        vifr_mac=bytes(row.mac),
        vifr_transport=int(row.transport),
        vifr_os_idx=row.os_index,
        vifr_vrf=row.vrf,
        vifr_mcast_vrf=row.mcast_vrf,
        vifr_nh_id=row.nexthop,
        vifr_ip=ip4_as_loaded(row.ip) if row.ip else 0,
        vifr_ip6_u=upper,
        vifr_ip6_l=lower,
        vifr_qos_map_index=row.qos,
        vifr_vhostuser_mode=row.vhostuser_mode,
        vifr_cross_connect_idx=() if row.cross_connect is None else (row.cross_connect,),
        vifr_mir_id=row.mirror or 0,
        vifr_in_mirror_md=row.mirrored_in,
        vifr_out_mirror_md=row.mirrored_out,
        vifr_fat_flow_protocol_port=fat.protocol_port,
        vifr_fat_flow_src_prefix_h=fat.source_high,
        vifr_fat_flow_src_prefix_l=fat.source_low,
        vifr_fat_flow_src_prefix_mask=fat.source_length,
        vifr_fat_flow_src_aggregate_plen=fat.source_aggregate,
        vifr_fat_flow_dst_prefix_h=fat.destination_high,
        vifr_fat_flow_dst_prefix_l=fat.destination_low,
        vifr_fat_flow_dst_prefix_mask=fat.destination_length,
        vifr_fat_flow_dst_aggregate_plen=fat.destination_aggregate,
    )


@message.register
def _nexthop(row: Nexthop) -> DatapathMessage:
    frames = row.type in (NexthopType.ENCAP, NexthopType.COMPOSITE, NexthopType.TUNNEL)
    source, destination = map(ip4_as_loaded, row.ends) if row.ends else (0, 0)
    rewrite = bytes(row.rewrite) if row.rewrite else b""
    return VrNexthopReq(
        h_op=_ADD,
        nhr_id=row.index,
        nhr_type=int(row.type),
        nhr_family=int(row.family),
        nhr_flags=int(row.flags),
        nhr_vrf=row.vrf,
        nhr_encap_oif_id=() if row.vif is None else (row.vif,),
        nhr_encap_family=_ARP_FAMILY if frames else 0,
        nhr_encap=row.encap,
        nhr_nh_list=row.members,
        nhr_label_list=row.labels or (0,) * len(row.members),
        nhr_ecmp_config_hash=row.hash_fields,
        nhr_tun_sip=source,
        nhr_tun_dip=destination,
        nhr_rw_dst_mac=rewrite,
        nhr_pbb_mac=rewrite,
        nhr_encap_crypt_oif_id=_NO_CRYPT_VIF if row.ends and not row.ports else 0,
        nhr_tun_sport=_port_as_loaded(row.ports[0]) if row.ports else 0,
        nhr_tun_dport=_port_as_loaded(row.ports[1]) if row.ports else 0,
    )


def _port_as_loaded(port: int) -> int:
    """A port in network order, as the signed number of the message."""
    return int.from_bytes(port.to_bytes(2, "big"), "little", signed=True)


@message.register
def _label(row: Label) -> DatapathMessage:
    return VrMplsReq(h_op=_ADD, mr_label=row.label, mr_nhid=row.nexthop)


@message.register
def _vxlan(row: VxlanId) -> DatapathMessage:
    return VrVxlanReq(h_op=_ADD, vxlanr_vnid=row.vni, vxlanr_nhid=row.nexthop)


@message.register
def _vrf(row: VrfEntry) -> DatapathMessage:
    return VrVrfReq(
        h_op=_ADD,
        vrf_idx=row.index,
        vrf_flags=_HBF_VALID,
        vrf_hbfl_vif_idx=_NO_HBF_VIF,
        vrf_hbfr_vif_idx=_NO_HBF_VIF,
    )


@message.register
def _vrf_assign(row: VrfAssign) -> DatapathMessage:
    return VrVrfAssignReq(
        h_op=_ADD,
        var_vif_index=row.vif,
        var_vlan_id=row.tag,
        var_vif_vrf=row.vrf,
        var_nh_id=row.nexthop,
    )


@message.register
def _mirror(row: Mirror) -> DatapathMessage:
    return VrMirrorReq(
        h_op=_ADD,
        mirr_index=row.index,
        mirr_nhid=row.nexthop,
        mirr_flags=int(row.flags),
        mirr_vni=row.vni,
        mirr_vlan=row.vlan,
    )


@message.register
def _qos_map(row: QosMap) -> DatapathMessage:
    return VrQosMapReq(
        h_op=_ADD,
        qmr_id=row.index,
        qmr_dscp=bytes(range(len(row.dscp))),
        qmr_dscp_fc_id=row.dscp,
        qmr_mpls_qos=bytes(range(len(row.mpls))),
        qmr_mpls_qos_fc_id=row.mpls,
        qmr_dotonep=bytes(range(len(row.dotonep))),
        qmr_dotonep_fc_id=row.dotonep,
    )


@message.register
def _forwarding_class(row: ForwardingClass) -> DatapathMessage:
    return VrFcMapReq(
        h_op=_ADD,
        fmr_id=(row.number,),
        fmr_dscp=bytes([row.dscp]),
        fmr_mpls_qos=bytes([row.mpls]),
        fmr_dotonep=bytes([row.dotonep]),
        fmr_queue_id=bytes([row.queue]),
    )


@message.register
def _route(row: Route) -> DatapathMessage:
    to, via = row.destination, row.nexthop_index
    if isinstance(to, Mac):
        return bridge_route(row.vrf_index, to, via, row.label, int(row.flags))
    mac = bytes(row.mac) if row.mac else b""
    return inet_route(row.vrf_index, inet_key(to), via, row.label, int(row.flags), mac)


# Routes of controllers, of which there are many, become messages without a row between.


def inet_route(
    vrf: int, to: InetKey, nexthop: int, label: int, flags: int, mac: bytes
) -> DatapathMessage:
    """The ADD message of an inet or inet6 route; `mac` is the stitched one or b""."""
    prefix, length = to
    return VrRouteReq(
        h_op=_ADD,
        rtr_family=_INET if len(prefix) == 4 else _INET6,
        rtr_vrf_id=vrf,
        rtr_prefix=prefix,
        rtr_prefix_len=length,
        rtr_mac=mac,
        rtr_nh_id=nexthop,
        rtr_label=label,
        rtr_label_flags=flags,
    )


def bridge_route(vrf: int, mac: Mac, nexthop: int, label: int, flags: int) -> DatapathMessage:
    """The ADD message of a bridge route."""
    return VrRouteReq(
        h_op=_ADD,
        rtr_family=_BRIDGE,
        rtr_vrf_id=vrf,
        rtr_mac=bytes(mac),
        rtr_nh_id=nexthop,
        rtr_label=label,
        rtr_label_flags=flags,
    )
