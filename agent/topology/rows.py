"""What a topology file names, as rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address
from uuid import UUID, uuid5

from agent.topology.address_rows import Addresses
from agent.topology.policy_rows import DEFAULT_GROUP, Policies
from agent.values import Mac, Prefix

_NAMESPACE = UUID("6f1d0e42-3c55-5e0b-9a57-6b1f7a0b9b10")


def uuid_of(kind: str, name: str) -> UUID:
    """The UUID of a named object of the topology, e.g. uuid_of("virtual-network", "red")."""
    return uuid5(_NAMESPACE, f"{kind}:{name}")


@dataclass(frozen=True, slots=True)
class NetworkSubnet:
    """One subnet of a network with its gateway and service (DNS) address."""

    prefix: Prefix
    gateway: IPv4Address | IPv6Address
    dns: IPv4Address | IPv6Address
    dhcp: bool


@dataclass(frozen=True, slots=True)
class Network:
    """A virtual network. `dhcp_options` and `host_routes` are (name, value) pairs in text.

    `policies` are the names of those that it has, in their order.
    """

    name: str
    uuid: UUID
    vxlan_id: int
    subnets: tuple[NetworkSubnet, ...]
    forwarding_mode: str
    flood_unknown_unicast: bool
    dhcp_options: tuple[tuple[str, str], ...]
    host_routes: tuple[tuple[str, str], ...]
    policies: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Vm:
    """A VM with one interface: `tap` is the host side device, `uuid` the VM, `port` the VMI.

    Without `policy` nothing decides on what it sends and gets.
    """

    name: str
    host: str
    network: str
    uuid: UUID
    port: UUID
    tap: str
    mac: Mac
    address: IPv4Address
    address6: IPv6Address | None
    security_groups: tuple[str, ...] = (DEFAULT_GROUP,)
    tags: tuple[str, ...] = ()
    policy: bool = True


@dataclass(frozen=True, slots=True)
class Host:
    """A compute node: its address on the fabric and, where there is one, the fabric's gateway."""

    name: str
    fabric: IPv4Interface
    gateway: IPv4Address | None
    interface: str


@dataclass(frozen=True, slots=True)
class Controller:
    """A controller of the lab: its address on the fabric and the port of its channel."""

    name: str
    address: IPv4Interface
    port: int


@dataclass(frozen=True, slots=True)
class GracefulRestart:
    """Times in seconds for which routes outlive a channel; facts xmpp-ifmap.md section 4."""

    restart_time: int
    long_lived_time: int
    end_of_rib_time: int


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything the file names, by name.

    Without `controllers` each host stands alone. `connect` are groups of networks whose
    routes controllers exchange, by wish or because a policy lets something pass between
    them; `graceful_restart` is None when it is off; `fabric_mtu` is
    in bytes without the Ethernet header.
    """

    name: str
    hosts: Mapping[str, Host]
    networks: Mapping[str, Network]
    vms: Mapping[str, Vm]
    encapsulations: tuple[str, ...]
    controllers: Mapping[str, Controller]
    connect: tuple[frozenset[str], ...]
    graceful_restart: GracefulRestart | None
    fabric_mtu: int = 1500
    policies: Policies = field(default_factory=Policies)
    addresses: Addresses = field(default_factory=Addresses)
    flow_export_rate: int | None = None
    """Sessions a second that each host tells of, -1: all; None is not configured: none."""

    def on_host(self, host: str) -> list[Vm]:
        """The VMs of one host, in file order."""
        return [vm for vm in self.vms.values() if vm.host == host]
