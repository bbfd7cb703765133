"""What `nh` changes: nexthops made and ended. Facts: vrouter-cli.md, sandesh-ksync.md 4.3."""

from __future__ import annotations

import argparse
from ipaddress import IPv4Address
from typing import Any

from agent.cli import changes, tool
from agent.cli.datapath_client import DatapathClient
from agent.cli.render_nh import (
    COMPOSITE,
    DISCARD,
    ENCAP,
    L2_RECEIVE,
    RECEIVE,
    RESOLVE,
    TUNNEL,
    VRF_TRANSLATE,
)
from agent.sandesh.vrouter import SandeshOp, VrNexthopReq
from agent.values import Mac, ip4_as_loaded

INET, BRIDGE = 2, 7
VALID = 0x1
MPLS_OVER_GRE, UDP, MPLS_OVER_UDP, VXLAN, L3_VXLAN = 0x8, 0x10, 0x40, 0x80, 0x2000000
PBB, UNDERLAY_ECMP = 0x80000, 0x10000000
_ETH_P_ARP, _ETH_P_IP = 0x0806, b"\x08\x00"
_NO_LABEL = -1
_MOST_WAYS = 3
_KINDS = (RECEIVE, ENCAP, TUNNEL, RESOLVE, DISCARD, COMPOSITE, VRF_TRANSLATE, L2_RECEIVE)
_SWITCHES = (
    ("pol", 0x2, "policy"),
    ("rpol", 0x100, "relaxed policy"),
    ("root", 0x200000, "it is an E-Tree root"),
    ("ind", 0x400000, "it stands for the one of --cni"),
    ("ml", 0x100000, "learns MAC addresses"),
    ("rlkup", 0x8000, "looks the route up"),
    ("mc", 0x20, "encap: multicast"),
    ("uucf", 0x10000, "VRF translate: floods unknown unicast"),
    ("cmc", 0x20, "composite: multicast"),
    ("cfa", 0x200, "composite: fabric"),
    ("cen", 0x2000, "composite: encap"),
    ("cevpn", 0x1000, "composite: EVPN"),
    ("tor", 0x4000, "composite: ToR"),
    ("ecmp", 0x400, "composite: ECMP"),
)
"""Options that set one flag."""


def add_options(made: argparse.ArgumentParser) -> None:
    """The options that say what `--create` makes."""
    group = made.add_argument_group("with --create")
    group.add_argument(
        "--type",
        type=int,
        choices=_KINDS,
        help="1 receive, 2 encap, 3 tunnel, 4 resolve, 5 discard, 6 composite, 7 VRF translate, "
        "8 L2 receive",
    )
    group.add_argument("--vrf", type=tool.number, metavar="VRF", help="its VRF")
    group.add_argument("--l2", action="store_true", help="of the bridge family")
    for name, _, text in _SWITCHES:
        group.add_argument(f"--{name}", action="store_true", help=text)
    _add_ways(group)
    group.add_argument(
        "--cni", type=tool.number, action="append", metavar="ID", help="a component's nexthop"
    )
    group.add_argument(
        "--lbl", type=tool.number, action="append", metavar="LABEL", help="a component's label"
    )


def _add_ways(group: argparse._ArgumentGroup) -> None:
    """Where packets leave, and what they are wrapped in."""
    group.add_argument("--oif", type=_numbers, metavar="VIF,...", help="interfaces, at most three")
    group.add_argument("--smac", type=_macs, metavar="MAC,...", help="source of each way")
    group.add_argument("--dmac", type=_macs, metavar="MAC,...", help="destination of each way")
    group.add_argument("--sip", type=_ip4, metavar="IP", help="tunnel: source")
    group.add_argument("--dip", type=_ip4, metavar="IP", help="tunnel: destination")
    group.add_argument("--udp", action="store_true", help="tunnel: MPLS over UDP, or plain UDP")
    group.add_argument("--vxlan", action="store_true", help="tunnel, VRF translate: VXLAN")
    group.add_argument("--sport", type=_port, metavar="PORT", help="tunnel: source port")
    group.add_argument("--dport", type=_port, metavar="PORT", help="tunnel: destination port")
    group.add_argument(
        "--l3_vxlan", type=changes.mac, metavar="MAC", help="VXLAN: the other router's address"
    )
    group.add_argument("--pbb", action="store_true", help="tunnel: PBB, with --cni --lbl --dmac")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(tool.number(part) for part in _ways(text))


def _macs(text: str) -> tuple[Mac, ...]:
    return tuple(changes.mac(part) for part in _ways(text))


def _ways(text: str) -> list[str]:
    parts = text.split(",")
    if len(parts) > _MOST_WAYS:
        raise argparse.ArgumentTypeError(f"{text!r} has more than {_MOST_WAYS} parts")
    return parts


