"""Recognising in a dump what was sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent._fast.records import routes_of_leaves
from agent.ksync.compare import content, is_ours, same, single_classes, uses
from agent.objects import Identity, Kind
from agent.sandesh import decode_messages
from agent.sandesh.framing import FrameReader
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
from tests.unit.ksync import world as w

CAPTURES = Path(__file__).parents[2] / "vectors" / "ksync-captures.jsonl"


def captured(tool, *args):
    """The objects of one captured conversation's answers."""
    objects = []
    for line in CAPTURES.read_text().splitlines():
        row = json.loads(line)
        if row["tool"] == tool and row["args"] == list(args) and row["dir"] == "rx":
            reader = FrameReader()
            reader.feed(bytes.fromhex(row["hex"]))
            for frame in reader:
                objects += decode_messages(frame.payload)
    return [each for each in objects if each.NAME != "vr_response"]


def test_a_captured_vif_is_recognised():
    dumped = captured("vif", "--get", "3")[0]
    sent = VrInterfaceReq(
        vifr_type=3,
        vifr_flags=524737,
        vifr_vrf=2,
        vifr_mcast_vrf=2,
        vifr_idx=3,
        vifr_name="tap03eb4be8-d8",
        vifr_mac=bytes.fromhex("00005e000100"),
        vifr_ip=50397441,
        vifr_ip6_u=3087860000,
        vifr_ip6_l=216172782113783808,
        vifr_nh_id=24,
        vifr_transport=2,
        vifr_qos_map_index=-1,
        vifr_os_idx=12,
    )
    assert same(dumped, sent)
    assert uses(dumped) == []
    for changes in (
        {"vifr_vrf": 3},
        {"vifr_nh_id": 25},
        {"vifr_ip": 1},
        {"vifr_flags": 0x41},
        {"vifr_name": "other"},
        {"vifr_mtu": 9000},
        {"vifr_mac": bytes(6)},
    ):
        assert not same(dumped, sent.replace(**changes)), changes


def test_a_captured_mirrored_fat_flow_vif_is_recognised():
    dumped = captured("vif", "--get", "4")[0]
    sent = dumped.replace(vifr_ref_cnt=0, vifr_speed=0, vifr_queue_ierrors_to_lcore=())
    assert same(dumped, sent)
    assert not same(dumped, sent.replace(vifr_out_mirror_md=b""))
    assert not same(dumped, sent.replace(vifr_fat_flow_protocol_port=()))
    assert Identity(Kind.MIRROR, 1) in uses(dumped)


@pytest.mark.parametrize("dumped", captured("nh", "--get", "40"))
def test_captured_nexthops_are_recognised(dumped):
    sent = dumped.replace(
        h_op=0, nhr_ref_cnt=0, nhr_encap_len=0, nhr_encap_family=0x0806, nhr_nh_count=0
    )
    if dumped.nhr_type == 6:
        sent = sent.replace(nhr_encap_oif_id=())
        assert not same(dumped, sent.replace(nhr_label_list=(-1, 24, -1, 17)))
        assert uses(dumped) == [Identity(Kind.NEXTHOP, i) for i in (24, 22, 20)]
    else:
        assert not same(dumped, sent.replace(nhr_encap=bytes(14)))
        assert [identity.kind for identity in uses(dumped)] == [Kind.VIF]
    assert same(dumped, sent)
    assert not same(dumped, sent.replace(nhr_flags=0x7))


def test_captured_leaves_are_routes():
    leaves = captured("rt", "--dump", "2")
    routes = {(r.rtr_prefix, r.rtr_prefix_len): r for r in routes_of_leaves(leaves)}
    default = routes[bytes(4), 0]
    assert (default.rtr_nh_id, default.rtr_label, default.rtr_label_flags) == (22, 16, 1)
    subnet = routes[b"\1\1\1\0", 24]
    assert same(subnet, subnet.replace(rtr_label=0))
    assert (subnet.rtr_nh_id, subnet.rtr_label_flags) == (1, 4)
    host = routes[b"\1\1\1\3", 32]
    assert (host.rtr_nh_id, host.rtr_mac) == (24, bytes.fromhex("0203eb4be8d8"))
    assert len(routes) < 40 < len(leaves)


def test_a_composite_that_the_dump_cut_is_never_known_to_be_right():
    sent = w.composite(40, *range(1, 21)).message
    dumped = sent.replace(
        nhr_nh_list=sent.nhr_nh_list[:16], nhr_label_list=sent.nhr_label_list[:16], nhr_nh_count=20
    )
    assert not same(dumped, sent)
    assert not same(dumped, dumped.replace(nhr_nh_count=0))
    whole = w.composite(40, *range(1, 17)).message
    assert same(whole.replace(nhr_nh_count=16), whole)


def test_leaves_of_one_route_that_disagree_are_written_again():
    leaf = VrRouteReq(
        rtr_vrf_id=2,
        rtr_family=2,
        rtr_prefix=b"\1\0\0\0",
        rtr_prefix_len=16,
        rtr_replace_plen=8,
        rtr_nh_id=5,
    )
    torn = routes_of_leaves([leaf, leaf.replace(rtr_prefix=b"\1\1\0\0", rtr_nh_id=6)])
    assert [(r.rtr_prefix, r.rtr_prefix_len, r.rtr_nh_id) for r in torn] == [(b"\1\0\0\0", 8, -1)]
    assert uses(torn[0]) == []


