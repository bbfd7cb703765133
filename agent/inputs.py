"""Row types of the inputs: the vocabulary shared by those who produce and those who read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address
from typing import Any
from uuid import UUID

from agent.values import Mac


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What the configuration file says about this host.

    `address` is the address of vhost0 (the router id) with its prefix length, `gateway` the
    fabric's default gateway; without an address the host has no underlay. `pkt0_transport`
    is a vifr_transport: 1 Ethernet (kernel), 3 socket (DPDK, embedded forwarder).
    `dhcp_relay`: ports in the fabric's network get their addresses from a server there.
    `interface_transport` is that of the host's own interfaces and of VMs: 1 Ethernet, 2 PMD
    (DPDK). There the fabric interface has left the kernel: `fabric_mac` and `fabric_device`,
    the number of its PCI device, are what the file says of it (None, 0: ask the kernel).
    `encapsulations` are the tunnel types in order of preference while no
    global-vrouter-config says otherwise. `least_pair_length` is the shortest prefix that an
    allowed address pair may be, for IPv4; IPv6 ones may have as many addresses. VMs reach
    the agent's own proxy of the metadata service on `metadata_port`; `mirror_port` is where
    copies of packets come from.
    """

    host_name: str
    fabric_interface: str
    address: IPv4Interface | None = None
    gateway: IPv4Address | None = None
    vhost_name: str = "vhost0"
    pkt0_name: str = "unix"
    pkt0_transport: int = 3
    interface_transport: int = 1
    fabric_mac: Mac | None = None
    fabric_device: int = 0
    subnet_hosts_resolvable: bool = True
    dhcp_relay: bool = False
    encapsulations: tuple[str, ...] = ("MPLSoGRE",)
    least_pair_length: int = 24
    metadata_port: int = 8097
    mirror_port: int = 8097


@dataclass(frozen=True, slots=True)
class GraphNode:
    """An IFMap node: its type and name identify it.

    `properties` maps a property name of `ifmap-schema.json` (e.g. "virtual-network-network-id",
    "id-perms") to its value: str, int, bool, or nested dict/list with the schema's member names.
    """

    type: str
    name: str
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GraphLink:
    """An IFMap link between two nodes, each given as (type, name); `metadata` names the relation.

    A relation with content has an attribute node (of the type `metadata`) in its middle, with
    the content in the property "value", and a link of the same metadata to either side.
    """

    metadata: str
    left: tuple[str, str]
    right: tuple[str, str]


@dataclass(frozen=True, slots=True)
class PluggedPort:
    """A port that an operator plugged through the REST API (facts rest-api.md 3.1)."""

    uuid: UUID
    instance_uuid: UUID
    vn_uuid: UUID
    project_uuid: UUID
    display_name: str
    system_name: str
    mac: Mac
    ip: IPv4Address
    ip6: IPv6Address
    port_type: int = 0
    rx_vlan_id: int = 0xFFFF
    tx_vlan_id: int = 0xFFFF
    vhostuser_mode: int = 0
    link_state: bool = True


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """A port plugged through POST /vm (facts rest-api.md 6.1); nil `vmi_uuid`: waits for config."""

    vm_uuid: UUID
    vn_uuid: UUID
    vmi_uuid: UUID
    vm_name: str
    host_ifname: str
    vm_id: str = ""
    vm_ifname: str = ""
    vm_namespace: str = ""


@dataclass(frozen=True, slots=True)
class SimpleGateway:
    """A simple gateway of POST /gateway (facts rest-api.md 7).

    `interface` is its device, `routing_instance` the VRF whose `subnets` it makes known to the
    host and which learns `routes` through it.
    """

    interface: str
    routing_instance: str
    subnets: tuple[IPv4Network, ...]
    routes: tuple[IPv4Network, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface of the host as the kernel reports it."""

    name: str
    index: int
    mac: Mac
    up: bool


@dataclass(frozen=True, slots=True)
class ArpResolved:
    """Learned: `ip` in the VRF `vrf_index` answers ARP at `mac` behind vif `vif_index`."""

    vrf_index: int
    ip: IPv4Address
    mac: Mac
    vif_index: int


@dataclass(frozen=True, slots=True)
class ArpLost:
    """Learned: `ip` in the VRF `vrf_index` no longer answers; forget its `ArpResolved`."""

    vrf_index: int
    ip: IPv4Address


@dataclass(frozen=True, slots=True)
class TrafficSeen:
    """Learned: the VM behind vif `vif_index` uses `ip` with `mac` (path preference)."""

    vif_index: int
    ip: IPv4Address | IPv6Address
    mac: Mac


@dataclass(frozen=True, slots=True)
class DropNewFlows:
    """Learned: the VM behind a vif has as many flows as it may (`drop`), or room for more."""

    vif_index: int
    drop: bool


@dataclass(frozen=True, slots=True)
class LinkTold:
    """Learned: the datapath says that what is behind a vif is up, or down."""

    vif_index: int
    up: bool


@dataclass(frozen=True, slots=True)
class DhcpSnooped:
    """Learned: a DHCP server of the fabric gave `ip` to the VM with `mac` behind a vif."""

    vif_index: int
    ip: IPv4Address
    mac: Mac
