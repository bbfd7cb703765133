"""Nexthops, labels and VNIs by message: codes, references, dumps."""

from __future__ import annotations

import pytest

from agent.sandesh.vrouter import (
    Message,
    VrMirrorReq,
    VrMplsReq,
    VrNexthopReq,
    VrouterOps,
    VrVxlanReq,
)
from tests.unit.forwarder.requests import (
    DEL,
    DUMP,
    EINVAL,
    ENODEV,
    ENOENT,
    EOPNOTSUPP,
    GET,
    MAC,
    RESET,
    VM,
    bridge,
    discard,
    dump,
    encap,
    fabric,
    inet,
    stage,
    tunnel,
    vif,
)
from tests.unit.forwarder.stage import SMALL, Stage

__all__ = ["stage"]  # the fixture

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
