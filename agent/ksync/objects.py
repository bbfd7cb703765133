"""Datapath objects as ksync sees them: which slot a message writes, and how it is deleted.

A slot of the datapath is named by its kind and number (`Identity`); the keys of
`agent.objects` name what `oper` wants, whatever slot it got. Facts: sandesh-ksync.md
section 4, datapath-behaviour.md section 2.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from agent._fast.records import route_identity
from agent.errors import BugError
from agent.objects import DatapathMessage, Identity, Kind
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

AF_INET = 2
AF_BRIDGE = 7
AF_INET6 = 10

VIF_PHYSICAL = 2
NEXTHOP_INDIRECT = 0x400000


_IDENTITIES: dict[type, Callable[[Any], Identity]] = {
    VrInterfaceReq: lambda m: Identity(Kind.VIF, m.vifr_idx),
    VrNexthopReq: lambda m: Identity(Kind.NEXTHOP, m.nhr_id),
    VrMplsReq: lambda m: Identity(Kind.LABEL, m.mr_label),
    VrVxlanReq: lambda m: Identity(Kind.VXLAN, m.vxlanr_vnid),
    VrVrfReq: lambda m: Identity(Kind.VRF, m.vrf_idx),
    VrRouteReq: route_identity,
    VrMirrorReq: lambda m: Identity(Kind.MIRROR, m.mirr_index),
    VrVrfAssignReq: lambda m: Identity(Kind.VRF_ASSIGN, (m.var_vif_index, m.var_vlan_id)),
    VrQosMapReq: lambda m: Identity(Kind.QOS_MAP, m.qmr_id),
    VrFcMapReq: lambda m: Identity(Kind.FORWARDING_CLASS, m.fmr_id[0]),
}


def identity_of(message: DatapathMessage) -> Identity:
    """The slot that an ADD message writes. BugError if ksync does not know the message."""
    try:
        return _IDENTITIES[type(message)](message)
    except (KeyError, IndexError):
        raise BugError(f"no datapath object is written by {message!r}") from None


def _delete_route(message: VrRouteReq, cover: DatapathMessage | None) -> VrRouteReq:
    """A route's DEL names what shows instead: the covering route, or nothing (nexthop 0)."""
    if message.rtr_family == AF_BRIDGE:
        return VrRouteReq(
            h_op=SandeshOp.DEL,
            rtr_vrf_id=message.rtr_vrf_id,
            rtr_family=AF_BRIDGE,
            rtr_mac=message.rtr_mac,
            rtr_nh_id=message.rtr_nh_id,
            rtr_label_flags=message.rtr_label_flags,
        )
    shown = cover if isinstance(cover, VrRouteReq) else VrRouteReq()
    return VrRouteReq(
        h_op=SandeshOp.DEL,
        rtr_vrf_id=message.rtr_vrf_id,
        rtr_family=message.rtr_family,
        rtr_prefix=message.rtr_prefix,
        rtr_prefix_len=message.rtr_prefix_len,
        rtr_nh_id=max(shown.rtr_nh_id, 0),
        rtr_label=shown.rtr_label,
        rtr_label_flags=shown.rtr_label_flags,
        rtr_mac=shown.rtr_mac,
        rtr_replace_plen=shown.rtr_prefix_len,
    )


_DEL = SandeshOp.DEL
_DELETES: dict[type, Callable[[Any], DatapathMessage]] = {
    VrInterfaceReq: lambda m: VrInterfaceReq(h_op=_DEL, vifr_idx=m.vifr_idx),
    VrNexthopReq: lambda m: VrNexthopReq(h_op=_DEL, nhr_id=m.nhr_id),
    VrMplsReq: lambda m: VrMplsReq(h_op=_DEL, mr_label=m.mr_label, mr_nhid=m.mr_nhid),
    VrVxlanReq: lambda m: VrVxlanReq(
        h_op=_DEL, vxlanr_vnid=m.vxlanr_vnid, vxlanr_nhid=m.vxlanr_nhid
    ),
    VrVrfReq: lambda m: VrVrfReq(h_op=_DEL, vrf_idx=m.vrf_idx),
    VrMirrorReq: lambda m: VrMirrorReq(h_op=_DEL, mirr_index=m.mirr_index),
    VrVrfAssignReq: lambda m: VrVrfAssignReq(
        h_op=_DEL, var_vif_index=m.var_vif_index, var_vlan_id=m.var_vlan_id
    ),
    VrQosMapReq: lambda m: VrQosMapReq(h_op=_DEL, qmr_id=m.qmr_id),
    VrFcMapReq: lambda m: VrFcMapReq(h_op=_DEL, fmr_id=m.fmr_id),
}


