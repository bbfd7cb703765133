"""vr_nexthop_req."""

from __future__ import annotations

from collections.abc import Iterator

from agent.forwarder.control import Control
from agent.forwarder.replies import ENODEV, ENOENT, EOPNOTSUPP, Replies, ack, found, page
from agent.sandesh.vrouter import SandeshOp, VrNexthopReq

COMPOSITE = 6
UNDERLAY_ECMP = 0x10000000
DUMPED_COMPONENTS = 16
"""Components of a composite that a dump shows; nhr_nh_count tells how many there are."""


def handle(control: Control, request: VrNexthopReq) -> Replies:
    """Answer one request."""
    match request.h_op:
        case SandeshOp.ADD:
            return ack(_add(control, request))
        case SandeshOp.DEL:
            return ack(_delete(control, request.nhr_id))
        case SandeshOp.GET:
            return _get(control, request.nhr_id)
        case SandeshOp.DUMP:
            return page(_rows(control, request.nhr_marker))
    return ack(EOPNOTSUPP)


def _underlay_path(request: VrNexthopReq) -> tuple[tuple[int, ...], bytes]:
    """The interfaces and the Ethernet header that packets leave with.

    With several underlay paths the headers lie one behind the other, each nhr_encap_len
    long: the first path that is valid is taken, for one is all that is used here.
    """
    size, oifs = request.nhr_encap_len, request.nhr_encap_oif_id
    if not request.nhr_flags & UNDERLAY_ECMP or size <= 0:
        return oifs, request.nhr_encap
    valid = (n for n, good in enumerate(request.nhr_encap_valid) if good and n < len(oifs))
    path = next(valid, 0)
    return oifs[path : path + 1], request.nhr_encap[path * size : (path + 1) * size]


def _add(control: Control, request: VrNexthopReq) -> int:
    oifs, encap = _underlay_path(request)
    code = control.datapath.nexthop_set(
        request.nhr_id,
        type=request.nhr_type,
        family=request.nhr_family,
        flags=request.nhr_flags,
        vrf=request.nhr_vrf,
        encap_oif_id=oifs,
        encap=encap,
        tun_sip=request.nhr_tun_sip,
        tun_dip=request.nhr_tun_dip,
        tun_sport=request.nhr_tun_sport & 0xFFFF,
        tun_dport=request.nhr_tun_dport & 0xFFFF,
        nh_list=request.nhr_nh_list,
        label_list=request.nhr_label_list,
        ecmp_config_hash=request.nhr_ecmp_config_hash & 0xFF,
        transport_label=request.nhr_transport_label,
        pbb_mac=request.nhr_pbb_mac,
        rw_dst_mac=request.nhr_rw_dst_mac,
    )
    if code == 0:
        record = request.replace(h_op=SandeshOp.GET, nhr_marker=0, nhr_rid=0)
        _count_users(control, control.records.nexthops.put(request.nhr_id, record), record)
    return code


def _delete(control: Control, nh_id: int) -> int:
    code = control.datapath.nexthop_delete(nh_id)
    if code == 0:
        _count_users(control, control.records.nexthops.pop(nh_id), None)
    return code


def _count_users(control: Control, old: VrNexthopReq | None, new: VrNexthopReq | None) -> None:
    records = control.records
    for nh_id in _components(new):
        records.moved(records.nexthop_users, None, nh_id)
    for nh_id in _components(old):
        records.moved(records.nexthop_users, nh_id, None)
    for vif in _interfaces(new):
        records.moved(records.vif_users, None, vif)
    for vif in _interfaces(old):
        records.moved(records.vif_users, vif, None)


def _components(record: VrNexthopReq | None) -> tuple[int, ...]:
    """The nexthops that one refers to."""
    return () if record is None else tuple(nh_id for nh_id in record.nhr_nh_list if nh_id >= 0)


def _interfaces(record: VrNexthopReq | None) -> tuple[int, ...]:
    """The vifs that one refers to."""
    return () if record is None or record.nhr_type == COMPOSITE else record.nhr_encap_oif_id


def _get(control: Control, nh_id: int) -> Replies:
    if not 0 <= nh_id < control.sizes.nexthops:
        return ack(ENODEV)
    record = control.records.nexthops.get(nh_id)
    return ack(ENOENT) if record is None else found(_shown(control, record))


def _rows(control: Control, marker: int) -> Iterator[VrNexthopReq]:
    for _, record in control.records.nexthops.after(marker):
        shown = _shown(control, record)
        if len(shown.nhr_nh_list) > DUMPED_COMPONENTS:
            shown = shown.replace(
                nhr_nh_list=shown.nhr_nh_list[:DUMPED_COMPONENTS],
                nhr_label_list=shown.nhr_label_list[:DUMPED_COMPONENTS],
            )
        yield shown


def _shown(control: Control, record: VrNexthopReq) -> VrNexthopReq:
    several = record.nhr_flags & UNDERLAY_ECMP
    return record.replace(
        nhr_ref_cnt=1 + control.records.nexthop_users[record.nhr_id],
        nhr_encap_len=record.nhr_encap_len if several else len(record.nhr_encap),
        nhr_nh_count=len(record.nhr_nh_list),
    )


def discard() -> VrNexthopReq:
    """Nexthop 0, which every datapath has from the start."""
    return VrNexthopReq(h_op=SandeshOp.GET, nhr_type=5, nhr_family=2, nhr_flags=1)
