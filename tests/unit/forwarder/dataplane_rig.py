"""A Datapath on test devices, and the Sandesh messages of the vectors as its calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent._fast.forwarding import DROP_REASONS, VRF_COUNTERS, Datapath

ADD, DEL = 0, 2
FABRIC, VHOST, AGENT, TAP1, TAP2 = range(5)
ROUTER_MAC = bytes.fromhex("00005e000100")
BROADCAST = b"\xff" * 6


def octets(values: Any) -> bytes:
    return bytes(value & 0xFF for value in values or ())


def new_datapath(**settings: Any) -> Datapath:
    """Small tables unless told otherwise; frames out are captured, the clock stands still."""
    flow_entries = settings.pop("flow_entries", 1024)
    flow_overflow = settings.pop("flow_overflow", 1024)
    bridge_entries = settings.pop("bridge_entries", 1024)
    bridge_overflow = settings.pop("bridge_overflow", 1024)
    datapath = Datapath(
        flow_table=settings.pop("flow_table", None)
        or bytearray((flow_entries + flow_overflow) * 256),
        flow_entries=flow_entries,
        bridge_table=settings.pop("bridge_table", None)
        or bytearray((bridge_entries + bridge_overflow) * 64),
        bridge_entries=bridge_entries,
        seed=0x5EED,
        **settings,
    )
    datapath.set_capture(True)
    datapath.advance(0)
    return datapath


def _interface(datapath: Datapath, fields: Mapping[str, Any]) -> int:
    index = fields.get("vifr_idx", 0)
    if fields["h_op"] == DEL:
        return datapath.vif_delete(index)
    return datapath.vif_set(
        index,
        type=fields.get("vifr_type", 0),
        name=fields.get("vifr_name", ""),
        flags=fields.get("vifr_flags", 0),
        vrf=fields.get("vifr_vrf", 0),
        mcast_vrf=fields.get("vifr_mcast_vrf", 0),
        nh_id=fields.get("vifr_nh_id", 0),
        mac=octets(fields.get("vifr_mac")),
        mtu=fields.get("vifr_mtu", 0),
        ip=fields.get("vifr_ip", 0),
        vlan_id=max(fields.get("vifr_vlan_id", 0), 0),
        ovlan_id=max(fields.get("vifr_ovlan_id", 0), 0),
        parent=fields.get("vifr_parent_vif_idx", -1),
    )


def _nexthop(datapath: Datapath, fields: Mapping[str, Any]) -> int:
    if fields["h_op"] == DEL:
        return datapath.nexthop_delete(fields["nhr_id"])
    return datapath.nexthop_set(
        fields["nhr_id"],
        type=fields.get("nhr_type", 0),
        family=fields.get("nhr_family", 0),
        flags=fields.get("nhr_flags", 0),
        vrf=fields.get("nhr_vrf", 0),
        encap_oif_id=fields.get("nhr_encap_oif_id", ()),
        encap=octets(fields.get("nhr_encap")),
        tun_sip=fields.get("nhr_tun_sip", 0),
        tun_dip=fields.get("nhr_tun_dip", 0),
        nh_list=fields.get("nhr_nh_list", ()),
        label_list=fields.get("nhr_label_list", ()),
        ecmp_config_hash=fields.get("nhr_ecmp_config_hash", 0),
    )


def _route(datapath: Datapath, fields: Mapping[str, Any]) -> int:
    vrf, nh = fields["rtr_vrf_id"], fields.get("rtr_nh_id", 0)
    content = {
        "nh": nh,
        "label": fields.get("rtr_label", 0),
        "flags": fields.get("rtr_label_flags", 0),
    }
    mac = octets(fields.get("rtr_mac"))
    if fields["rtr_family"] == 7:
        if fields["h_op"] == DEL:
            return datapath.bridge_delete(vrf, mac)
        return datapath.bridge_add(vrf, mac, **content)
    prefix = octets(fields["rtr_prefix"])
    place = (vrf, fields["rtr_family"], prefix, fields.get("rtr_prefix_len", 0))
    if fields["h_op"] == DEL:
        return datapath.route_delete(
            *place, mac=mac, replace_plen=fields.get("rtr_replace_plen", 0), **content
        )
    return datapath.route_add(*place, mac=mac, **content)


def _label(datapath: Datapath, fields: Mapping[str, Any]) -> int:
    return datapath.label_set(fields["mr_label"], fields["mr_nhid"])


def _vxlan(datapath: Datapath, fields: Mapping[str, Any]) -> int:
    return datapath.vxlan_set(fields["vxlanr_vnid"], fields["vxlanr_nhid"])


APPLY = {
    "vr_interface_req": _interface,
    "vr_nexthop_req": _nexthop,
    "vr_route_req": _route,
    "vr_mpls_req": _label,
    "vr_vxlan_req": _vxlan,
}


def apply(datapath: Datapath, struct: str, fields: Mapping[str, Any]) -> int:
    """The answer of the data plane to one decoded message."""
    return APPLY[struct](datapath, fields)


class Rig:
    """One router: fabric, vhost0, agent, two guests in VRF 1 (the set-up of the vectors)."""

    def __init__(self, **settings: Any) -> None:
        self.dp = new_datapath(**settings)

    def build(self) -> Rig:
        dp = self.dp
        fabric_mac, agent_mac = bytes.fromhex("020000000101"), bytes.fromhex("0200000000aa")
        assert dp.vif_set(FABRIC, type=2, flags=0x40, vrf=0, mac=fabric_mac, mtu=1514) == 0
        assert dp.vif_set(VHOST, type=0, flags=0x40, vrf=0, mac=fabric_mac, mtu=1514) == 0
        assert dp.vif_set(AGENT, type=1, flags=0x40, vrf=65535, mac=agent_mac, mtu=1514) == 0
        for idx, nh in ((TAP1, 2), (TAP2, 5)):
            assert dp.vif_set(idx, type=3, flags=0x1C0, vrf=1, nh_id=nh, mac=ROUTER_MAC) == 0
        self.encap(1, TAP1, MAC1, family=7)
        self.encap(2, TAP1, MAC1)
        self.encap(3, TAP2, MAC2, family=7)
        self.encap(5, TAP2, MAC2)
        for nh, flag in ((6, 0x40), (7, 0x80), (8, 0x8)):
            self.tunnel(nh, flag)
        assert dp.nexthop_set(9, type=8, family=7, flags=1, vrf=1) == 0
        self.encap(10, AGENT, agent_mac, source=agent_mac)
        assert dp.nexthop_set(11, type=1, flags=1, vrf=0, encap_oif_id=[VHOST]) == 0
        assert dp.nexthop_set(12, type=7, family=7, flags=1, vrf=1) == 0
        self.composite(21, 0x2001, [1, 3])
        self.composite(20, 0x21, [21])
        for mac, nh in ((MAC1, 1), (MAC2, 3), (ROUTER_MAC, 9), (BROADCAST, 20)):
            assert dp.bridge_add(1, mac, nh=nh) == 0
        assert dp.label_set(16, 2) == 0
        assert dp.label_set(17, 1) == 0
        assert dp.vxlan_set(100, 12) == 0
        self.route("15.0.0.1/32", 10, flags=2)
        self.route("15.0.0.3/32", 2, flags=2, mac=MAC1)
        self.route("15.0.0.4/32", 5, flags=2, mac=MAC2)
        self.route("15.0.0.9/32", 5, flags=8)
        self.route("10.0.0.1/32", 11, vrf=0)
        return self

    def encap(
        self,
        nh: int,
        oif: int,
        mac: bytes,
        *,
        family: int = 2,
        flags: int = 1,
        source: bytes = ROUTER_MAC,
        vrf: int = 1,
    ) -> None:
        assert (
            self.dp.nexthop_set(
                nh,
                type=2,
                family=family,
                flags=flags,
                vrf=vrf,
                encap_oif_id=[oif],
                encap=mac + source + b"\x08\0",
            )
            == 0
        )

    def tunnel(self, nh: int, flag: int, dip: str = "10.0.0.2", **more: Any) -> None:
        answer = self.dp.nexthop_set(
            nh,
            type=3,
            flags=1 | flag,
            encap_oif_id=[FABRIC],
            encap=bytes.fromhex("0200000001020200000001010800"),
            tun_sip=address("10.0.0.1"),
            tun_dip=address(dip),
            **more,
        )
        assert answer == 0

    def composite(
        self, nh: int, flags: int, parts: list[int], labels: list[int] | None = None, **more: Any
    ) -> None:
        answer = self.dp.nexthop_set(
            nh,
            type=6,
            family=more.pop("family", 7),
            flags=flags,
            vrf=1,
            nh_list=parts,
            label_list=labels or [-1] * len(parts),
            **more,
        )
        assert answer == 0

    def route(self, prefix: str, nh: int, *, vrf: int = 1, **more: Any) -> None:
        place, plen = prefix.split("/")
        content = bytes(int(part) for part in place.split("."))
        assert self.dp.route_add(vrf, 2, content, int(plen), nh=nh, **more) == 0

    def send(self, vif: int, frame: bytes, vnet: bytes = b"") -> list[tuple[int, bytes]]:
        """What one received frame makes the router send."""
        return [(out, data) for out, data, _ in self.send_vnet(vif, frame, vnet)]

    def send_vnet(
        self, vif: int, frame: bytes, vnet: bytes = b""
    ) -> list[tuple[int, bytes, bytes]]:
        assert self.dp.inject(vif, frame, vnet) == 0
        return self.dp.captured()

    def drops(self) -> dict[str, int]:
        """Reasons that were counted."""
        counts = zip(DROP_REASONS, self.dp.drop_stats(), strict=True)
        return {reason: count for reason, count in counts if count}

    def vrf_counters(self, vrf: int = 1) -> dict[str, int]:
        counts = self.dp.vrf_stats(vrf) or ()
        return {name: count for name, count in zip(VRF_COUNTERS, counts, strict=True) if count}


MAC1 = bytes.fromhex("021111111111")
MAC2 = bytes.fromhex("022222222222")


def address(text: str) -> int:
    """An IPv4 address as the messages carry it."""
    return int.from_bytes(bytes(int(part) for part in text.split(".")), "little")
