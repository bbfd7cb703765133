"""The rows that `oper` computes and that services, flow and tools may read."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from uuid import UUID

from agent.values import Address, Mac, Prefix


@dataclass(frozen=True, slots=True)
class DhcpOption:
    """A configured DHCP option as the schema carries it.

    `name` is an option name or number in text; `value` the text value; `value_bytes`
    the `dhcp_option_value_bytes` member (blank-separated numbers) or "".
    """

    name: str
    value: str
    value_bytes: str = ""


@dataclass(frozen=True, slots=True)
class HostRoute:
    """A static route handed to guests (option 121)."""

    prefix: IPv4Network
    gateway: IPv4Address | None


@dataclass(frozen=True, slots=True)
class DhcpScope:
    """What one level of configuration (VMI, subnet, VN, IPAM) adds to a DHCP answer."""

    options: tuple[DhcpOption, ...] = ()
    host_routes: tuple[HostRoute, ...] = ()


@dataclass(frozen=True, slots=True)
class Subnet:
    """One IPAM subnet of a virtual network. `dns_server` is the service address of facts 6."""

    prefix: Prefix
    gateway: Address | None
    dns_server: Address | None
    dhcp_enabled: bool = True
    dhcp: DhcpScope = DhcpScope()
    ipam: DhcpScope = DhcpScope()
    dns_method: str = "default-dns-server"
    tenant_dns_servers: tuple[Address, ...] = ()
    domain_name: str = ""


@dataclass(frozen=True, slots=True)
class Vrf:
    """A VRF with its datapath index."""

    name: str
    index: int


@dataclass(frozen=True, slots=True)
class Vn:
    """A virtual network as the datapath side needs it.

    An unusable one (bad configuration, disabled) is not `active`, has no VRF and no
    subnets, and `reason` says why.
    """

    uuid: UUID
    name: str
    vrf_name: str | None
    vxlan_id: int
    subnets: tuple[Subnet, ...] = ()
    l2: bool = True
    l3: bool = True
    flood_unknown_unicast: bool = False
    host_routes: tuple[HostRoute, ...] = ()
    active: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AddressPair:
    """An allowed address pair: `mac` None is the port's own; `ecmp` shares it with other ports."""

    prefix: Prefix
    mac: Mac | None = None
    ecmp: bool = False


@dataclass(frozen=True, slots=True)
class Vmi:
    """A virtual machine interface: config joined with the plugged port and the kernel link.

    `name` is that of the host's device (the tap), `os_index` its index or 0 while it is not
    there; `vif_index` is -1 when the datapath has no room for it. `active` is the single
    answer to "does it forward"; `reason` says why not; `l2_active` and so on tell for what.
    `subnet` is the IPAM subnet that contains `ip`, None when there is none. `dhcp_relay`: a
    server on the fabric gives it its address. `others` are its further addresses that are
    routed to it, `private` those of all that only this host shall know, `pairs` what else it
    may use. `transport` is a vifr_transport; with PMD (DPDK) it has a vhost-user socket instead
    of a device, whose client (`vhostuser_mode` 0) or server (1) is the datapath.
    """

    uuid: UUID
    name: str
    vif_index: int
    os_index: int
    mac: Mac
    active: bool
    reason: str
    vm_uuid: UUID
    vm_name: str
    vn: Vn | None
    vrf: Vrf | None
    ip: IPv4Address | None
    ip6: IPv6Address | None
    subnet: Subnet | None
    subnet6: Subnet | None
    dhcp_enabled: bool = True
    policy: bool = True
    dhcp: DhcpScope = DhcpScope()
    tx_vlan_id: int | None = None
    l2_active: bool = False
    ip4_active: bool = False
    ip6_active: bool = False
    config_name: str = ""
    dhcp_relay: bool = False
    others: tuple[Address, ...] = ()
    private: tuple[Address, ...] = ()
    pairs: tuple[AddressPair, ...] = ()
    transport: int = 1
    vhostuser_mode: int = 0

    @property
    def addresses(self) -> tuple[Address, ...]:
        """All addresses that are routed to it, the primary ones first."""
        first = (self.ip if self.ip4_active else None, self.ip6 if self.ip6_active else None)
        return (*(one for one in first if one is not None), *self.others)

    def held_as(self, address: Address) -> Address:
        """The address whose path preference counts: that of the longest pair around it, if any."""
        if address in self.addresses:
            return address
        around = [pair.prefix for pair in self.pairs if address in pair.prefix]
        longest = max(around, key=lambda prefix: prefix.prefixlen, default=None)
        return address if longest is None else longest.network_address

    def macs_of(self, address: Address) -> frozenset[Mac]:
        """The MAC addresses with which the VM uses an address, one that `held_as` gave."""
        if address in self.addresses:
            return frozenset((self.mac,))
        found = (pair for pair in self.pairs if pair.prefix.network_address == address)
        return frozenset(pair.mac or self.mac for pair in found) or frozenset((self.mac,))

    def primary(self, version: int) -> Address | None:
        """Its first address of a family, while it forwards that family."""
        if version == 4:
            return self.ip if self.ip4_active else None
        return self.ip6 if self.ip6_active else None


@dataclass(frozen=True, slots=True)
class Gateway:
    """A simple gateway: `name` is its device, in the VRF that it connects to the host.

    `vrf` and `vif_index` (else -1) are there while the gateway can be made at all; it is
    `active` while its device is up, else `reason` says why not.
    """

    name: str
    vif_index: int
    vrf: Vrf | None
    mac: Mac
    active: bool
    reason: str
    os_index: int = 0


@dataclass(frozen=True, slots=True)
class Fabric:
    """The host's own side: fabric interface, vhost0 and the router id."""

    vif_index: int
    vhost_vif_index: int
    pkt0_vif_index: int
    interface: str
    mac: Mac
    vhost_mac: Mac
    router_id: IPv4Address | None
    prefix: IPv4Network | None
    gateway: IPv4Address | None