def test_empty_leaves_are_no_routes_but_a_route_to_nexthop_0_is():
    empty = VrRouteReq(rtr_vrf_id=2, rtr_family=2, rtr_prefix=bytes(4), rtr_prefix_len=8)
    assert routes_of_leaves([empty]) == []
    assert len(routes_of_leaves([empty.replace(rtr_replace_plen=8)])) == 1


@pytest.mark.parametrize(
    ("sent", "dumped"),
    [
        (w.vrf(2).message, {"vrf_flags": 7}),
        (VrMirrorReq(mirr_index=1, mirr_nhid=4), {"mirr_users": 3, "mirr_flags": 2}),
        (w.bridge(w.MAC, 5).message, {"rtr_label_flags": 1, "rtr_index": 4, "rtr_label": 9}),
        (w.bridge(w.MAC, 5, flags=6, label=5).message, {"rtr_label_flags": 7}),
        (w.route("1.0.0.0/8", 5, flags=2).message, {"rtr_label": 0xFFFFFF, "rtr_index": -1}),
        (w.route("1.0.0.0/8", 5, flags=1, label=-1).message, {"rtr_label": 0xFFFFFF}),
        (w.route("1.0.0.0/8", 5).message, {"rtr_mac": bytes(6)}),
        (w.vif(3, vifr_flags=0).message, {"vifr_flags": 0xC0 | 0x820022}),
        (
            VrNexthopReq(nhr_id=9, nhr_type=2, nhr_encap=b"\1", nhr_encap_oif_id=(3,)),
            {"nhr_encap": b"", "nhr_encap_oif_id": ()},
        ),
    ],
)
def test_what_the_datapath_keeps_or_drops_is_no_difference(sent, dumped):
    assert same(sent.replace(**dumped), sent)
    assert content(sent.replace(**dumped)) == content(sent)


@pytest.mark.parametrize(
    ("sent", "dumped"),
    [
        (VrMplsReq(mr_label=5, mr_nhid=1), {"mr_nhid": 2}),
        (VrVxlanReq(vxlanr_vnid=5, vxlanr_nhid=1), {"vxlanr_nhid": 2}),
        (w.bridge(w.MAC, 5, flags=6, label=5).message, {"rtr_label": 6}),
        (w.route("1.0.0.0/8", 5, flags=1, label=7).message, {"rtr_label": 8}),
        (w.route("1.0.0.0/32", 5, mac=w.MAC).message, {"rtr_mac": b""}),
        (VrVrfAssignReq(var_nh_id=4, var_vif_vrf=2), {"var_vif_vrf": 3}),
        (VrQosMapReq(qmr_dscp=b"\0\1", qmr_dscp_fc_id=b"\3\4"), {"qmr_dscp_fc_id": b"\3\5"}),
        (VrFcMapReq(fmr_id=(1,), fmr_dscp=b"\1"), {"fmr_dscp": b"\2"}),
        (VrVrfReq(vrf_hbfl_vif_idx=-1), {"vrf_hbfl_vif_idx": 4}),
        (VrNexthopReq(nhr_type=3, nhr_tun_dip=1), {"nhr_tun_dip": 2}),
        (w.vif(3).message, {"vifr_os_idx": 99}),
    ],
)
def test_what_decides_is_a_difference(sent, dumped):
    assert not same(sent.replace(**dumped), sent)


def test_what_belongs_to_the_datapath_is_left_alone():
    assert not is_ours(VrNexthopReq(nhr_id=0))
    assert not is_ours(VrInterfaceReq(vifr_idx=4353, vifr_type=7))
    assert is_ours(VrNexthopReq(nhr_id=1))
    assert is_ours(VrMplsReq())


def test_uses_of_small_objects():
    nexthop = [Identity(Kind.NEXTHOP, 4)]
    assert uses(VrMplsReq(mr_nhid=4)) == nexthop
    assert uses(VrVxlanReq(vxlanr_nhid=4)) == nexthop
    assert uses(VrMirrorReq(mirr_nhid=4)) == nexthop
    assert uses(VrVrfAssignReq(var_vif_index=3, var_nh_id=4)) == [Identity(Kind.VIF, 3), *nexthop]
    stitched = w.route("1.0.0.0/32", 4, mac=w.MAC).message
    assert uses(stitched) == [*nexthop, Identity(Kind.BRIDGE_ROUTE, (2, w.MAC))]
    assert uses(w.vif(3, vifr_type=6, vifr_parent_vif_idx=1, vifr_qos_map_index=2).message) == [
        Identity(Kind.QOS_MAP, 2),
        Identity(Kind.VIF, 1),
    ]
    assert uses(w.vrf(2).message) == []


def test_forwarding_classes_come_one_by_one():
    many = VrFcMapReq(
        fmr_id=(1, 2),
        fmr_dscp=b"\5\6",
        fmr_mpls_qos=b"\1\2",
        fmr_dotonep=b"\3\4",
        fmr_queue_id=b"\0\1",
    )
    assert [each.fmr_id for each in single_classes(many)] == [(1,), (2,)]
    assert single_classes(many)[1].fmr_dscp == b"\6"
    assert single_classes(many.replace(fmr_dscp=b"\5")) == []
