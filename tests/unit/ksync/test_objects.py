"""Slots, delete messages, and what a change cannot do."""

from __future__ import annotations

import errno

import pytest

from agent.errors import BugError
from agent.ksync.objects import (
    delete_of,
    identity_of,
    means_absent,
    needs_recreation,
)
from agent.objects import Identity, Kind
from agent.sandesh.vrouter import (
    SandeshOp,
    VrFcMapReq,
    VrInterfaceReq,
    VrMirrorReq,
    VrMplsReq,
    VrNexthopReq,
    VrQosMapReq,
    VrResponse,
    VrRouteReq,
    VrVrfAssignReq,
    VrVrfReq,
    VrVxlanReq,
)

INET = VrRouteReq(
    rtr_vrf_id=2,
    rtr_family=2,
    rtr_prefix=b"\x0f\0\0\x03",
    rtr_prefix_len=32,
    rtr_nh_id=14,
    rtr_label=3,
    rtr_label_flags=7,
    rtr_mac=b"\x02\0\0\0\0\x01",
)
BRIDGE = VrRouteReq(
    rtr_vrf_id=2, rtr_family=7, rtr_mac=b"\x02\0\0\0\0\x01", rtr_nh_id=9, rtr_label_flags=2
)


@pytest.mark.parametrize(
    ("message", "kind", "number"),
    [
        (VrInterfaceReq(vifr_idx=3), Kind.VIF, 3),
        (VrNexthopReq(nhr_id=14), Kind.NEXTHOP, 14),
        (VrMplsReq(mr_label=23), Kind.LABEL, 23),
        (VrVxlanReq(vxlanr_vnid=5), Kind.VXLAN, 5),
        (VrVrfReq(vrf_idx=2), Kind.VRF, 2),
        (VrMirrorReq(mirr_index=1), Kind.MIRROR, 1),
        (VrVrfAssignReq(var_vif_index=4, var_vlan_id=10), Kind.VRF_ASSIGN, (4, 10)),
        (VrQosMapReq(qmr_id=6), Kind.QOS_MAP, 6),
        (VrFcMapReq(fmr_id=(8,)), Kind.FORWARDING_CLASS, 8),
        (INET, Kind.INET_ROUTE, (2, 2, b"\x0f\0\0\x03", 32)),
        (BRIDGE, Kind.BRIDGE_ROUTE, (2, b"\x02\0\0\0\0\x01")),
    ],
)
def test_identity(message, kind, number):
    assert identity_of(message) == Identity(kind, number)


@pytest.mark.parametrize(
    ("identity", "text"),
    [
        (Identity(Kind.NEXTHOP, 5), "nexthop 5"),
        (Identity(Kind.INET_ROUTE, (2, 2, b"\x0a\1\0\0", 16)), "route 10.1.0.0/16 of VRF 2"),
        (Identity(Kind.INET_ROUTE, (2, 10, bytes(16), 0)), "route ::/0 of VRF 2"),
        (Identity(Kind.BRIDGE_ROUTE, (3, bytes(6))), "bridge 00:00:00:00:00:00 of VRF 3"),
        (Identity(Kind.VRF_ASSIGN, (4, 10)), "vrf-assign VLAN 10 of vif 4"),
    ],
)
def test_what_users_see_of_a_slot(identity, text):
    assert str(identity) == text


def test_host_bits_of_a_prefix_do_not_make_another_route():
    one = INET.replace(rtr_prefix=b"\x0f\0\0\x03", rtr_prefix_len=24)
    other = INET.replace(rtr_prefix=b"\x0f\0\0\xff", rtr_prefix_len=24)
    assert identity_of(one) == identity_of(other)


@pytest.mark.parametrize("message", [VrResponse(), VrFcMapReq()])
def test_a_message_that_is_no_object_is_a_bug(message):
    with pytest.raises(BugError, match="no datapath object"):
        identity_of(message)


@pytest.mark.parametrize("plen", [-1, 33])
def test_a_prefix_length_that_cannot_be_is_a_bug(plen):
    with pytest.raises(BugError, match="no length"):
        identity_of(INET.replace(rtr_prefix_len=plen))


