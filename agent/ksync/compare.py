"""Telling what a datapath's dump means: is this object what we want, and what does it use?

A dump never gives back exactly what was sent: the datapath fills counters and names, drops
what the nexthop's type does not need, and lists an inet route once per leaf of its trie.
`content` keeps what decides about forwarding (facts sandesh-ksync.md section 4,
datapath-behaviour.md sections 2 and 3, and the captured dumps).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from agent._fast.records import route_content
from agent.ksync.objects import AF_BRIDGE, VIF_PHYSICAL
from agent.objects import DatapathMessage, Identity, Kind
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
    VrVxlanReq,
)

# xconnect, checksum offload, VLAN offload, GRO, mergeable buffers: the datapath's own.
VIF_FLAGS_OF_DATAPATH = 0x2 | 0x20 | 0x20000 | 0x400000 | 0x800000
_VIF_L2_L3 = 0xC0
_VIF_MIRROR = 0x18
_VIF_VIRTUAL_VLAN = 6
_VIF_KINDS_OF_DATAPATH = frozenset({7, 9})  # statistics and monitoring interfaces

_NH_RECEIVE, _NH_ENCAP, _NH_TUNNEL, _NH_COMPOSITE = 1, 2, 3, 6
_NH_VALID = 0x1
_NH_TUNNEL_UDP = 0x10
_NH_COMPOSITE_ECMP = 0x400
_NH_TUNNEL_PBB = 0x80000
_NH_L3_VXLAN = 0x2000000
_NH_MPLS_O_MPLS = 0x4000000

_MIRROR_MARKED_DELETE = 0x2
_MIRROR_HW_ASSISTED = 0x4
_VRF_FLAGS = 0x6

Content = tuple[object, ...]


def _set(values: Sequence[int]) -> tuple[int, ...]:
    """The list, or nothing when the datapath merely filled in zeros."""
    return tuple(values) if any(values) else ()


def _fat_flow(m: VrInterfaceReq) -> Content:
    return (
        tuple(m.vifr_fat_flow_protocol_port),
        _set(m.vifr_fat_flow_exclude_ip_list),
        _set(m.vifr_fat_flow_exclude_ip6_u_list),
        _set(m.vifr_fat_flow_exclude_ip6_l_list),
        _set(m.vifr_fat_flow_exclude_ip6_plen_list),
        _set(m.vifr_fat_flow_src_prefix_h),
        _set(m.vifr_fat_flow_src_prefix_l),
        _set(m.vifr_fat_flow_src_prefix_mask),
        _set(m.vifr_fat_flow_src_aggregate_plen),
        _set(m.vifr_fat_flow_dst_prefix_h),
        _set(m.vifr_fat_flow_dst_prefix_l),
        _set(m.vifr_fat_flow_dst_prefix_mask),
        _set(m.vifr_fat_flow_dst_aggregate_plen),
    )


def _vif(m: VrInterfaceReq) -> Content:
    flags = m.vifr_flags & 0xFFFFFFFF & ~VIF_FLAGS_OF_DATAPATH
    if not flags & _VIF_L2_L3:
        flags |= _VIF_L2_L3  # what the datapath does with neither
    mirror = (
        (m.vifr_mir_id, bytes(m.vifr_in_mirror_md), bytes(m.vifr_out_mirror_md))
        if flags & _VIF_MIRROR
        else ()
    )
    return (
        m.vifr_type,
        flags,
        m.vifr_vrf & 0xFFFF,
        m.vifr_mcast_vrf & 0xFFFF,
        m.vifr_nh_id,
        m.vifr_ip,
        m.vifr_ip6_u,
        m.vifr_ip6_l,
        m.vifr_qos_map_index,
        m.vifr_vlan_id,
        m.vifr_ovlan_id,
        m.vifr_parent_vif_idx if m.vifr_type == _VIF_VIRTUAL_VLAN else -1,
        bytes(m.vifr_src_mac),
        m.vifr_isid,
        mirror,
        _fat_flow(m),
        b"" if m.vifr_type == VIF_PHYSICAL else bytes(m.vifr_mac),
    )


def _tunnel(m: VrNexthopReq, flags: int) -> Content:
    return (
        m.nhr_tun_sip,
        m.nhr_tun_dip,
        bytes(m.nhr_tun_sip6),
        bytes(m.nhr_tun_dip6),
        (m.nhr_tun_sport, m.nhr_tun_dport) if flags & _NH_TUNNEL_UDP else (),
        bytes(m.nhr_rw_dst_mac) if flags & _NH_L3_VXLAN else b"",
        bytes(m.nhr_pbb_mac) if flags & _NH_TUNNEL_PBB else b"",
        m.nhr_transport_label if flags & _NH_MPLS_O_MPLS else 0,
        (tuple(m.nhr_nh_list), tuple(m.nhr_label_list)) if flags & _NH_TUNNEL_PBB else (),
    )


def _nexthop(m: VrNexthopReq) -> Content:
    flags = m.nhr_flags & 0xFFFFFFFF
    common: Content = (m.nhr_type, m.nhr_family, m.nhr_vrf, flags)
    if m.nhr_type == _NH_TUNNEL:
        common += _tunnel(m, flags)
    if not flags & _NH_VALID:
        return common
    if m.nhr_type in (_NH_RECEIVE, _NH_ENCAP, _NH_TUNNEL):
        common += (tuple(m.nhr_encap_oif_id), bytes(m.nhr_encap))
    elif m.nhr_type == _NH_COMPOSITE:
        hashed = m.nhr_ecmp_config_hash if flags & _NH_COMPOSITE_ECMP else 0
        common += (tuple(m.nhr_nh_list), tuple(m.nhr_label_list), hashed)
    return common


def _mirror(m: VrMirrorReq) -> Content:
    flags = m.mirr_flags & ~_MIRROR_MARKED_DELETE
    return m.mirr_nhid, m.mirr_vni, flags, m.mirr_vlan if flags & _MIRROR_HW_ASSISTED else 0


def _qos_map(m: VrQosMapReq) -> Content:
    return (
        tuple(sorted(zip(m.qmr_dscp, m.qmr_dscp_fc_id, strict=False))),
        tuple(sorted(zip(m.qmr_mpls_qos, m.qmr_mpls_qos_fc_id, strict=False))),
        tuple(sorted(zip(m.qmr_dotonep, m.qmr_dotonep_fc_id, strict=False))),
    )


_CONTENTS: dict[type, Callable[[Any], Content]] = {
    VrInterfaceReq: _vif,
    VrNexthopReq: _nexthop,
    VrRouteReq: route_content,
    VrMirrorReq: _mirror,
    VrQosMapReq: _qos_map,
    VrMplsReq: lambda m: (m.mr_nhid,),
    VrVxlanReq: lambda m: (m.vxlanr_nhid,),
    VrVrfReq: lambda m: (
        m.vrf_flags & _VRF_FLAGS,
        m.vrf_hbfl_vif_idx & 0xFFFFFFFF,
        m.vrf_hbfr_vif_idx & 0xFFFFFFFF,
    ),
    VrVrfAssignReq: lambda m: (m.var_vif_vrf, m.var_nh_id),
    VrFcMapReq: lambda m: (
        bytes(m.fmr_dscp),
        bytes(m.fmr_mpls_qos),
        bytes(m.fmr_dotonep),
        bytes(m.fmr_queue_id),
    ),
}


def content(message: DatapathMessage) -> Content:
    """What an object does, without its index: hashable, equal for a dump and its request."""
    return _CONTENTS[type(message)](message)


def same(dumped: DatapathMessage, desired: DatapathMessage) -> bool:
    """True if the dumped object needs no write to become the desired one.

    A composite nexthop that shows fewer members than it counts is never known to be right.
    """
    if isinstance(dumped, VrNexthopReq) and dumped.nhr_nh_count > len(dumped.nhr_nh_list):
        return False
    if isinstance(dumped, VrInterfaceReq) and isinstance(desired, VrInterfaceReq):
        if desired.vifr_mtu and desired.vifr_mtu != dumped.vifr_mtu:
            return False
        if dumped.vifr_name and dumped.vifr_name != desired.vifr_name:
            return False
        if dumped.vifr_os_idx and dumped.vifr_os_idx != desired.vifr_os_idx:
            return False
    return content(dumped) == content(desired)


def _nexthops(ids: Iterable[int]) -> list[Identity]:
    """Nexthop 0 is the datapath's own and -1 an empty slot: neither is a reference."""
    return [Identity(Kind.NEXTHOP, index) for index in ids if index > 0]


