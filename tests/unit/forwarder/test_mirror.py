"""Copies for analyzers: of interfaces and of flows, in tunnels, cut where they do not fit."""

from __future__ import annotations

import errno
import struct
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from agent.forwarder.replies import EINVAL, ENOENT
from agent.sandesh.vrouter import (
    SandeshOp,
    VrFlowReq,
    VrInterfaceReq,
    VrMirrorReq,
    VrNexthopReq,
    VrResponse,
)
from tests.unit.forwarder.dataplane_rig import address
from tests.unit.forwarder.flow_rig import (
    FABRIC,
    FORWARD,
    GUEST2_NH,
    LOCAL,
    MIRROR,
    TAP1,
    TAP2,
    FlowRig,
    guest_frame,
    udp,
)
from tests.unit.forwarder.stage import Stage

RX, TX, DYNAMIC, HARDWARE = 0x8, 0x10, 1, 4
UDP_MIRROR, SIP_COPY, VXLAN = 0x10, 0x20000, 0x80
MIRROR_NH, VXLAN_NH = 40, 41
META = bytes.fromhex("0305") + b"blue1" + bytes.fromhex("ff00")
OUTER = 14 + 20 + 8
FRAME = guest_frame(udp("15.0.0.3", "15.0.0.4"))


def big(port: int) -> int:
    """A port as nexthop messages carry it."""
    return int.from_bytes(port.to_bytes(2, "big"), "little")


@pytest.fixture
def rig() -> FlowRig:
    rig = FlowRig().build()
    rig.tunnel(MIRROR_NH, UDP_MIRROR, dip="10.0.0.50", tun_sport=big(8097), tun_dport=big(8099))
    rig.tunnel(VXLAN_NH, VXLAN, dip="10.0.0.51")
    rig.pair(LOCAL, LOCAL.reverse(GUEST2_NH), action=FORWARD)
    return rig


def copies(rig: FlowRig, frame: bytes = FRAME, vif: int = TAP1) -> list[bytes]:
    """What leaves by the fabric when a guest sends a frame; guest 2 gets it all the same."""
    sent = rig.send(vif, frame)
    assert [out for out, _ in sent if out != FABRIC] == [TAP2]
    return [data for out, data in sent if out == FABRIC]


def watch(rig: FlowRig, vif: int, flags: int, index: int = 1, **meta: bytes) -> None:
    rig.policy(vif, {TAP1: 2, TAP2: 5}[vif], flags)
    assert rig.dp.vif_mirror(vif, index, **meta) == 0


def captured(copy: bytes, meta: bytes) -> tuple[tuple[int, int], bytes]:
    """(bytes that follow, bytes that would have) and the frame of a copy with its header."""
    header = copy[OUTER : OUTER + 16]
    seconds, micros, held, whole = struct.unpack(">4I", header)
    assert seconds > 1_600_000_000
    assert micros < 1_000_000
    assert copy[OUTER + 16 : OUTER + 16 + len(meta)] == meta
    assert held == len(copy) - OUTER - 16
    return (held, whole), copy[OUTER + 16 + len(meta) :]


def test_a_received_frame_is_copied_as_it_came(rig: FlowRig) -> None:
    assert rig.dp.mirror_set(1, MIRROR_NH, DYNAMIC) == 0
    watch(rig, TAP1, RX, in_meta=META, out_meta=b"\x04\x00\xff\x00")
    (copy,) = copies(rig)
    outer = Ether(copy)
    assert (outer[IP].src, outer[IP].dst, outer[IP].ttl) == ("10.0.0.1", "10.0.0.50", 64)
    assert (outer[UDP].sport, outer[UDP].dport) == (8097, 8099)
    assert IP(bytes(outer[IP])).chksum == outer[IP].chksum
    lengths, frame = captured(copy, META)
    assert frame == FRAME
    assert lengths == (len(META) + len(FRAME),) * 2


