"""A datapath's dump, read for what a restarted agent can know again.

Beside `desired.py` the only module of `oper` that knows the messages. Byte orders: facts
sandesh-ksync.md 4.1.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, ip_address
from typing import TypeAlias

from agent.inputs import ArpResolved, DhcpSnooped, TrafficSeen
from agent.objects import DatapathMessage, Kind
from agent.oper import nexthop
from agent.oper.datapath import (
    NO_VRF,
    Family,
    InetFlag,
    MirrorFlag,
    NexthopFlag,
    NexthopType,
    VifType,
)
from agent.oper.direction import Kept
from agent.oper.fabric import FABRIC_VIF
from agent.oper.qos import map_recognition
from agent.oper.vmi import device_recognition
from agent.oper.vrf import (
    lent_recognition,
    tag_recognition,
    vif_recognition,
    vni_recognition,
)
from agent.routes import InetKey
from agent.sandesh.vrouter import (
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
from agent.values import Mac, ip4_from_loaded

_INET = int(Family.INET)
_Inside: TypeAlias = tuple[VrRouteReq, int, VrNexthopReq]
"""A route with the vif and the nexthop that it leads to."""


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
        self._maps: list[VrQosMapReq] = []
        for one in messages:
            self._sort(one)

    def _sort(self, one: DatapathMessage) -> None:
        if isinstance(one, VrRouteReq):
            self._routes.append(one)
            self._vrfs.add(one.rtr_vrf_id)
        elif isinstance(one, VrInterfaceReq):
            self._vifs.append(one)
        elif isinstance(one, VrNexthopReq):
            self._nexthops[one.nhr_id] = one
        elif isinstance(one, VrMplsReq):
            self._labels.append(one)
        elif isinstance(one, VrVxlanReq):
            self._vxlans.append(one)
        elif isinstance(one, VrVrfReq):
            self._vrfs.add(one.vrf_idx)
        elif isinstance(one, VrVrfAssignReq):
            self._tags.append(one)
        elif isinstance(one, VrMirrorReq):
            self._mirrors.append(one)
        elif isinstance(one, VrQosMapReq):
            self._maps.append(one)

    @property
    def has_ports(self) -> bool:
        """Whether VMs of an agent before are connected."""
        return any(vif.vifr_type == VifType.VIRTUAL for vif in self._vifs)

    def forwarding(self) -> Iterator[tuple[str, bool]]:
        """The devices of ports that are in a VRF, and whether they have an address there."""
        for vif in self._vifs:
            if vif.vifr_type == VifType.VIRTUAL and vif.vifr_vrf & NO_VRF != NO_VRF:
                yield vif.vifr_name, bool(vif.vifr_ip or vif.vifr_ip6_u or vif.vifr_ip6_l)

    def ecmp_routes(self) -> Iterator[tuple[int, InetKey, Kept]]:
        """(VRF, prefix, places of the ways) of each route that leads several ways."""
        made: dict[int, Kept] = {}
        for index, one in self._ecmp.items():
            made[index] = tuple(map(self._way, one.nhr_nh_list, one.nhr_label_list))
        for route in self._routes if made else ():
            if route.rtr_nh_id in made and len(route.rtr_prefix) in (4, 16):
                to = InetKey(route.rtr_prefix, route.rtr_prefix_len)
                yield route.rtr_vrf_id, to, made[route.rtr_nh_id]

    def shared(self) -> Iterator[tuple[int | None, ...]]:
        """The vifs that an address of several ports leads to, in their places."""
        for one in self._ecmp.values():
            vias = [self._nexthops.get(member) for member in one.nhr_nh_list]
            vifs = [None if via is None else _vif_of(via) for via in vias]
            if all(via is None or vif is not None for via, vif in zip(vias, vifs, strict=True)):
                yield tuple(vifs)

    @cached_property
    def _ecmp(self) -> dict[int, VrNexthopReq]:
        flag = int(NexthopFlag.COMPOSITE_ECMP)
        return {
            index: one
            for index, one in self._nexthops.items()
            if one.nhr_type == NexthopType.COMPOSITE and one.nhr_flags & flag
        }

    @cached_property
    def _leading(self) -> dict[int, tuple[int, ...]]:
        """The labels of composites by the label of the first that is in them."""
        found: dict[int, tuple[int, ...]] = {}
        for label in self._labels:
            one = self._ecmp.get(label.mr_nhid)
            first = next((each for each in one.nhr_label_list if each >= 0), -1) if one else -1
            if first >= 0:
                found[first] = (*found.get(first, ()), label.mr_label)
        return found

    def _way(self, member: int, label: int) -> tuple[int, tuple[int, ...]] | None:
        via = self._nexthops.get(member)
        if via is None:
            return None
        if via.nhr_type == NexthopType.TUNNEL:
            return int(ip4_from_loaded(via.nhr_tun_dip)), (label,)
        return 0, (label, *self._leading.get(label, ()))

    def labels(self) -> list[int]:
        """The MPLS labels in use."""
        return [one.mr_label for one in self._labels]

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
        for qos in sorted(self._maps, key=lambda one: one.qmr_id):
            parts = (
                (qos.qmr_dscp, qos.qmr_dscp_fc_id),
                (qos.qmr_mpls_qos, qos.qmr_mpls_qos_fc_id),
                (qos.qmr_dotonep, qos.qmr_dotonep_fc_id),
            )
            pairs = (sorted(zip(*part, strict=False)) for part in parts)
            classes = (bytes(own for _, own in part) for part in pairs)
            yield Seed(Kind.QOS_MAP, qos.qmr_id, (map_recognition(*classes),))
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
        for route, vif, _ in self._inside:
            out = vifs[vif]
            if out.vifr_vrf & NO_VRF != route.rtr_vrf_id:
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
        """The VMs that were seen to use their address: their ARP is not trapped any more.

        Where other networks have the route too, ARP is trapped in the port's own alone.
        """
        trapped: list[_Inside] = []
        used: list[_Inside] = []
        for one in self._inside:
            (trapped if one[0].rtr_label_flags & InetFlag.ARP_TRAP else used).append(one)
        waiting = set(map(_guest, trapped))
        found = filter(None, map(_guest, used))
        return [one for one in found if one not in waiting]

    def leases(self) -> list[DhcpSnooped]:
        """The addresses in the fabric's VRF that ports of this host have there."""
        inside = (one for one in self._inside if _is_host4(one[0]) and not one[0].rtr_vrf_id)
        return [
            DhcpSnooped(one.vif_index, one.ip, one.mac)
            for one in filter(None, map(_guest, inside))
            if isinstance(one.ip, IPv4Address) and not one.ip.is_link_local
        ]

    @cached_property
    def _inside(self) -> list[_Inside]:
        """The routes that lead into VMs: few among those of controllers."""
        ports = {one.vifr_idx for one in self._vifs if one.vifr_type == VifType.VIRTUAL}
        into: dict[int, tuple[int, VrNexthopReq]] = {}
        for index, one in self._nexthops.items():
            vif = _vif_of(one)
            if vif is not None and vif in ports:
                into[index] = vif, one
        return [(one, *into[one.rtr_nh_id]) for one in self._routes if one.rtr_nh_id in into]


def _guest(inside: _Inside) -> TrafficSeen | None:
    """A route into a VM as its first address."""
    route, vif, via = inside
    to = route.rtr_prefix
    if len(to) not in (4, 16) or len(via.nhr_encap) < 6:
        return None
    return TrafficSeen(vif, ip_address(to), Mac(via.nhr_encap[:6]))


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


def _port_from_loaded(number: int) -> int:
    return int.from_bytes((number & 0xFFFF).to_bytes(2, "little"), "big")
