"""The topology file: hosts, networks and VMs of a lab or of a standalone host.

The file is YAML; `parse` takes its loaded content. UUIDs and, where left out, MAC
addresses derive from names, so that the same file always means the same objects.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any
from uuid import UUID, uuid5

from agent.errors import ConfigError
from agent.values import Mac, Prefix, prefix

_NAMESPACE = UUID("6f1d0e42-3c55-5e0b-9a57-6b1f7a0b9b10")
_ENCAPSULATIONS = ("MPLSoUDP", "MPLSoGRE", "VXLAN")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")


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
    """A virtual network. `dhcp_options` and `host_routes` are (name, value) pairs in text."""

    name: str
    uuid: UUID
    vxlan_id: int
    subnets: tuple[NetworkSubnet, ...]
    forwarding_mode: str
    flood_unknown_unicast: bool
    dhcp_options: tuple[tuple[str, str], ...]
    host_routes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Vm:
    """A VM with one interface: `tap` is the host side device, `uuid` the VM, `port` the VMI."""

    name: str
    host: str
    network: str
    uuid: UUID
    port: UUID
    tap: str
    mac: Mac
    address: IPv4Address
    address6: IPv6Address | None


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
    routes controllers exchange; `graceful_restart` is None when it is off; `fabric_mtu` is
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

    def on_host(self, host: str) -> list[Vm]:
        """The VMs of one host, in file order."""
        return [vm for vm in self.vms.values() if vm.host == host]


class _Reader:
    """A mapping of the file with its place, for errors that say where they are."""

    def __init__(self, content: object, place: str, known: str) -> None:
        if not isinstance(content, Mapping):
            raise ConfigError(f"{place or 'topology'}: expected a mapping, found {content!r}")
        unknown = sorted(str(key) for key in content if key not in known.split())
        if unknown:
            raise ConfigError(f"{place or 'topology'}: unknown key {unknown[0]!r}; known: {known}")
        self.content = content
        self.place = place

    def at(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place else key

    def named(self, key: str) -> list[tuple[str, Any]]:
        value = self.content.get(key) or {}
        if not isinstance(value, Mapping):
            raise ConfigError(f"{self.at(key)}: expected a mapping of names, found {value!r}")
        for name in value:
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise ConfigError(
                    f"{self.at(key)}: bad name {name!r}; use letters, digits, - and _"
                )
        return list(value.items())

    def get(self, key: str, convert: Any, default: Any = None) -> Any:
        value = self.content.get(key)
        if value is None:
            return default
        try:
            return convert(value)
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{self.at(key)}: {error}") from None

    def need(self, key: str, convert: Any) -> Any:
        if self.content.get(key) is None:
            raise ConfigError(f"{self.place}: {key!r} is missing")
        return self.get(key, convert)

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        return tuple((str(name), str(value)) for name, value in self.get(key, dict, {}).items())


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, found {value!r}")
    return value


def _mtu(value: object) -> int:
    if not isinstance(value, int) or not 576 <= value <= 65535:
        raise ValueError(f"expected bytes, 576 to 65535, found {value!r}")
    return value


def _subnet(text: object, reader: _Reader, first: bool) -> NetworkSubnet:
    network = prefix(str(text))
    hosts = network.network_address
    gateway = reader.get("gateway", ip_address) if first else None
    dns = reader.get("dns", ip_address) if first else None
    return NetworkSubnet(
        network, gateway or hosts + 1, dns or hosts + 2, reader.get("dhcp", _flag, True)
    )


def _network(name: str, content: object, index: int) -> Network:
    known = (
        "subnet subnets gateway dns dhcp vxlan_id forwarding_mode"
        " flood_unknown_unicast dhcp_options host_routes"
    )
    reader = _Reader(content, f"networks.{name}", known)
    texts = reader.get("subnets", list) or [reader.need("subnet", str)]
    try:
        subnets = tuple(_subnet(text, reader, at == 0) for at, text in enumerate(texts))
    except ValueError as error:
        raise ConfigError(f"{reader.place}: {error}") from None
    mode = reader.get("forwarding_mode", str, "l2_l3")
    if mode not in ("l2_l3", "l2", "l3"):
        raise ConfigError(f"{reader.at('forwarding_mode')}: {mode!r} is not l2_l3, l2 or l3")
    return Network(
        name,
        uuid_of("virtual-network", name),
        reader.get("vxlan_id", int, index + 1),
        subnets,
        mode,
        reader.get("flood_unknown_unicast", _flag, False),
        reader.pairs("dhcp_options"),
        reader.pairs("host_routes"),
    )


def _host(name: str, content: object, index: int) -> Host:
    reader = _Reader(content or {}, f"hosts.{name}", "fabric gateway interface")
    fabric = reader.get("fabric", IPv4Interface, IPv4Interface(f"10.0.0.{index + 1}/24"))
    return Host(
        name, fabric, reader.get("gateway", IPv4Address), reader.get("interface", str, "fabric0")
    )


def _vm(name: str, content: object, hosts: list[str], networks: Mapping[str, Network]) -> Vm:
    reader = _Reader(content, f"vms.{name}", "host network address address6 mac")
    host = reader.get("host", str, hosts[0])
    if host not in hosts:
        raise ConfigError(f"{reader.at('host')}: no host {host!r}; known: {', '.join(hosts)}")
    network = reader.need("network", str)
    if network not in networks:
        raise ConfigError(f"{reader.at('network')}: no network {network!r}")
    address = reader.need("address", IPv4Address)
    v4 = [s.prefix for s in networks[network].subnets if isinstance(s.prefix, IPv4Network)]
    if not any(address in subnet for subnet in v4):
        raise ConfigError(f"{reader.at('address')}: {address} is in no subnet of {network!r}")
    address6 = reader.get("address6", IPv6Address)
    v6 = [s.prefix for s in networks[network].subnets if isinstance(s.prefix, IPv6Network)]
    if address6 and not any(address6 in subnet for subnet in v6):
        raise ConfigError(f"{reader.at('address6')}: {address6} is in no subnet of {network!r}")
    port = uuid_of("virtual-machine-interface", name)
    digest = hashlib.sha256(name.encode()).digest()
    mac = reader.get("mac", Mac.parse, Mac(b"\x02" + digest[:5]))
    tap = f"tap{str(port)[:11]}"
    return Vm(
        name, host, network, uuid_of("virtual-machine", name), port, tap, mac, address, address6
    )


def _controllers(reader: _Reader, hosts: Mapping[str, Host]) -> dict[str, Controller]:
    """`controllers: 2`, or a mapping of names to an address and port."""
    value = reader.content.get("controllers")
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value <= 8:
            raise ConfigError(f"controllers: expected 0 to 8, found {value}")
        named: list[tuple[str, Any]] = [(f"control{index + 1}", None) for index in range(value)]
    else:
        named = reader.named("controllers")
    fabric = next(iter(hosts.values())).fabric.network
    found = {name: _controller(name, value, at, fabric) for at, (name, value) in enumerate(named)}
    owners = {host.fabric.ip: f"hosts.{host.name}" for host in hosts.values()}
    owners |= {host.gateway: "a gateway" for host in hosts.values() if host.gateway}
    for controller in found.values():
        owner = owners.setdefault(controller.address.ip, f"controllers.{controller.name}")
        if owner != f"controllers.{controller.name}":
            raise ConfigError(
                f"controllers.{controller.name}: {controller.address.ip} belongs to {owner}"
            )
    return found


def _controller(name: str, content: object, index: int, fabric: IPv4Network) -> Controller:
    """Addresses left out count down from the fabric's last but one."""
    reader = _Reader(content or {}, f"controllers.{name}", "address port")
    address = reader.get("address", IPv4Address, fabric.broadcast_address - 2 - index)
    if address not in fabric:
        raise ConfigError(f"{reader.at('address')}: {address} is not of the fabric {fabric}")
    return Controller(
        name, IPv4Interface((address, fabric.prefixlen)), reader.get("port", int, 5269)
    )


