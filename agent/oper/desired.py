"""Rows and messages: rows become desired objects, a dump becomes what ids recognise.

The only module of `oper` that knows the messages. Byte orders: facts sandesh-ksync.md 4.1.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import singledispatch
from ipaddress import IPv4Address, ip_address

from agent.errors import BugError
from agent.inputs import ArpResolved, DhcpSnooped, TrafficSeen
from agent.objects import DatapathMessage, Desired, Kind
from agent.oper import nexthop
from agent.oper.datapath import (
    NO_VRF,
    Family,
    InetFlag,
    Label,
    Mirror,
    MirrorFlag,
    Nexthop,
    NexthopFlag,
    NexthopType,
    Route,
    Row,
    Vif,
    VifType,
    VrfAssign,
    VrfEntry,
    VxlanId,
    inet_key,
)
from agent.oper.fabric import FABRIC_VIF
from agent.oper.fat_flows import columns
from agent.oper.vmi import device_recognition
from agent.oper.vrf import (
    lent_recognition,
    tag_recognition,
    vif_recognition,
    vni_recognition,
)
from agent.routes import InetKey
from agent.sandesh.vrouter import (
    SandeshOp,
    VrInterfaceReq,
    VrMirrorReq,
    VrMplsReq,
    VrNexthopReq,
    VrRouteReq,
    VrVrfAssignReq,
    VrVrfReq,
    VrVxlanReq,
)
from agent.values import Mac, ip4_as_loaded, ip4_from_loaded, ip6_as_loaded

_ADD = SandeshOp.ADD
_ARP_FAMILY = 0x0806
_NO_HBF_VIF = -1
_HBF_VALID = 0x6
_NO_CRYPT_VIF = -1
_INET, _INET6, _BRIDGE = int(Family.INET), int(Family.INET6), int(Family.BRIDGE)


def desired(row: Row) -> Desired:
    """The desired object of a row: its key, its references, its full ADD message."""
    return Desired(row.key, row.refs, message(row))


@singledispatch
def message(row: Row) -> DatapathMessage:
    """The ADD message of a row."""
    raise BugError(f"no message for {row!r}")


@message.register
def _vif(row: Vif) -> DatapathMessage:
    upper, lower = ip6_as_loaded(row.ip6) if row.ip6 else (0, 0)
    fat = columns(row.fat_flows)
    return VrInterfaceReq(
        h_op=_ADD,
        vifr_idx=row.index,
        vifr_type=int(row.type),
        vifr_flags=int(row.flags),
        vifr_name=row.name,
        vifr_mac=bytes(row.mac),
        vifr_transport=int(row.transport),
        vifr_os_idx=row.os_index,
        vifr_vrf=row.vrf,
        vifr_mcast_vrf=row.mcast_vrf,
        vifr_nh_id=row.nexthop,
        vifr_ip=ip4_as_loaded(row.ip) if row.ip else 0,
        vifr_ip6_u=upper,
        vifr_ip6_l=lower,
        vifr_qos_map_index=-1,
        vifr_cross_connect_idx=() if row.cross_connect is None else (row.cross_connect,),
        vifr_mir_id=row.mirror or 0,
        vifr_in_mirror_md=row.mirrored_in,
        vifr_out_mirror_md=row.mirrored_out,
        vifr_fat_flow_protocol_port=fat.protocol_port,
        vifr_fat_flow_src_prefix_h=fat.source_high,
        vifr_fat_flow_src_prefix_l=fat.source_low,
        vifr_fat_flow_src_prefix_mask=fat.source_length,
        vifr_fat_flow_src_aggregate_plen=fat.source_aggregate,
        vifr_fat_flow_dst_prefix_h=fat.destination_high,
        vifr_fat_flow_dst_prefix_l=fat.destination_low,
        vifr_fat_flow_dst_prefix_mask=fat.destination_length,
        vifr_fat_flow_dst_aggregate_plen=fat.destination_aggregate,
    )


@message.register
def _nexthop(row: Nexthop) -> DatapathMessage:
    frames = row.type in (NexthopType.ENCAP, NexthopType.COMPOSITE, NexthopType.TUNNEL)
    source, destination = map(ip4_as_loaded, row.ends) if row.ends else (0, 0)
    rewrite = bytes(row.rewrite) if row.rewrite else b""
    return VrNexthopReq(
        h_op=_ADD,
        nhr_id=row.index,
        nhr_type=int(row.type),
        nhr_family=int(row.family),
        nhr_flags=int(row.flags),
        nhr_vrf=row.vrf,
        nhr_encap_oif_id=() if row.vif is None else (row.vif,),
        nhr_encap_family=_ARP_FAMILY if frames else 0,
        nhr_encap=row.encap,
        nhr_nh_list=row.members,
        nhr_label_list=row.labels or (0,) * len(row.members),
        nhr_ecmp_config_hash=row.hash_fields,
        nhr_tun_sip=source,
        nhr_tun_dip=destination,
        nhr_rw_dst_mac=rewrite,
        nhr_pbb_mac=rewrite,
        nhr_encap_crypt_oif_id=_NO_CRYPT_VIF if row.ends and not row.ports else 0,
        nhr_tun_sport=_port_as_loaded(row.ports[0]) if row.ports else 0,
        nhr_tun_dport=_port_as_loaded(row.ports[1]) if row.ports else 0,
    )


def _port_as_loaded(port: int) -> int:
    """A port in network order, as the signed number of the message."""
    return int.from_bytes(port.to_bytes(2, "big"), "little", signed=True)


def _port_from_loaded(number: int) -> int:
    return int.from_bytes((number & 0xFFFF).to_bytes(2, "little"), "big")


@message.register
def _label(row: Label) -> DatapathMessage:
    return VrMplsReq(h_op=_ADD, mr_label=row.label, mr_nhid=row.nexthop)


@message.register
def _vxlan(row: VxlanId) -> DatapathMessage:
    return VrVxlanReq(h_op=_ADD, vxlanr_vnid=row.vni, vxlanr_nhid=row.nexthop)


@message.register
def _vrf(row: VrfEntry) -> DatapathMessage:
    return VrVrfReq(
        h_op=_ADD,
        vrf_idx=row.index,
        vrf_flags=_HBF_VALID,
        vrf_hbfl_vif_idx=_NO_HBF_VIF,
        vrf_hbfr_vif_idx=_NO_HBF_VIF,
    )


@message.register
def _vrf_assign(row: VrfAssign) -> DatapathMessage:
    return VrVrfAssignReq(
        h_op=_ADD,
        var_vif_index=row.vif,
        var_vlan_id=row.tag,
        var_vif_vrf=row.vrf,
        var_nh_id=row.nexthop,
    )


@message.register
def _mirror(row: Mirror) -> DatapathMessage:
    return VrMirrorReq(
        h_op=_ADD,
        mirr_index=row.index,
        mirr_nhid=row.nexthop,
        mirr_flags=int(row.flags),
        mirr_vni=row.vni,
        mirr_vlan=row.vlan,
    )


@message.register
def _route(row: Route) -> DatapathMessage:
    to, via = row.destination, row.nexthop_index
    if isinstance(to, Mac):
        return bridge_route(row.vrf_index, to, via, row.label, int(row.flags))
    mac = bytes(row.mac) if row.mac else b""
    return inet_route(row.vrf_index, inet_key(to), via, row.label, int(row.flags), mac)


# Routes of controllers, of which there are many, become messages without a row between.


def inet_route(
    vrf: int, to: InetKey, nexthop: int, label: int, flags: int, mac: bytes
) -> DatapathMessage:
    """The ADD message of an inet or inet6 route; `mac` is the stitched one or b""."""
    prefix, length = to
    return VrRouteReq(
        h_op=_ADD,
        rtr_family=_INET if len(prefix) == 4 else _INET6,
        rtr_vrf_id=vrf,
        rtr_prefix=prefix,
        rtr_prefix_len=length,
        rtr_mac=mac,
        rtr_nh_id=nexthop,
        rtr_label=label,
        rtr_label_flags=flags,
    )


def bridge_route(vrf: int, mac: Mac, nexthop: int, label: int, flags: int) -> DatapathMessage:
    """The ADD message of a bridge route."""
    return VrRouteReq(
        h_op=_ADD,
        rtr_family=_BRIDGE,
        rtr_vrf_id=vrf,
        rtr_mac=bytes(mac),
        rtr_nh_id=nexthop,
        rtr_label=label,
        rtr_label_flags=flags,
    )


@dataclass(frozen=True, slots=True)
class Seed:
    """One number of a dump with what recognises it."""

    kind: Kind
    index: int
    recognitions: tuple[Hashable, ...] = ()


class Dump:
    """The messages of a datapath's dump, read for what a restarted agent can know again.

    VRFs have no name there: they are known by the VNI that leads into them, or, where there
    is none, by the devices of their vifs. ARP nexthops are known by the host routes to
    them, everything else by its own content.
    """

    def __init__(self, messages: Iterable[DatapathMessage]) -> None:
        self._vifs: list[VrInterfaceReq] = []
        self._nexthops: dict[int, VrNexthopReq] = {}
        self._labels: list[VrMplsReq] = []
        self._vxlans: list[VrVxlanReq] = []
        self._routes: list[VrRouteReq] = []
        self._vrfs: set[int] = set()
        self._tags: list[VrVrfAssignReq] = []
        self._mirrors: list[VrMirrorReq] = []
        for one in messages:
            self._sort(one)

    def _sort(self, one: DatapathMessage) -> None:
        if isinstance(one, VrInterfaceReq):
            self._vifs.append(one)
        elif isinstance(one, VrNexthopReq):
            self._nexthops[one.nhr_id] = one
        elif isinstance(one, VrMplsReq):
            self._labels.append(one)
        elif isinstance(one, VrVxlanReq):
            self._vxlans.append(one)
        elif isinstance(one, VrRouteReq):
            self._routes.append(one)
            self._vrfs.add(one.rtr_vrf_id)
        elif isinstance(one, VrVrfReq):
            self._vrfs.add(one.vrf_idx)
        elif isinstance(one, VrVrfAssignReq):
            self._tags.append(one)
        elif isinstance(one, VrMirrorReq):
            self._mirrors.append(one)

    @property
    def has_ports(self) -> bool:
        """Whether VMs of an agent before are connected."""
        return any(vif.vifr_type == VifType.VIRTUAL for vif in self._vifs)

    def seeds(self) -> Iterator[Seed]:
        """Every number in use, lowest first within a kind."""
        for vif in sorted(self._vifs, key=lambda one: one.vifr_idx):
            yield Seed(Kind.VIF, vif.vifr_idx, (device_recognition(vif.vifr_name),))
        neighbours = {index: address for address, index in self._neighbours()}
        for index, one in sorted(self._nexthops.items()):
            yield Seed(Kind.NEXTHOP, index, self._recognition(one, neighbours.get(index)))
        for label in sorted(self._labels, key=lambda one: one.mr_label):
            known = nexthop.label_recognition(label.mr_nhid)
            yield Seed(Kind.LABEL, label.mr_label, (known,))
        for mirror in sorted(self._mirrors, key=lambda one: one.mirr_index):
            yield Seed(Kind.MIRROR, mirror.mirr_index, (_copies(mirror),))
        yield from self._vrf_seeds()

    def _vrf_seeds(self) -> Iterator[Seed]:
        by_vrf: dict[int, list[Hashable]] = {index: [] for index in sorted(self._vrfs)}
        for vxlan in self._vxlans:
            via = self._nexthops.get(vxlan.vxlanr_nhid)
            if via is not None and via.nhr_type == NexthopType.VRF_TRANSLATE:
                by_vrf.setdefault(via.nhr_vrf, []).append(vni_recognition(vxlan.vxlanr_vnid))
        named = {index for index, known in by_vrf.items() if known}
        for vif in self._vifs:
            index = vif.vifr_vrf & NO_VRF
            inside = vif.vifr_type in (VifType.VIRTUAL, VifType.GATEWAY)
            if inside and index != NO_VRF and index not in named:
                by_vrf.setdefault(index, []).append(vif_recognition(vif.vifr_name))
        for index, one in self._beside():
            by_vrf.setdefault(index, []).append(one)
        for index, known in by_vrf.items():
            yield Seed(Kind.VRF, index, tuple(known))

    def _beside(self) -> Iterator[tuple[int, Hashable]]:
        """The VRFs that vifs are in beside their own: by a tag, or by an address there."""
        vifs = {one.vifr_idx: one for one in self._vifs if one.vifr_type == VifType.VIRTUAL}
        for one in self._tags:
            if one.var_vif_index in vifs:
                device = vifs[one.var_vif_index].vifr_name
                yield one.var_vif_vrf, tag_recognition(device, one.var_vlan_id)
        for route in self._routes:
            via = self._nexthops.get(route.rtr_nh_id)
            vif = _vif_of(via) if via else None
            out = vifs.get(vif) if vif is not None else None
            if out is not None and out.vifr_vrf & NO_VRF != route.rtr_vrf_id:
                to = InetKey(route.rtr_prefix, route.rtr_prefix_len)
                yield route.rtr_vrf_id, lent_recognition(out.vifr_name, to)

    def _recognition(
        self, one: VrNexthopReq, neighbour: IPv4Address | None
    ) -> tuple[Hashable, ...]:
        """What recognises a nexthop, the best first."""
        if neighbour is not None:
            return (nexthop.arp_recognition(neighbour),)
        vif = _vif_of(one)
        if vif is not None:
            mac, tag = one.nhr_encap[:6], one.nhr_encap[12:16]
            if vif == FABRIC_VIF and mac != one.nhr_encap[6:12]:
                return ()  # to a neighbour that no route names any more
            if tag[:2] == nexthop.ETHERTYPE_VLAN:
                return (nexthop.tag_recognition(vif, int.from_bytes(tag[2:], "big")),)
            what = (vif, one.nhr_family, one.nhr_flags)
            exact = nexthop.station_recognition(*what, mac)
            return exact, nexthop.encap_recognition(*what)
        known = self._by_kind(one)
        return () if known is None else (known,)

    def _by_kind(self, one: VrNexthopReq) -> Hashable | None:
        vif = one.nhr_encap_oif_id[0] if one.nhr_encap_oif_id else None
        if one.nhr_type == NexthopType.RECEIVE and vif is not None:
            return nexthop.receive_recognition(vif, one.nhr_flags)
        if one.nhr_type == NexthopType.TUNNEL and one.nhr_flags & NexthopFlag.TUNNEL_UDP:
            to, port = ip4_from_loaded(one.nhr_tun_dip), _port_from_loaded(one.nhr_tun_dport)
            return nexthop.mirror_recognition(one.nhr_vrf, to, port)
        if one.nhr_type == NexthopType.TUNNEL:
            far = ip4_from_loaded(one.nhr_tun_dip)
            return nexthop.tunnel_recognition(far, one.nhr_flags, one.nhr_rw_dst_mac)
        if one.nhr_type == NexthopType.COMPOSITE and one.nhr_flags & NexthopFlag.COMPOSITE_ECMP:
            members, labels = tuple(one.nhr_nh_list), tuple(one.nhr_label_list)
            return nexthop.ecmp_recognition(members, labels, one.nhr_ecmp_config_hash)
        if one.nhr_type == NexthopType.VRF_TRANSLATE and one.nhr_family == _INET:
            return nexthop.routed_recognition(one.nhr_vrf)
        alone = (NexthopType.RESOLVE, NexthopType.VRF_TRANSLATE, NexthopType.COMPOSITE)
        for kind in alone:
            if one.nhr_type == kind:
                return nexthop.vrf_recognition(kind, one.nhr_vrf, one.nhr_flags)
        return None

    def _neighbours(self) -> Iterator[tuple[IPv4Address, int]]:
        """The host routes of the fabric VRF whose nexthop leaves by the fabric vif."""
        for route in self._routes:
            if route.rtr_vrf_id == 0 and _is_host4(route):
                via = self._nexthops.get(route.rtr_nh_id)
                if via is not None and _leaves_by(via, FABRIC_VIF):
                    yield IPv4Address(route.rtr_prefix), route.rtr_nh_id

    def arp(self) -> list[ArpResolved]:
        """The neighbours whose MAC addresses the datapath uses."""
        return [
            ArpResolved(0, address, Mac(self._nexthops[index].nhr_encap[:6]), FABRIC_VIF)
            for address, index in self._neighbours()
            if len(self._nexthops[index].nhr_encap) >= 6
        ]

    def traffic(self) -> list[TrafficSeen]:
        """The VMs that were seen to use their address: their ARP is not trapped any more."""
        used = (one for one in self._routes if not one.rtr_label_flags & InetFlag.ARP_TRAP)
        return list(self._guests(used))

    def leases(self) -> list[DhcpSnooped]:
        """The addresses in the fabric's VRF that ports of this host have there."""
        inside = self._guests(one for one in self._routes if _is_host4(one) and not one.rtr_vrf_id)
        return [
            DhcpSnooped(one.vif_index, one.ip, one.mac)
            for one in inside
            if isinstance(one.ip, IPv4Address) and not one.ip.is_link_local
        ]

    def _guests(self, routes: Iterable[VrRouteReq]) -> Iterator[TrafficSeen]:
        """The routes among them that lead into a VM, each as its first address."""
        ports = {one.vifr_idx for one in self._vifs if one.vifr_type == VifType.VIRTUAL}
        for route in routes:
            via, to = self._nexthops.get(route.rtr_nh_id), route.rtr_prefix
            vif = _vif_of(via) if via else None
            if via is None or vif is None or vif not in ports:
                continue
            if len(to) in (4, 16) and len(via.nhr_encap) >= 6:
                yield TrafficSeen(vif, ip_address(to), Mac(via.nhr_encap[:6]))


def _copies(mirror: VrMirrorReq) -> Hashable:
    if mirror.mirr_flags & MirrorFlag.HW_ASSISTED:
        return nexthop.assisted_recognition(mirror.mirr_vlan)
    return nexthop.copy_recognition(mirror.mirr_nhid, mirror.mirr_vni)


def _vif_of(via: VrNexthopReq) -> int | None:
    """The vif that an encapsulating nexthop leaves by."""
    if via.nhr_type != NexthopType.ENCAP or not via.nhr_encap_oif_id:
        return None
    return int(via.nhr_encap_oif_id[0])


def _is_host4(route: VrRouteReq) -> bool:
    return (
        route.rtr_family == Family.INET
        and route.rtr_prefix_len == 32
        and len(route.rtr_prefix) == 4
    )


def _leaves_by(via: VrNexthopReq, vif: int) -> bool:
    return via.nhr_type == NexthopType.ENCAP and tuple(via.nhr_encap_oif_id) == (vif,)