@pytest.mark.parametrize(
    ("add", "delete"),
    [
        (VrInterfaceReq(vifr_idx=3, vifr_name="t"), VrInterfaceReq(h_op=2, vifr_idx=3)),
        (VrNexthopReq(nhr_id=14, nhr_type=2), VrNexthopReq(h_op=2, nhr_id=14)),
        (VrMplsReq(mr_label=23, mr_nhid=14), VrMplsReq(h_op=2, mr_label=23, mr_nhid=14)),
        (
            VrVxlanReq(vxlanr_vnid=5, vxlanr_nhid=8),
            VrVxlanReq(h_op=2, vxlanr_vnid=5, vxlanr_nhid=8),
        ),
        (VrVrfReq(vrf_idx=2, vrf_flags=6), VrVrfReq(h_op=2, vrf_idx=2)),
        (VrMirrorReq(mirr_index=1, mirr_nhid=4), VrMirrorReq(h_op=2, mirr_index=1)),
        (
            VrVrfAssignReq(var_vif_index=4, var_vlan_id=10, var_vif_vrf=3),
            VrVrfAssignReq(h_op=2, var_vif_index=4, var_vlan_id=10),
        ),
        (VrQosMapReq(qmr_id=6, qmr_dscp=b"\1"), VrQosMapReq(h_op=2, qmr_id=6)),
        (VrFcMapReq(fmr_id=(8,), fmr_dscp=b"\1"), VrFcMapReq(h_op=2, fmr_id=(8,))),
        (BRIDGE, BRIDGE.replace(h_op=2)),
    ],
)
def test_delete_names_no_more_than_the_slot(add, delete):
    assert delete_of(add) == delete


def test_deleting_an_inet_route_shows_the_covering_one():
    cover = INET.replace(
        rtr_prefix=b"\x0f\0\0\0",
        rtr_prefix_len=24,
        rtr_nh_id=1,
        rtr_label=77,
        rtr_label_flags=9,
        rtr_mac=b"",
    )
    expected = INET.replace(
        h_op=SandeshOp.DEL,
        rtr_nh_id=1,
        rtr_label=77,
        rtr_label_flags=9,
        rtr_mac=b"",
        rtr_replace_plen=24,
    )
    assert delete_of(INET, cover) == expected


def test_deleting_an_inet_route_without_cover_shows_discard():
    delete = delete_of(INET)
    assert isinstance(delete, VrRouteReq)
    assert (delete.rtr_nh_id, delete.rtr_label, delete.rtr_label_flags) == (0, 0, 0)
    assert (delete.rtr_mac, delete.rtr_replace_plen) == (b"", 0)


@pytest.mark.parametrize(
    ("kind", "code", "absent"),
    [
        (Kind.NEXTHOP, errno.EINVAL, True),
        (Kind.NEXTHOP, errno.ENOENT, True),
        (Kind.NEXTHOP, errno.EBUSY, False),
        (Kind.VIF, errno.ENODEV, True),
        (Kind.VIF, errno.EINVAL, False),
        (Kind.BRIDGE_ROUTE, errno.ENOENT, True),
        (Kind.LABEL, errno.EINVAL, False),
        (Kind.VRF, errno.EINVAL, True),
    ],
)
def test_what_a_refused_delete_means(kind, code, absent):
    assert means_absent(kind, VrMplsReq(), code) is absent


def test_a_route_delete_that_lacks_its_replacement_has_not_happened():
    assert not means_absent(Kind.INET_ROUTE, delete_of(INET, INET), errno.ENOENT)
    assert means_absent(Kind.INET_ROUTE, delete_of(INET), errno.ENOENT)


VIF = VrInterfaceReq(
    vifr_idx=3, vifr_type=3, vifr_name="tap3", vifr_mac=b"\0" * 6, vifr_os_idx=12, vifr_transport=1
)
NEXTHOP = VrNexthopReq(nhr_id=14, nhr_type=2, nhr_flags=1, nhr_encap=bytes(14))


@pytest.mark.parametrize(
    ("old", "changes", "recreated"),
    [
        (VIF, {"vifr_type": 5}, True),
        (VIF, {"vifr_name": "tap4"}, True),
        (VIF, {"vifr_mac": b"\1" * 6}, True),
        (VIF, {"vifr_os_idx": 13}, True),
        (VIF, {"vifr_transport": 2}, True),
        (VIF, {"vifr_vhostuser_mode": 1}, True),
        (VIF, {"vifr_vrf": 5, "vifr_flags": 0x40, "vifr_mtu": 1400}, False),
        (VIF.replace(vifr_name="", vifr_os_idx=0, vifr_transport=0), VIF.to_dict(), False),
        (VIF.replace(vifr_type=2), {"vifr_mac": b"\1" * 6}, False),
        (NEXTHOP, {"nhr_type": 3}, True),
        (NEXTHOP, {"nhr_flags": 0x400001}, True),
        (NEXTHOP, {"nhr_encap": bytes(18)}, True),
        (NEXTHOP.replace(nhr_encap=b""), {"nhr_encap": bytes(18)}, False),
        (NEXTHOP, {"nhr_vrf": 7, "nhr_flags": 3, "nhr_encap": b"\1" * 14}, False),
        (INET, {"rtr_nh_id": 99, "rtr_label_flags": 0}, False),
    ],
)
def test_needs_recreation(old, changes, recreated):
    assert needs_recreation(old, old.replace(**changes)) is recreated


def test_a_dump_does_not_tell_who_serves_a_vhost_user_socket():
    wanted = VIF.replace(vifr_vhostuser_mode=1, vifr_vrf=5)
    assert not needs_recreation(VIF, wanted, dumped=True)
    assert needs_recreation(VIF, wanted.replace(vifr_transport=2), dumped=True)