def _vif_uses(m: VrInterfaceReq) -> list[Identity]:
    uses = []
    if m.vifr_flags & _VIF_MIRROR:
        uses.append(Identity(Kind.MIRROR, m.vifr_mir_id))
    if m.vifr_qos_map_index >= 0:
        uses.append(Identity(Kind.QOS_MAP, m.vifr_qos_map_index))
    if m.vifr_type == _VIF_VIRTUAL_VLAN:
        uses.append(Identity(Kind.VIF, m.vifr_parent_vif_idx))
    return uses


def _nexthop_uses(m: VrNexthopReq) -> list[Identity]:
    uses = _nexthops(m.nhr_nh_list)
    if m.nhr_flags & _NH_VALID and m.nhr_type in (_NH_RECEIVE, _NH_ENCAP, _NH_TUNNEL):
        uses += [Identity(Kind.VIF, index) for index in m.nhr_encap_oif_id if index >= 0]
    return uses


def _route_uses(m: VrRouteReq) -> list[Identity]:
    uses = _nexthops((m.rtr_nh_id,))
    if m.rtr_family != AF_BRIDGE and any(m.rtr_mac):
        uses.append(Identity(Kind.BRIDGE_ROUTE, (m.rtr_vrf_id, m.rtr_mac)))
    return uses


