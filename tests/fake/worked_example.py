"""A host with VMs as the reference agent programs it (facts worked-example.md 1 to 3, 5).

The facts leave indexes and labels open, but for the reserved ones: these are none that our
agent would give by itself. Half of the ports are without policy, so nothing waits for flows;
the others have a flow each way (5), of a ping with the identifier `PING`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from itertools import count

from agent.sandesh.vrouter import (
    FlowOp,
    Message,
    VrFlowReq,
    VrInterfaceReq,
    VrMplsReq,
    VrNexthopReq,
    VrRouteReq,
    VrVrfReq,
    VrVxlanReq,
)

TOPOLOGY = """
name: takeover
hosts:
  host1: {fabric: 10.0.0.1/24}
networks:
  net1: {subnet: 15.0.0.0/24}
vms:
  vm1: {host: host1, network: net1, address: 15.0.0.3, disable_policy: true}
  vm2: {host: host1, network: net1, address: 15.0.0.4, disable_policy: true}
  vm3: {host: host1, network: net1, address: 15.0.0.5}
  vm4: {host: host1, network: net1, address: 15.0.0.6}
"""
HOST, NETWORK = IPv4Address("10.0.0.1"), "15.0.0.0"
VRF, VNI = 6, 1
FABRIC_VIF, VHOST_VIF, PKT0_VIF, FIRST_PORT = 0, 1, 2, 9
ROUTER = bytes.fromhex("00005e000100")
CHAINS = (bytes.fromhex("020000000001"), bytes.fromhex("020000000002"))
INET, INET6, BRIDGE = 2, 10, 7
ENCAP, RESOLVE, DISCARD, COMPOSITE, TRANSLATE, L2_RECEIVE, RECEIVE = 2, 4, 5, 6, 7, 8, 1
PLAIN, POLICY, MULTICAST = 0x200001, 0x200003, 0x200021
# The five nexthops of a port in the reference's order: family and flags.
FIVE = ((INET, POLICY), (INET, PLAIN), (INET, MULTICAST), (BRIDGE, PLAIN), (BRIDGE, POLICY))
PING = 77
ACTIVE, WITH_REVERSE, FORWARD = 1, 0x1000, 2
PROXY, FLOOD, LABEL_VALID, FLOOD_DHCP = 0x2, 0x8, 0x2, 0x4


@dataclass(frozen=True)
class Guest:
    """A VM: the device of its port with its number for the kernel, its MAC and address."""

    device: str
    os_index: int
    mac: bytes
    address: IPv4Address
    policy: bool = False


@dataclass
class Example:
    """The messages, in an order in which a datapath takes them; `fabric` and `vhost` are
    (device, number for the kernel, MAC). `flow_nexthops`: those of the flows of each guest."""

    fabric: tuple[str, int, bytes]
    vhost: tuple[str, int]
    guests: tuple[Guest, ...]
    messages: list[Message] = field(default_factory=list)
    flow_nexthops: dict[IPv4Address, int] = field(default_factory=dict)
    _nexthops: Iterable[int] = field(default_factory=lambda: count(60))
    _labels: Iterable[int] = field(default_factory=lambda: count(300))

    def __post_init__(self) -> None:
        self._reserved()
        for vrf in (0, 1, VRF):
            self._send(VrVrfReq(vrf_idx=vrf, vrf_flags=6, vrf_hbfl_vif_idx=-1, vrf_hbfr_vif_idx=-1))
        self._host()
        for vrf in (0, 1, VRF):
            for mac in (ROUTER, self.fabric[2]):
                self._bridge(vrf, mac, 3, FLOOD_DHCP)
            for mac in CHAINS:
                self._bridge(vrf, mac, self._pkt0, FLOOD_DHCP)
        self._network()
        members = [self._port(FIRST_PORT + at, one) for at, one in enumerate(self.guests)]
        self._broadcast(members)

    def _send(self, message: Message) -> None:
        self.messages.append(message)

    # 1. What every host has

    def _reserved(self) -> None:
        self._nexthop(DISCARD, number=1)
        self._nexthop(L2_RECEIVE, number=3)

    def _host(self) -> None:
        device, os_index, mac = self.fabric
        fabric, five = next(self._nexthops), [next(self._nexthops) for _ in FIVE]
        name, vhost = self.vhost
        self._vif(FABRIC_VIF, 2, device, mac, 0x2002C0, fabric, vifr_os_idx=os_index)
        self._vif(
            VHOST_VIF, 0, name, ROUTER, 0x200140, five[0], vifr_os_idx=vhost,
            vifr_ip=loaded(HOST), vifr_cross_connect_idx=(os_index,),
        )  # fmt: skip
        self._vif(PKT0_VIF, 1, "unix", ROUTER, 0x200040, 0, vifr_vrf=65535, vifr_transport=3)
        self._encap(fabric, FABRIC_VIF, mac + mac)
        for number, (family, flags) in zip(five, FIVE, strict=True):
            self._encap(number, VHOST_VIF, mac + ROUTER, family, flags)
            self._label(number)
        receive = self._nexthop(RECEIVE, nhr_flags=0x200101, nhr_encap_oif_id=(VHOST_VIF,))
        self._nexthop(RECEIVE, nhr_flags=POLICY, nhr_encap_oif_id=(VHOST_VIF,))
        self._pkt0, self._trap = next(self._nexthops), next(self._nexthops)
        self._encap(self._pkt0, PKT0_VIF, bytes((0, 0, 0, 0, 0, 1)) + ROUTER)
        self._encap(self._trap, PKT0_VIF, bytes((0, 0, 0, 0, 0, 1)) + ROUTER, flags=POLICY)
        resolve = self._nexthop(RESOLVE)
        for to, length, via in (
            ("10.0.0.1", 32, receive), ("10.0.0.255", 32, receive), ("10.0.0.0", 24, resolve),
            ("224.0.0.0", 8, receive),
        ):  # fmt: skip
            self._route(0, to, length, via)
        every = bytes((255, *bytes(15)))
        self._send(VrRouteReq(rtr_family=INET6, rtr_prefix=every, rtr_prefix_len=8,
                              rtr_nh_id=receive))  # fmt: skip

    # 3.2 The network

    def _network(self) -> None:
        into = self._nexthop(TRANSLATE, nhr_family=BRIDGE, nhr_vrf=VRF)
        self._label(into)
        self._send(VrVxlanReq(vxlanr_vnid=VNI, vxlanr_nhid=into))
        self._route(VRF, "15.0.0.1", 32, self._trap, PROXY)
        self._route(VRF, "15.0.0.2", 32, self._trap, PROXY)
        self._route(VRF, NETWORK, 24, 1, FLOOD)

    # 3.3 The ports

    def _port(self, index: int, guest: Guest) -> int:
        """Its layer 2 nexthop, of the broadcast."""
        five = [next(self._nexthops) for _ in FIVE]
        self.flow_nexthops[guest.address] = five[0]
        layer3, layer2 = (0, 4) if guest.policy else (1, 3)
        self._vif(
            index, 3, guest.device, ROUTER, 0x2001C0 + guest.policy, five[0], vifr_vrf=VRF,
            vifr_mcast_vrf=VRF, vifr_os_idx=guest.os_index, vifr_ip=loaded(guest.address),
        )  # fmt: skip
        labels = []
        for number, (family, flags) in zip(five, FIVE, strict=True):
            self._encap(number, index, guest.mac + ROUTER, family, flags, vrf=VRF)
            labels.append(self._label(number))
        self._bridge(VRF, guest.mac, five[layer2], 0, labels[layer2])
        self._route(VRF, str(guest.address), 32, five[layer3], PROXY, rtr_mac=guest.mac)
        self._route(0, str(IPv4Address("169.254.0.0") + index), 32, five[0], PROXY)
        return five[3]

    def _broadcast(self, members: list[int]) -> None:
        local = self._nexthop(
            COMPOSITE, nhr_family=BRIDGE, nhr_vrf=VRF, nhr_flags=0x202001, nhr_encap_family=0x0806,
            nhr_nh_list=tuple(members), nhr_label_list=(0,) * len(members),
        )  # fmt: skip
        every = self._nexthop(
            COMPOSITE, nhr_family=BRIDGE, nhr_vrf=VRF, nhr_flags=MULTICAST, nhr_nh_list=(local,),
            nhr_label_list=(0,), nhr_encap_family=0x0806,
        )  # fmt: skip
        self._label(every)
        self._bridge(VRF, b"\xff" * 6, every, LABEL_VALID | FLOOD_DHCP, VNI)

    # 5. A ping

    def ping(self, source: Guest, target: Guest) -> VrFlowReq:
        """One direction, where the datapath finds room; the other is not named yet."""
        nexthop = self.flow_nexthops[source.address]
        return VrFlowReq(
            fr_op=FlowOp.FLOW_SET,
            fr_index=-1,
            fr_rindex=-1,
            fr_family=INET,
            fr_flow_sip_l=loaded(source.address),
            fr_flow_dip_l=loaded(target.address),
            fr_flow_sport=int.from_bytes(PING.to_bytes(2, "big"), "little"),
            fr_flow_proto=1,
            fr_flow_nh_id=nexthop,
            fr_flow_vrf=VRF,
            fr_action=FORWARD,
            fr_flags=ACTIVE,
            fr_src_nh_index=nexthop,
            fr_ecmp_nh_index=0xFFFFFFFF,
            fr_underlay_ecmp_index=-1,
            fr_mir_id=0xFFFF,
            fr_sec_mir_id=0xFFFF,
            fr_qos_id=0xFFFF,
        )

    # Messages

    def _vif(
        self, index: int, kind: int, name: str, mac: bytes, flags: int, nexthop: int, **more: object
    ) -> None:
        fields = {"vifr_transport": 1, "vifr_qos_map_index": -1, "vifr_mcast_vrf": 65535, **more}
        self._send(
            VrInterfaceReq(
                vifr_idx=index,
                vifr_type=kind,
                vifr_name=name,
                vifr_mac=mac,
                vifr_flags=flags,
                vifr_nh_id=nexthop,
                **fields,
            )
        )

    def _nexthop(self, kind: int, number: int = 0, **more: object) -> int:
        number = number or next(self._nexthops)
        fields = {"nhr_family": INET, "nhr_flags": PLAIN, **more}
        self._send(VrNexthopReq(nhr_id=number, nhr_type=kind, **fields))
        return number

    def _encap(
        self, number: int, vif: int, macs: bytes, family: int = INET, flags: int = PLAIN, *,
        vrf: int = 0,
    ) -> None:  # fmt: skip
        self._nexthop(
            ENCAP, number, nhr_family=family, nhr_flags=flags, nhr_encap_oif_id=(vif,),
            nhr_encap_family=0x0806, nhr_encap=macs + b"\x08\x00", nhr_vrf=vrf,
        )  # fmt: skip

    def _label(self, nexthop: int) -> int:
        label = next(self._labels)
        self._send(VrMplsReq(mr_label=label, mr_nhid=nexthop))
        return label

    def _route(
        self, vrf: int, to: str, length: int, nexthop: int, flags: int = 0, **more: object
    ) -> None:
        self._send(
            VrRouteReq(
                rtr_vrf_id=vrf,
                rtr_family=INET,
                rtr_prefix=IPv4Address(to).packed,
                rtr_prefix_len=length,
                rtr_nh_id=nexthop,
                rtr_label_flags=flags,
                **more,
            )
        )

    def _bridge(self, vrf: int, mac: bytes, nexthop: int, flags: int, label: int = 0) -> None:
        self._send(
            VrRouteReq(
                rtr_vrf_id=vrf,
                rtr_family=BRIDGE,
                rtr_mac=mac,
                rtr_nh_id=nexthop,
                rtr_label_flags=flags,
                rtr_label=label,
            )
        )


def loaded(address: IPv4Address) -> int:
    """As messages carry an address."""
    return int.from_bytes(address.packed, "little")