def test_a_sent_frame_is_copied_as_it_leaves(rig: FlowRig) -> None:
    assert rig.dp.mirror_set(1, MIRROR_NH, DYNAMIC) == 0
    out = b"\x04\x01x\xff\x00"
    watch(rig, TAP2, TX, in_meta=META, out_meta=out)
    sent = rig.send(TAP1, FRAME)
    (delivered,) = [data for vif, data in sent if vif == TAP2]
    (copy,) = [data for vif, data in sent if vif == FABRIC]
    assert captured(copy, out)[1] == delivered


def test_without_metadata_there_is_just_its_end(rig: FlowRig) -> None:
    assert rig.dp.mirror_set(1, MIRROR_NH, DYNAMIC) == 0
    watch(rig, TAP1, RX)
    (copy,) = copies(rig)
    assert captured(copy, b"\xff\x00")[1] == FRAME


def test_a_static_mirror_sends_the_frame_alone_with_its_vni(rig: FlowRig) -> None:
    assert rig.dp.mirror_set(1, VXLAN_NH, 0, 50) == 0
    watch(rig, TAP1, RX)
    (copy,) = copies(rig)
    assert copy[OUTER : OUTER + 8] == bytes.fromhex("0800000000003200")
    assert copy[OUTER + 8 :] == FRAME


def test_only_the_flags_that_are_set_make_copies(rig: FlowRig) -> None:
    assert rig.dp.mirror_set(1, MIRROR_NH, DYNAMIC) == 0
    watch(rig, TAP1, 0)
    assert copies(rig) == []
    watch(rig, TAP1, TX)
    assert copies(rig) == []
    watch(rig, TAP1, RX, index=2)
    assert copies(rig) == []
    assert rig.dp.mirror_set(2, MIRROR_NH, HARDWARE) == 0
    assert copies(rig) == []
    watch(rig, TAP1, RX)
    assert len(copies(rig)) == 1
    assert rig.dp.mirror_delete(1) == 0
    assert copies(rig) == []


def test_copies_are_not_copied_again(rig: FlowRig) -> None:
    """The fabric's vif mirrors what it sends: the packet, and not the copy of it."""
    assert rig.dp.mirror_set(1, MIRROR_NH, DYNAMIC) == 0
    watch(rig, TAP1, RX)
    assert rig.dp.vif_set(FABRIC, type=2, flags=0x40 | TX, vrf=0) == 0
    assert rig.dp.vif_mirror(FABRIC, 1) == 0
    assert len(copies(rig)) == 1


def test_a_copy_too_large_for_the_underlay_is_cut_and_says_so(rig: FlowRig) -> None:
    assert rig.dp.mirror_set(1, MIRROR_NH, DYNAMIC) == 0
    watch(rig, TAP1, RX, in_meta=META)
    large = guest_frame(udp("15.0.0.3", "15.0.0.4", size=1472))
    (copy,) = copies(rig, large)
    assert len(copy) <= 1514
    (held, whole), frame = captured(copy, META)
    assert (held, whole) == (len(META) + len(frame), len(META) + len(large))
    assert large.startswith(frame)
    assert rig.drops() == {}


def test_a_segment_that_the_sender_left_whole_is_copied_in_its_parts(rig: FlowRig) -> None:
    assert rig.dp.mirror_set(1, MIRROR_NH, DYNAMIC) == 0
    watch(rig, TAP1, RX)
    payload = bytes(number & 0xFF for number in range(4000))
    frame = guest_frame(IP(src="15.0.0.3", dst="15.0.0.4") / UDP(sport=1111, dport=2222) / payload)
    vnet = struct.pack("<BBHHHH", 1, 5, 42, 1000, 34, 6)
    sent = rig.send(TAP1, frame, vnet)
    parts = [captured(data, b"\xff\x00")[1] for vif, data in sent if vif == FABRIC]
    assert [len(part) for part in parts] == [1042] * 4
    assert b"".join(part[42:] for part in parts) == payload


