"""The topology file: hosts, networks and VMs of a lab or of a standalone host.

The file is YAML; `parse` takes its loaded content. UUIDs and, where left out, MAC
addresses derive from names, so that the same file always means the same objects.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, ip_address
from typing import Any
from uuid import UUID, uuid5

from agent.errors import ConfigError
from agent.values import Mac, Prefix, prefix

_NAMESPACE = UUID("6f1d0e42-3c55-5e0b-9a57-6b1f7a0b9b10")
_ENCAPSULATIONS = ("MPLSoUDP", "MPLSoGRE", "VXLAN")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,14}")
_MAX_VNI = (1 << 24) - 1
_MAX_SECONDS = (1 << 32) - 1


class TopologyError(ConfigError):
    """What is wrong in a topology file; `place` are the keys that lead there."""

    def __init__(self, place: tuple[str, ...], text: str) -> None:
        self.place = place
        super().__init__(f"{'.'.join(place) or 'topology'}: {text}")


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

    def __init__(self, content: object, place: tuple[str, ...], known: str) -> None:
        self.place = place
        if not isinstance(content, Mapping):
            raise TopologyError(place, f"expected a mapping, found {content!r}")
        for key in content:
            if key not in known.split():
                raise TopologyError((*place, str(key)), f"unknown key {str(key)!r}; known: {known}")
        self.content = content

    def error(self, key: str, problem: object) -> TopologyError:
        return TopologyError((*self.place, key), str(problem))

    def named(self, key: str) -> list[tuple[str, Any]]:
        value = self.content.get(key) or {}
        if not isinstance(value, Mapping):
            raise self.error(key, f"expected a mapping of names, found {value!r}")
        for name in value:
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise TopologyError(
                    (*self.place, key, str(name)),
                    f"bad name {name!r}; use letters, digits, - and _, at most 32",
                )
        return list(value.items())

    def get(self, key: str, convert: Callable[[Any], Any], default: Any = None) -> Any:
        value = self.content.get(key)
        if value is None:
            return default
        try:
            return convert(value)
        except ValueError as error:
            raise self.error(key, error) from None

    def need(self, key: str, convert: Callable[[Any], Any]) -> Any:
        if self.content.get(key) is None:
            raise TopologyError(self.place, f"{key!r} is missing")
        return self.get(key, convert)

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        return tuple((str(name), str(value)) for name, value in self.get(key, _mapping, {}).items())


def _text(value: object) -> str:
    """YAML reads some addresses without quotes as numbers."""
    if not isinstance(value, str):
        raise ValueError(f"expected text, found {value!r}; put the value in quotes")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"expected a list, found {value!r}")
    return value


def _mapping(value: object) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a mapping, found {value!r}")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, found {value!r}")
    return value


def _number(what: str, low: int, high: int) -> Callable[[object], int]:
    def convert(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"expected {what}, {low} to {high}, found {value!r}")
        return value

    return convert


def _one_of(*words: str) -> Callable[[object], str]:
    def convert(value: object) -> str:
        if value not in words:
            raise ValueError(f"expected one of {', '.join(words)}, found {value!r}")
        return str(value)

    return convert


_seconds = _number("seconds", 0, _MAX_SECONDS)
_port = _number("a TCP port", 1, 65535)


def _address4(value: object) -> IPv4Address:
    return IPv4Address(_text(value))


def _station(value: object) -> Mac:
    mac = Mac.parse(_text(value))
    if mac[0] & 1 or not any(mac):
        raise ValueError(f"{mac} is not the MAC address of one interface")
    return mac


def _device(value: object) -> str:
    if not _DEVICE.fullmatch(_text(value)):
        raise ValueError(f"{value!r} cannot be the name of a network interface")
    return str(value)


def _prefix(value: object) -> Prefix:
    if "/" not in _text(value):
        raise ValueError(f"expected PREFIX/LENGTH, found {value!r}")
    return prefix(str(value))


def _subnets(reader: _Reader) -> tuple[NetworkSubnet, ...]:
    """`subnet`, or a list of `subnets`; `gateway` and `dns` are those of the first."""
    key = "subnets" if reader.content.get("subnets") is not None else "subnet"
    if key == "subnets" and reader.content.get("subnet") is not None:
        raise reader.error("subnet", "give either 'subnet' or 'subnets'")
    if key == "subnets":
        prefixes = reader.get(key, lambda value: [_prefix(one) for one in _list(value)])
    else:
        prefixes = [reader.need(key, _prefix)]
    if not prefixes:
        raise reader.error(key, "expected at least one subnet")
    for at, one in enumerate(prefixes):
        for other in prefixes[:at]:
            if one.version == other.version and one.overlaps(other):
                raise reader.error(key, f"{one} overlaps {other}")
    return tuple(_subnet(one, reader, key, at == 0) for at, one in enumerate(prefixes))


def _subnet(network: Prefix, reader: _Reader, key: str, first: bool) -> NetworkSubnet:
    if network.num_addresses < 4:
        raise reader.error(key, f"{network} has no room for a gateway, a DNS address and VMs")
    services = []
    for at, name in enumerate(("gateway", "dns"), 1):
        address = reader.get(name, lambda value: ip_address(_text(value))) if first else None
        if address is not None and address not in network:
            raise reader.error(name, f"{address} is not in the subnet {network}")
        services.append(address or network.network_address + at)
    return NetworkSubnet(network, services[0], services[1], reader.get("dhcp", _flag, True))


def _host_routes(reader: _Reader) -> tuple[tuple[str, str], ...]:
    """IPv4 prefixes and the addresses behind which they are."""
    routes = reader.pairs("host_routes")
    for destination, gateway in routes:
        try:
            IPv4Network(destination)
            IPv4Address(gateway)
        except ValueError as error:
            raise TopologyError((*reader.place, "host_routes", destination), str(error)) from None
    return routes


def _network(name: str, content: object, index: int) -> Network:
    known = (
        "subnet subnets gateway dns dhcp vxlan_id forwarding_mode"
        " flood_unknown_unicast dhcp_options host_routes"
    )
    reader = _Reader(content, ("networks", name), known)
    return Network(
        name,
        uuid_of("virtual-network", name),
        reader.get("vxlan_id", _number("a VNI", 0, _MAX_VNI), index + 1),
        _subnets(reader),
        reader.get("forwarding_mode", _one_of("l2_l3", "l2", "l3"), "l2_l3"),
        reader.get("flood_unknown_unicast", _flag, False),
        reader.pairs("dhcp_options"),
        _host_routes(reader),
    )


def _host(name: str, content: object, index: int) -> Host:
    reader = _Reader(content or {}, ("hosts", name), "fabric gateway interface")
    default = IPv4Interface(f"10.0.0.{index + 1}/24") if index < 200 else None
    fabric = reader.get("fabric", _fabric, default)
    if fabric is None:
        raise TopologyError(reader.place, "'fabric' is missing")
    gateway = reader.get("gateway", _address4)
    if gateway is not None and (gateway not in fabric.network or gateway == fabric.ip):
        raise reader.error("gateway", f"{gateway} is no other address of {fabric.network}")
    return Host(name, fabric, gateway, reader.get("interface", _device, "fabric0"))


def _fabric(value: object) -> IPv4Interface:
    if "/" not in _text(value):
        raise ValueError(f"expected ADDRESS/LENGTH, found {value!r}")
    return IPv4Interface(str(value))


def _hosts(reader: _Reader) -> dict[str, Host]:
    found: dict[str, Host] = {}
    owners: dict[IPv4Address, str] = {}
    for index, (name, content) in enumerate(reader.named("hosts")):
        host = found[name] = _host(name, content, index)
        owner = owners.setdefault(host.fabric.ip, name)
        if owner != name:
            raise TopologyError(
                ("hosts", name, "fabric"), f"{host.fabric.ip} is the address of hosts.{owner}"
            )
    if not found:
        raise reader.error("hosts", "names no host")
    return found


def _vm(name: str, content: object, hosts: list[str], networks: Mapping[str, Network]) -> Vm:
    reader = _Reader(content, ("vms", name), "host network address address6 mac")
    host = reader.get("host", _text, hosts[0])
    if host not in hosts:
        raise reader.error("host", f"no host {host!r}; known: {', '.join(hosts)}")
    network = reader.need("network", _text)
    if network not in networks:
        raise reader.error("network", f"no network {network!r}; known: {', '.join(networks)}")
    prefixes = [subnet.prefix for subnet in networks[network].subnets]
    address = reader.need("address", _address4)
    address6 = reader.get("address6", lambda value: IPv6Address(_text(value)))
    for key, one in (("address", address), ("address6", address6)):
        if one is not None and not any(one in subnet for subnet in prefixes):
            raise reader.error(key, f"{one} is in no subnet of {network!r}")
    if any(address in (s.network_address, s.broadcast_address) for s in prefixes):
        raise reader.error("address", f"{address} is not the address of one VM")
    port = uuid_of("virtual-machine-interface", name)
    digest = hashlib.sha256(name.encode()).digest()
    mac = reader.get("mac", _station, Mac(b"\x02" + digest[:5]))
    tap = f"tap{str(port)[:11]}"
    return Vm(
        name, host, network, uuid_of("virtual-machine", name), port, tap, mac, address, address6
    )


def _controllers(reader: _Reader, hosts: Mapping[str, Host]) -> dict[str, Controller]:
    """`controllers: 2`, or a mapping of names to an address and port."""
    value = reader.content.get("controllers")
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value <= 8:
            raise reader.error("controllers", f"expected 0 to 8, found {value}")
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
            raise TopologyError(
                ("controllers", controller.name), f"{controller.address.ip} belongs to {owner}"
            )
    return found


def _controller(name: str, content: object, index: int, fabric: IPv4Network) -> Controller:
    """Addresses left out count down from the fabric's last but one."""
    reader = _Reader(content or {}, ("controllers", name), "address port")
    address = reader.get("address", _address4, fabric.broadcast_address - 2 - index)
    if address not in fabric:
        raise reader.error("address", f"{address} is not of the fabric {fabric}")
    return Controller(
        name, IPv4Interface((address, fabric.prefixlen)), reader.get("port", _port, 5269)
    )


