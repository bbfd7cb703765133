"""vr_interface_req."""

from __future__ import annotations

from collections.abc import Iterator

from agent._fast.forwarding import VIF_COUNTERS
from agent.forwarder.control import Control
from agent.forwarder.handlers import fat_flow
from agent.forwarder.handlers.fat_flow import FatFlows
from agent.forwarder.handlers.stats import CORES, drop_message
from agent.forwarder.opening import Transport, VifType, Wanted
from agent.forwarder.replies import (
    EINVAL,
    ENODEV,
    ENOENT,
    EOPNOTSUPP,
    Replies,
    ack,
    found,
    page_of_groups,
)
from agent.sandesh.vrouter import Message, SandeshOp, VrInterfaceReq
from agent.values import Mac

GET_DROP_STATS = 1
ALL_VIFS = -1
DRIVER = b"af_packet"
"""How a physical interface is read."""
MIRROR = 0x18
NO_MIRROR = 255
ETHERNET_HEADER = 14
MAX_MTU = 65_535 + ETHERNET_HEADER


def handle(control: Control, request: VrInterfaceReq) -> Replies:
    """Answer one request."""
    match request.h_op:
        case SandeshOp.ADD:
            return ack(_set(control, request))
        case SandeshOp.DEL:
            return ack(_delete(control, request))
        case SandeshOp.GET:
            return _get(control, request)
        case SandeshOp.DUMP:
            return page_of_groups(_rows(control, request))
        case SandeshOp.RESET:
            return _clear(control, request)
    return ack(EOPNOTSUPP)


# --- changes


def _set(control: Control, request: VrInterfaceReq) -> int:
    idx = request.vifr_idx
    if not 0 <= idx < control.sizes.interfaces or not 0 <= request.vifr_type <= max(VifType):
        return EINVAL
    if not 0 <= request.vifr_mtu <= MAX_MTU:
        return EINVAL
    record = control.records.vifs.get(idx)
    return _add(control, request) if record is None else _change(control, record, request)


def _add(control: Control, request: VrInterfaceReq) -> int:
    if not 0 <= request.vifr_transport <= max(Transport):
        return 0  # what a datapath answers to a transport that it does not know
    if len(request.vifr_mac) != 6:
        return EINVAL
    fat_flows = fat_flow.read(request)
    code = _program(control, request)
    if code < 0:
        return code
    code = _program_extras(control, None, request, fat_flows)
    if code == 0:
        control.records.vifs.put(request.vifr_idx, request)
        code = control.ports.add(_wanted(control, request))
    if code < 0:
        control.records.vifs.pop(request.vifr_idx)
        control.datapath.vif_delete(request.vifr_idx)
    return code


def resize(control: Control, idx: int, mtu: int) -> None:
    """The interface behind a vif has this MTU; a vif's counts the Ethernet header."""
    record = control.records.vifs.get(idx)
    if record is not None:
        _program(control, record.replace(vifr_mtu=mtu + ETHERNET_HEADER))


def _change(control: Control, record: VrInterfaceReq, request: VrInterfaceReq) -> int:
    """A change keeps what a vif is: type, address, name, transport, parent."""
    merged = request.replace(
        vifr_type=record.vifr_type,
        vifr_mac=record.vifr_mac,
        vifr_name=record.vifr_name,
        vifr_transport=record.vifr_transport,
        vifr_os_idx=record.vifr_os_idx,
        vifr_parent_vif_idx=record.vifr_parent_vif_idx,
    )
    code = _program_extras(control, record, merged, fat_flow.read(merged))
    if code == 0:
        code = _program(control, merged)
    if code == 0:
        control.records.vifs.put(request.vifr_idx, merged)
    return code


