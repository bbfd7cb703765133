"""Sub-interfaces and service vifs, counters, and what messages may not set."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import Dot1Q, Ether

from tests.unit.forwarder.dataplane_frames import (
    FRAME,
    REMOTE_MAC,
    ether,
    mpls_udp,
    rig,
    routed,
    text,
    udp,
)
from tests.unit.forwarder.dataplane_rig import (
    AGENT,
    FABRIC,
    MAC1,
    MAC2,
    ROUTER_MAC,
    TAP1,
    TAP2,
    VHOST,
    Rig,
    address,
    new_datapath,
)

__all__ = ["rig"]  # the fixture

# --- sub-interfaces and service vifs


def test_sub_interface_takes_and_puts_its_tag(rig: Rig) -> None:
    sub_mac = bytes.fromhex("024444444444")
    assert rig.dp.vif_set(5, type=6, flags=0x1C0, vrf=1, parent=TAP1, vlan_id=10, ovlan_id=11) == 0
    rig.encap(80, 5, sub_mac, family=7)
    rig.dp.bridge_add(1, sub_mac, nh=80)
    packet = udp("15.0.0.10", "15.0.0.4")
    tagged = bytes(Ether(src=text(sub_mac), dst=text(MAC2)) / Dot1Q(vlan=10) / packet)
    assert rig.send(TAP1, tagged) == [(TAP2, ether(sub_mac, MAC2, packet))]
    back = ether(MAC2, sub_mac, udp("15.0.0.4", "15.0.0.10"))
    ((vif, frame),) = rig.send(TAP2, back)
    assert (vif, frame) == (TAP1, back[:12] + b"\x81\0\0\x0b" + back[12:])
    counters, _ = rig.dp.vif_stats(5) or ((), ())
    assert counters[1] == counters[4] == 1
    counters, _ = rig.dp.vif_stats(TAP1) or ((), ())
    assert counters[1] == counters[4] == 0  # the port itself had no packet
    assert rig.dp.vif_set(6, type=6, flags=0x1C0, parent=TAP1, vlan_id=10) == -errno.EEXIST
    assert rig.dp.vif_delete(TAP1) == 0
    assert rig.send(TAP2, back) == []
    assert rig.drops() == {"invalid_if": 1}


@pytest.mark.parametrize("agent", [True, False])
def test_sub_interface_of_the_fabric(rig: Rig, agent: bool) -> None:
    sub_mac = bytes.fromhex("024444444444")
    assert rig.dp.vif_set(5, type=6, flags=0x1C0, vrf=1, parent=FABRIC, vlan_id=9, ovlan_id=9) == 0
    rig.encap(80, 5, sub_mac, family=7)
    rig.dp.bridge_add(1, sub_mac, nh=80)
    if not agent:
        rig.dp.vif_delete(AGENT)
    frame = ether(sub_mac, MAC2, udp("15.0.0.10", "15.0.0.4"))
    assert rig.send(FABRIC, frame[:12] + b"\x81\0\0\x09" + frame[12:]) == [(TAP2, frame)]
    back = ether(MAC2, sub_mac, udp("15.0.0.4", "15.0.0.10"))
    assert rig.send(TAP2, back) == [(FABRIC, back[:12] + b"\x81\0\0\x09" + back[12:])]
    for vif in (5, FABRIC):
        counters, _ = rig.dp.vif_stats(vif) or ((), ())
        assert counters[1] == counters[4] == 1
    other = frame[:12] + b"\x81\0\0\x0a" + frame[12:]
    assert rig.send(FABRIC, other) == [(VHOST, other)]


def test_service_vif_chooses_the_vrf_by_tag(rig: Rig) -> None:
    assert rig.dp.vif_set(TAP1, type=3, flags=0x1C0 | 4, vrf=1) == 0
    assert rig.dp.vif_vrf_assign(TAP1, 20, 2, 2) == 0
    assert rig.dp.vif_vrf_assign(TAP1, 1024, 2, 2) == -errno.EINVAL
    assert rig.dp.vif_vrf_assign(77, 1, 2, 2) == -errno.EINVAL
    rig.dp.bridge_add(2, ROUTER_MAC, nh=9)
    rig.route("15.0.0.4/32", 5, vrf=2)
    tagged = bytes(
        Ether(src=text(MAC1), dst=text(ROUTER_MAC)) / Dot1Q(vlan=20) / udp("15.0.0.3", "15.0.0.4")
    )
    assert [vif for vif, _ in rig.send(TAP1, tagged)] == [TAP2]
    assert rig.send(TAP1, FRAME) == []
    assert rig.drops() == {"interface_drop": 1}
    assert rig.dp.vif_vrf_assign(TAP1, 20, -1, 0) == 0
    assert rig.send(TAP1, tagged)[0][0] == TAP2


# --- statistics, reset


def test_counters_of_a_vif_and_a_vrf(rig: Rig) -> None:
    frame = routed("15.0.0.4")
    rig.send(TAP1, frame)
    out, _ = rig.dp.vif_stats(TAP2) or ((), ())
    seen, _ = rig.dp.vif_stats(TAP1) or ((), ())
    assert seen[:3] == (len(frame), 1, 0)
    assert out[3:6] == (len(frame), 1, 0)
    assert rig.vrf_counters() == {"encaps": 1, "l2_receives": 1}
    assert rig.dp.vrf_stats_indexes() == [1]
    assert rig.dp.vif_clear_stats(TAP1) == 0
    assert (rig.dp.vif_stats(TAP1) or ((), ()))[0][:2] == (0, 0)
    assert rig.dp.vif_stats(77) is None
    assert rig.dp.vif_clear_stats(77) == -errno.ENODEV


def test_send_without_a_device_is_an_output_error(rig: Rig) -> None:
    rig.dp.set_capture(False)
    rig.dp.inject(TAP1, routed("15.0.0.4"))
    assert rig.drops() == {"interface_tx_discard": 1}
    assert (rig.dp.vif_stats(TAP2) or ((), ()))[0][5] == 1


def test_reset_leaves_an_empty_router() -> None:
    rig = Rig().build()
    made = rig.dp.flow_set(
        index=-1, gen_id=0, family=2, proto=6, sport=1, dport=2, nh_id=3, sip_l=4, dip_l=5, flags=1
    )
    assert made.code == 0
    rig.dp.reset()
    assert rig.dp.vif_indexes() == []
    assert rig.dp.bridge_get(1, MAC1) is None
    assert rig.dp.route_get(1, 2, bytes((15, 0, 0, 3))).nh == 0
    assert rig.dp.route_count(1, 2) == 0
    assert (rig.dp.label_get(16), rig.dp.vxlan_get(100)) == (-1, -1)
    assert rig.dp.nexthop_exists(0)
    assert not rig.dp.nexthop_exists(1)
    assert rig.dp.flow_table_stats().used == 0
    assert sum(rig.dp.drop_stats()) == 0
    rig.build()
    assert len(rig.send(TAP1, routed("15.0.0.4"))) == 1


# --- what messages may not set


def test_vif_refusals_and_changes() -> None:
    dp = new_datapath(interfaces=8)
    assert dp.vif_set(8, type=3) == -errno.EINVAL
    assert dp.vif_set(1, type=10) == -errno.EINVAL
    assert dp.vif_set(1, type=3, mac=b"\0" * 5) == -errno.EINVAL
    assert dp.vif_set(1, type=0) == -errno.ENODEV
    assert dp.vif_set(2, type=6, parent=1) == -errno.EINVAL
    assert dp.vif_set(0, type=2, name="eth0", mtu=9014, vrf=0) == 0
    vif = dp.vif_get(0)
    assert vif is not None
    assert (vif.flags, vif.mtu, vif.mcast_vrf, vif.name) == (0xC2, 9014, 65535, "eth0")
    assert dp.vif_set(0, type=3, name="other", vrf=-1, mcast_vrf=7, flags=0x41, mac=MAC1) == 0
    vif = dp.vif_get(0)
    assert vif is not None
    assert (vif.type, vif.flags, vif.mtu, vif.vrf, vif.mcast_vrf) == (2, 0x43, 9014, 0, 7)
    assert (vif.name, vif.mac) == ("eth0", bytes(6))
    assert dp.vif_set(1, type=0, cross_connect=0) == 0
    assert dp.vif_get(1).cross_connect == 0  # type: ignore[union-attr]
    assert dp.vif_get(0).cross_connect == 1  # type: ignore[union-attr]
    assert dp.vif_delete(5) == -errno.ENODEV
    assert dp.inject(5, FRAME) == -errno.ENODEV
    assert dp.vif_indexes() == [0, 1]


ENCAP = {"type": 2, "flags": 1, "encap_oif_id": [3], "encap": bytes(14)}
TUNNEL = {
    "type": 3,
    "flags": 0x41,
    "encap_oif_id": [0],
    "tun_sip": 1,
    "tun_dip": 2,
    "encap": bytes(14),
}


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"type": 9}, errno.EINVAL),
        ({"type": 5, "flags": 1}, 0),
        (ENCAP, 0),
        (ENCAP | {"family": 10}, errno.EINVAL),
        (ENCAP | {"encap_oif_id": [77]}, errno.EINVAL),
        (ENCAP | {"encap_oif_id": []}, errno.EINVAL),
        (ENCAP | {"encap": bytes(5)}, errno.EINVAL),
        (ENCAP | {"encap": bytes(5), "flags": 0x21}, 0),
        (ENCAP | {"encap": bytes(65)}, errno.EINVAL),
        (ENCAP | {"family": 7, "flags": 0x21}, errno.EINVAL),
        (ENCAP | {"encap": b"", "flags": 0, "encap_oif_id": []}, 0),
        (TUNNEL, 0),
        (TUNNEL | {"tun_sip": 0}, errno.EINVAL),
        (TUNNEL | {"tun_dip": 0}, errno.EINVAL),
        (TUNNEL | {"encap_oif_id": [77]}, errno.ENODEV),
        (TUNNEL | {"flags": 1}, errno.EINVAL),
        (TUNNEL | {"family": 10}, errno.EOPNOTSUPP),
        (TUNNEL | {"flags": 0x80041}, errno.EOPNOTSUPP),
        ({"type": 1, "flags": 1, "encap_oif_id": [77]}, errno.ENODEV),
        ({"type": 7, "flags": 1, "vrf": 5000}, errno.EINVAL),
        ({"type": 6, "flags": 0x2001, "nh_list": [1, 3], "label_list": [0]}, errno.EINVAL),
        ({"type": 6, "flags": 0x2001, "nh_list": [6], "label_list": [0]}, errno.EINVAL),
        ({"type": 6, "flags": 0x2001, "nh_list": [900], "label_list": [0]}, 0),
        ({"type": 6, "flags": 0x1001, "nh_list": [1], "label_list": [0]}, errno.EINVAL),
        ({"type": 6, "flags": 0x21, "nh_list": [1], "label_list": [0]}, errno.EINVAL),
        ({"type": 6, "flags": 0x21, "nh_list": [21], "label_list": [0]}, 0),
    ],
)
def test_nexthop_codes(rig: Rig, values: dict[str, Any], code: int) -> None:
    assert rig.dp.nexthop_set(200, **values) == -code
    assert rig.dp.nexthop_exists(200) == (code == 0)


def test_nexthop_change_codes(rig: Rig) -> None:
    assert rig.dp.nexthop_set(2, **(ENCAP | {"encap": bytes(18)})) == -errno.EINVAL
    assert rig.dp.nexthop_set(2, type=5, flags=1) == -errno.EINVAL
    assert rig.dp.nexthop_set(2, **(ENCAP | {"flags": 0x400001})) == -errno.EINVAL
    assert rig.dp.nexthop_set(524288, type=5) == -errno.EINVAL
    assert rig.dp.nexthop_set(0, type=2) == -errno.EINVAL
    assert rig.dp.nexthop_set(0, type=5, flags=1) == 0
    assert rig.dp.nexthop_delete(0) == -errno.EINVAL
    assert rig.dp.nexthop_delete(300) == -errno.EINVAL
    assert [
        vif for vif, _ in rig.send(FABRIC, mpls_udp(16, bytes(udp("15.0.0.9", "15.0.0.3"))))
    ] == [TAP1]


def test_label_and_vni_codes(rig: Rig) -> None:
    assert rig.dp.label_set(5120, 2) == -errno.EINVAL
    assert rig.dp.label_set(16, 999) == -errno.EINVAL
    assert rig.dp.label_get(16) == -1
    assert rig.dp.label_delete(16) == 0
    assert rig.dp.vxlan_set(1 << 24, 12) == -errno.EINVAL
    assert rig.dp.vxlan_set(7, 999) == -errno.EINVAL
    numbers = range(0, 4000, 3)
    assert all(rig.dp.vxlan_set(vni, 12) == 0 for vni in numbers)
    for vni in numbers[::2]:
        rig.dp.vxlan_delete(vni)
    found = [vni for vni in range(4000) if rig.dp.vxlan_get(vni) == 12]
    assert found == sorted({*numbers[1::2], 100})


def test_mirror_tunnel_carries_the_frame_in_udp(rig: Rig) -> None:
    rig.dp.nexthop_set(
        90,
        type=3,
        flags=0x11,
        encap_oif_id=[FABRIC],
        encap=bytes.fromhex("0200000001020200000001010800"),
        tun_sip=address("10.0.0.1"),
        tun_dip=address("10.0.0.2"),
        tun_sport=int.from_bytes((8097).to_bytes(2, "big"), "little"),
        tun_dport=int.from_bytes((8099).to_bytes(2, "big"), "little"),
    )
    rig.dp.bridge_add(1, REMOTE_MAC, nh=90)
    frame = ether(MAC1, REMOTE_MAC, udp("15.0.0.3", "15.0.0.5"))
    ((_, out),) = rig.send(TAP1, frame)
    assert (Ether(out)[UDP].sport, Ether(out)[UDP].dport, out[42:]) == (8097, 8099, frame)


def test_ip6_payload_travels_in_mpls(rig: Rig) -> None:
    rig.dp.route_add(1, 10, bytes.fromhex("fd" + "0" * 29 + "9"), 128, nh=6, label=41, flags=1)
    packet = IPv6(src="fd00::3", dst="fd00::9", hlim=9) / ICMPv6EchoRequest()
    ((vif, out),) = rig.send(TAP1, ether(MAC1, ROUTER_MAC, packet))
    assert (vif, out[42:46], out[46:]) == (
        FABRIC,
        (41 << 12 | 0x109).to_bytes(4, "big"),
        bytes(packet),
    )
    back = IPv6(src="fd00::9", dst="fd00::3") / ICMPv6EchoRequest()
    ((vif, out),) = rig.send(FABRIC, mpls_udp(16, bytes(back)))
    assert (vif, out) == (TAP1, ether(ROUTER_MAC, MAC1, back))