def _connect(reader: _Reader, networks: Mapping[str, Network]) -> tuple[frozenset[str], ...]:
    groups = []
    for group in reader.get("connect", list, []):
        if not isinstance(group, list) or len(group) < 2:
            raise ConfigError(f"connect: expected a list of networks, found {group!r}")
        unknown = [name for name in group if name not in networks]
        if unknown:
            raise ConfigError(f"connect: no network {unknown[0]!r}")
        groups.append(frozenset(group))
    return tuple(groups)


def _graceful_restart(reader: _Reader) -> GracefulRestart | None:
    content = reader.content.get("graceful_restart", False)
    if content is False:
        return None
    known = "restart_time long_lived_time end_of_rib_time"
    times = _Reader({} if content is True else content, "graceful_restart", known)
    return GracefulRestart(
        times.get("restart_time", int, 60),
        times.get("long_lived_time", int, 300),
        times.get("end_of_rib_time", int, 30),
    )


def parse(content: object) -> Topology:
    """Check a loaded topology file; ConfigError says what is wrong and where."""
    known = "name hosts networks vms encapsulations controllers connect graceful_restart fabric_mtu"
    reader = _Reader(content, "", known)
    hosts = {
        name: _host(name, value, index) for index, (name, value) in enumerate(reader.named("hosts"))
    }
    if not hosts:
        raise ConfigError("topology: 'hosts' names no host")
    networks = {
        name: _network(name, value, index)
        for index, (name, value) in enumerate(reader.named("networks"))
    }
    vms = {name: _vm(name, value, list(hosts), networks) for name, value in reader.named("vms")}
    encapsulations = tuple(map(str, reader.get("encapsulations", list, _ENCAPSULATIONS)))
    for unknown in sorted(set(encapsulations) - set(_ENCAPSULATIONS)):
        raise ConfigError(
            f"encapsulations: unknown {unknown!r}; known: {', '.join(_ENCAPSULATIONS)}"
        )
    return Topology(
        reader.get("name", str, "topology"),
        hosts,
        networks,
        vms,
        encapsulations,
        _controllers(reader, hosts),
        _connect(reader, networks),
        _graceful_restart(reader),
        reader.get("fabric_mtu", _mtu, 1500),
    )
