"""What a topology file says of addresses that ports have beside their own, as rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.values import Address, Mac, Prefix


@dataclass(frozen=True, slots=True)
class FloatingAddress:
    """A floating IP: an address of `network` for `vms`, each by `fixed` or its first address.

    `ports` are (protocol, public, private), None for all ports as they are.
    """

    name: str
    network: str
    address: Address
    vms: tuple[str, ...]
    fixed: Address | None
    direction: str
    ports: tuple[tuple[str, int, int], ...] | None


@dataclass(frozen=True, slots=True)
class AliasAddress:
    """An alias IP: a further address of a VM, in another network."""

    name: str
    network: str
    address: Address
    vms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AllowedPair:
    """What VMs may use beside their own addresses; `mac` None is each one's own."""

    name: str
    vms: tuple[str, ...]
    prefix: Prefix
    mac: Mac | None
    mode: str


@dataclass(frozen=True, slots=True)
class RouteTable:
    """Prefixes behind VMs, each with the communities that controllers are told."""

    name: str
    vms: tuple[str, ...]
    routes: tuple[tuple[Prefix, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class FatFlowRule:
    """Flows of VMs, or of all VMs of networks, that are taken together.

    `source` and `destination` are addresses that are cut to the length beside them.
    """

    name: str
    vms: tuple[str, ...]
    networks: tuple[str, ...]
    protocol: str
    port: int
    ignore: str
    source: tuple[Prefix, int] | None
    destination: tuple[Prefix, int] | None


@dataclass(frozen=True, slots=True)
class LinkLocal:
    """A service of the fabric on a link-local address; `server_name` where no server is given."""

    name: str
    address: Address
    port: int
    servers: tuple[Address, ...]
    server_name: str
    server_port: int


@dataclass(frozen=True, slots=True)
class Addresses:
    """All of them, by name."""

    floating_ips: Mapping[str, FloatingAddress] = field(default_factory=dict)
    alias_ips: Mapping[str, AliasAddress] = field(default_factory=dict)
    allowed_address_pairs: Mapping[str, AllowedPair] = field(default_factory=dict)
    route_tables: Mapping[str, RouteTable] = field(default_factory=dict)
    fat_flows: Mapping[str, FatFlowRule] = field(default_factory=dict)
    link_local_services: Mapping[str, LinkLocal] = field(default_factory=dict)
