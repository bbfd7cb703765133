"""What a port is told by DHCP: address, lease and options, rendered once per configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from agent._fast.packet import ENCAPSULATION, MAX_DATAGRAM, DhcpAnswer
from agent.oper.rows import DhcpOption, DhcpScope, Fabric, HostRoute, Subnet, Vmi
from agent.services import dhcp4_options as opt
from agent.services.view import FABRIC_VRF

INFINITE = 0xFFFFFFFF
SHORT_LEASE = 4
"""Seconds; for a port whose configuration is not complete, so that it soon asks again."""
LINK_LOCAL = int(IPv4Address("169.254.0.0"))
LINK_LOCAL_SERVICE = int(IPv4Address("169.254.169.254"))
"""Stands in for the service address of a port that has no subnet yet."""
MAX_IP_DATAGRAM = MAX_DATAGRAM - ENCAPSULATION - 18
"""Largest answer that fits into one pkt0 datagram, with a VLAN tag."""
NAK_TEXT = b"cannot assign requested address"

_IP_UDP_BOOTP = 28 + 240
_TYPE_AND_END = 3 + 1


@dataclass(frozen=True, slots=True)
class Lease:
    """Addresses as integers, 0 for none; `seconds` may be INFINITE."""

    address: int
    prefix_length: int
    seconds: int
    gateway: int
    service: int
    complete: bool

    @property
    def source(self) -> int:
        """The server's own address."""
        return self.service or self.gateway or LINK_LOCAL_SERVICE


def _v4(address: object) -> int:
    return int(address) if isinstance(address, IPv4Address) else 0


def _fabric_lease(address: int, fabric: Fabric) -> Lease:
    length = fabric.prefix.prefixlen if fabric.prefix else 32
    local = address >> 16 == LINK_LOCAL >> 16
    gateway = 0 if local else _v4(fabric.gateway)
    return Lease(address, length, INFINITE, gateway, gateway, True)


def lease_of(vmi: Vmi, fabric: Fabric | None) -> Lease:
    """The lease of a port: infinite once it is configured, 4 seconds until then."""
    subnet = vmi.subnet
    prefix = subnet.prefix if subnet else None
    if not vmi.ip:
        address = LINK_LOCAL | vmi.vif_index & 0xFF
        return Lease(address, 16, SHORT_LEASE, 0, 0, False)
    if vmi.active and subnet and isinstance(prefix, IPv4Network) and vmi.ip in prefix:
        gateway = _v4(subnet.gateway)
        service = _v4(subnet.dns_server) or gateway
        return Lease(int(vmi.ip), prefix.prefixlen, INFINITE, gateway, service, True)
    if vmi.active and fabric and vmi.vrf and vmi.vrf.index == FABRIC_VRF:
        return _fabric_lease(int(vmi.ip), fabric)
    return Lease(int(vmi.ip), 32, SHORT_LEASE, 0, 0, False)


def _scopes(vmi: Vmi) -> list[DhcpScope]:
    subnet = vmi.subnet
    return [vmi.dhcp] if subnet is None else [vmi.dhcp, subnet.dhcp, subnet.ipam]


def _configured(vmi: Vmi) -> tuple[dict[int, bytes], int]:
    """Encoded values by code, in the order VMI, subnet, IPAM; and how many were unusable."""
    values: dict[int, bytes] = {}
    bad = 0
    for scope in _scopes(vmi):
        for option in scope.options:
            try:
                code, value = opt.encoded(option)
            except ValueError:
                bad += 1
                continue
            if code != opt.CLASSLESS_ROUTES:
                values.setdefault(code, value)
    return values, bad


def _option_routes(options: tuple[DhcpOption, ...]) -> tuple[HostRoute, ...]:
    for option in options:
        definition = opt.find(option.name)
        if definition and definition.code == opt.CLASSLESS_ROUTES:
            try:
                return opt.parse_routes(option.value)
            except ValueError:
                return ()
    return ()


def _route_sources(vmi: Vmi) -> Iterator[tuple[HostRoute, ...]]:
    """Where classless routes may come from, the first that has some wins."""
    yield vmi.dhcp.host_routes
    yield _option_routes(vmi.dhcp.options)
    if vmi.subnet:
        yield vmi.subnet.dhcp.host_routes
        yield _option_routes(vmi.subnet.dhcp.options)
    if vmi.vn:
        yield vmi.vn.host_routes
    if vmi.subnet:
        yield vmi.subnet.ipam.host_routes
        yield _option_routes(vmi.subnet.ipam.options)


def _dns_servers(subnet: Subnet | None, lease: Lease) -> bytes:
    if subnet is not None and subnet.dns_method == "tenant-dns-server":
        servers = [int(a) for a in subnet.tenant_dns_servers if isinstance(a, IPv4Address)]
    else:
        servers = [lease.service] if lease.service else []
    return b"".join(server.to_bytes(4) for server in servers)


