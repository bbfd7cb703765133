"""Nexthops and their labels: one constructor a kind, each with how a restart recognises it.

A recognition names what a nexthop is for in terms of the datapath alone, without what may
change in place (the MAC address of an encapsulation, the members of a composite).
"""

from __future__ import annotations

from collections.abc import Hashable
from ipaddress import IPv4Address

from agent.objects import Key, Kind
from agent.oper import ids
from agent.oper.datapath import (
    HOLE,
    Family,
    Label,
    Nexthop,
    NexthopFlag,
    NexthopType,
    Vif,
    vrf_key,
)
from agent.oper.incremental import View
from agent.oper.rows import Vrf
from agent.values import VRRP_MAC, Mac

_BASE = NexthopFlag.VALID | NexthopFlag.ETREE_ROOT
_POLICY = NexthopFlag.POLICY
_MCAST = NexthopFlag.MCAST
_TUNNELS = NexthopFlag.TUNNEL_GRE | NexthopFlag.TUNNEL_UDP_MPLS | NexthopFlag.TUNNEL_VXLAN
_COMPOSITES = (
    _MCAST | NexthopFlag.COMPOSITE_ENCAP | NexthopFlag.COMPOSITE_FABRIC | NexthopFlag.COMPOSITE_EVPN
)
_ETHERTYPE_IP = b"\x08\x00"
ETHERTYPE_VLAN = b"\x81\x00"

DISCARD = Nexthop(Key(Kind.NEXTHOP, "discard"), 1, NexthopType.DISCARD, _BASE)
L2_RECEIVE = Nexthop(Key(Kind.NEXTHOP, "l2-receive"), 3, NexthopType.L2_RECEIVE, _BASE)


def encap_recognition(vif: int, family: int, flags: int) -> Hashable:
    """An interface nexthop: by vif, family, and whether it is for policy or multicast."""
    return "encap", vif, int(family), int(flags) & (_POLICY | _MCAST)


def station_recognition(vif: int, family: int, flags: int, mac: bytes) -> Hashable:
    """An interface nexthop: by all that, and the MAC address that it leads to."""
    return "station", encap_recognition(vif, family, flags), bytes(mac)


def tag_recognition(vif: int, tag: int) -> Hashable:
    """An interface nexthop that puts a tag on frames: by its vif and the tag."""
    return "tag", vif, tag


def mirror_recognition(vrf: int, address: IPv4Address, port: int) -> Hashable:
    """A nexthop for copies: by where they go."""
    return "mirror", vrf, address, port


def copy_recognition(nexthop: int, vni: int) -> Hashable:
    """A mirror: by the nexthop and the VNI to which it copies."""
    return "copies", nexthop, vni


def assisted_recognition(vlan: int) -> Hashable:
    """A mirror that the NIC makes: by its VLAN."""
    return "assisted", vlan


def receive_recognition(vif: int, flags: int) -> Hashable:
    """A receive nexthop: by vif and policy."""
    return "receive", vif, int(flags) & _POLICY


def vrf_recognition(kind: NexthopType, vrf: int, flags: int) -> Hashable:
    """The one nexthop of its kind in a VRF: resolve, translate, broadcast and members."""
    return int(kind), vrf, int(flags) & _COMPOSITES


def routed_recognition(vrf: int) -> Hashable:
    """The nexthop into the routes of a VRF."""
    return "route-in", vrf


def arp_recognition(address: IPv4Address) -> Hashable:
    """The nexthop to a neighbour on the fabric."""
    return "arp", address


def tunnel_recognition(far: IPv4Address, flags: int, rewrite: bytes | None) -> Hashable:
    """A tunnel: by its far end, its kind, and the inner MAC that it writes."""
    return (
        "tunnel",
        far,
        int(flags) & _TUNNELS,
        bytes(rewrite or b"") if any(rewrite or b"") else b"",
    )


def ecmp_recognition(
    members: tuple[int, ...], labels: tuple[int, ...], hash_fields: int
) -> Hashable:
    """An ECMP composite: by its content."""
    return "ecmp", members, labels, hash_fields


def label_recognition(nexthop: int) -> Hashable:
    """A label: by the nexthop that it is bound to."""
    return "nexthop", nexthop


def _key(*name: Hashable) -> Key:
    return Key(Kind.NEXTHOP, name)


