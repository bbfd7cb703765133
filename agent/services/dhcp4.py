"""The DHCPv4 server of the ports (RFC 2131; facts pkt0-services.md 6).

It owns no addresses: a port is told what its configuration says, or its messages are relayed.
Every answer is a complete pkt0 frame for CMD_SWITCH on the port's vif.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from agent._fast.packet import DhcpAnswer, Packet
from agent.inputs import DhcpSnooped
from agent.oper.rows import Fabric, Vmi
from agent.pkt import DhcpStatus, DhcpType
from agent.services.dhcp4_answer import render, render_nak
from agent.services.dhcp4_relay import Dhcp4Relay
from agent.services.view import View

MIN_DATAGRAM = 576
"""Bytes of IP datagram that every client accepts (RFC 2131 section 2)."""
_MAX_PORTS = 4096

# Plain numbers: an enum member costs two look-ups each time on the hot path.
_DISCOVER, _REQUEST, _INFORM = map(int, (DhcpType.DISCOVER, DhcpType.REQUEST, DhcpType.INFORM))
_OFFER, _ACK, _NAK = map(int, (DhcpType.OFFER, DhcpType.ACK, DhcpType.NAK))
_WRONG_MAC = -2  # of Packet.dhcp_kind


@dataclass(slots=True)
class DhcpCounters:
    """Messages by what they were and what became of them."""

    discover: int = 0
    request: int = 0
    inform: int = 0
    decline: int = 0
    release: int = 0
    other: int = 0
    errors: int = 0
    offers: int = 0
    acks: int = 0
    nacks: int = 0
    relay_req: int = 0
    relay_resp: int = 0
    dhcp_disabled_drop: int = 0
    incorrect_mac: int = 0
    bad_options: int = 0
    options_left_out: int = 0


class _PortAnswers:
    """The rendered answers of one port, valid for one pair of rows."""

    __slots__ = (
        "_limited",
        "address",
        "bad",
        "enabled",
        "fabric",
        "full",
        "mac",
        "nak",
        "relayed",
        "vmi",
    )

    def __init__(self, vmi: Vmi, fabric: Fabric) -> None:
        rendered = render(vmi, fabric)
        self.vmi = vmi
        self.fabric = fabric
        self.enabled = vmi.dhcp_enabled and (vmi.subnet is None or vmi.subnet.dhcp_enabled)
        self.relayed = vmi.dhcp_relay
        self.mac = bytes(vmi.mac)
        self.full = rendered.answer
        self.address = rendered.address
        self.bad = rendered.bad + rendered.refused
        self.nak = render_nak(vmi, fabric)
        self._limited: tuple[int, DhcpAnswer, int] | None = None

    def within(self, limit: int) -> tuple[DhcpAnswer, int]:
        """The answer for a client that takes `limit` bytes, and how many options it lacks."""
        if self._limited is None or self._limited[0] != limit:
            rendered = render(self.vmi, self.fabric, limit)
            self._limited = (limit, rendered.answer, rendered.refused)
        return self._limited[1:]


class Dhcp4:
    """Answers or relays DHCP clients; remembers nothing but rendered answers and counters."""

    def __init__(self, secret: bytes = b"") -> None:
        """`secret` keeps others from making answers that we would relay."""
        self.counters = DhcpCounters()
        self._relay = Dhcp4Relay(secret)
        self._snooped: list[DhcpSnooped] = []
        self._ports: dict[int, _PortAnswers] = {}

    def reply(self, view: View, packet: Packet, now: float) -> bytes | None:
        """The frame that answers `packet`, or None when there is no answer."""
        index = packet.ifindex
        vmi = view.vmi(index)
        fabric = view.fabric()
        port = self._ports.get(index)
        if port is None or port.vmi is not vmi or port.fabric is not fabric:
            port = self._port(vmi, fabric)
        kind = packet.dhcp_kind(port.mac) if port is not None and port.enabled else 0
        if port is None or kind < 0 or not port.enabled:
            self._count_refusal(packet, port, fabric, kind)
            return None
        if port.relayed:
            return self._request(packet, port)
        return self._answer(packet, port, kind)

    def relayed(self, view: View, message: bytes, server: IPv4Address) -> bytes | None:
        """The frame that hands a server's answer to its port; None when it is nobody's."""
        vif, fabric = self._relay.vif_of(message), view.fabric()
        vmi = None if vif is None else view.vmi(vif)
        if vmi is None or fabric is None or not vmi.dhcp_relay:
            self.counters.errors += 1
            return None
        found = self._relay.answer(message, server, vmi, fabric)
        if found is None:
            self.counters.errors += 1
            return None
        self.counters.relay_resp += 1
        if found.snooped is not None:
            self._snooped.append(found.snooped)
        return found.frame

    def take_events(self) -> list[DhcpSnooped]:
        """The addresses that servers gave since the last call."""
        events, self._snooped = self._snooped, []
        return events

    def _request(self, packet: Packet, port: _PortAnswers) -> bytes | None:
        """To the servers of the fabric."""
        frame = self._relay.request(packet, port.vmi, port.fabric)
        if frame is None:
            self.counters.errors += 1
        else:
            self.counters.relay_req += 1
        return frame

    def _answer(self, packet: Packet, port: _PortAnswers, kind: int) -> bytes | None:
        counters = self.counters
        if kind == _DISCOVER:
            counters.discover += 1
            counters.offers += 1
            reply = _OFFER
        elif kind == _REQUEST:
            counters.request += 1
            if packet.dhcp_requested not in (0, port.address):
                counters.nacks += 1
                return port.nak.build(packet, _NAK)
            counters.acks += 1
            reply = _ACK
        elif kind == _INFORM:
            counters.inform += 1
            counters.acks += 1
            reply = _ACK
        else:
            self._count_silent(kind)
            return None
        return port.full.build(packet, reply) or self._build_within(packet, port, reply)

    def _build_within(self, packet: Packet, port: _PortAnswers, reply: int) -> bytes | None:
        """For a client that takes less than the whole answer."""
        answer, left_out = port.within(max(packet.dhcp_max_size, MIN_DATAGRAM))
        self.counters.options_left_out += left_out
        return answer.build(packet, reply)

    def _port(self, vmi: Vmi | None, fabric: Fabric | None) -> _PortAnswers | None:
        if vmi is None or fabric is None:
            return None
        if len(self._ports) >= _MAX_PORTS:
            self._ports.clear()
        port = self._ports[vmi.vif_index] = _PortAnswers(vmi, fabric)
        self.counters.bad_options += port.bad
        return port

    def _count_refusal(
        self, packet: Packet, port: _PortAnswers | None, fabric: Fabric | None, kind: int
    ) -> None:
        """In the order of the checks: length, interface, DHCP enabled, MAC, cookie."""
        if packet.dhcp_status == DhcpStatus.SHORT_HEADER:
            self.counters.errors += 1
        elif port is None:
            self._count_no_port(packet.ifindex, fabric)
        elif not port.enabled:
            self.counters.dhcp_disabled_drop += 1
        elif kind == _WRONG_MAC:
            self.counters.incorrect_mac += 1
        else:
            self.counters.errors += 1

    def _count_no_port(self, vif_index: int, fabric: Fabric | None) -> None:
        """Interfaces of the host itself get no lease; unknown ones may just be gone."""
        own = fabric and (fabric.vif_index, fabric.vhost_vif_index, fabric.pkt0_vif_index)
        if own and vif_index in own:
            self.counters.errors += 1
        else:
            self.counters.other += 1

    def _count_silent(self, kind: int) -> None:
        if kind == DhcpType.DECLINE:
            self.counters.decline += 1
        elif kind == DhcpType.RELEASE:
            self.counters.release += 1
        else:
            self.counters.other += 1
