"""Whether the compiled parser and its oracle see the same in a frame."""

from __future__ import annotations

from dataclasses import replace

from agent.pkt import ArpKind, DhcpStatus, LabelKind, Module, Packet, Port, TunnelKind
from agent.pkt.verdict import error
from tests.reference import packet_parse as oracle

LABELS = {20: "L3", 21: "L2", 22: "L2_CONTROL_WORD"}
VMI = oracle.Interface()
SILENT_VMI = oracle.Interface(dhcp=False, dhcpv6=False, dns=False, gateways=())
FABRIC = oracle.Interface(vmi=False, dhcp=False, tunnel=True, labels=LABELS)


def port_of(interface: oracle.Interface) -> Port:
    return Port(
        vmi=interface.vmi,
        dhcp=interface.dhcp,
        dhcpv6=interface.dhcpv6,
        dns=interface.dns,
        tunnel=interface.tunnel,
        router_id=int(interface.router_id, 16),
        gateways=[int(text, 16) for text in interface.gateways],
        labels={label: LabelKind[kind] for label, kind in interface.labels.items()},
    )


def dhcp_of(packet: Packet) -> dict[str, object]:
    status = DhcpStatus(packet.dhcp_status)
    if status == DhcpStatus.SHORT_HEADER:
        return {"status": status.name}
    found: dict[str, object] = {
        "xid": packet.dhcp_xid,
        "broadcast": packet.dhcp_broadcast,
        "ciaddr": packet.dhcp_ciaddr,
        "giaddr": packet.dhcp_giaddr,
        "chaddr": packet.dhcp_chaddr,
        "status": status.name,
    }
    if status != DhcpStatus.OK:
        return found
    names = (
        "type requested server_id max_size wants_routes host_name domain parameters"
        " relay_agent client_id vendor_class"
    )
    return found | {name: getattr(packet, f"dhcp_{name}") for name in names.split()}


def arp_of(packet: Packet) -> tuple[int, str, str, str, str]:
    spa, tpa = packet.arp_spa.to_bytes(4).hex(), packet.arp_tpa.to_bytes(4).hex()
    return packet.arp_op, packet.arp_sha.hex(), spa, packet.arp_tha.hex(), tpa


def result_of(packet: Packet) -> oracle.Result:
    tunnel = packet.tunnel
    ip = packet.family != 0
    is_arp = packet.ethertype == 0x0806
    return oracle.Result(
        cmd=packet.cmd,
        ifindex=packet.ifindex,
        vrf=packet.vrf,
        dst_mac=packet.dst_mac.hex(),
        src_mac=packet.src_mac.hex(),
        ethertype=packet.ethertype,
        vlan_tags=packet.vlan_tags,
        isid=packet.isid,
        family=packet.family,
        src=packet.src.hex() if ip else "",
        dst=packet.dst.hex() if ip else "",
        proto=packet.proto,
        ttl=packet.ttl,
        sport=packet.sport,
        dport=packet.dport,
        tcp_ack=packet.tcp_ack,
        fragment=packet.fragment,
        icmp_error=packet.icmp_error,
        tunnel=(TunnelKind(tunnel[0]).name, tunnel[1]) if tunnel else None,
        arp=arp_of(packet) if is_arp else None,
        arp_kind=ArpKind(packet.arp_kind).name if is_arp else "",
        module=Module(packet.module).name,
        payload=packet.payload,
        dhcp=dhcp_of(packet) if packet.module == Module.DHCP else {},
    )


def ours(
    frame: bytes, header: bool, interface: oracle.Interface
) -> oracle.Result | tuple[str, str]:
    packet = Packet()
    verdict = packet.open(frame, header) or packet.parse(port_of(interface))
    if verdict:
        return error(verdict).reason, error(verdict).layer
    return result_of(packet)


def theirs(
    frame: bytes, header: bool, interface: oracle.Interface
) -> oracle.Result | tuple[str, str]:
    try:
        result = oracle.parse(frame, header, interface)
    except oracle.Drop as drop:
        return drop.reason, drop.layer
    # Values that only lead to the module have no counterpart in `Packet`.
    return replace(result, later_fragment=False, icmp_checksum=0)


def agree(frame: bytes, header: bool, interface: oracle.Interface) -> None:
    assert ours(frame, header, interface) == theirs(frame, header, interface)
