"""The ARP frames that the agent sends, complete for pkt0 (facts pkt0-services.md 5)."""

from __future__ import annotations

from ipaddress import IPv4Address

from agent._fast.packet import arp_frame_bytes
from agent.oper.rows import Fabric, Vmi
from agent.services.view import FABRIC_VRF
from agent.values import BROADCAST_MAC, Mac

REQUEST = 1
NO_MAC = Mac(bytes(6))


def vlan_of(vmi: Vmi) -> int:
    """The TX VLAN id of a port, -1 for none."""
    return -1 if vmi.tx_vlan_id is None else vmi.tx_vlan_id


def service_addresses(vmi: Vmi) -> frozenset[int]:
    """Gateway and service addresses of the VN's IPv4 subnets, as integers."""
    subnets = vmi.vn.subnets if vmi.vn else ()
    addresses = (a for s in subnets for a in (s.gateway, s.dns_server))
    return frozenset(int(a) for a in addresses if isinstance(a, IPv4Address))


def _own_addresses(vmi: Vmi) -> list[IPv4Address]:
    """The gateway and then the service address of the port's own subnet, where they are set."""
    subnet = vmi.subnet
    pair = (subnet.gateway, subnet.dns_server) if subnet else ()
    return list(dict.fromkeys(a for a in pair if isinstance(a, IPv4Address) and int(a)))


def fabric_request(fabric: Fabric, router_id: IPv4Address, target: IPv4Address) -> bytes:
    """Ask the fabric for `target`."""
    return arp_frame_bytes(
        ifindex=fabric.vif_index,
        vrf=FABRIC_VRF,
        op=REQUEST,
        eth_dst=BROADCAST_MAC,
        eth_src=fabric.mac,
        sender_mac=fabric.mac,
        sender=int(router_id),
        target_mac=NO_MAC,
        target=int(target),
    )


def fabric_gratuitous(fabric: Fabric, router_id: IPv4Address) -> bytes:
    """Tell the fabric where the router id is."""
    return fabric_request(fabric, router_id, router_id)


def port_gratuitous(vmi: Vmi, fabric: Fabric) -> list[bytes]:
    """Tell a VM the MAC of its gateway and of its service address."""
    return [
        arp_frame_bytes(
            ifindex=vmi.vif_index,
            vrf=vmi.vrf.index if vmi.vrf else 0,
            op=REQUEST,
            eth_dst=vmi.mac,
            eth_src=fabric.vhost_mac,
            sender_mac=fabric.vhost_mac,
            sender=int(address),
            target_mac=fabric.vhost_mac,
            target=int(address),
            vlan=vlan_of(vmi),
        )
        for address in _own_addresses(vmi)
    ]


def port_probe(vmi: Vmi, fabric: Fabric, ip: IPv4Address, mac: Mac) -> bytes | None:
    """Ask a VM whether it uses `ip`; None while the port has no address to ask from.

    A pair with a MAC of its own may sit behind another interface of the VM: asked by broadcast.
    """
    own = _own_addresses(vmi)
    if not own:
        return None
    return arp_frame_bytes(
        ifindex=vmi.vif_index,
        vrf=vmi.vrf.index if vmi.vrf else 0,
        op=REQUEST,
        eth_dst=vmi.mac if mac == vmi.mac else BROADCAST_MAC,
        eth_src=fabric.vhost_mac,
        sender_mac=fabric.vhost_mac,
        sender=int(own[-1]),
        target_mac=NO_MAC,
        target=int(ip),
        vlan=vlan_of(vmi),
    )
