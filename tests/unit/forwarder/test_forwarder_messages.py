"""Codes, dumps and echoes of every message (facts datapath-behaviour.md section 2)."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.forwarder.dispatcher import HANDLERS, answer
from agent.forwarder.handlers.stats import DROP_FIELDS
from agent.sandesh.vrouter import (
    FlowOp,
    Message,
    SandeshOp,
    VrBridgeTableData,
    VrDropStatsReq,
    VrFcMapReq,
    VrFlowReq,
    VrFlowResponse,
    VrFlowTableData,
    VrHugepageConfig,
    VrInfoReq,
    VrInterfaceReq,
    VrMemStatsReq,
    VrMirrorReq,
    VrMplsReq,
    VrNexthopReq,
    VrouterOps,
    VrPktDropLogReq,
    VrQosMapReq,
    VrResponse,
    VrRouteReq,
    VrVrfAssignReq,
    VrVrfReq,
    VrVrfStatsReq,
    VrVxlanReq,
    decode_messages,
)
from tests.unit.forwarder.stage import SMALL, Stage

ADD, GET, DEL, DUMP, RESET = (
    SandeshOp.ADD,
    SandeshOp.GET,
    SandeshOp.DEL,
    SandeshOp.DUMP,
    SandeshOp.RESET,
)
EINVAL, ENOENT, ENODEV = -errno.EINVAL, -errno.ENOENT, -errno.ENODEV
EOPNOTSUPP, EEXIST = -errno.EOPNOTSUPP, -errno.EEXIST
MAC = bytes.fromhex("00005e000100")
VM = bytes.fromhex("02a77fd887a5")
DUMP_INCOMPLETE = 0x40000000


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.close()


def vif(idx: int, **fields: Any) -> VrInterfaceReq:
    return VrInterfaceReq(
        **{
            "vifr_idx": idx,
            "vifr_type": 3,
            "vifr_name": f"tap{idx}",
            "vifr_mac": MAC,
            "vifr_transport": 1,
            "vifr_parent_vif_idx": -1,
            **fields,
        }
    )


def fabric() -> VrInterfaceReq:
    return vif(0, vifr_type=2, vifr_name="fab0")


def discard(nh_id: int) -> VrNexthopReq:
    return VrNexthopReq(nhr_id=nh_id, nhr_type=5, nhr_family=2, nhr_flags=1)


def encap(nh_id: int, oif: int, **fields: Any) -> VrNexthopReq:
    return VrNexthopReq(
        **{
            "nhr_id": nh_id,
            "nhr_type": 2,
            "nhr_family": 2,
            "nhr_flags": 1,
            "nhr_encap_oif_id": (oif,),
            "nhr_encap": VM + MAC + b"\x08\x00",
            **fields,
        }
    )


def tunnel(nh_id: int, **fields: Any) -> VrNexthopReq:
    return VrNexthopReq(
        **{
            "nhr_id": nh_id,
            "nhr_type": 3,
            "nhr_family": 2,
            "nhr_flags": 0x41,
            "nhr_encap_oif_id": (0,),
            "nhr_encap": VM + MAC + b"\x08\x00",
            "nhr_tun_sip": 0x0100000A,
            "nhr_tun_dip": 0x0200000A,
            **fields,
        }
    )


def inet(prefix: str, nexthop: int, **fields: Any) -> VrRouteReq:
    address, _, length = prefix.partition("/")
    return VrRouteReq(
        rtr_vrf_id=1,
        rtr_family=2,
        rtr_prefix=bytes(map(int, address.split("."))),
        rtr_prefix_len=int(length),
        rtr_nh_id=nexthop,
        **fields,
    )


def bridge(mac: bytes, nexthop: int, **fields: Any) -> VrRouteReq:
    return VrRouteReq(rtr_vrf_id=1, rtr_family=7, rtr_mac=mac, rtr_nh_id=nexthop, **fields)


def dump(
    stage: Stage, request: Message, kind: type[Message], after: Callable[[Any], dict[str, Any]]
) -> list[Any]:
    """Follow a dump to its end; every page is within the limit."""
    found: list[Any] = []
    while True:
        payloads = answer(stage.control, request.encode())
        (response,) = decode_messages(payloads[0])
        assert isinstance(response, VrResponse)
        page = decode_messages(payloads[1]) if len(payloads) > 1 else []
        assert all(len(payload) <= 3968 for payload in payloads)
        assert response.resp_code & ~DUMP_INCOMPLETE == len(page)
        assert {type(row) for row in page} <= {kind}
        found += page
        if not response.resp_code & DUMP_INCOMPLETE:
            return found
        request = request.replace(**after(page[-1]))


# --- interfaces


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (vif(3), 0),
        (vif(-1), EINVAL),
        (vif(SMALL.interfaces), EINVAL),
        (vif(3, vifr_type=10), EINVAL),
        (vif(3, vifr_type=-1), EINVAL),
        (vif(3, vifr_mtu=-1), EINVAL),
        (vif(3, vifr_mac=MAC[:5]), EINVAL),
        (vif(3, vifr_mac=b""), EINVAL),
        (vif(1, vifr_type=0), ENODEV),
        (vif(3, vifr_transport=9), 0),
        (vif(3, vifr_type=6, vifr_parent_vif_idx=77), EINVAL),
        (vif(3).replace(h_op=99), EOPNOTSUPP),
        (vif(77).replace(h_op=DEL), ENODEV),
        (vif(77).replace(h_op=DEL, vifr_name="nobody"), ENODEV),
        (vif(77).replace(h_op=GET), ENOENT),
    ],
)
def test_interface_codes(stage: Stage, request_: VrInterfaceReq, code: int) -> None:
    assert stage.code(request_) == code


def test_an_unknown_transport_is_answered_0_and_does_nothing(stage: Stage) -> None:
    assert stage.code(vif(3, vifr_transport=9)) == 0
    assert stage.code(vif(3).replace(h_op=GET)) == ENOENT


def test_a_second_add_changes_only_what_may_change(stage: Stage) -> None:
    assert stage.code(vif(3, vifr_vrf=1, vifr_mcast_vrf=1, vifr_mtu=1400, vifr_flags=0x41)) == 0
    change = vif(
        3, vifr_type=2, vifr_name="other", vifr_mac=VM, vifr_transport=2, vifr_vrf=-1,
        vifr_mcast_vrf=-1, vifr_mtu=0, vifr_flags=0x81, vifr_nh_id=7,
    )  # fmt: skip
    assert stage.code(change) == 0
    found = stage.get(VrInterfaceReq(h_op=GET, vifr_idx=3))
    assert isinstance(found, VrInterfaceReq)
    assert (found.vifr_type, found.vifr_name, found.vifr_mac) == (3, "tap3", MAC)
    assert (found.vifr_transport, found.vifr_vrf, found.vifr_mtu) == (1, 1, 1400)
    assert (found.vifr_mcast_vrf, found.vifr_nh_id) == (1, 7)
    assert found.vifr_flags & 0xFF == 0x81


def test_an_interface_that_does_not_exist_is_there_with_its_link_down(stage: Stage) -> None:
    assert stage.code(vif(3)) == 0
    found = stage.get(VrInterfaceReq(h_op=GET, vifr_idx=3))
    assert isinstance(found, VrInterfaceReq)
    assert found.vifr_intf_status == 0
    assert [wanted.name for wanted in stage.opener.asked] == ["tap3"]


def test_interfaces_by_name_and_by_os_index(stage: Stage) -> None:
    for idx in (3, 4):
        assert stage.code(vif(idx, vifr_os_idx=40 + idx)) == 0
    found = stage.get(VrInterfaceReq(h_op=GET, vifr_idx=-1, vifr_os_idx=44))
    assert isinstance(found, VrInterfaceReq)
    assert found.vifr_idx == 4
    assert stage.code(VrInterfaceReq(h_op=DEL, vifr_idx=0, vifr_name="tap4")) == 0
    assert stage.code(VrInterfaceReq(h_op=DEL, vifr_idx=0, vifr_name="vif0/3")) == 0
    assert stage.code(VrInterfaceReq(h_op=DEL, vifr_idx=3)) == ENODEV


def test_interface_get_with_drop_statistics(stage: Stage) -> None:
    assert stage.code(vif(3)) == 0
    ((response, found, drops),) = stage.ask(VrInterfaceReq(h_op=GET, vifr_idx=3, vifr_flags=1))
    assert response == VrResponse(h_op=4)
    assert isinstance(found, VrInterfaceReq)
    assert drops == VrDropStatsReq()


def test_drop_counts_are_those_of_core_0_and_of_no_other(stage: Stage) -> None:
    assert stage.code(vif(3)) == 0
    stage.datapath.inject(3, b"short")
    counts = []
    for core in (0, 1, 2):
        found = stage.get(VrDropStatsReq(h_op=GET, vds_core=core))
        assert isinstance(found, VrDropStatsReq)
        counts.append((found.vds_core, found.vds_pull))
    assert counts == [(0, 1), (1, 1), (2, 0)]


def test_interface_counters_and_their_reset(stage: Stage) -> None:
    assert stage.code(vif(3, vifr_vrf=1, vifr_flags=0xC0)) == 0
    stage.datapath.inject(3, b"\xff" * 6 + VM + b"\x88\xb5" + bytes(46))
    found = stage.get(VrInterfaceReq(h_op=GET, vifr_idx=3))
    assert isinstance(found, VrInterfaceReq)
    assert (found.vifr_ipackets, found.vifr_dpackets) == (1, 1)
    of_another_core = stage.get(VrInterfaceReq(h_op=GET, vifr_idx=3, vifr_core=2))
    assert isinstance(of_another_core, VrInterfaceReq)
    assert (of_another_core.vifr_ipackets, of_another_core.vifr_core) == (0, 1)
    ((response, echoed),) = stage.ask(VrInterfaceReq(h_op=RESET, vifr_idx=3, vifr_core=1))
    assert response == VrResponse(h_op=4)
    name = vif(3).vifr_name
    assert echoed == VrInterfaceReq(h_op=RESET, vifr_idx=3, vifr_core=1, vifr_name=name)
    cleared = stage.get(VrInterfaceReq(h_op=GET, vifr_idx=3))
    assert isinstance(cleared, VrInterfaceReq)
    assert (cleared.vifr_ipackets, cleared.vifr_dpackets) == (0, 0)


def test_counters_of_all_interfaces_are_reset_at_once(stage: Stage) -> None:
    for idx in (3, 4):
        assert stage.code(vif(idx, vifr_vrf=1, vifr_flags=0xC0)) == 0
        stage.datapath.inject(idx, b"\xff" * 6 + VM + b"\x88\xb5" + bytes(46))
    ((response, echoed),) = stage.ask(VrInterfaceReq(h_op=RESET, vifr_idx=-1))
    assert response == VrResponse(h_op=4)
    assert echoed == VrInterfaceReq(h_op=RESET, vifr_idx=-1)
    for idx in (3, 4):
        cleared = stage.get(VrInterfaceReq(h_op=GET, vifr_idx=idx))
        assert isinstance(cleared, VrInterfaceReq)
        assert cleared.vifr_ipackets == 0


@pytest.mark.parametrize(("idx", "core", "code"), [(9, 0, ENODEV), (3, 2, EINVAL), (-2, 0, ENODEV)])
def test_counters_that_are_not_there_cannot_be_reset(
    stage: Stage, idx: int, core: int, code: int
) -> None:
    assert stage.code(vif(3)) == 0
    assert stage.code(VrInterfaceReq(h_op=RESET, vifr_idx=idx, vifr_core=core)) == code


def test_interface_dump(stage: Stage) -> None:
    indices = [0, 3, 4, 5, 9, 200, 299]
    for idx in reversed(indices):
        assert stage.code(vif(idx)) == 0
    request = VrInterfaceReq(h_op=DUMP, vifr_marker=-1)
    rows = dump(stage, request, VrInterfaceReq, lambda row: {"vifr_marker": row.vifr_idx})
    assert [row.vifr_idx for row in rows] == indices


def test_interface_dump_with_drop_statistics(stage: Stage) -> None:
    for idx in range(7):
        assert stage.code(vif(idx)) == 0
        for _ in range(idx):
            stage.datapath.inject(idx, b"short")
    found: list[tuple[int, int]] = []
    marker = -1
    code = DUMP_INCOMPLETE
    while code & DUMP_INCOMPLETE:
        pages = stage.ask(VrInterfaceReq(h_op=DUMP, vifr_marker=marker, vifr_flags=1))
        ((response,), rows) = pages
        assert isinstance(response, VrResponse)
        code = response.resp_code
        assert code & ~DUMP_INCOMPLETE == len(rows)
        for one, drops in zip(rows[::2], rows[1::2], strict=True):
            assert isinstance(one, VrInterfaceReq)
            assert isinstance(drops, VrDropStatsReq)
            found.append((one.vifr_idx, drops.vds_pull))
        marker = found[-1][0]
    assert found == [(idx, idx) for idx in range(7)]


# --- nexthops


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (discard(9), 0),
        (discard(-1), EINVAL),
        (discard(SMALL.nexthops), EINVAL),
        (discard(9).replace(nhr_type=9), EINVAL),
        (discard(9).replace(nhr_type=-1), EINVAL),
        (encap(9, 3), 0),
        (encap(9, 77), EINVAL),
        (encap(9, 3, nhr_encap=VM[:5]), EINVAL),
        (encap(9, 3, nhr_encap=bytes(65)), EINVAL),
        (encap(9, 3, nhr_family=0), EINVAL),
        (encap(9, 3, nhr_family=7, nhr_flags=0x21), EINVAL),
        (tunnel(9), 0),
        (tunnel(9, nhr_tun_sip=0), EINVAL),
        (tunnel(9, nhr_tun_dip=0), EINVAL),
        (tunnel(9, nhr_encap_oif_id=(77,)), ENODEV),
        (tunnel(9, nhr_flags=1), EINVAL),
        (VrNexthopReq(nhr_id=9, nhr_type=1, nhr_flags=1, nhr_encap_oif_id=(77,)), ENODEV),
        (VrNexthopReq(nhr_id=9, nhr_type=6, nhr_flags=0x401, nhr_nh_list=(1,)), EINVAL),
        (discard(9).replace(h_op=GET), ENOENT),
        (discard(-1).replace(h_op=GET), ENODEV),
        (discard(9).replace(h_op=DEL), EINVAL),
        (discard(9).replace(h_op=RESET), EOPNOTSUPP),
    ],
)
def test_nexthop_codes(stage: Stage, request_: VrNexthopReq, code: int) -> None:
    for there in (fabric(), vif(3)):
        assert stage.code(there) == 0
    assert stage.code(request_) == code


def test_nexthop_0_is_there_from_the_start_and_after_a_reset(stage: Stage) -> None:
    request = VrNexthopReq(h_op=GET, nhr_id=0)
    before = stage.get(request)
    assert isinstance(before, VrNexthopReq)
    assert (before.nhr_type, before.nhr_flags) == (5, 1)
    assert stage.code(VrouterOps(h_op=RESET)) == 0
    assert stage.get(request) == before


def test_nexthop_dump(stage: Stage) -> None:
    for nh_id in range(1, 60):
        assert stage.code(discard(nh_id)) == 0
    request = VrNexthopReq(h_op=DUMP, nhr_marker=-1)
    rows = dump(stage, request, VrNexthopReq, lambda row: {"nhr_marker": row.nhr_id})
    assert [row.nhr_id for row in rows] == list(range(60))


def test_a_dump_cuts_long_composites_and_tells_their_length(stage: Stage) -> None:
    members = tuple(range(1, 41))
    for nh_id in members:
        assert stage.code(discard(nh_id)) == 0
    composite = VrNexthopReq(
        nhr_id=50, nhr_type=6, nhr_family=2, nhr_flags=0x401, nhr_nh_list=members,
        nhr_label_list=(-1,) * 40,
    )  # fmt: skip
    assert stage.code(composite) == 0
    rows = dump(
        stage,
        VrNexthopReq(h_op=DUMP, nhr_marker=49),
        VrNexthopReq,
        lambda row: {"nhr_marker": row.nhr_id},
    )
    assert [(row.nhr_nh_list, row.nhr_nh_count) for row in rows] == [(members[:16], 40)]
    whole = stage.get(VrNexthopReq(h_op=GET, nhr_id=50))
    assert isinstance(whole, VrNexthopReq)
    assert (whole.nhr_nh_list, whole.nhr_nh_count) == (members, 40)


@pytest.mark.parametrize(("valid", "taken"), [((), 0), ((1, 1), 0), ((0, 1), 1)])
def test_of_several_underlay_paths_one_is_used(
    stage: Stage, valid: tuple[int, ...], taken: int
) -> None:
    headers = (VM + MAC + b"\x08\x00", MAC + VM + b"\x08\x00")
    fabrics = (fabric(), vif(1, vifr_type=2, vifr_name="fab1"))
    tunnel_ = tunnel(
        6,
        nhr_flags=0x10000041,
        nhr_encap=b"".join(headers),
        nhr_encap_len=14,
        nhr_encap_oif_id=(0, 1),
        nhr_encap_valid=valid,
    )
    route = bridge(VM, 6, rtr_label=9, rtr_label_flags=2)
    for message in (*fabrics, vif(3, vifr_vrf=1), tunnel_, route):
        assert stage.code(message) == 0
    stage.datapath.set_capture(True)
    stage.datapath.inject(3, VM + bytes((2, 0, 0, 0, 0, 9)) + b"\x12\x34" + bytes(46))
    ((out, frame, _),) = stage.datapath.captured()
    assert (out, frame[:14], frame[14]) == (taken, headers[taken], 0x45)
    found = stage.get(VrNexthopReq(h_op=GET, nhr_id=6))
    assert isinstance(found, VrNexthopReq)
    assert (found.nhr_encap, found.nhr_encap_len) == (b"".join(headers), 14)


def test_references_are_counted(stage: Stage) -> None:
    def count() -> int:
        found = stage.get(VrNexthopReq(h_op=GET, nhr_id=9))
        assert isinstance(found, VrNexthopReq)
        return found.nhr_ref_cnt

    assert stage.code(discard(9)) == 0
    users: list[tuple[Message, Message]] = [
        (VrMplsReq(mr_label=20, mr_nhid=9), VrMplsReq(h_op=DEL, mr_label=20)),
        (VrVxlanReq(vxlanr_vnid=5, vxlanr_nhid=9), VrVxlanReq(h_op=DEL, vxlanr_vnid=5)),
        (VrMirrorReq(mirr_index=1, mirr_nhid=9), VrMirrorReq(h_op=DEL, mirr_index=1)),
        (inet("10.0.0.0/24", 9), inet("10.0.0.0/24", 0, h_op=DEL)),
        (bridge(VM, 9), bridge(VM, 9, h_op=DEL)),
        (
            VrNexthopReq(
                nhr_id=10, nhr_type=6, nhr_flags=0x401, nhr_family=2, nhr_nh_list=(9,),
                nhr_label_list=(-1,),
            ),
            VrNexthopReq(h_op=DEL, nhr_id=10),
        ),
    ]  # fmt: skip
    for number, (add, _) in enumerate(users, start=2):
        assert stage.code(add) == 0
        assert count() == number
        assert stage.code(add) == 0  # a second time changes nothing
        assert count() == number
    for number, (_, delete) in enumerate(users, start=1):
        assert stage.code(delete) == 0
        assert count() == len(users) + 1 - number
    assert not stage.control.records.nexthop_users


def test_references_to_what_never_was_leave_nothing_behind(stage: Stage) -> None:
    for _ in range(2):
        several = VrNexthopReq(
            nhr_id=10, nhr_type=6, nhr_family=2, nhr_flags=0x401,
            nhr_nh_list=tuple(range(1000, 1050)), nhr_label_list=(-1,) * 50,
        )  # fmt: skip
        for message in (several, discard(11).replace(nhr_encap_oif_id=(7, 8))):
            assert stage.code(message) == 0
        for nh_id in (10, 11):
            assert stage.code(VrNexthopReq(h_op=DEL, nhr_id=nh_id)) == 0
    assert not stage.control.records.nexthop_users
    assert not stage.control.records.vif_users


# --- labels and VNIs


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (VrMplsReq(mr_label=20, mr_nhid=0), 0),
        (VrMplsReq(mr_label=20, mr_nhid=99), EINVAL),
        (VrMplsReq(mr_label=SMALL.labels, mr_nhid=0), EINVAL),
        (VrMplsReq(mr_label=-1, mr_nhid=0), EINVAL),
        (VrMplsReq(h_op=GET, mr_label=20), ENOENT),
        (VrMplsReq(h_op=GET, mr_label=-5), ENOENT),
        (VrMplsReq(h_op=DEL, mr_label=20), 0),
        (VrVxlanReq(vxlanr_vnid=7, vxlanr_nhid=0), 0),
        (VrVxlanReq(vxlanr_vnid=7, vxlanr_nhid=99), EINVAL),
        (VrVxlanReq(vxlanr_vnid=1 << 24, vxlanr_nhid=0), EINVAL),
        (VrVxlanReq(vxlanr_vnid=-1, vxlanr_nhid=0), EINVAL),
        (VrVxlanReq(h_op=GET, vxlanr_vnid=7), ENOENT),
        (VrVxlanReq(h_op=DEL, vxlanr_vnid=7), 0),
    ],
)
def test_label_and_vni_codes(stage: Stage, request_: Message, code: int) -> None:
    assert stage.code(request_) == code


def test_a_refused_label_change_has_removed_the_old_entry(stage: Stage) -> None:
    assert stage.code(VrMplsReq(mr_label=20, mr_nhid=0)) == 0
    assert stage.code(VrMplsReq(mr_label=20, mr_nhid=99)) == EINVAL
    assert stage.code(VrMplsReq(h_op=GET, mr_label=20)) == ENOENT


def test_label_get_and_dump(stage: Stage) -> None:
    labels = [*range(16, 200), 5119]
    for label in labels:
        assert stage.code(VrMplsReq(mr_label=label, mr_nhid=0)) == 0
    assert stage.get(VrMplsReq(h_op=GET, mr_label=17)) == VrMplsReq(h_op=GET, mr_label=17)
    request = VrMplsReq(h_op=DUMP, mr_marker=-1)
    rows = dump(stage, request, VrMplsReq, lambda row: {"mr_marker": row.mr_label})
    assert [row.mr_label for row in rows] == labels


def test_vni_dump_starts_at_0(stage: Stage) -> None:
    vnis = [0, *range(5, 200), 0xFFFFFF]
    for vni in vnis:
        assert stage.code(VrVxlanReq(vxlanr_vnid=vni, vxlanr_nhid=0)) == 0
    request = VrVxlanReq(h_op=DUMP, vxlanr_vnid=0)
    rows = dump(stage, request, VrVxlanReq, lambda row: {"vxlanr_vnid": row.vxlanr_vnid})
    assert [row.vxlanr_vnid for row in rows] == vnis


# --- routes


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (inet("10.0.0.0/24", 0), 0),
        (inet("10.0.0.0/24", 99), ENOENT),
        (inet("10.0.0.0/33", 0), EINVAL),
        (inet("10.0.0.0/24", 0).replace(rtr_prefix=b""), EINVAL),
        (inet("10.0.0.0/24", 0).replace(rtr_prefix=bytes(16)), EINVAL),
        (inet("10.0.0.0/24", 0).replace(rtr_vrf_id=SMALL.vrfs), EINVAL),
        (inet("10.0.0.0/24", 0).replace(rtr_vrf_id=-1), EINVAL),
        (inet("10.0.0.0/24", 0).replace(rtr_family=99), ENOENT),
        (inet("10.0.0.0/24", 22), EINVAL),
        (inet("10.0.0.0/24", 22, rtr_label_flags=1, rtr_label=20), 0),
        (inet("10.0.0.1/32", 0, rtr_mac=VM), ENOENT),
        (inet("10.0.0.1/32", 0, rtr_mac=VM[:3]), EINVAL),
        (inet("10.0.0.0/24", 99, h_op=DEL), ENOENT),
        (bridge(VM, 0), 0),
        (bridge(VM, 99), ENOENT),
        (bridge(VM[:5], 0), EINVAL),
        (bridge(bytes(6), 0), EINVAL),
        (bridge(VM, 0, h_op=GET), ENOENT),
        (bridge(VM, 0, h_op=DEL), ENOENT),
        (bridge(bytes(6), 0, h_op=GET), ENOENT),
        (bridge(b"", 0, h_op=DUMP), EINVAL),
        (inet("10.0.0.0/24", 0, h_op=DUMP, rtr_marker=bytes(3)), EINVAL),
    ],
)
def test_route_codes(stage: Stage, request_: VrRouteReq, code: int) -> None:
    for there in (fabric(), tunnel(22)):
        assert stage.code(there) == 0
    assert stage.code(request_) == code


def test_route_get_is_the_longest_match_and_never_fails(stage: Stage) -> None:
    for nh_id in (5, 6):
        assert stage.code(discard(nh_id)) == 0
    assert stage.code(bridge(VM, 5)) == 0
    assert stage.code(inet("10.1.0.0/16", 5, rtr_label_flags=4)) == 0
    assert stage.code(inet("10.1.2.3/32", 6, rtr_label_flags=2, rtr_mac=VM)) == 0

    def get(prefix: str) -> VrRouteReq:
        found = stage.get(inet(prefix, 0, h_op=GET))
        assert isinstance(found, VrRouteReq)
        return found

    exact = get("10.1.2.3/32")
    assert (exact.rtr_nh_id, exact.rtr_label_flags, exact.rtr_mac) == (6, 2, VM)
    assert exact.rtr_index >= 0
    covered = get("10.1.2.4/32")
    assert (covered.rtr_nh_id, covered.rtr_label_flags, covered.rtr_mac) == (5, 4, b"")
    nothing = get("11.0.0.1/32")
    assert (nothing.rtr_nh_id, nothing.rtr_label, nothing.rtr_replace_plen) == (0, 0xFFFFFF, 0)


def test_the_covering_route_given_with_a_delete_shows_again(stage: Stage) -> None:
    for nh_id in (5, 6):
        assert stage.code(discard(nh_id)) == 0
    assert stage.code(inet("10.1.0.0/16", 5, rtr_label_flags=2)) == 0
    assert stage.code(inet("10.1.2.3/32", 6)) == 0
    delete = inet("10.1.2.3/32", 5, h_op=DEL, rtr_label_flags=2, rtr_replace_plen=16)
    assert stage.code(delete) == 0
    found = stage.get(inet("10.1.2.3/32", 0, h_op=GET))
    assert isinstance(found, VrRouteReq)
    assert (found.rtr_nh_id, found.rtr_label_flags) == (5, 2)


def programmed(rows: list[VrRouteReq]) -> set[tuple[bytes, int, int]]:
    """(prefix, length, nexthop) of the routes that the leaves show."""
    routes = set()
    for row in rows:
        if row.rtr_replace_plen or row.rtr_nh_id:
            bits = 8 * len(row.rtr_prefix)
            mask = ((1 << bits) - 1) ^ ((1 << (bits - row.rtr_replace_plen)) - 1)
            network = int.from_bytes(row.rtr_prefix, "big") & mask
            routes.add((network.to_bytes(bits // 8, "big"), row.rtr_replace_plen, row.rtr_nh_id))
    return routes


@pytest.mark.parametrize("family", [2, 10])
def test_route_dump_shows_every_route(stage: Stage, family: int) -> None:
    assert stage.code(discard(5)) == 0
    size = 4 if family == 2 else 16
    added = {
        (bytes((10, second)) + bytes(size - 2), length, 5)
        for second, length in ((2, 15), (4, 16), (8, 24), (9, 8 * size), (200, 13))
    }
    for prefix, length, nexthop in added:
        route = VrRouteReq(
            rtr_vrf_id=1, rtr_family=family, rtr_prefix=prefix, rtr_prefix_len=length,
            rtr_nh_id=nexthop,
        )  # fmt: skip
        assert stage.code(route) == 0
    rows = dump(
        stage,
        VrRouteReq(h_op=DUMP, rtr_vrf_id=1, rtr_family=family),
        VrRouteReq,
        lambda row: {"rtr_marker": row.rtr_prefix, "rtr_marker_plen": row.rtr_prefix_len},
    )
    assert programmed(rows) == added
    keys = [row.rtr_prefix for row in rows]
    assert keys == sorted(set(keys))


def test_bridge_dump_shows_every_entry_of_its_vrf_once(stage: Stage) -> None:
    macs = {b"\x02" + number.to_bytes(5, "big") for number in range(300)}
    for mac in macs:
        assert stage.code(bridge(mac, 0)) == 0
        assert stage.code(bridge(mac, 0).replace(rtr_vrf_id=2)) == 0
    rows = dump(
        stage,
        bridge(bytes(6), 0, h_op=DUMP),
        VrRouteReq,
        lambda row: {"rtr_mac": row.rtr_mac},
    )
    assert len(rows) == 300
    assert {row.rtr_mac for row in rows} == macs
    assert {row.rtr_vrf_id for row in rows} == {1}


# --- the rest


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (VrMirrorReq(mirr_index=1), 0),
        (VrMirrorReq(mirr_index=255), EINVAL),
        (VrMirrorReq(mirr_index=-1), EINVAL),
        (VrMirrorReq(mirr_index=1, mirr_nhid=99), EINVAL),
        (VrMirrorReq(h_op=DEL, mirr_index=1), EINVAL),
        (VrMirrorReq(h_op=GET, mirr_index=1), ENOENT),
        (VrVrfReq(vrf_idx=1, vrf_flags=1), 0),
        (VrVrfReq(vrf_idx=SMALL.vrfs), EINVAL),
        (VrVrfReq(vrf_idx=1, vrf_flags=2, vrf_hbfl_vif_idx=77), EINVAL),
        (VrVrfReq(h_op=DEL, vrf_idx=1), EINVAL),
        (VrVrfReq(h_op=GET, vrf_idx=1), ENOENT),
        (VrVrfAssignReq(var_vif_index=77, var_vlan_id=5, var_vif_vrf=1), EINVAL),
        (VrVrfAssignReq(var_vif_index=3, var_vlan_id=1024, var_vif_vrf=1), EINVAL),
        (VrVrfAssignReq(var_vif_index=3, var_vlan_id=5, var_vif_vrf=1), 0),
        (VrVrfAssignReq(h_op=GET, var_vif_index=3), EINVAL),
        (VrVrfAssignReq(h_op=DUMP, var_vif_index=77), EINVAL),
        (VrVrfAssignReq(h_op=99), EINVAL),
        (VrQosMapReq(qmr_id=4096), EINVAL),
        (VrQosMapReq(qmr_id=1, qmr_dscp=b"\1"), EINVAL),
        (VrQosMapReq(qmr_id=1, qmr_dscp=b"\1", qmr_dscp_fc_id=b"\2"), 0),
        (VrQosMapReq(h_op=GET, qmr_id=1), ENOENT),
        (VrQosMapReq(h_op=DEL, qmr_id=1), 0),
        (VrQosMapReq(h_op=99), EINVAL),
        (VrFcMapReq(fmr_id=(1,)), EINVAL),
        (VrFcMapReq(h_op=GET, fmr_id=(1,)), ENOENT),
        (VrFcMapReq(h_op=GET), ENOENT),
        (VrFcMapReq(h_op=99), EINVAL),
        (VrFlowReq(fr_op=FlowOp.FLOW_LIST), EINVAL),
        (VrouterOps(h_op=DEL), EOPNOTSUPP),
        (VrPktDropLogReq(h_op=DEL), EOPNOTSUPP),
        (VrInfoReq(h_op=DEL), EOPNOTSUPP),
        (VrHugepageConfig(vhp_op=GET), EOPNOTSUPP),
        (VrResponse(h_op=4), -1),
        (VrFlowResponse(), -1),
        (VrVrfStatsReq(h_op=GET, vsr_vrf=SMALL.vrfs), ENOENT),
    ],
)
def test_other_codes(stage: Stage, request_: Message, code: int) -> None:
    assert stage.code(vif(3)) == 0
    assert stage.code(request_) == code


@pytest.mark.parametrize("kind", [VrRouteReq, VrMplsReq, VrVxlanReq, VrMirrorReq, VrVrfReq])
@pytest.mark.parametrize("operation", [4, 5, 99, -1])
def test_unknown_operations_that_get_no_answer(
    stage: Stage, kind: type[Message], operation: int
) -> None:
    assert stage.ask(kind(h_op=operation)) == []


def test_unknown_vrf_statistics_operations_get_no_answer(stage: Stage) -> None:
    assert stage.ask(VrVrfStatsReq(h_op=ADD)) == []


@pytest.mark.parametrize("kind", [VrDropStatsReq, VrMemStatsReq])
def test_statistics_with_a_wrong_operation_answer_twice(stage: Stage, kind: type[Message]) -> None:
    ((refused,), (response, stats)) = stage.ask(kind(h_op=DUMP))
    assert refused == VrResponse(h_op=4, resp_code=EOPNOTSUPP)
    assert response == VrResponse(h_op=4)
    assert isinstance(stats, kind)


def test_objects_come_back_as_they_were_given(stage: Stage) -> None:
    assert stage.code(vif(3)) == 0
    there: list[tuple[Message, dict[str, Any], dict[str, Any]]] = [
        (VrMirrorReq(mirr_index=4, mirr_vni=9), {"mirr_index": 4}, {"mirr_users": 1}),
        (VrVrfReq(vrf_idx=4, vrf_flags=1), {"vrf_idx": 4}, {"h_op": 0}),
        (
            VrQosMapReq(qmr_id=4, qmr_dscp=b"\1\2", qmr_dscp_fc_id=b"\3\4"),
            {"qmr_id": 4},
            {"h_op": 0},
        ),
    ]
    for request, key, filled in there:
        assert stage.code(request) == 0
        found = stage.get(type(request)(h_op=GET, **key))
        assert found == request.replace(**{"h_op": GET, **filled})


def test_forwarding_classes_come_in_lists_and_go_out_one_by_one(stage: Stage) -> None:
    add = VrFcMapReq(
        fmr_id=(1, 2), fmr_dscp=b"\x0a\x0b", fmr_mpls_qos=b"\1\2", fmr_dotonep=b"\3\4",
        fmr_queue_id=b"\5\6",
    )  # fmt: skip
    assert stage.code(add) == 0
    second = stage.get(VrFcMapReq(h_op=GET, fmr_id=(2,)))
    assert isinstance(second, VrFcMapReq)
    assert (second.fmr_id, second.fmr_dscp, second.fmr_queue_id) == ((2,), b"\x0b", b"\6")
    (_, rows) = stage.ask(VrFcMapReq(h_op=DUMP, fmr_marker=-1))
    assert len(rows) == 2
    assert stage.code(VrFcMapReq(h_op=DEL, fmr_id=(1, 2))) == 0
    assert stage.code(VrFcMapReq(h_op=DUMP, fmr_marker=-1)) == 0


def test_limits(stage: Stage) -> None:
    found = stage.get(VrouterOps(h_op=GET))
    assert isinstance(found, VrouterOps)
    assert (found.vo_interfaces, found.vo_vrfs, found.vo_nexthops) == (300, 64, 4096)
    assert (found.vo_mpls_labels, found.vo_mirror_entries) == (5120, 255)
    assert (found.vo_flow_entries, found.vo_oflow_entries) == (1024, 1024)
    assert (found.vo_bridge_entries, found.vo_oflow_bridge_entries) == (1024, 1024)
    assert found.vo_flow_hold_limit == 8192
    assert "build-version" in found.vo_build_info


def test_tunables_change_unless_they_are_minus_1(stage: Stage) -> None:
    unchanged = {name: -1 for name in VrouterOps.FIELDS[15:29] if name.startswith("vo_")}
    tune = VrouterOps(h_op=ADD, **{**unchanged, "vo_flow_hold_limit": 77, "vo_packet_dump": -1})
    assert stage.code(tune.replace(vo_priority_tagging=1)) == 0
    found = stage.get(VrouterOps(h_op=GET))
    assert isinstance(found, VrouterOps)
    assert (found.vo_flow_hold_limit, found.vo_perfr, found.vo_priority_tagging) == (77, 1, 1)
    assert stage.code(tune) == 0
    found = stage.get(VrouterOps(h_op=GET))
    assert isinstance(found, VrouterOps)
    assert found.vo_priority_tagging == 0


def test_the_mss_tunable_reaches_the_data_plane(stage: Stage) -> None:
    guests = (vif(3, vifr_vrf=1), vif(4, vifr_vrf=1))
    for message in (fabric(), *guests, encap(5, 4, nhr_family=7), bridge(VM, 5)):
        assert stage.code(message) == 0
    options = bytes.fromhex("020405b4")
    tcp = struct.pack(">HHIIBBHHH", 1000, 80, 1, 0, 0x60, 2, 65535, 0, 0) + options
    packet = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 7, 0, 64, 6, 0) + bytes(8) + tcp
    syn = VM + bytes((2, 0, 0, 0, 0, 9)) + b"\x08\0" + packet
    stage.datapath.set_capture(True)
    lowered = []
    for value in (0, -1, 1):
        assert stage.code(VrouterOps(h_op=ADD, vo_from_vm_mss_adj=value)) == 0
        stage.datapath.inject(3, syn)
        ((_, sent, _),) = stage.datapath.captured()
        lowered.append(sent != syn)
    assert lowered == [False, False, True]


def test_reset_forgets_every_object(stage: Stage) -> None:
    for message in (fabric(), vif(3), discard(5), bridge(VM, 5), inet("10.0.0.0/24", 5)):
        assert stage.code(message) == 0
    assert stage.code(VrouterOps(h_op=RESET)) == 0
    assert stage.code(VrInterfaceReq(h_op=DUMP, vifr_marker=-1)) == 0
    assert stage.code(VrNexthopReq(h_op=GET, nhr_id=5)) == ENOENT
    assert stage.code(bridge(VM, 0, h_op=GET)) == ENOENT
    found = stage.get(inet("10.0.0.0/24", 0, h_op=GET))
    assert isinstance(found, VrRouteReq)
    assert found.rtr_nh_id == 0
    assert stage.code(vif(3)) == 0


def test_huge_pages_come_too_late(stage: Stage) -> None:
    ((response, found),) = stage.ask(VrHugepageConfig(vhp_op=ADD))
    assert response == VrResponse(h_op=4, resp_code=EEXIST)
    assert isinstance(found, VrHugepageConfig)
    assert found.vhp_resp == 0xFFFFFFFC


def test_table_requests_with_a_wrong_operation_are_refused_and_echoed(stage: Stage) -> None:
    for request in (VrBridgeTableData(btable_op=2), VrFlowTableData(ftable_op=1)):
        ((response, found),) = stage.ask(request)
        assert response == VrResponse(h_op=4, resp_code=EINVAL)
        assert found == request


def test_every_reason_but_the_first_has_its_counter() -> None:
    assert DROP_FIELDS[0] is None
    named = [field for field in DROP_FIELDS if field is not None]
    assert len(named) == len(set(named)) >= 53


def flow(**fields: Any) -> VrFlowReq:
    return VrFlowReq(
        **{
            "fr_op": FlowOp.FLOW_SET,
            "fr_index": -1,
            "fr_family": 2,
            "fr_flow_proto": 6,
            "fr_flow_sip_l": 0x0300000F,
            "fr_flow_dip_l": 0x0900000F,
            "fr_flow_sport": 0x5000,
            "fr_flow_dport": 0xBB01,
            "fr_flow_nh_id": 24,
            "fr_flags": 1,
            "fr_action": 2,
            "fr_mir_id": 255,
            "fr_sec_mir_id": 255,
            "fr_ecmp_nh_index": 0xFFFFFFFF,
            "fr_rindex": -1,
            **fields,
        }
    )


def test_flow_set_change_and_delete(stage: Stage) -> None:
    ((response, added),) = stage.ask(flow())
    assert response == VrResponse(h_op=4)
    assert isinstance(added, VrFlowResponse)
    known = {"fr_index": added.fresp_index, "fr_gen_id": added.fresp_gen_id}
    ((response, again),) = stage.ask(flow(**known, fr_action=0))
    assert response == VrResponse(h_op=4)
    assert isinstance(again, VrFlowResponse)
    assert (again.fresp_index, again.fresp_gen_id) == (added.fresp_index, added.fresp_gen_id)
    ((wrong, _),) = stage.ask(flow(**{**known, "fr_gen_id": 77}))
    assert wrong == VrResponse(h_op=4, resp_code=-errno.EBADF)
    ((wrong, _),) = stage.ask(flow(**known, fr_flow_sport=1))
    assert wrong == VrResponse(h_op=4, resp_code=-errno.EFAULT)
    ((response, deleted),) = stage.ask(flow(**known, fr_flags=0))
    assert response == VrResponse(h_op=4)
    assert isinstance(deleted, VrFlowResponse)
    assert deleted.fresp_flags == 1


def test_several_requests_are_executed_in_order_and_a_refused_one_stops_nothing(
    stage: Stage,
) -> None:
    replies = stage.ask(
        discard(5),
        VrMplsReq(mr_label=61, mr_nhid=5),
        VrMplsReq(mr_label=62, mr_nhid=4001),
        VrMplsReq(mr_label=63, mr_nhid=5),
    )
    assert replies == [[VrResponse(h_op=4, resp_code=code)] for code in (0, 0, EINVAL, 0)]


def test_what_follows_bytes_that_are_no_message_is_not_executed(stage: Stage) -> None:
    payload = discard(5).encode() + b"\0\0\0\x05bogus\0" + discard(6).encode()
    codes = [decode_messages(reply)[0] for reply in answer(stage.control, payload)]
    assert codes == [VrResponse(h_op=4), VrResponse(h_op=4, resp_code=-1)]
    assert stage.code(VrNexthopReq(h_op=GET, nhr_id=6)) == ENOENT


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_get_an_answer(stage: Stage, payload: bytes) -> None:
    for reply in answer(stage.control, payload):
        assert decode_messages(reply)


NUMBERS = st.sampled_from(
    [-(1 << 63), -(1 << 31), -(1 << 15), -128, -1, 0, 1, 3, 7, 127, 255, 4096, 65535, 1 << 24,
     (1 << 31) - 1, (1 << 32) - 1, (1 << 63) - 1, (1 << 64) - 1]
)  # fmt: skip
LISTS = st.lists(st.integers(-128, 127), max_size=20)


@given(st.data())
@settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_any_fields_get_an_answer(stage: Stage, data: st.DataObject) -> None:
    """Whatever numbers a message carries, it gets a code, and the process lives on."""
    kind = data.draw(st.sampled_from(sorted(HANDLERS, key=lambda kind: kind.NAME)))
    message = kind()
    for name in kind.FIELDS:
        held = getattr(message, name)
        if isinstance(held, str):
            value: Any = data.draw(st.text(max_size=20))
        elif isinstance(held, int):
            value = data.draw(NUMBERS | st.integers(0, 8))
        else:
            value = data.draw(LISTS)
        try:
            message = message.replace(**{name: value})
        except Exception:
            continue  # a number that this field cannot hold
    if kind in (VrInterfaceReq,) and message.vifr_type == 0:  # type: ignore[attr-defined]
        message = message.replace(vifr_type=3)
    requests = [message]
    if "h_op" in kind.FIELDS:
        requests += [message.replace(h_op=operation) for operation in (ADD, GET, DUMP)]
    for request in requests:
        for reply in answer(stage.control, request.encode()):
            response = decode_messages(reply)[0]
            assert getattr(response, "resp_code", 0) != -errno.EIO
