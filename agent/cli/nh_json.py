"""A nexthop for programs: `nh --json`."""

from __future__ import annotations

from typing import Any

from agent.cli.render import flag_names, mac
from agent.cli.render_nh import (
    COMPOSITE,
    ECMP,
    ENCAP,
    FAMILIES,
    HASH_FIELDS,
    INDIRECT,
    L3_VXLAN,
    OVER_MPLS,
    PBB,
    RECEIVE,
    TUNNEL,
    UDP_TUNNEL,
    UNDERLAY_ECMP,
    ends,
    first_label,
    flags,
    label_of,
    paths,
    swapped,
    type_name,
)
from agent.sandesh.vrouter import VrNexthopReq


def as_json(nexthop: VrNexthopReq) -> dict[str, Any]:
    """One nexthop; what its type does not have is left out."""
    found: dict[str, Any] = {
        "id": nexthop.nhr_id,
        "type": type_name(nexthop.nhr_type),
        "family": FAMILIES.get(nexthop.nhr_family, str(nexthop.nhr_family)),
        "vrf": nexthop.nhr_vrf,
        "ref": nexthop.nhr_ref_cnt,
        "flags": flags(nexthop),
    }
    if nexthop.nhr_type in (RECEIVE, ENCAP, TUNNEL):
        found["interfaces"] = list(nexthop.nhr_encap_oif_id)
    if nexthop.nhr_type in (ENCAP, TUNNEL):
        found["encap"] = nexthop.nhr_encap.hex()
    if nexthop.nhr_type == ENCAP:
        found["encap_family"] = f"{nexthop.nhr_encap_family & 0xFFFF:04x}"
    if nexthop.nhr_type == TUNNEL:
        found |= _tunnel(nexthop)
    if nexthop.nhr_type == COMPOSITE:
        found |= _composite(nexthop)
    if nexthop.nhr_flags & INDIRECT and nexthop.nhr_nh_list:
        found["direct"] = {"nexthop": nexthop.nhr_nh_list[0], "label": first_label(nexthop)}
    return found


def _tunnel(nexthop: VrNexthopReq) -> dict[str, Any]:
    """Where a tunnel goes, and what it adds to a packet."""
    if nexthop.nhr_flags & PBB:
        return {"bmac": mac(nexthop.nhr_pbb_mac), "label": first_label(nexthop)}
    source, destination = ends(nexthop)
    found: dict[str, Any] = {"source": str(source), "destination": str(destination)}
    if nexthop.nhr_flags & UDP_TUNNEL:
        found["sport"] = swapped(nexthop.nhr_tun_sport)
        found["dport"] = swapped(nexthop.nhr_tun_dport)
    if nexthop.nhr_flags & OVER_MPLS:
        found["transport_label"] = nexthop.nhr_transport_label
    if nexthop.nhr_flags & L3_VXLAN:
        found["l3_vxlan_mac"] = mac(nexthop.nhr_rw_dst_mac)
    if nexthop.nhr_flags & UNDERLAY_ECMP:
        found["ways"] = [
            {"interface": interface, "valid": bool(valid), "encap": header.hex()}
            for interface, valid, header in paths(nexthop)
        ]
    return found


def _composite(nexthop: VrNexthopReq) -> dict[str, Any]:
    found: dict[str, Any] = {
        "components": [
            {"nexthop": sub, "label": label_of(nexthop, position)}
            for position, sub in enumerate(nexthop.nhr_nh_list)
        ],
        "component_count": max(nexthop.nhr_nh_count, len(nexthop.nhr_nh_list)),
    }
    if nexthop.nhr_flags & ECMP:
        names = flag_names(nexthop.nhr_ecmp_config_hash, HASH_FIELDS)
        found["hash"] = [name.rstrip(",") for name in names]
    return found
