"""How `vif` prints an interface. Facts: vrouter-cli.md."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.cli.render import INDENT, flag_names, ip4_loaded, ip6_loaded, legend, mac
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
PHYSICAL, MONITORING = 2, 9
PMD = 2
SERVICE = 0x4
MIRROR = 0x18
DPDK_DEVICE = 0x2000
MOCK = 0x4000000
_FLAG_TEXT_LIMIT = 64
_METADATA_COLUMN = 68

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
    text = ""
    for letters in flag_letters(flags):
        if len(text) + len(letters) >= _FLAG_TEXT_LIMIT:
            break
        text += letters
    return text or "NULL"


def _name(vif: VrInterfaceReq) -> str:
    mock = " Mock" if vif.vifr_flags & MOCK else ""
    if vif.vifr_type == PHYSICAL and mock:
        return "PCI: Mock"
    if vif.vifr_type == PHYSICAL and vif.vifr_transport == PMD:
        where = vif.vifr_os_idx
        address = (where >> 16, where >> 8 & 0xFF, where >> 3 & 0x1F, where & 0x7)
        return "PCI: {:04x}:{:02x}:{:02x}.{}".format(*address)
    if vif.vifr_flags & DPDK_DEVICE:
        return f"PMD: {vif.vifr_os_idx}"
    if vif.vifr_type == MONITORING:
        return f"Monitoring: {vif.vifr_name} for vif{vif.vifr_rid}/{vif.vifr_os_idx}"
    return f"{transport_name(vif.vifr_transport)}: {vif.vifr_name}{mock}"


def _headline(vif: VrInterfaceReq) -> str:
    text = f"vif{vif.vifr_rid}/{vif.vifr_idx}".ljust(12) + _name(vif)
    if vif.vifr_type == PHYSICAL and not vif.vifr_flags & MOCK and vif.vifr_speed >= 0:
        text += f" (Speed {vif.vifr_speed}, Duplex {vif.vifr_duplex})"
    if vif.vifr_parent_vif_idx >= 0:
        text += f" Parent:vif0/{vif.vifr_parent_vif_idx}"
    if vif.vifr_nh_id:
        text += f" NH: {vif.vifr_nh_id}"
    return text


def _addresses(vif: VrInterfaceReq) -> Iterator[str]:
    yield (
        f"{INDENT}Type:{type_name(vif.vifr_type)} HWaddr:{mac(vif.vifr_mac)} "
        f"IPaddr:{ip4_loaded(vif.vifr_ip)}"
    )
    if vif.vifr_ip6_u or vif.vifr_ip6_l:
        yield f"{INDENT}IP6addr:{ip6_loaded(vif.vifr_ip6_u, vif.vifr_ip6_l)}"


def _counters(vif: VrInterfaceReq, core: int | None) -> Iterator[str]:
    if vif.vifr_queue_ierrors_to_lcore:
        errors = " ".join(map(str, vif.vifr_queue_ierrors_to_lcore))
        yield f"{INDENT}RX queue errors to lcore {errors}"
    yield from _counter_group(vif, "device", "dev", ("bytes", "errors"))
    yield from _port_counters(vif)
    label = "" if core is None else f"Core {core} "
    yield (
        f"{INDENT}{label}RX packets:{vif.vifr_ipackets}  bytes:{vif.vifr_ibytes} "
        f"errors:{vif.vifr_ierrors}"
    )
    yield (
        f"{INDENT}{label}TX packets:{vif.vifr_opackets}  bytes:{vif.vifr_obytes} "
        f"errors:{vif.vifr_oerrors}"
    )
    yield f"{INDENT}Drops:{vif.vifr_dpackets}"


def _counter_group(
    vif: VrInterfaceReq, title: str, part: str, names: tuple[str, ...]
) -> Iterator[str]:
    for direction, letter in (("RX", "i"), ("TX", "o")):
        packets = getattr(vif, f"vifr_{part}_{letter}packets")
        others = [(name, getattr(vif, f"vifr_{part}_{letter}{name}")) for name in names]
        if packets or any(value for _, value in others):
            text = " ".join(f"{name}:{value}" for name, value in others)
            yield f"{INDENT}{direction} {title} packets:{packets}  {text}"


def _port_counters(vif: VrInterfaceReq) -> Iterator[str]:
    yield from _counter_group(vif, "port  ", "port", ("errors", "syscalls"))
    yield from _counter_group(vif, "queue ", "queue", ("errors",))


def _metadata(title: str, octets: bytes) -> Iterator[str]:
    if not octets:
        return
    indent = len(INDENT) + len(title) + 2
    line = f"{INDENT}{title}: "
    for octet in octets:
        if len(line) > _METADATA_COLUMN:
            yield line
            line = " " * indent
        line += f"{octet:x} "
    yield line


_IGNORED = {1: " - Sip", 2: " - Dip"}


def _fat_flow_rules(vif: VrInterfaceReq) -> Iterator[str]:
    if not vif.vifr_fat_flow_protocol_port:
        return
    yield ""
    yield f"{INDENT}FatFlow rules: "
    for position, word in enumerate(vif.vifr_fat_flow_protocol_port):
        port = f"{word & 0xFFFF} " if word & 0xFFFF else "*"
        text = f"{word >> 16 & 0xFF}:{port}{_IGNORED.get(word >> 24 & 0x3, '')}"
        yield f"{INDENT}\t{text}{_aggregates(vif, position, word >> 28 & 0xF)}"


def _aggregates(vif: VrInterfaceReq, position: int, kind: int) -> str:
    """Prefix aggregation: 1 to 3 IPv6, 4 to 6 IPv4; destination, source, both."""
    text = ""
    for side, title, kinds in (("src", "AggrSrc", (2, 3, 5, 6)), ("dst", "AggrDst", (1, 3, 4, 6))):
        if kind not in kinds:
            continue
        high = _at(getattr(vif, f"vifr_fat_flow_{side}_prefix_h"), position)
        low = _at(getattr(vif, f"vifr_fat_flow_{side}_prefix_l"), position)
        length = _at(getattr(vif, f"vifr_fat_flow_{side}_prefix_mask"), position)
        aggregate = _at(getattr(vif, f"vifr_fat_flow_{side}_aggregate_plen"), position)
        prefix = ip4_loaded(low) if kind >= 4 else ip6_loaded(high, low)
        text += f" {title} {prefix}/{length} {aggregate}"
    return text


def _at(values: Any, position: int) -> int:
    return int(values[position]) if position < len(values) else 0


def lines(vif: VrInterfaceReq, core: int | None = None) -> Iterator[str]:
    """The lines of one interface, a blank one at the end. `core`: whose counters these are."""
    yield _headline(vif)
    yield from _addresses(vif)
    mirror = f" Mirror index {vif.vifr_mir_id}" if vif.vifr_flags & MIRROR else ""
    yield (
        f"{INDENT}Vrf:{vif.vifr_vrf} Mcast Vrf:{vif.vifr_mcast_vrf} "
        f"Flags:{_flag_text(vif.vifr_flags)} QOS:{vif.vifr_qos_map_index} "
        f"Ref:{vif.vifr_ref_cnt}{mirror}"
    )
    yield from _counters(vif, core)
    if vif.vifr_isid:
        yield f"{INDENT}ISID: {vif.vifr_isid} Bmac: {mac(vif.vifr_pbb_mac)}"
    yield from _metadata("Ingress Mirror Metadata", vif.vifr_in_mirror_md)
    yield from _metadata("Egress Mirror Metadata", vif.vifr_out_mirror_md)
    yield from _fat_flow_rules(vif)
    yield ""


def as_json(vif: VrInterfaceReq) -> dict[str, Any]:
    """One interface for programs."""
    return {
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
        "mtu": vif.vifr_mtu,
        "flags": flag_letters(vif.vifr_flags),
        "up": bool(vif.vifr_intf_status),
        "ref": vif.vifr_ref_cnt,
        "rx": _json_counters(vif.vifr_ipackets, vif.vifr_ibytes, vif.vifr_ierrors),
        "tx": _json_counters(vif.vifr_opackets, vif.vifr_obytes, vif.vifr_oerrors),
        "drops": vif.vifr_dpackets,
    }


def _json_counters(packets: int, octets: int, errors: int) -> dict[str, int]:
    return {"packets": packets, "bytes": octets, "errors": errors}