def interface(
    view: View,
    owner: tuple[Hashable, ...],
    vif: Vif | tuple[Key, int],
    mac: Mac,
    flags: NexthopFlag = NexthopFlag.NONE,
    *,
    family: Family = Family.INET,
    vrf: Vrf | None = None,
    source: Mac = VRRP_MAC,
    leaf: bool = False,
    other: bool = False,
) -> Nexthop:
    """Out of a vif to `mac`: what `owner` (a part of the key) wants of that vif.

    `leaf`: behind it is a leaf of an E-Tree; `other`: `mac` is not that of the vif's own VM.
    """
    vif_key, vif_index = (vif.key, vif.index) if isinstance(vif, Vif) else vif
    key = _key("interface", *owner)
    known = [station_recognition(vif_index, family, flags, mac)]
    if not other:
        known.append(encap_recognition(vif_index, family, flags))
    return Nexthop(
        key,
        ids.index(view, key, lambda: known),
        NexthopType.ENCAP,
        (NexthopFlag.VALID if leaf else _BASE) | flags,
        family,
        vrf.index if vrf else 0,
        vif_index,
        mac + source + _ETHERTYPE_IP,
        refs=(vif_key, vrf_key(vrf.name)) if vrf else (vif_key,),
    )


def service(
    view: View,
    owner: tuple[Hashable, ...],
    vif: tuple[Key, int],
    ends: tuple[Mac, Mac],
    tag: int,
    vrf: Vrf,
    *,
    policy: bool,
) -> Nexthop:
    """Out of a vif of a service with a tag, from and to the MAC addresses `ends` (to, from)."""
    vif_key, vif_index = vif
    key = _key("service", *owner)
    destination, source = ends
    return Nexthop(
        key,
        ids.index(view, key, lambda: [tag_recognition(vif_index, tag)]),
        NexthopType.ENCAP,
        _BASE | (_POLICY if policy else NexthopFlag.NONE),
        vrf=vrf.index,
        vif=vif_index,
        encap=destination + source + ETHERTYPE_VLAN + tag.to_bytes(2, "big") + _ETHERTYPE_IP,
        refs=(vif_key, vrf_key(vrf.name)),
    )


def receive(view: View, vif: Vif, *, policy: bool) -> Nexthop:
    """To the host itself."""
    flags = _POLICY if policy else NexthopFlag.RELAXED_POLICY
    key = _key("receive", "policy" if policy else "relaxed")
    return Nexthop(
        key,
        ids.index(view, key, lambda: [receive_recognition(vif.index, flags)]),
        NexthopType.RECEIVE,
        _BASE | flags,
        vif=vif.index,
        refs=(vif.key,),
    )


def resolve(view: View) -> Nexthop:
    """Neighbours of the fabric that must be asked for by ARP."""
    key = _key("resolve")
    recognition = vrf_recognition(NexthopType.RESOLVE, 0, 0)
    return Nexthop(key, ids.index(view, key, lambda: [recognition]), NexthopType.RESOLVE, _BASE)


def arp(view: View, vif: Vif, address: IPv4Address, mac: Mac) -> Nexthop:
    """To a neighbour on the fabric whose MAC address is known."""
    key = _key("arp", address)
    return Nexthop(
        key,
        ids.index(view, key, lambda: [arp_recognition(address)]),
        NexthopType.ENCAP,
        _BASE,
        vif=vif.index,
        encap=mac + vif.mac + _ETHERTYPE_IP,
        refs=(vif.key,),
    )


def translate(view: View, vrf: Vrf, *, flood: bool) -> Nexthop:
    """Into the bridge table of a VRF: what a VNI and the network's label point to."""
    key = _key("vrf", vrf.name)
    recognition = vrf_recognition(NexthopType.VRF_TRANSLATE, vrf.index, 0)
    return Nexthop(
        key,
        ids.index(view, key, lambda: [recognition]),
        NexthopType.VRF_TRANSLATE,
        _BASE | (NexthopFlag.UNKNOWN_UC_FLOOD if flood else NexthopFlag.NONE),
        Family.BRIDGE,
        vrf.index,
        refs=(vrf_key(vrf.name),),
    )


def route_in(view: View, vrf: Vrf) -> Nexthop:
    """Into the routes of another VRF."""
    key = _key("route-in", vrf.name)
    return Nexthop(
        key,
        ids.index(view, key, lambda: [routed_recognition(vrf.index)]),
        NexthopType.VRF_TRANSLATE,
        _BASE,
        Family.INET,
        vrf.index,
        refs=(vrf_key(vrf.name),),
    )