_USES: dict[type, Callable[[Any], list[Identity]]] = {
    VrInterfaceReq: _vif_uses,
    VrNexthopReq: _nexthop_uses,
    VrRouteReq: _route_uses,
    VrMplsReq: lambda m: _nexthops((m.mr_nhid,)),
    VrVxlanReq: lambda m: _nexthops((m.vxlanr_nhid,)),
    VrMirrorReq: lambda m: _nexthops((m.mirr_nhid,)),
    VrVrfAssignReq: lambda m: [
        Identity(Kind.VIF, m.var_vif_index),
        *_nexthops((m.var_nh_id,)),
    ],
}


def uses(message: DatapathMessage) -> list[Identity]:
    """The slots that a dumped object refers to, read from the message itself."""
    find = _USES.get(type(message))
    return find(message) if find else []


def is_ours(message: DatapathMessage) -> bool:
    """False for what the datapath makes for itself and an agent must leave alone."""
    if isinstance(message, VrNexthopReq):
        return message.nhr_id != 0
    if isinstance(message, VrInterfaceReq):
        return message.vifr_type not in _VIF_KINDS_OF_DATAPATH
    return True


def single_classes(message: VrFcMapReq) -> list[VrFcMapReq]:
    """One message for each forwarding class of a dump that lists several."""
    lists = (message.fmr_dscp, message.fmr_mpls_qos, message.fmr_dotonep, message.fmr_queue_id)
    if any(len(each) != len(message.fmr_id) for each in lists):
        return []
    return [
        VrFcMapReq(
            fmr_id=(index,),
            fmr_dscp=message.fmr_dscp[i : i + 1],
            fmr_mpls_qos=message.fmr_mpls_qos[i : i + 1],
            fmr_dotonep=message.fmr_dotonep[i : i + 1],
            fmr_queue_id=message.fmr_queue_id[i : i + 1],
        )
        for i, index in enumerate(message.fmr_id)
    ]