def _ip4(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _port(text: str) -> int:
    number = tool.number(text)
    if number > 0xFFFF:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return number


_NEEDED = {
    RECEIVE: ("oif",),
    ENCAP: ("oif", "smac", "dmac"),
    TUNNEL: ("oif", "smac", "dmac", "sip", "dip"),
    COMPOSITE: ("cni",),
}


def wrong(options: argparse.Namespace) -> str | None:
    """What is missing, in words; None when all is well."""
    if options.create is None:
        return None
    needed: tuple[str, ...] = ("type", "vrf")
    if options.type is not None:
        needed += _NEEDED.get(options.type, ())
    if options.type == ENCAP and options.l2:
        needed = ("type", "vrf", "oif")
    if options.type == TUNNEL and options.pbb:
        needed = ("type", "vrf", "cni", "lbl", "dmac")
    if options.type == TUNNEL and options.vxlan:
        needed += ("sport", "dport")
    if options.cevpn or options.tor:
        needed += ("lbl",)
    missing = [f"--{name}" for name in needed if getattr(options, name) is None]
    return f"--create needs {' '.join(missing)}" if missing else None


def change(client: DatapathClient, options: argparse.Namespace) -> None:
    """Make the nexthop of `--create`, or end that of `--delete`."""
    if options.delete is not None:
        changes.order(client, VrNexthopReq(h_op=SandeshOp.DEL, nhr_id=options.delete))
        changes.done(options, {"deleted": options.delete})
        return
    changes.order(client, made(options))
    changes.done(options, {"created": options.create})


def made(options: argparse.Namespace) -> VrNexthopReq:
    """The nexthop that the options describe."""
    message = VrNexthopReq(
        h_op=SandeshOp.ADD,
        nhr_id=options.create,
        nhr_type=options.type,
        nhr_family=BRIDGE if options.l2 or options.pbb else INET,
        nhr_vrf=options.vrf,
        nhr_flags=_flags(options),
    )
    if options.type == COMPOSITE or options.pbb:
        message = message.replace(nhr_nh_list=options.cni, nhr_label_list=_labels(options))
    if options.pbb:
        return message.replace(nhr_pbb_mac=options.dmac[0])
    if options.oif is not None:
        message = message.replace(nhr_encap_oif_id=options.oif)
    if options.type in (ENCAP, TUNNEL):
        message = message.replace(**_headers(options))
    return message.replace(**_tunnel(options)) if options.type == TUNNEL else message


def _flags(options: argparse.Namespace) -> int:
    flags = VALID
    for name, bit, _ in _SWITCHES:
        flags |= bit if getattr(options, name) else 0
    if options.l3_vxlan is not None:
        flags |= L3_VXLAN
    if options.type == TUNNEL:
        flags |= _tunnel_kind(options)
        flags |= UNDERLAY_ECMP if options.oif is not None and len(options.oif) > 1 else 0
    elif options.vxlan:
        flags |= VXLAN
    return flags


def _tunnel_kind(options: argparse.Namespace) -> int:
    if options.pbb:
        return PBB
    if options.udp:
        return MPLS_OVER_UDP if options.sport is None or options.dport is None else UDP
    return VXLAN if options.vxlan else MPLS_OVER_GRE


def _labels(options: argparse.Namespace) -> list[int]:
    given = options.lbl or []
    return [*given, *[_NO_LABEL] * (len(options.cni) - len(given))][: len(options.cni)]


def _headers(options: argparse.Namespace) -> dict[str, Any]:
    """An Ethernet header for each way; the last addresses given stand for the ways behind."""
    destinations, sources = options.dmac or (), options.smac or ()
    if not destinations or not sources:
        return {}
    ways = range(len(options.oif))
    headers = [
        destinations[min(way, len(destinations) - 1)]
        + sources[min(way, len(sources) - 1)]
        + _ETH_P_IP
        for way in ways
    ]
    fields: dict[str, Any] = {"nhr_encap": b"".join(headers), "nhr_encap_len": len(headers[0])}
    if options.type == ENCAP:
        fields["nhr_encap_family"] = _ETH_P_ARP
    if len(headers) > 1:
        fields["nhr_encap_valid"] = [1] * len(headers)
    return fields


def _tunnel(options: argparse.Namespace) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "nhr_tun_sip": ip4_as_loaded(options.sip),
        "nhr_tun_dip": ip4_as_loaded(options.dip),
        "nhr_tun_sport": _in_host(options.sport or 0),
        "nhr_tun_dport": _in_host(options.dport or 0),
    }
    if options.l3_vxlan is not None:
        fields["nhr_rw_dst_mac"] = options.l3_vxlan
    return fields


def _in_host(port: int) -> int:
    """A port in network order as the signed 16 bits that the field is."""
    return int.from_bytes(port.to_bytes(2, "big"), "little", signed=True)