def _program(control: Control, request: VrInterfaceReq) -> int:
    under_parent = request.vifr_type == VifType.VIRTUAL_VLAN
    return control.datapath.vif_set(
        request.vifr_idx,
        type=request.vifr_type,
        name=request.vifr_name,
        flags=request.vifr_flags & 0xFFFFFFFF,
        vrf=request.vifr_vrf,
        mcast_vrf=request.vifr_mcast_vrf,
        nh_id=request.vifr_nh_id,
        mac=request.vifr_mac,
        mtu=request.vifr_mtu,
        os_idx=request.vifr_os_idx,
        ip=request.vifr_ip,
        vlan_id=request.vifr_vlan_id if under_parent else 0,
        ovlan_id=request.vifr_ovlan_id if under_parent else 0,
        parent=request.vifr_parent_vif_idx if under_parent else -1,
    )


def _program_extras(
    control: Control, old: VrInterfaceReq | None, request: VrInterfaceReq, fat_flows: FatFlows
) -> int:
    """Mirroring and fat flows, which most interfaces do not have and never had."""
    idx, datapath = request.vifr_idx, control.datapath
    mirrored = bool(request.vifr_flags & MIRROR)
    code = 0
    if mirrored or (old is not None and old.vifr_flags & MIRROR):
        code = datapath.vif_mirror(
            idx,
            request.vifr_mir_id & 0xFF if mirrored else NO_MIRROR,
            request.vifr_in_mirror_md,
            request.vifr_out_mirror_md,
        )
    if code == 0 and (fat_flows or (old is not None and fat_flow.read(old))):
        code = datapath.vif_fat_flows(idx, fat_flows.rules, fat_flows.excludes)
    return code


def _wanted(control: Control, request: VrInterfaceReq) -> Wanted:
    host = request.vifr_type == VifType.HOST
    return Wanted(
        idx=request.vifr_idx,
        type=VifType(request.vifr_type),
        transport=request.vifr_transport,
        name=request.vifr_name,
        os_idx=request.vifr_os_idx,
        mac=(_fabric_mac(control) if host else None) or Mac(request.vifr_mac),
        follows_mtu=request.vifr_type == VifType.PHYSICAL and request.vifr_mtu == 0,
    )


def _fabric_mac(control: Control) -> Mac | None:
    """What the host's interface is called on the fabric: frames keep their header on the way."""
    for _, record in control.records.vifs.after(-1):
        if record.vifr_type == VifType.PHYSICAL and any(record.vifr_mac):
            return Mac(record.vifr_mac)
    return None


def _delete(control: Control, request: VrInterfaceReq) -> int:
    idx = _named(control, request.vifr_name) if request.vifr_name else request.vifr_idx
    if idx is None or idx not in control.records.vifs:
        return ENODEV
    code = control.datapath.vif_delete(idx)
    if code == 0:
        control.ports.remove(idx)
        control.records.vifs.pop(idx)
        control.records.vlans.pop(idx, None)
    return code


def _clear(control: Control, request: VrInterfaceReq) -> Replies:
    """Counters of one vif, or of all (index -1), to 0. `vifr_core` as in GET; it is echoed."""
    idx = request.vifr_idx
    record = control.records.vifs.get(idx)
    if record is None and idx != ALL_VIFS:
        return ack(ENODEV)
    if request.vifr_core > CORES:
        return ack(EINVAL)
    code = control.datapath.vif_clear_stats(idx)
    name = "" if record is None else record.vifr_name
    answer = VrInterfaceReq(
        h_op=SandeshOp.RESET, vifr_idx=idx, vifr_core=request.vifr_core, vifr_name=name
    )
    return found(answer) if code == 0 else ack(code)


def _named(control: Control, name: str) -> int | None:
    """The vif of this name, or of the form vifR/I."""
    head, slash, number = name.partition("/")
    if slash and head.startswith("vif") and number.isdecimal():
        return int(number)
    return next((idx for idx, row in control.records.vifs.after(-1) if row.vifr_name == name), None)


# --- answers


def _get(control: Control, request: VrInterfaceReq) -> Replies:
    record = _looked_up(control, request)
    if record is None:
        return ack(ENOENT)
    return found(*_objects(control, record, request))


