"""Hosts, networks, VMs and controllers of a topology file."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, ip_address
from itertools import combinations
from typing import Any

from agent.topology.address_file import KEYS as ADDRESS_KEYS
from agent.topology.address_file import addresses
from agent.topology.firewall_file import firewall, match_types, numbers, tags, tags_of
from agent.topology.policy_file import names, policies, security_groups
from agent.topology.policy_rows import DEFAULT_GROUP, LOCAL, Policies, RuleEnd, TrafficRule
from agent.topology.reader import (
    Reader,
    TopologyError,
    address4,
    cidr,
    device,
    flag,
    number,
    one_of,
    sequence,
    shown,
    station,
    text,
)
from agent.topology.rows import (
    Controller,
    GracefulRestart,
    Host,
    Network,
    NetworkSubnet,
    Topology,
    Vm,
    uuid_of,
)
from agent.values import Mac, Prefix

_ENCAPSULATIONS = ("MPLSoUDP", "MPLSoGRE", "VXLAN")
_MAX_VNI = (1 << 24) - 1
_MAX_SECONDS = (1 << 32) - 1

_seconds = number("seconds", 0, _MAX_SECONDS)
_port = number("a TCP port", 1, 65535)


def _subnets(reader: Reader) -> tuple[NetworkSubnet, ...]:
    """`subnet`, or a list of `subnets`; `gateway` and `dns` are those of the first."""
    key = "subnets" if reader.content.get("subnets") is not None else "subnet"
    if key == "subnets" and reader.content.get("subnet") is not None:
        raise reader.error("subnet", "give either 'subnet' or 'subnets'")
    if key == "subnets":
        prefixes = reader.get(key, lambda value: [cidr(one) for one in sequence(value)])
    else:
        prefixes = [reader.need(key, cidr)]
    if not prefixes:
        raise reader.error(key, "expected at least one subnet")
    for at, one in enumerate(prefixes):
        for other in prefixes[:at]:
            if one.version == other.version and one.overlaps(other):
                raise reader.error(key, f"{one} overlaps {other}")
    return tuple(_subnet(one, reader, key, at == 0) for at, one in enumerate(prefixes))


def _subnet(network: Prefix, reader: Reader, key: str, first: bool) -> NetworkSubnet:
    if network.num_addresses < 4:
        raise reader.error(key, f"{network} has no room for a gateway, a DNS address and VMs")
    services = []
    for at, name in enumerate(("gateway", "dns"), 1):
        address = reader.get(name, lambda value: ip_address(text(value))) if first else None
        if address is not None and address not in network:
            raise reader.error(name, f"{address} is not in the subnet {network}")
        services.append(address or network.network_address + at)
    return NetworkSubnet(network, services[0], services[1], reader.get("dhcp", flag, True))


def _host_routes(reader: Reader) -> tuple[tuple[str, str], ...]:
    """IPv4 prefixes and the addresses behind which they are."""
    routes = reader.pairs("host_routes")
    for destination, gateway in routes:
        try:
            IPv4Network(destination)
            IPv4Address(gateway)
        except ValueError as error:
            raise TopologyError((*reader.place, "host_routes", destination), str(error)) from None
    return routes


def _network(name: str, content: object, index: int, policies: Collection[str]) -> Network:
    known = (
        "subnet subnets gateway dns dhcp vxlan_id forwarding_mode"
        " flood_unknown_unicast dhcp_options host_routes policies tags"
    )
    reader = Reader(content, ("networks", name), known)
    return Network(
        name,
        uuid_of("virtual-network", name),
        reader.get("vxlan_id", number("a VNI", 0, _MAX_VNI), index + 1),
        _subnets(reader),
        reader.get("forwarding_mode", one_of("l2_l3", "l2", "l3"), "l2_l3"),
        reader.get("flood_unknown_unicast", flag, False),
        reader.pairs("dhcp_options"),
        _host_routes(reader),
        reader.get("policies", names("policy", policies), ()),
        reader.get("tags", tags, ()),
    )


def _host(name: str, content: object, index: int) -> Host:
    reader = Reader(content or {}, ("hosts", name), "fabric gateway interface")
    default = IPv4Interface(f"10.0.0.{index + 1}/24") if index < 200 else None
    fabric = reader.get("fabric", _fabric, default)
    if fabric is None:
        raise TopologyError(reader.place, "'fabric' is missing")
    gateway = reader.get("gateway", address4)
    if gateway is not None and (gateway not in fabric.network or gateway == fabric.ip):
        raise reader.error("gateway", f"{gateway} is no other address of {fabric.network}")
    return Host(name, fabric, gateway, reader.get("interface", device, "fabric0"))


def _fabric(value: object) -> IPv4Interface:
    if "/" not in text(value):
        raise ValueError(f"expected ADDRESS/LENGTH, found {shown(value)}")
    return IPv4Interface(str(value))


def _hosts(reader: Reader) -> dict[str, Host]:
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


def _vm(
    name: str,
    content: object,
    hosts: list[str],
    networks: Mapping[str, Network],
    groups: Collection[str],
) -> Vm:
    known = "host network address address6 mac security_groups tags disable_policy port_security"
    reader = Reader(content, ("vms", name), known)
    host = reader.get("host", text, hosts[0])
    if host not in hosts:
        raise reader.error("host", f"no host {host!r}; known: {', '.join(hosts)}")
    network = reader.need("network", text)
    if network not in networks:
        raise reader.error("network", f"no network {network!r}; known: {', '.join(networks)}")
    prefixes = [subnet.prefix for subnet in networks[network].subnets]
    address = reader.need("address", address4)
    address6 = reader.get("address6", lambda value: IPv6Address(text(value)))
    for key, one in (("address", address), ("address6", address6)):
        if one is not None and not any(one in subnet for subnet in prefixes):
            raise reader.error(key, f"{one} is in no subnet of {network!r}")
    if any(address in (s.network_address, s.broadcast_address) for s in prefixes):
        raise reader.error("address", f"{address} is not the address of one VM")
    port = uuid_of("virtual-machine-interface", name)
    digest = hashlib.sha256(name.encode()).digest()
    mac = reader.get("mac", station, Mac(b"\x02" + digest[:5]))
    tap = f"tap{str(port)[:11]}"
    secure = reader.get("port_security", flag, True)
    wanted = reader.get("security_groups", names("security group", groups))
    if not secure and wanted:
        raise reader.error("security_groups", "a port without port_security is in none")
    return Vm(
        name,
        host,
        network,
        uuid_of("virtual-machine", name),
        port,
        tap,
        mac,
        address,
        address6,
        () if not secure else (DEFAULT_GROUP,) if wanted is None else wanted,
        reader.get("tags", tags, ()),
        secure and not reader.get("disable_policy", flag, False),
    )


def _controllers(reader: Reader, hosts: Mapping[str, Host]) -> dict[str, Controller]:
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
    reader = Reader(content or {}, ("controllers", name), "address port")
    address = reader.get("address", address4, fabric.broadcast_address - 2 - index)
    if address not in fabric:
        raise reader.error("address", f"{address} is not of the fabric {fabric}")
    return Controller(
        name, IPv4Interface((address, fabric.prefixlen)), reader.get("port", _port, 5269)
    )


def _connect(reader: Reader, networks: Mapping[str, Network]) -> tuple[frozenset[str], ...]:
    groups = []
    for group in reader.get("connect", sequence, []):
        if not isinstance(group, list) or len(group) < 2:
            raise reader.error("connect", f"expected a list of networks, found {shown(group)}")
        for name in group:
            if not isinstance(name, str) or name not in networks:
                raise reader.error(
                    "connect", f"no network {shown(name)}; known: {', '.join(networks)}"
                )
        groups.append(frozenset(group))
    return tuple(groups)


def _graceful_restart(reader: Reader) -> GracefulRestart | None:
    content = reader.content.get("graceful_restart") or False
    if content is False:
        return None
    known = "restart_time long_lived_time end_of_rib_time"
    times = Reader({} if content is True else content, ("graceful_restart",), known)
    return GracefulRestart(
        times.get("restart_time", _seconds, 60),
        times.get("long_lived_time", _seconds, 300),
        times.get("end_of_rib_time", _seconds, 30),
    )


def _encapsulations(value: object) -> tuple[str, ...]:
    return tuple(one_of(*_ENCAPSULATIONS)(one) for one in sequence(value))


def _joined(
    networks: Mapping[str, Network], policies: Mapping[str, tuple[TrafficRule, ...]]
) -> Iterator[frozenset[str]]:
    """The pairs of networks between which a policy that both have lets something pass."""
    for one, other in combinations(networks.values(), 2):
        both = [name for name in one.policies if name in other.policies]
        rules = [rule for name in both for rule in policies[name] if rule.passes]
        if any(_meets(rule, one.name, other.name) for rule in rules):
            yield frozenset((one.name, other.name))


def _meets(rule: TrafficRule, one: str, other: str) -> bool:
    """Whether a rule has both networks, the one here and the other there."""
    ends = [{one, other} if end.network in ("", LOCAL) else {end.network} for end in _ends(rule)]
    return any({first, second} == {one, other} for first in ends[0] for second in ends[1])


def _ends(rule: TrafficRule) -> tuple[RuleEnd, RuleEnd]:
    return rule.source, rule.destination


def _policies(
    reader: Reader, networks: Mapping[str, Network], vms: Mapping[str, Vm], found: Policies
) -> Policies:
    """With the firewall, and with numbers for all tags."""
    wall = firewall(reader, networks)
    named = [one for row in networks.values() for one in row.tags]
    named += [one for row in vms.values() for one in row.tags]
    tag_numbers, types = numbers([*named, *tags_of(wall)], match_types(wall))
    return replace(found, firewall=wall, tags=tag_numbers, tag_types=types)


def parse(content: object) -> Topology:
    """Check a loaded topology file; TopologyError says what is wrong and where."""
    known = (
        "name hosts networks vms encapsulations controllers connect graceful_restart fabric_mtu"
        f" flow_export_rate policies security_groups firewall {ADDRESS_KEYS}"
    )
    reader = Reader(content, (), known)
    hosts = _hosts(reader)
    named = [name for name, _ in reader.named("policies")]
    networks = {
        name: _network(name, value, index, named)
        for index, (name, value) in enumerate(reader.named("networks"))
    }
    found = Policies(policies(reader, networks), security_groups(reader))
    vms = {
        name: _vm(name, value, list(hosts), networks, found.groups)
        for name, value in reader.named("vms")
    }
    return Topology(
        reader.get("name", text, "topology"),
        hosts,
        networks,
        vms,
        reader.get("encapsulations", _encapsulations, _ENCAPSULATIONS),
        _controllers(reader, hosts),
        tuple(dict.fromkeys((*_connect(reader, networks), *_joined(networks, found.networks)))),
        _graceful_restart(reader),
        reader.get("fabric_mtu", number("bytes", 576, 65535), 1500),
        _policies(reader, networks, vms, found),
        addresses(reader, networks, vms),
        reader.get("flow_export_rate", number("sessions a second", -1, 2**31 - 1), None),
    )
