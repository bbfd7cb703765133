"""One trapped packet as a dict, for tools and tests; the hot path reads `Packet` itself."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from agent._fast.packet import Packet, Port
from agent.errors import PacketError
from agent.pkt import dhcp6, dns, icmp
from agent.pkt.enums import ArpKind, DhcpStatus, Module, Trap
from agent.pkt.verdict import error
from agent.values import Mac

ANY_PORT = Port(vmi=True, dhcp=True, dhcpv6=True, dns=True, any_gateway=True)
"""Stands in for an unknown interface: a VMI with all services, where any address is a gateway."""

Fields = dict[str, Any]
Buffer = bytes | bytearray | memoryview


def _agent_header(packet: Packet) -> Fields:
    params = packet.params
    header = {"ifindex": packet.ifindex, "vrf": packet.vrf, "cmd": packet.cmd}
    header["cmd_param"] = params[0]
    return header | {f"cmd_param_{i}": params[i] for i in range(1, 6)}


def _ip(packet: Packet) -> Fields:
    if packet.family == 4:
        address: type[IPv4Address | IPv6Address] = IPv4Address
        hops = "ttl"
    else:
        address, hops = IPv6Address, "hlim"
    return {
        "version": packet.family,
        "src": str(address(packet.src)),
        "dst": str(address(packet.dst)),
        "proto": packet.proto,
        hops: packet.ttl,
    }


def _arp(packet: Packet) -> Fields:
    kind = ArpKind(packet.arp_kind)
    if kind == ArpKind.INVALID:
        return {"service_error": "invalid-arp"}
    fields: Fields = {
        "arp": {
            "op": packet.arp_op,
            "sha": str(Mac(packet.arp_sha)),
            "spa": str(IPv4Address(packet.arp_spa)),
            "tha": str(Mac(packet.arp_tha)),
            "tpa": str(IPv4Address(packet.arp_tpa)),
        }
    }
    if kind == ArpKind.UNKNOWN_OP:
        return fields | {"service_error": "unknown-op"}
    return fields | {"arp_kind": kind.name.lower()}


def _dhcp(packet: Packet) -> Fields:
    status = DhcpStatus(packet.dhcp_status)
    if status != DhcpStatus.OK:
        return {"service_error": status.name.lower().replace("_", "-")}
    fields: Fields = {
        "msg_type": packet.dhcp_type,
        "xid": packet.dhcp_xid,
        "chaddr": str(Mac(packet.dhcp_chaddr)),
        "ciaddr": str(IPv4Address(packet.dhcp_ciaddr)),
        "broadcast": packet.dhcp_broadcast,
    }
    if packet.dhcp_requested:
        fields["requested_ip"] = str(IPv4Address(packet.dhcp_requested))
    if packet.dhcp_server_id:
        fields["server_id"] = str(IPv4Address(packet.dhcp_server_id))
    if packet.dhcp_parameters:
        fields["param_req_list"] = list(packet.dhcp_parameters)
    for name, value in (("host_name", packet.dhcp_host_name), ("domain", packet.dhcp_domain)):
        if value:
            fields[name] = value.decode("latin-1")
    if packet.dhcp_client_id:
        fields["client_id"] = packet.dhcp_client_id.hex()
    return {"dhcp": fields}


def _dhcpv6(packet: Packet) -> Fields:
    message = dhcp6.parse(packet.payload)
    duid = message.client_duid
    fields: Fields = {
        "msg_type": message.msg_type,
        "xid": message.xid,
        "client_duid": None if duid is None else duid.hex(),
    }
    for association in message.associations[:1]:
        fields["iaid"] = association.iaid
        fields["ia_type"] = "IA_TA" if association.temporary else "IA_NA"
        if not association.temporary:
            fields |= {"T1": association.t1, "T2": association.t2}
    reply = dhcp6.REPLY_TYPE.get(message.msg_type)
    return {"dhcpv6": fields if reply is None else fields | {"reply_type": reply}}


def _dns(packet: Packet) -> Fields:
    message = dns.parse(packet.payload)
    questions = [{"name": q.name, "type": q.type, "class": q.klass} for q in message.questions]
    return {
        "dns": {
            "xid": message.xid,
            "qr": int(message.response),
            "opcode": message.opcode,
            "questions": questions,
        }
    }


def _icmp(packet: Packet) -> Fields:
    ok = icmp.checksum_ok(packet, icmp.message(packet))
    return {"icmp": {"type": packet.icmp_type, "code": packet.icmp_code, "checksum_ok": ok}}


def _icmpv6(packet: Packet) -> Fields:
    if packet.proto != 58:  # an IPv6 data packet that needs its neighbour resolved
        return {}
    body = icmp.message(packet)
    fields: Fields = {"type": packet.icmp_type, "checksum_ok": icmp.checksum_ok(packet, body)}
    if packet.icmp_type != icmp.NEIGHBOUR_ADVERTISEMENT or len(body) < 24:
        return {"icmpv6": fields}
    fields["target"] = str(IPv6Address(body[8:24]))
    fields["solicited"] = bool(body[4] & 0x40)
    try:
        fields["tlla"] = str(Mac(icmp.target_link_layer(body)))
    except PacketError as missing:
        return {"icmpv6": fields, "service_error": missing.reason}
    return {"icmpv6": fields}


def _flow(packet: Packet) -> Fields:
    handle, nexthop, octets, packets, overflow, generation = packet.params
    return {
        "flow": {
            "handle": handle,
            "nh": nexthop,
            "gen_id": generation,
            "evicted_bytes": octets | (overflow & 0xFFFF) << 32,
            "evicted_packets": packets | (overflow >> 16 & 0xFF) << 32,
        }
    }


_DECODERS: dict[Module, Callable[[Packet], Fields]] = {
    Module.DHCP: _dhcp,
    Module.DHCPV6: _dhcpv6,
    Module.DNS: _dns,
    Module.ICMP: _icmp,
    Module.ICMPV6: _icmpv6,
    Module.FLOW: _flow,
}


def _body(packet: Packet, module: Module) -> Fields:
    if packet.ethertype == 0x0806:
        return _arp(packet)
    decoder = _DECODERS.get(module)
    if decoder is None:
        return {}
    try:
        return decoder(packet)
    except PacketError as fault:
        return {"service_error": fault.reason}


def _reason(packet: Packet) -> Fields:
    params = packet.params
    if packet.cmd == Trap.HANDLE_DF:
        return {"df": {"mtu": params[0] & 0xFFFF, "flow_index": params[1]}}
    if packet.cmd in (Trap.MAC_LEARN, Trap.MAC_MOVE):
        return {"bridge_index": params[0]}
    return {}


def parse(frame: Buffer, pkt0_header: bool = False, port: Port | None = None) -> dict[str, Any]:
    """Decode a frame into the members of `tests/vectors/pkt0.jsonl`.

    `pkt0_header` says that the frame carries the 44 bytes of encapsulation. `port` is the
    interface for classification (default: `ANY_PORT`). A packet that parses, but that its
    service must reject, has a member `service_error`. PacketError when it does not parse.
    """
    packet = Packet()
    verdict = packet.open(frame, pkt0_header) or packet.parse(port or ANY_PORT)
    if verdict:
        raise error(verdict)
    module = Module(packet.module)
    fields: Fields = {"agent_hdr": _agent_header(packet)} if pkt0_header else {}
    fields["eth"] = {"src": str(Mac(packet.src_mac)), "dst": str(Mac(packet.dst_mac))}
    fields["module"] = module.name
    if packet.vlan_tags:
        fields["vlan_tags"] = packet.vlan_tags
    if packet.family:
        fields["ip"] = _ip(packet)
        fields |= {"sport": packet.sport, "dport": packet.dport, "tcp_ack": packet.tcp_ack}
    return fields | _reason(packet) | _body(packet, module)
