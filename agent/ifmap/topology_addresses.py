"""The addresses that ports of a topology have beside their own, as nodes and links of the graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agent.ifmap.parts import PROJECT, Parts, link, network_name, node, subnet_type
from agent.topology import Topology, Vm, uuid_of
from agent.topology.address_rows import (
    AllowedPair,
    FatFlowRule,
    FloatingAddress,
    LinkLocal,
)
from agent.values import Prefix

_VMI = "virtual-machine-interface"


def global_properties(topology: Topology) -> dict[str, Any]:
    """What global-vrouter-config says of link-local services and of records of sessions."""
    said: dict[str, Any] = {}
    services = topology.addresses.link_local_services.values()
    if services:
        entries = [_link_local(one) for one in services]
        said["linklocal_services"] = {"linklocal-service-entry": entries}
    if topology.flow_export_rate is not None:
        said["flow_export_rate"] = topology.flow_export_rate
    return said


def _link_local(one: LinkLocal) -> dict[str, Any]:
    return {
        "linklocal-service-name": one.name,
        "linklocal-service-ip": str(one.address),
        "linklocal-service-port": one.port,
        "ip-fabric-DNS-service-name": one.server_name,
        "ip-fabric-service-port": one.server_port,
        "ip-fabric-service-ip": [str(server) for server in one.servers],
    }


def network_properties(topology: Topology, network: str) -> dict[str, Any]:
    """What a network says of the flows of its ports."""
    rules = [one for one in topology.addresses.fat_flows.values() if network in one.networks]
    return _fat_flows("virtual_network", rules)


def port_properties(topology: Topology, vm: Vm) -> dict[str, Any]:
    """What a port says of itself: its allowed address pairs and fat flows."""
    addresses = topology.addresses
    rules = [one for one in addresses.fat_flows.values() if vm.name in one.vms]
    found = _fat_flows("virtual_machine_interface", rules)
    pairs = [one for one in addresses.allowed_address_pairs.values() if vm.name in one.vms]
    if pairs:
        listed = {"allowed-address-pair": [_pair(one) for one in pairs]}
        found["virtual_machine_interface_allowed_address_pairs"] = listed
    return found


def _pair(one: AllowedPair) -> dict[str, Any]:
    value = {"ip": subnet_type(one.prefix), "address-mode": one.mode}
    return value | ({"mac": str(one.mac)} if one.mac else {})


def _fat_flows(owner: str, rules: list[FatFlowRule]) -> dict[str, Any]:
    if not rules:
        return {}
    entries = [_fat_flow(one) for one in rules]
    return {f"{owner}_fat_flow_protocols": {"fat-flow-protocol": entries}}


def _fat_flow(one: FatFlowRule) -> dict[str, Any]:
    value: dict[str, Any] = {
        "protocol": one.protocol,
        "port": one.port,
        "ignore-address": one.ignore,
    }
    for side, cut in (("source", one.source), ("destination", one.destination)):
        if cut is not None:
            value[f"{side}-prefix"] = subnet_type(cut[0])
            value[f"{side}-aggregate-prefix-length"] = cut[1]
    return value


def borrowed(topology: Topology, vms: Iterable[Vm]) -> Parts:
    """The floating and alias IPs and the route tables of some VMs, with the pools they are from."""
    ports = {vm.name: (_VMI, f"{PROJECT}:{vm.port}") for vm in vms}
    addresses = topology.addresses
    for floating in addresses.floating_ips.values():
        own = [ports[name] for name in floating.vms if name in ports]
        yield from _lent("floating-ip", floating.network, floating.name, own, _floating(floating))
    for alias in addresses.alias_ips.values():
        own = [ports[name] for name in alias.vms if name in ports]
        said = {"alias_ip_address": str(alias.address)}
        yield from _lent("alias-ip", alias.network, alias.name, own, said)
    for table in addresses.route_tables.values():
        own = [ports[name] for name in table.vms if name in ports]
        yield from _table(table.name, table.routes, own)


def _floating(one: FloatingAddress) -> dict[str, Any]:
    said: dict[str, Any] = {
        "floating_ip_address": str(one.address),
        "floating_ip_traffic_direction": one.direction,
        "floating_ip_port_mappings_enable": one.ports is not None,
    }
    if one.fixed is not None:
        said["floating_ip_fixed_ip_address"] = str(one.fixed)
    if one.ports:
        mapped = [
            {"protocol": protocol.upper(), "src-port": public, "dst-port": private}
            for protocol, public, private in one.ports
        ]
        said["floating_ip_port_mappings"] = {"port-mappings": mapped}
    return said


def _lent(
    kind: str, network: str, name: str, ports: list[tuple[str, str]], said: dict[str, Any]
) -> Parts:
    """An address of a network's pool at some ports; nothing where it has none here."""
    if not ports:
        return
    vn = ("virtual-network", network_name(network))
    pool = (f"{kind}-pool", f"{vn[1]}:default")
    own = (kind, f"{pool[1]}:{name}")
    yield node(*pool)
    yield node(*own, uuid_of(kind, name), **said)
    yield link(f"virtual-network-{kind}-pool", vn, pool)
    yield link(f"{kind}-pool-{kind}", pool, own)
    for port in ports:
        yield link(f"{kind}-{_VMI}", own, port)


def _table(
    name: str,
    routes: tuple[tuple[Prefix, tuple[str, ...]], ...],
    ports: list[tuple[str, str]],
) -> Parts:
    if not ports:
        return
    own = ("interface-route-table", f"{PROJECT}:{name}")
    entries = [_route(to, communities) for to, communities in routes]
    yield node(*own, interface_route_table_routes={"route": entries})
    for port in ports:
        yield link(f"{_VMI}-route-table", port, own)


def _route(to: Prefix, communities: tuple[str, ...]) -> dict[str, Any]:
    value: dict[str, Any] = {"prefix": str(to)}
    if communities:
        value["community-attributes"] = {"community-attribute": list(communities)}
    return value
