"""An interface for programs: `vif --json`."""

from __future__ import annotations

from typing import Any

from agent.cli.render import ip4_loaded, ip6_loaded, mac
from agent.cli.render_vif import MIRROR, flag_letters, transport_name, type_name
from agent.cli.render_vif_extras import fat_flow_rule, fat_flows_excluded
from agent.sandesh.vrouter import VrInterfaceReq

_BELOW = {
    "device": ("packets", "bytes", "errors", "nombufs"),
    "port": ("packets", "errors", "syscalls", "nombufs"),
    "queue": ("packets", "errors"),
}


def as_json(vif: VrInterfaceReq) -> dict[str, Any]:
    """One interface; what it does not have is left out, or null."""
    shown: dict[str, Any] = {
        "index": vif.vifr_idx,
        "name": vif.vifr_name,
        "type": type_name(vif.vifr_type),
        "transport": transport_name(vif.vifr_transport),
        "os_index": vif.vifr_os_idx,
        "mac": mac(vif.vifr_mac),
        "ip": str(ip4_loaded(vif.vifr_ip)),
        "ip6": str(ip6_loaded(vif.vifr_ip6_u, vif.vifr_ip6_l)),
        "vrf": vif.vifr_vrf,
        "mcast_vrf": vif.vifr_mcast_vrf,
        "nexthop": vif.vifr_nh_id,
        "parent": vif.vifr_parent_vif_idx,
        "vlan": vif.vifr_vlan_id,
        "outer_vlan": vif.vifr_ovlan_id,
        "mtu": vif.vifr_mtu,
        "flags": flag_letters(vif.vifr_flags),
        "up": bool(vif.vifr_intf_status),
        "ref": vif.vifr_ref_cnt,
        "qos_map": vif.vifr_qos_map_index if vif.vifr_qos_map_index >= 0 else None,
        "mirror": vif.vifr_mir_id if vif.vifr_flags & MIRROR else None,
        "rx": _counters(vif.vifr_ipackets, vif.vifr_ibytes, vif.vifr_ierrors),
        "tx": _counters(vif.vifr_opackets, vif.vifr_obytes, vif.vifr_oerrors),
        "drops": vif.vifr_dpackets,
    }
    return shown | _fat_flows(vif) | _below(vif)


def _counters(packets: int, octets: int, errors: int) -> dict[str, int]:
    return {"packets": packets, "bytes": octets, "errors": errors}


def _fat_flows(vif: VrInterfaceReq) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if vif.vifr_fat_flow_protocol_port:
        numbers = range(len(vif.vifr_fat_flow_protocol_port))
        shown["fat_flows"] = [fat_flow_rule(vif, number).as_json() for number in numbers]
    excluded = [str(address) for _, addresses in fat_flows_excluded(vif) for address in addresses]
    if excluded:
        shown["fat_flows_excluded"] = excluded
    return shown


def _below(vif: VrInterfaceReq) -> dict[str, Any]:
    """Counters of the device, port and queue that have counted something."""
    shown = {}
    for part, names in _BELOW.items():
        prefix = "dev" if part == "device" else part
        counts = {
            direction: _of(vif, f"vifr_{prefix}_{letter}", names)
            for direction, letter in (("rx", "i"), ("tx", "o"))
        }
        if any(count for side in counts.values() for count in side.values()):
            shown[part] = counts
    return shown


def _of(vif: VrInterfaceReq, prefix: str, names: tuple[str, ...]) -> dict[str, int]:
    return {name: getattr(vif, prefix + name) for name in names if prefix + name in vif.FIELDS}
