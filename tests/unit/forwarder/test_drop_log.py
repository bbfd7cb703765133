"""The log of dropped packets: which are in it, in what order, and how it is read and cleared."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from agent._fast.forwarding import DROP_REASONS
from agent.sandesh.drop_log import DropNote, decode_notes
from agent.sandesh.vrouter import (
    SandeshOp,
    VrDropStatsReq,
    VrInterfaceReq,
    VrMemStatsReq,
    VrMirrorReq,
    VrNexthopReq,
    VrouterOps,
    VrPktDropLogReq,
    VrQosMapReq,
    VrResponse,
    VrRouteReq,
)
from tests.unit.forwarder.stage import Stage

ADD, GET, DEL, DUMP, RESET = (
    SandeshOp.ADD, SandeshOp.GET, SandeshOp.DEL, SandeshOp.DUMP, SandeshOp.RESET,
)  # fmt: skip
VM = bytes.fromhex("02a77fd887a5")
ROUTER = bytes.fromhex("00005e000100")
DISCARD = DROP_REASONS.index("discard")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    vif = VrInterfaceReq(
        h_op=ADD, vifr_idx=3, vifr_type=3, vifr_vrf=2, vifr_mcast_vrf=2, vifr_flags=0x40,
        vifr_mac=ROUTER, vifr_mtu=1514, vifr_name="tap3", vifr_os_idx=-1,
        vifr_parent_vif_idx=-1,
    )  # fmt: skip
    assert made.code(vif) == 0
    yield made
    made.close()


def udp(source: str, destination: str, sport: int = 1000, dport: int = 53) -> bytes:
    """A frame of the VM with an empty datagram."""
    ends = ip_address(source).packed + ip_address(destination).packed
    ports = struct.pack("!HHHH", sport, dport, 8, 0)
    if len(ends) == 8:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 28, 0, 0, 64, 17, 0)
        kind = 0x0800
    else:
        head = struct.pack("!IHBB", 6 << 28, 8, 17, 64)
        kind = 0x86DD
    packet = head + ends + ports
    if len(ends) == 8:
        total = sum(struct.unpack("!10H", packet[:20]))
        total = (total & 0xFFFF) + (total >> 16)
        packet = packet[:10] + struct.pack("!H", ~total & 0xFFFF) + packet[12:]
    return ROUTER + VM + struct.pack("!H", kind) + packet


def log(stage: Stage, core: int = 0) -> list[DropNote]:
    """Every note, page by page."""
    notes: list[DropNote] = []
    while True:
        request = VrPktDropLogReq(h_op=DUMP, vdl_core=core, vdl_log_idx=len(notes))
        ((response, page),) = stage.ask(request)
        assert isinstance(response, VrResponse)
        assert isinstance(page, VrPktDropLogReq)
        notes += decode_notes(page.vdl_pkt_droplog_arr)
        assert page.vdl_log_idx == len(notes)
        if response.resp_code == 0:
            return notes


def test_what_is_known_of_a_dropped_packet(stage: Stage) -> None:
    before = time.time_ns()
    stage.datapath.inject(3, udp("10.1.1.3", "10.1.1.9"))
    (note,) = log(stage)
    assert before - 1_000_000_000 <= note.at <= time.time_ns() + 1_000_000_000
    assert (note.vif, note.vrf, DROP_REASONS[note.reason]) == (3, 2, "discard")
    assert (note.ethertype, note.proto, note.length) == (0x0800, 17, 42)
    assert (str(note.source), note.sport) == ("10.1.1.3", 1000)
    assert (str(note.destination), note.dport) == ("10.1.1.9", 53)


def test_ipv6(stage: Stage) -> None:
    stage.datapath.inject(3, udp("fd00::3", "fd00::9", 7, 8))
    (note,) = log(stage)
    assert (str(note.source), str(note.destination)) == ("fd00::3", "fd00::9")
    assert (note.sport, note.dport) == (7, 8)


def test_a_header_between_ipv6_and_ports(stage: Stage) -> None:
    frame = udp("fd00::3", "fd00::9", 7, 8)
    options = bytes((17, 0, 1, 4, 0, 0, 0, 0))
    longer = frame[:18] + struct.pack("!HB", 16, 0) + frame[21:54] + options + frame[54:]
    stage.datapath.inject(3, longer)
    (note,) = log(stage)
    assert (note.proto, note.sport, note.dport) == (17, 7, 8)


def test_an_address_of_zeros(stage: Stage) -> None:
    stage.datapath.inject(3, udp("0.0.0.0", "10.1.1.9"))
    (note,) = log(stage)
    assert (str(note.source), str(note.destination)) == ("0.0.0.0", "10.1.1.9")


def test_originals_of_copies_are_no_loss(stage: Stage) -> None:
    """A broadcast on an interface that takes part in no tree is the only thing dropped."""
    cloned = DROP_REASONS.index("cloned_original")
    tree = [
        VrNexthopReq(
            h_op=ADD, nhr_id=7, nhr_type=2, nhr_family=7, nhr_flags=1, nhr_encap_oif_id=(3,)
        ),
        VrNexthopReq(
            h_op=ADD, nhr_id=8, nhr_type=6, nhr_family=7, nhr_flags=0x2001, nhr_nh_list=(7,),
            nhr_label_list=(-1,),
        ),
        VrNexthopReq(
            h_op=ADD, nhr_id=9, nhr_type=6, nhr_family=7, nhr_flags=0x21, nhr_vrf=2,
            nhr_nh_list=(8,), nhr_label_list=(0,),
        ),
        VrRouteReq(
            h_op=ADD, rtr_vrf_id=2, rtr_family=7, rtr_mac=b"\xff" * 6, rtr_nh_id=9, rtr_index=-1
        ),
    ]  # fmt: skip
    for part in tree:
        assert stage.code(part) == 0
    l2 = VrInterfaceReq(
        h_op=ADD, vifr_idx=3, vifr_type=3, vifr_vrf=2, vifr_mcast_vrf=2, vifr_flags=0xC0,
        vifr_mac=ROUTER, vifr_mtu=1514, vifr_name="tap3", vifr_os_idx=-1,
        vifr_parent_vif_idx=-1,
    )  # fmt: skip
    assert stage.code(l2) == 0
    broadcast = b"\xff" * 6 + VM + b"\x88\xb5" + bytes(46)
    stage.datapath.inject(3, broadcast)
    assert stage.datapath.drop_stats()[cloned] == 1
    assert cloned not in [note.reason for note in log(stage)]
    stage.datapath.drop_log_set(only=cloned)
    stage.datapath.inject(3, broadcast)
    assert [note.reason for note in log(stage)][-1] == cloned


@pytest.mark.parametrize("size", [0, 1, 13, 14, 15, 33, 34, 37])
def test_a_frame_that_is_cut(stage: Stage, size: int) -> None:
    stage.datapath.inject(3, udp("10.1.1.3", "10.1.1.9")[:size])
    counted = sum(stage.datapath.drop_stats())
    notes = log(stage)
    assert len(notes) == counted
    assert all(note.vif == 3 for note in notes)
    assert all(note.dport in (0, 53) for note in notes)


def test_the_last_packets_are_kept_in_order(stage: Stage) -> None:
    for port in range(1, 1501):
        stage.datapath.inject(3, udp("10.1.1.3", "10.1.1.9", port))
    assert [note.sport for note in log(stage)] == list(range(1500 - 1024 + 1, 1501))


def test_clearing(stage: Stage) -> None:
    stage.datapath.inject(3, udp("10.1.1.3", "10.1.1.9"))
    assert stage.code(VrPktDropLogReq(h_op=RESET)) == 0
    assert log(stage) == []
    stage.datapath.inject(3, udp("10.1.1.3", "10.1.1.9", 5))
    assert [note.sport for note in log(stage)] == [5]
    assert stage.code(VrouterOps(h_op=RESET)) == 0
    assert log(stage) == []


def test_one_reason_alone(stage: Stage) -> None:
    configure = VrPktDropLogReq(h_op=ADD, vdl_pkt_droplog_config=1)
    assert stage.code(configure.replace(vdl_pkt_droplog_type=DISCARD + 1)) == 0
    stage.datapath.inject(3, udp("10.1.1.3", "10.1.1.9"))
    assert log(stage) == []
    assert stage.code(configure.replace(vdl_pkt_droplog_type=DISCARD)) == 0
    stage.datapath.inject(3, udp("10.1.1.3", "10.1.1.9"))
    assert len(log(stage)) == 1


def test_the_short_log(stage: Stage) -> None:
    short = VrPktDropLogReq(h_op=ADD, vdl_pkt_droplog_config=2, vdl_pkt_droplog_min_sysctl_en=1)
    assert stage.code(short) == 0
    stage.datapath.inject(3, udp("10.1.1.3", "10.1.1.9"))
    (note,) = log(stage)
    assert (note.vif, note.reason) == (3, DISCARD)
    assert (note.source, note.sport, note.length) == (None, 0, 0)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (VrPktDropLogReq(h_op=DUMP, vdl_core=2), -22),
        (VrPktDropLogReq(h_op=DUMP, vdl_core=-1), -22),
        (VrPktDropLogReq(h_op=ADD), -22),
        (VrPktDropLogReq(h_op=DEL), -95),
    ],
)
def test_refusals(stage: Stage, request_: VrPktDropLogReq, code: int) -> None:
    assert stage.code(request_) == code


def test_a_place_beyond_the_end_is_an_empty_page(stage: Stage) -> None:
    stage.datapath.inject(3, udp("10.1.1.3", "10.1.1.9"))
    page = stage.get(VrPktDropLogReq(h_op=GET, vdl_log_idx=32767))
    assert isinstance(page, VrPktDropLogReq)
    assert decode_notes(page.vdl_pkt_droplog_arr) == []


def test_nics_drop_nothing_by_themselves(stage: Stage) -> None:
    stage.datapath.inject(3, udp("10.1.1.3", "10.1.1.9"))
    all_of_it = stage.get(VrDropStatsReq(h_op=GET))
    assert isinstance(all_of_it, VrDropStatsReq)
    assert all_of_it.vds_discard == 1
    assert stage.get(VrDropStatsReq(h_op=GET, vds_core=-1)) == VrDropStatsReq(vds_core=-1)


def test_memory_is_what_there_is(stage: Stage) -> None:
    before = stage.get(VrMemStatsReq(h_op=GET))
    assert isinstance(before, VrMemStatsReq)
    nexthop = VrNexthopReq(
        h_op=ADD, nhr_id=7, nhr_type=2, nhr_family=2, nhr_flags=1, nhr_encap_oif_id=(3,),
        nhr_encap=VM + ROUTER + b"\x08\0",
    )  # fmt: skip
    assert stage.code(nexthop) == 0
    group = nexthop.replace(
        nhr_id=8, nhr_type=6, nhr_flags=0x401, nhr_encap_oif_id=(), nhr_encap=b"",
        nhr_nh_list=(7, 7), nhr_label_list=(1, 2),
    )  # fmt: skip
    assert stage.code(group) == 0
    assert stage.code(VrMirrorReq(h_op=ADD, mirr_index=4, mirr_nhid=7)) == 0
    assert stage.code(VrMirrorReq(h_op=DEL, mirr_index=4)) == 0
    route = VrRouteReq(h_op=ADD, rtr_vrf_id=2, rtr_family=7, rtr_mac=VM, rtr_nh_id=7, rtr_index=-1)
    assert stage.code(route) == 0
    after = stage.get(VrMemStatsReq(h_op=GET))
    assert isinstance(after, VrMemStatsReq)
    grown = {
        name: getattr(after, name) - getattr(before, name)
        for name in VrMemStatsReq.FIELDS
        if getattr(after, name) != getattr(before, name)
    }
    assert grown == {
        "vms_alloced": 6,
        "vms_freed": 1,
        "vms_nexthop_object": 2,
        "vms_nexthop_component_object": 2,
        "vms_bridge_mac_object": 1,
    }


def test_used_entries_of_the_bridge_table(stage: Stage) -> None:
    for last in range(1, 6):
        route = VrRouteReq(
            h_op=ADD, rtr_vrf_id=2, rtr_family=7, rtr_mac=VM[:5] + bytes((last,)), rtr_index=-1
        )
        assert stage.code(route) == 0
    limits = stage.get(VrouterOps(h_op=GET))
    assert isinstance(limits, VrouterOps)
    assert limits.vo_bridge_used_entries == 5
    assert limits.vo_bridge_used_oentries <= 5


def test_a_map_keeps_markings_that_are_not_named(stage: Stage) -> None:
    first = VrQosMapReq(
        h_op=ADD, qmr_id=1, qmr_dscp=b"\1\2", qmr_dscp_fc_id=b"\5\6", qmr_dotonep=b"\3",
        qmr_dotonep_fc_id=b"\7",
    )  # fmt: skip
    assert stage.code(first) == 0
    second = VrQosMapReq(h_op=ADD, qmr_id=1, qmr_dscp=b"\2\0", qmr_dscp_fc_id=b"\x08\x09")
    assert stage.code(second) == 0
    found = stage.get(VrQosMapReq(h_op=GET, qmr_id=1))
    assert isinstance(found, VrQosMapReq)
    assert (found.qmr_dscp, found.qmr_dscp_fc_id) == (b"\0\1\2", b"\x09\5\x08")
    assert (found.qmr_dotonep, found.qmr_dotonep_fc_id) == (b"\3", b"\7")
    assert found.qmr_mpls_qos == b""