def _objects(
    control: Control, record: VrInterfaceReq, request: VrInterfaceReq
) -> tuple[Message, ...]:
    """The interface, and its drop counts if the request asks for them."""
    shown = _shown(control, record, request.vifr_core)
    if not request.vifr_flags & GET_DROP_STATS:
        return (shown,)
    return (shown, drop_message(_drops(control, record.vifr_idx)))


def _looked_up(control: Control, request: VrInterfaceReq) -> VrInterfaceReq | None:
    """By index; an index outside the table asks for the host's interface index."""
    if 0 <= request.vifr_idx < control.sizes.interfaces:
        return control.records.vifs.get(request.vifr_idx)
    for idx, record in control.records.vifs.after(-1):
        if _os_index(control, idx, record) == request.vifr_os_idx:
            return record
    return None


def _rows(control: Control, request: VrInterfaceReq) -> Iterator[tuple[Message, ...]]:
    for _, record in control.records.vifs.after(request.vifr_marker):
        yield _objects(control, record, request)


def _os_index(control: Control, idx: int, record: VrInterfaceReq) -> int:
    """That of the interface in use; of a PMD it is what the agent said, a PCI device's number."""
    if record.vifr_transport == Transport.PMD:
        return max(record.vifr_os_idx, 0)
    device = control.ports.device(idx)
    if device is not None and device.index > 0:
        return device.index
    return max(record.vifr_os_idx, 0)


def _drops(control: Control, idx: int) -> tuple[int, ...]:
    stats = control.datapath.vif_stats(idx)
    return () if stats is None else stats[1]


def _shown(control: Control, record: VrInterfaceReq, core: int) -> VrInterfaceReq:
    """The record with what the data plane knows better, and the counters of `core`.

    `core` 0 asks for the sum, k for core k - 1; the answer names core k - 1.
    """
    idx = record.vifr_idx
    vif = control.datapath.vif_get(idx)
    if vif is None:
        return record
    counters: dict[str, int] = {}
    drops = 0
    stats = control.datapath.vif_stats(idx)
    if stats is not None and core <= CORES:
        counters = dict(zip(VIF_COUNTERS, stats[0], strict=True))
        drops = sum(stats[1])
    return record.replace(
        h_op=SandeshOp.ADD,
        vifr_core=(core - 1) & 0xFFFFFFFF,
        vifr_flags=_signed(vif.flags),
        vifr_vrf=vif.vrf,
        vifr_mcast_vrf=vif.mcast_vrf,
        vifr_mtu=vif.mtu,
        vifr_os_idx=_os_index(control, idx, record),
        vifr_ref_cnt=1 + control.records.vif_users[idx],
        vifr_marker=0,
        vifr_mir_id=record.vifr_mir_id if record.vifr_flags & MIRROR else NO_MIRROR,
        vifr_speed=-1,
        vifr_duplex=-1,
        vifr_parent_vif_idx=vif.parent,
        vifr_intf_status=int(vif.attached),
        vifr_queue_ierrors_to_lcore=(0,) * CORES,
        vifr_ibytes=counters.get("ibytes", 0),
        vifr_ipackets=counters.get("ipackets", 0),
        vifr_ierrors=counters.get("ierrors", 0),
        vifr_obytes=counters.get("obytes", 0),
        vifr_opackets=counters.get("opackets", 0),
        vifr_oerrors=counters.get("oerrors", 0),
        vifr_port_ierrors=counters.get("dev_ierrors", 0),
        vifr_port_oerrors=counters.get("dev_oerrors", 0),
        vifr_dpackets=drops,
        vifr_fab_name=_below(control, record),
        vifr_fab_drv_name=DRIVER if record.vifr_type == VifType.PHYSICAL else b"",
    )


def _below(control: Control, record: VrInterfaceReq) -> bytes:
    """The name of the interface that a physical vif is attached to."""
    device = control.ports.device(record.vifr_idx)
    if record.vifr_type != VifType.PHYSICAL or device is None:
        return b""
    return device.name.encode()


def _signed(flags: int) -> int:
    """A u32 as the i32 that the field is."""
    return flags - (1 << 32) if flags >= 1 << 31 else flags