def delete_of(message: DatapathMessage, cover: DatapathMessage | None = None) -> DatapathMessage:
    """The DEL message that undoes the ADD `message`.

    `cover` is the ADD message of the closest covering programmed route, for inet routes:
    the datapath does not search, it overwrites the leaves with what the DEL carries.
    """
    if isinstance(message, VrRouteReq):
        return _delete_route(message, cover)
    return _DELETES[type(message)](message)


# What a DEL answers when the object is not there (facts datapath-behaviour.md section 2).
_ABSENT: dict[Kind, frozenset[int]] = {
    Kind.VIF: frozenset({errno.ENODEV, errno.ENOENT}),
    Kind.NEXTHOP: frozenset({errno.EINVAL, errno.ENOENT}),
    Kind.VRF: frozenset({errno.EINVAL, errno.ENOENT}),
    Kind.MIRROR: frozenset({errno.EINVAL, errno.ENOENT}),
    Kind.VRF_ASSIGN: frozenset({errno.EINVAL, errno.ENOENT}),
    Kind.FORWARDING_CLASS: frozenset({errno.EINVAL, errno.ENOENT}),
}
_MISSING = frozenset({errno.ENOENT})


def means_absent(kind: Kind, delete: DatapathMessage, code: int) -> bool:
    """True if the positive errno `code` says that what `delete` names is not there.

    For an inet route ENOENT may also mean that the replacing nexthop is missing, and then
    the route is still there: only with nexthop 0 does it mean "no such table".
    """
    if kind is Kind.INET_ROUTE and isinstance(delete, VrRouteReq) and delete.rtr_nh_id:
        return False
    return code in _ABSENT.get(kind, _MISSING)


def _vif_replaced(old: VrInterfaceReq, new: VrInterfaceReq, dumped: bool) -> bool:
    """The datapath ignores these members in a change; 0 or "" in a dump means "not told"."""
    if not dumped and old.vifr_vhostuser_mode != new.vifr_vhostuser_mode:
        return True
    if old.vifr_type != new.vifr_type or (old.vifr_name and old.vifr_name != new.vifr_name):
        return True
    # A NIC keeps its own address, whatever was asked.
    if old.vifr_mac != new.vifr_mac and new.vifr_type != VIF_PHYSICAL:
        return True
    pairs = (
        (old.vifr_os_idx, new.vifr_os_idx),
        (old.vifr_transport, new.vifr_transport),
    )
    return any(before and after and before != after for before, after in pairs)


def _nexthop_replaced(old: VrNexthopReq, new: VrNexthopReq) -> bool:
    if old.nhr_type != new.nhr_type or (old.nhr_flags ^ new.nhr_flags) & NEXTHOP_INDIRECT:
        return True
    return bool(old.nhr_encap) and len(old.nhr_encap) != len(new.nhr_encap)


def needs_recreation(old: DatapathMessage, new: DatapathMessage, *, dumped: bool = False) -> bool:
    """True if the datapath cannot change `old` into `new`: it must be deleted and added.

    `dumped`: the datapath told `old`, and it tells less than it was told.
    """
    if isinstance(old, VrInterfaceReq) and isinstance(new, VrInterfaceReq):
        return _vif_replaced(old, new, dumped)
    if isinstance(old, VrNexthopReq) and isinstance(new, VrNexthopReq):
        return _nexthop_replaced(old, new)
    return False
