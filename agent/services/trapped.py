"""All services on pkt0 behind one door: batches in, frames and learned facts out."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Protocol, TypeAlias

from agent._fast.packet import FrameBatch, Packet, Port
from agent.inputs import DhcpSnooped
from agent.oper.rows import Fabric, Vmi
from agent.pkt import Dispatcher, Module
from agent.services.arp import ArpEvent, ArpService
from agent.services.arp_frames import service_addresses
from agent.services.dhcp4 import Dhcp4
from agent.services.view import View

_MAX_PORTS = 8192

Learned: TypeAlias = ArpEvent | DhcpSnooped
"""What services learn from packets."""


def _dhcp_enabled(vmi: Vmi, v6: bool) -> bool:
    subnet = vmi.subnet6 if v6 else vmi.subnet
    return vmi.dhcp_enabled and (subnet is None or subnet.dhcp_enabled)


class Ports:
    """The `Port` of each vif, remade when its rows change."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._ports: dict[int, tuple[Vmi | None, Fabric | None, Port]] = {}

    def port(self, vif_index: int) -> Port | None:
        """What classification needs of this vif; None when no interface has the index."""
        vmi, fabric = self._view.vmi(vif_index), self._view.fabric()
        known = self._ports.get(vif_index)
        if known is not None and known[0] is vmi and known[1] is fabric:
            return known[2]
        port = _make(vif_index, vmi, fabric)
        if port is None:
            self._ports.pop(vif_index, None)
            return None
        if len(self._ports) >= _MAX_PORTS:
            self._ports.clear()
        self._ports[vif_index] = (vmi, fabric, port)
        return port


def _make(vif_index: int, vmi: Vmi | None, fabric: Fabric | None) -> Port | None:
    router_id = int(fabric.router_id) if fabric and fabric.router_id else 0
    if vmi is not None:
        return Port(
            vmi=True,
            dhcp=_dhcp_enabled(vmi, v6=False),
            dhcpv6=_dhcp_enabled(vmi, v6=True),
            dns=True,
            router_id=router_id,
            gateways=sorted(service_addresses(vmi)),
        )
    own = (fabric.vif_index, fabric.vhost_vif_index, fabric.pkt0_vif_index) if fabric else ()
    return Port(router_id=router_id) if vif_index in own else None


class Watcher(Protocol):
    """Whoever wants to see each packet that a service has got."""

    def served(self, service: str, packet: Packet, replies: int) -> None:
        """It answered with so many frames; the packet is valid during the call."""
        ...


class TrappedPackets:
    """What the daemon drives: feed it batches and time, send what it returns.

    After each call `take_events` gives what was learned, for oper.
    """

    watcher: Watcher | None = None

    def __init__(self, view: View, secret: bytes = b"") -> None:
        """`secret`, best 16 random bytes, is what relayed DHCP messages are known again by."""
        self._view = view
        self.arp = ArpService()
        self.dhcp4 = Dhcp4(secret)
        self.dispatcher = Dispatcher(
            Ports(view).port, {Module.ARP: self._arp, Module.DHCP: self._dhcp4}
        )

    def _arp(self, packet: Packet, now: float) -> Iterable[bytes]:
        replies = self.arp.handle(self._view, packet, now)
        if self.watcher is not None:
            replies = list(replies)
            self.watcher.served("ARP", packet, len(replies))
        return replies

    def _dhcp4(self, packet: Packet, now: float) -> Iterable[bytes]:
        reply = self.dhcp4.reply(self._view, packet, now)
        if self.watcher is not None:
            self.watcher.served("DHCP", packet, int(reply is not None))
        return () if reply is None else (reply,)

    @property
    def pending(self) -> bool:
        """Whether trapped packets wait for another `turn`."""
        return self.dispatcher.pending > 0

    def receive(
        self, batch: FrameBatch, now: float, slots: Iterable[int] | None = None
    ) -> list[bytes]:
        """Serve frames of a batch, all or those in `slots`; the frames to send."""
        return self.dispatcher.receive(batch, now, slots)

    def turn(self, now: float) -> list[bytes]:
        """Serve packets that had to wait; the frames to send."""
        return self.dispatcher.turn(now)

    def tick(self, now: float) -> list[bytes]:
        """Do what is due; the frames to send."""
        return self.arp.tick(self._view, now)

    def next_deadline(self) -> float | None:
        """When `tick` is next needed, in monotonic seconds."""
        return self.arp.next_deadline()

    def relayed(self, message: bytes, server: IPv4Address, now: float) -> list[bytes]:
        """A DHCP message that `server` sent to the host; the frames to send."""
        frame = self.dhcp4.relayed(self._view, message, server)
        return [] if frame is None else [frame]

    def take_events(self) -> list[Learned]:
        """What was learned since the last call, in order."""
        return [*self.arp.take_events(), *self.dhcp4.take_events()]