def test_source_address_of_the_copied_packet(rig: FlowRig) -> None:
    rig.tunnel(
        MIRROR_NH, UDP_MIRROR | SIP_COPY, dip="10.0.0.50", tun_sport=big(1), tun_dport=big(2)
    )
    assert rig.dp.mirror_set(1, MIRROR_NH, DYNAMIC) == 0
    watch(rig, TAP1, RX)
    (copy,) = copies(rig)
    assert Ether(copy)[IP].src == "15.0.0.3"


def test_flows_are_copied_with_their_metadata(rig: FlowRig) -> None:
    rig.tunnel(42, UDP_MIRROR, dip="10.0.0.52", tun_sport=big(1), tun_dport=big(2))
    assert rig.dp.mirror_set(1, MIRROR_NH, DYNAMIC) == 0
    assert rig.dp.mirror_set(2, 42, DYNAMIC) == 0
    index = rig.found(LOCAL).index
    values: dict[str, Any] = {"mir_id": 1, "sec_mir_id": 2, "meta": META}
    rig.change(LOCAL, index, flags=1 | MIRROR, **values)
    there = copies(rig)
    assert [Ether(copy)[IP].dst for copy in there] == ["10.0.0.50", "10.0.0.52"]
    assert [captured(copy, META)[1] for copy in there] == [FRAME, FRAME]
    rig.change(LOCAL, index, flags=1 | MIRROR, mir_id=2, sec_mir_id=2)
    (copy,) = copies(rig)
    assert captured(copy, b"\xff\x00")[1] == FRAME
    rig.change(LOCAL, index, flags=1, **values)
    assert copies(rig) == []


def test_metadata_of_flows_goes_with_them(rig: FlowRig) -> None:
    """More flows, one after the other, than there is room for different metadata."""
    assert rig.dp.mirror_set(1, MIRROR_NH, DYNAMIC) == 0
    index = rig.found(LOCAL).index
    for number in range(5000):
        meta = b"\x03\x04" + number.to_bytes(4, "big") + b"\xff\x00"
        rig.change(LOCAL, index, flags=1 | MIRROR, mir_id=1, meta=meta)
    (copy,) = copies(rig)
    assert captured(copy, meta)[1] == FRAME
    rig.change(LOCAL, index, flags=1 | MIRROR, mir_id=1, meta=bytes(1025))
    (copy,) = copies(rig)
    assert captured(copy, b"\xff\x00")[1] == FRAME


def test_a_mirror_whose_nexthop_went_drops_its_copies(rig: FlowRig) -> None:
    assert rig.dp.mirror_set(1, MIRROR_NH, DYNAMIC) == 0
    watch(rig, TAP1, RX)
    assert rig.dp.nexthop_delete(MIRROR_NH) == 0
    assert copies(rig) == []
    assert rig.drops() == {"invalid_nh": 1}


@pytest.mark.parametrize("arguments", [(255, MIRROR_NH), (1, 4000), (-1, MIRROR_NH)])
def test_mirrors_that_cannot_be(rig: FlowRig, arguments: tuple[int, int]) -> None:
    assert rig.dp.mirror_set(*arguments) == -errno.EINVAL
    assert rig.dp.mirror_delete(arguments[0]) == -errno.EINVAL


# --- messages ---------------------------------------------------------------------------------


@pytest.fixture
def stage(tmp_path: Path) -> Any:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


def discards(stage: Stage, nexthop: int) -> None:
    assert stage.code(VrNexthopReq(nhr_id=nexthop, nhr_type=5, nhr_family=2, nhr_flags=1)) == 0


