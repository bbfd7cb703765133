"""How `vif` prints an interface. Facts: vrouter-cli.md."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from agent.cli.render import INDENT, flag_names, ip4_loaded, ip6_loaded, legend, mac
from agent.cli.render_vif_counters import (
    Look,
    counters,
    fabric,
    received_by_device,
    sent_by_device,
)
from agent.cli.render_vif_extras import element, fat_flow_excludes, fat_flow_rules, metadata
from agent.sandesh.vrouter import VrInterfaceReq

FLAGS = (
    (0x1, "P", "Policy"),
    (0x2, "X", "Cross Connect"),
    (0x4, "S", "Service Chain"),
    (0x8, "Mr", "Receive Mirror"),
    (0x10, "Mt", "Transmit Mirror"),
    (0x20, "Tc", "Transmit Checksum Offload"),
    (0x40, "L3", "Layer 3"),
    (0x80, "L2", "Layer 2"),
    (0x100, "D", "DHCP"),
    (0x200, "Vp", "Vhost Physical"),
    (0x400, "Pr", "Promiscuous"),
    (0x800, "Vnt", "Native Vlan Tagged"),
    (0x1000, "Mnp", "No MAC Proxy"),
    (0x2000, "Dpdk", "DPDK PMD Interface"),
    (0x4000, "Rfl", "Receive Filtering Offload"),
    (0x8000, "Mon", "Interface is Monitored"),
    (0x10000, "Uuf", "Unknown Unicast Flood"),
    (0x20000, "Vof", "VLAN insert/strip offload"),
    (0x40000, "Df", "Drop New Flows"),
    (0x80000, "L", "MAC Learning Enabled"),
    (0x100000, "Proxy", "MAC Requests Proxied Always"),
    (0x200000, "Er", "Etree Root"),
    (0x1000000, "Mn", "Mirror without Vlan Tag"),
    (0x8000000, "HbsL", "HBS Left Intf"),
    (0x10000000, "HbsR", "HBS Right Intf"),
    (0x2000000, "Ig", "Igmp Trap Enabled"),
    (0x40000000, "Ml", "MAC-IP Learning Enabled"),
)
TYPES = (
    "Host", "Agent", "Physical", "Virtual", "XenLL", "Gateway", "Virtual(Vlan)", "Stats",
    "Vlan", "Monitoring",
)  # fmt: skip
TRANSPORTS = ("Virtual", "Ethernet", "PMD", "Socket")
PHYSICAL, VIRTUAL_VLAN, MONITORING = 2, 6, 9
PMD = 2
SERVICE = 0x4
MIRROR = 0x18
DPDK_DEVICE = 0x2000
MOCK = 0x4000000
_FLAG_TEXT_LIMIT = 64

HEADER = [
    "Vrouter Interface Table",
    "",
    *legend([f"{letters}={name}" for _, letters, name in FLAGS], "Flags: ", 7),
    "",
]


def type_name(kind: int) -> str:
    """The interface type as a word."""
    return TYPES[kind] if 0 <= kind < len(TYPES) else "Invalid"


def transport_name(transport: int) -> str:
    """The interface transport as a word."""
    return TRANSPORTS[transport] if 0 <= transport < len(TRANSPORTS) else "Unknown"


def flag_letters(flags: int) -> list[str]:
    """The letters of the flags that are set, in the order of their bits."""
    return flag_names(flags, [(bit, letters) for bit, letters, _ in FLAGS])


def _flag_text(flags: int) -> str:
    if not flags:
        return "NULL"
    text = ""
    for letters in flag_letters(flags):
        if len(text) + len(letters) >= _FLAG_TEXT_LIMIT:
            break
        text += letters
    return text


def _pci(where: int) -> str:
    """A bus address as the datapath packs it: domain, bus, device, function."""
    address = (where >> 16 & 0xFFFF, where >> 8 & 0xFF, where >> 3 & 0x1F, where & 0x7)
    return "PCI: {:04x}:{:02x}:{:02x}.{:x}".format(*address)


def _name(vif: VrInterfaceReq) -> str:
    mock = " Mock" if vif.vifr_flags & MOCK else ""
    if vif.vifr_flags & DPDK_DEVICE:
        return f"PMD: {vif.vifr_os_idx}"
    if vif.vifr_type == PHYSICAL and mock:
        return "PCI: Mock"
    if vif.vifr_type == PHYSICAL and vif.vifr_transport == PMD:
        return _pci(vif.vifr_os_idx)
    if vif.vifr_type == MONITORING:
        return f"Monitoring: {vif.vifr_name} for vif{vif.vifr_rid}/{vif.vifr_os_idx}"
    return f"{transport_name(vif.vifr_transport)}: {vif.vifr_name}{mock}"


def _kernel_name(vif: VrInterfaceReq) -> str:
    """The kernel's vifs are interfaces of the host, or nothing that it knows."""
    if vif.vifr_flags & DPDK_DEVICE:
        return f"PMD: {vif.vifr_os_idx}"
    if vif.vifr_os_idx <= 0:
        return f"    {vif.vifr_name}"
    try:
        return f"OS: {socket.if_indextoname(vif.vifr_os_idx)}"
    except OSError:  # of another network namespace
        return f"OS: {vif.vifr_name}"