def _connect(reader: _Reader, networks: Mapping[str, Network]) -> tuple[frozenset[str], ...]:
    groups = []
    for group in reader.get("connect", _list, []):
        if not isinstance(group, list) or len(group) < 2:
            raise reader.error("connect", f"expected a list of networks, found {group!r}")
        for name in group:
            if not isinstance(name, str) or name not in networks:
                raise reader.error("connect", f"no network {name!r}; known: {', '.join(networks)}")
        groups.append(frozenset(group))
    return tuple(groups)


def _graceful_restart(reader: _Reader) -> GracefulRestart | None:
    content = reader.content.get("graceful_restart") or False
    if content is False:
        return None
    known = "restart_time long_lived_time end_of_rib_time"
    times = _Reader({} if content is True else content, ("graceful_restart",), known)
    return GracefulRestart(
        times.get("restart_time", _seconds, 60),
        times.get("long_lived_time", _seconds, 300),
        times.get("end_of_rib_time", _seconds, 30),
    )


def _encapsulations(value: object) -> tuple[str, ...]:
    return tuple(_one_of(*_ENCAPSULATIONS)(one) for one in _list(value))


def parse(content: object) -> Topology:
    """Check a loaded topology file; TopologyError says what is wrong and where."""
    known = "name hosts networks vms encapsulations controllers connect graceful_restart fabric_mtu"
    reader = _Reader(content, (), known)
    hosts = _hosts(reader)
    networks = {
        name: _network(name, value, index)
        for index, (name, value) in enumerate(reader.named("networks"))
    }
    vms = {name: _vm(name, value, list(hosts), networks) for name, value in reader.named("vms")}
    return Topology(
        reader.get("name", _text, "topology"),
        hosts,
        networks,
        vms,
        reader.get("encapsulations", _encapsulations, _ENCAPSULATIONS),
        _controllers(reader, hosts),
        _connect(reader, networks),
        _graceful_restart(reader),
        reader.get("fabric_mtu", _number("bytes", 576, 65535), 1500),
    )