def _names(vmi: Vmi) -> tuple[bytes, bytes]:
    """Host and domain name; a virtual DNS replaces the domain part of the host's."""
    subnet = vmi.subnet
    domain = ""
    if subnet is not None and subnet.dns_method == "virtual-dns-server":
        domain = subnet.domain_name
    host = vmi.vm_name
    if domain and "." in host:
        host = f"{host.partition('.')[0]}.{domain}"
    return host.encode(errors="replace")[:255], domain.encode(errors="replace")[:255]


class _Room:
    """Takes options in order of importance while the message has room."""

    def __init__(self, limit: int) -> None:
        self.left = limit - _IP_UDP_BOOTP - _TYPE_AND_END
        self.refused = 0

    def take(self, code: int, value: bytes) -> bytes:
        option = opt.encode(code, value) if value else b""
        if len(option) > self.left:
            self.refused += 1
            return b""
        self.left -= len(option)
        return option


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer ready to be patched; `bad` and `refused` count options that were left out."""

    answer: DhcpAnswer
    address: int
    bad: int
    refused: int


def _options(vmi: Vmi, lease: Lease, values: dict[int, bytes], room: _Room) -> dict[str, bytes]:
    """The parts of a `DhcpAnswer`. What a client cannot do without gets its room first."""
    bits = 0xFFFFFFFF << (32 - lease.prefix_length) & 0xFFFFFFFF
    broadcast = lease.address | ~bits & 0xFFFFFFFF
    head = room.take(opt.SERVER_ID, lease.source.to_bytes(4))
    if bits:
        head += room.take(opt.SUBNET_MASK, bits.to_bytes(4))
        head += room.take(opt.BROADCAST, broadcast.to_bytes(4))
    seconds = values.pop(opt.LEASE_TIME, lease.seconds.to_bytes(4))
    gateway = lease.gateway.to_bytes(4) if lease.gateway else b""
    host, domain = _names(vmi)
    parts = {
        "lease": room.take(opt.LEASE_TIME, seconds),
        "router": room.take(opt.ROUTER, values.pop(opt.ROUTER, gateway)),
    }
    routes = next((routes for routes in _route_sources(vmi) if routes), ())
    tail = [
        (code, value)
        for code, value in (
            (opt.HOST_NAME, host),
            (opt.DNS_SERVERS, _dns_servers(vmi.subnet, lease)),
            (opt.DOMAIN_NAME, domain),
        )
        if code not in values
    ]
    parts["tail"] = b"".join(room.take(code, value) for code, value in tail)
    parts["routes"] = room.take(opt.CLASSLESS_ROUTES, opt.encode_routes(routes, lease.gateway))
    configured = (room.take(code, value) for code, value in values.items())
    return parts | {"head": head + b"".join(configured)}


def _next_server(values: dict[int, bytes], lease: Lease) -> int:
    try:
        return int(IPv4Address(values.get(opt.TFTP_SERVER, b"").decode()))
    except ValueError:
        return lease.source


def render(vmi: Vmi, fabric: Fabric, limit: int = MAX_IP_DATAGRAM) -> Rendered:
    """The OFFER, ACK and INFORM answers of a port, in IP datagrams of at most `limit` bytes."""
    lease = lease_of(vmi, fabric)
    values, bad = _configured(vmi)
    room = _Room(min(limit, MAX_IP_DATAGRAM))
    answer = DhcpAnswer(
        ifindex=vmi.vif_index,
        vrf=vmi.vrf.index if vmi.vrf else 0,
        source_mac=fabric.vhost_mac,
        source=lease.source,
        next_server=_next_server(values, lease),
        address=lease.address,
        vlan=-1 if vmi.tx_vlan_id is None else vmi.tx_vlan_id,
        **_options(vmi, lease, values, room),
    )
    return Rendered(answer, lease.address, bad, room.refused)


def render_nak(vmi: Vmi, fabric: Fabric) -> DhcpAnswer:
    """The refusal: no address, server id 0.0.0.0, and the reason in words."""
    source = lease_of(vmi, fabric).source
    return DhcpAnswer(
        ifindex=vmi.vif_index,
        vrf=vmi.vrf.index if vmi.vrf else 0,
        source_mac=fabric.vhost_mac,
        source=source,
        next_server=source,
        address=0,
        vlan=-1 if vmi.tx_vlan_id is None else vmi.tx_vlan_id,
        head=opt.encode(opt.SERVER_ID, bytes(4)),
        tail=opt.encode(opt.MESSAGE, NAK_TEXT),
    )