def _speed(vif: VrInterfaceReq) -> str:
    if vif.vifr_flags & MOCK or vif.vifr_speed < 0:
        return ""
    duplex = f" Duplex {vif.vifr_duplex}" if vif.vifr_duplex >= 0 else ""
    return f" (Speed {vif.vifr_speed},{duplex})"


def _vlan(vif: VrInterfaceReq) -> str:
    """Tags of a sub-interface, and the source addresses that it answers to."""
    text = f" Vlan(o/i)(,S): {vif.vifr_ovlan_id}/{vif.vifr_vlan_id}"
    sources = vif.vifr_src_mac
    for position, start in enumerate(range(0, len(sources) - 5, 6)):
        index = element(vif.vifr_bridge_idx, position)
        text += f", {mac(sources[start : start + 6])} Bridge Index: {index}"
    return text


def _headline(vif: VrInterfaceReq, look: Look) -> str:
    text = f"vif{vif.vifr_rid}/{vif.vifr_idx}".ljust(12)
    text += _kernel_name(vif) if look.kernel else _name(vif)
    if vif.vifr_type == PHYSICAL:
        text += _speed(vif)
    elif vif.vifr_type == VIRTUAL_VLAN:
        text += _vlan(vif)
    if vif.vifr_parent_vif_idx >= 0:
        text += f" Parent:vif0/{vif.vifr_parent_vif_idx}"
    if vif.vifr_nh_id:
        text += f" NH: {vif.vifr_nh_id}"
    return text


def _identity(vif: VrInterfaceReq) -> Iterator[str]:
    yield (
        f"{INDENT}Type:{type_name(vif.vifr_type)} HWaddr:{mac(vif.vifr_mac)} "
        f"IPaddr:{ip4_loaded(vif.vifr_ip)}"
    )
    if vif.vifr_ip6_u or vif.vifr_ip6_l:
        yield f"{INDENT}IP6addr:{ip6_loaded(vif.vifr_ip6_u, vif.vifr_ip6_l)}"
    mirror = f" Mirror index {vif.vifr_mir_id}" if vif.vifr_flags & MIRROR else ""
    yield (
        f"{INDENT}Vrf:{vif.vifr_vrf} Mcast Vrf:{vif.vifr_mcast_vrf} "
        f"Flags:{_flag_text(vif.vifr_flags)} QOS:{vif.vifr_qos_map_index} "
        f"Ref:{vif.vifr_ref_cnt}{mirror}"
    )


def lines(vif: VrInterfaceReq, look: Look) -> Iterator[str]:
    """The lines of one interface, a blank one at the end."""
    yield _headline(vif, look)
    yield from _identity(vif)
    if not look.kernel:
        yield from received_by_device(vif, look)
    if look.fabric and vif.vifr_type == PHYSICAL:
        yield from fabric(vif)
    yield from counters(vif, look)
    yield from metadata("Ingress Mirror Metadata", vif.vifr_in_mirror_md)
    yield from metadata("Egress Mirror Metadata", vif.vifr_out_mirror_md)
    if not look.kernel:
        yield from sent_by_device(vif, look)
    yield from fat_flow_rules(vif)
    yield ""
    yield from fat_flow_excludes(vif)