def test_mirror_messages(stage: Stage) -> None:
    discards(stage, 5)
    assert stage.code(VrMirrorReq(mirr_index=7, mirr_nhid=6)) == EINVAL
    assert stage.code(VrMirrorReq(mirr_index=255, mirr_nhid=5)) == EINVAL
    assert stage.code(VrMirrorReq(mirr_index=-1, mirr_nhid=5)) == EINVAL
    for index, flags, vni in ((7, 1, 0), (3, 0, 50)):
        added = VrMirrorReq(mirr_index=index, mirr_nhid=5, mirr_flags=flags, mirr_vni=vni)
        assert stage.code(added) == 0
    assert stage.code(VrMirrorReq(mirr_index=9, mirr_flags=HARDWARE, mirr_vlan=4)) == 0
    found = stage.get(VrMirrorReq(h_op=SandeshOp.GET, mirr_index=3))
    assert isinstance(found, VrMirrorReq)
    assert (found.mirr_nhid, found.mirr_vni, found.mirr_flags) == (5, 50, 0)
    (response,), rows = stage.ask(VrMirrorReq(h_op=SandeshOp.DUMP, mirr_marker=3))
    assert response == VrResponse(h_op=SandeshOp.RESPONSE, resp_code=2)
    assert [row.mirr_index for row in rows if isinstance(row, VrMirrorReq)] == [7, 9]
    assert stage.code(VrMirrorReq(h_op=SandeshOp.DEL, mirr_index=3)) == 0
    assert stage.code(VrMirrorReq(h_op=SandeshOp.DEL, mirr_index=3)) == EINVAL
    assert stage.code(VrMirrorReq(h_op=SandeshOp.GET, mirr_index=3)) == ENOENT


def test_an_interface_tells_its_mirror_and_metadata(stage: Stage) -> None:
    made = VrInterfaceReq(
        vifr_idx=3, vifr_type=3, vifr_flags=0xC0 | RX | TX, vifr_mac=bytes(6), vifr_mir_id=7,
        vifr_in_mirror_md=META, vifr_out_mirror_md=b"\x04\x00\xff\x00",
    )  # fmt: skip
    assert stage.code(made) == 0
    got = stage.get(VrInterfaceReq(h_op=SandeshOp.GET, vifr_idx=3))
    assert isinstance(got, VrInterfaceReq)
    assert (got.vifr_mir_id, got.vifr_in_mirror_md) == (7, META)
    assert stage.code(made.replace(vifr_in_mirror_md=bytes(1025))) == EINVAL
    got = stage.get(VrInterfaceReq(h_op=SandeshOp.GET, vifr_idx=3))
    assert isinstance(got, VrInterfaceReq)
    assert got.vifr_in_mirror_md == META
    assert stage.code(made.replace(vifr_flags=0xC0)) == 0
    got = stage.get(VrInterfaceReq(h_op=SandeshOp.GET, vifr_idx=3))
    assert isinstance(got, VrInterfaceReq)
    assert got.vifr_mir_id == 255


def test_a_new_interface_with_too_much_metadata_is_not_made(stage: Stage) -> None:
    made = VrInterfaceReq(
        vifr_idx=3, vifr_type=3, vifr_flags=RX, vifr_mac=bytes(6), vifr_in_mirror_md=bytes(1025)
    )
    assert stage.code(made) == EINVAL
    assert stage.code(VrInterfaceReq(h_op=SandeshOp.DEL, vifr_idx=3)) == -errno.ENODEV
    assert stage.datapath.vif_indexes() == []


def test_flow_requests_carry_mirror_ids(stage: Stage) -> None:
    flow = VrFlowReq(
        fr_index=-1, fr_family=2, fr_flow_proto=17, fr_flow_sip_l=address("1.2.3.4"),
        fr_flags=1 | MIRROR, fr_action=2, fr_mir_id=1, fr_sec_mir_id=255, fr_pcap_meta_data=META,
    )  # fmt: skip
    ((response, answer),) = stage.ask(flow)
    assert response == VrResponse(h_op=SandeshOp.RESPONSE)
    index: int = answer.fresp_index  # type: ignore[attr-defined]
    assert tuple(stage.flow_table[index * 256 + 98 : index * 256 + 100]) == (1, 255)