def tunnel(
    view: View,
    vif: Vif,
    ends: tuple[IPv4Address, IPv4Address],
    kind: NexthopFlag,
    mac: Mac | None,
    rewrite: Mac | None,
) -> Nexthop:
    """To another host; not valid while the `mac` of the next hop to it is unknown.

    The encapsulation keeps its length then: a datapath cannot change that of a nexthop.
    """
    source, far = ends
    key = _key("tunnel", str(far), kind.name, *([bytes(rewrite)] if rewrite else []))
    flags = kind | NexthopFlag.ETREE_ROOT
    flags |= NexthopFlag.VALID if mac else NexthopFlag.NONE
    flags |= NexthopFlag.L3_VXLAN if rewrite else NexthopFlag.NONE
    return Nexthop(
        key,
        ids.index(view, key, lambda: [tunnel_recognition(far, kind, rewrite)]),
        NexthopType.TUNNEL,
        flags,
        vif=vif.index,
        encap=(mac or bytes(6)) + vif.mac + _ETHERTYPE_IP,
        refs=(vif.key,),
        ends=(source, far),
        rewrite=rewrite,
    )


def mirror(
    view: View,
    fabric: Vif,
    ends: tuple[IPv4Address, IPv4Address],
    ports: tuple[int, int],
    vrf: Vrf,
    via: Nexthop | None,
) -> Nexthop:
    """For copies to an analyzer in a VRF, by the nexthop that leads to it; not valid without.

    In the VRF of a network copies seem to come from who sent the packet.
    """
    far, port = ends[1], ports[1]
    key = _key("mirror", vrf.name, str(far), port)
    flags = NexthopFlag.TUNNEL_UDP | NexthopFlag.ETREE_ROOT
    flags |= NexthopFlag.VALID if via else NexthopFlag.NONE
    flags |= NexthopFlag.TUNNEL_SIP_COPY if vrf.index else NexthopFlag.NONE
    vif = via.vif if via is not None and via.vif is not None else fabric.index
    return Nexthop(
        key,
        ids.index(view, key, lambda: [mirror_recognition(vrf.index, far, port)]),
        NexthopType.TUNNEL,
        flags,
        vrf=vrf.index,
        vif=vif,
        encap=via.encap if via else bytes(6) + fabric.mac + _ETHERTYPE_IP,
        refs=((via.key if via else fabric.key), *([vrf_key(vrf.name)] if vrf.index else [])),
        ends=ends,
        ports=ports,
    )


def ecmp(
    view: View,
    name: tuple[Hashable, ...],
    members: list[tuple[Nexthop, int] | None],
    hash_fields: int,
) -> Nexthop:
    """One of several nexthops for each flow, each with its label; None is a kept place."""
    key = _key("ecmp", *name)
    indexes = tuple(HOLE if one is None else one[0].index for one in members)
    labels = tuple(HOLE if one is None else one[1] for one in members)
    return Nexthop(
        key,
        ids.index(view, key, lambda: [ecmp_recognition(indexes, labels, hash_fields)]),
        NexthopType.COMPOSITE,
        _BASE | NexthopFlag.COMPOSITE_ECMP,
        members=indexes,
        labels=labels,
        hash_fields=hash_fields,
        refs=tuple(dict.fromkeys(one[0].key for one in members if one is not None)),
    )


def composite(
    view: View,
    name: str,
    vrf: Vrf,
    flag: NexthopFlag,
    members: list[Nexthop],
    *,
    labels: tuple[int, ...] = (),
    family: Family = Family.BRIDGE,
) -> Nexthop:
    """A copy to each member, with its label; `flag` says of which kind it is."""
    key = _key(name, vrf.name)
    recognition = vrf_recognition(NexthopType.COMPOSITE, vrf.index, flag)
    return Nexthop(
        key,
        ids.index(view, key, lambda: [recognition]),
        NexthopType.COMPOSITE,
        _BASE | flag,
        family,
        vrf.index,
        members=tuple(member.index for member in members),
        labels=labels,
        refs=(vrf_key(vrf.name), *dict.fromkeys(member.key for member in members)),
    )


def label(view: View, nexthop: Nexthop) -> Label:
    """The label of a nexthop."""
    key = Key(Kind.LABEL, nexthop.key.name)
    return Label(
        key,
        ids.index(view, key, lambda: [label_recognition(nexthop.index)]),
        nexthop.index,
        (nexthop.key,),
    )
