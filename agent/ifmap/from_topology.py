"""The configuration of a standalone host: a topology as nodes and links of the graph.

The objects have the shapes that a controller would send, so everything behind the graph
is the same with and without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from agent.errors import ConfigError
from agent.ifmap.parts import (
    GLOBAL_CONFIG,
    PROJECT,
    SYSTEM,
    Parts,
    attribute,
    link,
    network_name,
    node,
    subnet_type,
    vrf_name,
)
from agent.ifmap.policy_objects import group_name, network_list, policy_objects, tag_links
from agent.ifmap.topology_addresses import (
    borrowed,
    global_properties,
    network_properties,
    port_properties,
)
from agent.inputs import GraphLink, GraphNode
from agent.topology import Network, NetworkSubnet, Topology, Vm, uuid_of

__all__ = ["SYSTEM", "Objects", "network_name", "objects", "vrf_name"]

IPAM = f"{PROJECT}:default-network-ipam"


@dataclass(frozen=True, slots=True)
class Objects:
    """Nodes and links, in an order in which a controller may send them."""

    nodes: tuple[GraphNode, ...]
    links: tuple[GraphLink, ...]


def objects(topology: Topology, host: str) -> Objects:
    """What the host `host` needs to know of `topology`; ConfigError if it has no such host."""
    if host not in topology.hosts:
        known = ", ".join(topology.hosts)
        raise ConfigError(f"topology {topology.name!r} has no host {host!r}; it has: {known}")
    parts = [*_globals(topology, host), *policy_objects(topology)]
    for network in topology.networks.values():
        parts += _network(topology, network)
        parts += network_list(topology, network)
    for vm in topology.on_host(host):
        parts += _vm(topology, vm)
    parts += borrowed(topology, topology.on_host(host))
    return Objects(
        tuple(part for part in parts if isinstance(part, GraphNode)),
        tuple(part for part in parts if isinstance(part, GraphLink)),
    )


def _globals(topology: Topology, host: str) -> Parts:
    router = ("virtual-router", f"{SYSTEM}:{host}")
    system = ("global-system-config", SYSTEM)
    yield node(*system, **_graceful_restart(topology))
    yield node(*router, display_name=host)
    yield node(
        *GLOBAL_CONFIG,
        encapsulation_priorities={"encapsulation": list(topology.encapsulations)},
        vxlan_network_identifier_mode="automatic",
        forwarding_mode="l2_l3",
        **global_properties(topology),
    )
    yield node("network-ipam", IPAM, ipam_subnet_method="user-defined-subnet")
    yield link("global-system-config-virtual-router", system, router)
    yield link("global-system-config-global-vrouter-config", system, GLOBAL_CONFIG)


def _graceful_restart(topology: Topology) -> dict[str, Any]:
    times = topology.graceful_restart
    if times is None:
        return {}
    parameters = {
        "enable": True,
        "restart-time": times.restart_time,
        "long-lived-restart-time": times.long_lived_time,
        "end-of-rib-timeout": times.end_of_rib_time,
        "bgp-helper-enable": False,
        "xmpp-helper-enable": True,
    }
    return {"graceful_restart_parameters": parameters}


def _network(topology: Topology, network: Network) -> Parts:
    vn = ("virtual-network", network_name(network.name))
    instance = ("routing-instance", vrf_name(network.name))
    yield node(
        *vn,
        uuid=network.uuid,
        virtual_network_network_id=network.vxlan_id,
        virtual_network_properties={
            "forwarding-mode": network.forwarding_mode,
            "rpf": "enable",
            "network-id": network.vxlan_id,
        },
        flood_unknown_unicast=network.flood_unknown_unicast,
        display_name=network.name,
        **network_properties(topology, network.name),
    )
    yield node(*instance, routing_instance_is_default=True)
    yield link("virtual-network-routing-instance", vn, instance)
    subnets = {"ipam-subnets": [_subnet(subnet, network) for subnet in network.subnets]}
    yield from attribute("virtual-network-network-ipam", vn, ("network-ipam", IPAM), subnets)
    yield from tag_links(vn, network.tags)


def _subnet(subnet: NetworkSubnet, network: Network) -> dict[str, Any]:
    value: dict[str, Any] = {
        "subnet": subnet_type(subnet.prefix),
        "default-gateway": str(subnet.gateway),
        "dns-server-address": str(subnet.dns),
        "subnet-uuid": str(uuid_of("subnet", f"{network.name}:{subnet.prefix}")),
        "enable-dhcp": subnet.dhcp,
        "addr_from_start": True,
        "alloc-unit": 1,
    }
    if subnet.prefix.version == 4 and network.dhcp_options:
        options = [
            {"dhcp-option-name": name, "dhcp-option-value": text}
            for name, text in network.dhcp_options
        ]
        value["dhcp-option-list"] = {"dhcp-option": options}
    if subnet.prefix.version == 4 and network.host_routes:
        routes = [{"prefix": name, "next-hop": text} for name, text in network.host_routes]
        value["host-routes"] = {"route": routes}
    return value


def _vm(topology: Topology, vm: Vm) -> Parts:
    machine = ("virtual-machine", str(vm.uuid))
    port = ("virtual-machine-interface", f"{PROJECT}:{vm.port}")
    vn = ("virtual-network", network_name(vm.network))
    yield node(*machine, uuid=vm.uuid, display_name=vm.name)
    yield node(
        *port,
        uuid=vm.port,
        virtual_machine_interface_mac_addresses={"mac-address": [str(vm.mac)]},
        virtual_machine_interface_disable_policy=not vm.policy,
        display_name=vm.name,
        **port_properties(topology, vm),
    )
    router = ("virtual-router", f"{SYSTEM}:{vm.host}")
    yield link("virtual-router-virtual-machine", router, machine)
    yield link("virtual-machine-interface-virtual-machine", port, machine)
    yield link("virtual-machine-interface-virtual-network", port, vn)
    yield from attribute(
        "virtual-machine-interface-routing-instance",
        port,
        ("routing-instance", vrf_name(vm.network)),
        {"direction": "both", "vlan-tag": 0},
    )
    for name in vm.security_groups:
        group = ("security-group", group_name(name))
        yield link("virtual-machine-interface-security-group", port, group)
    yield from tag_links(port, vm.tags)
    yield from _instance_ip(vm, vm.address, port, vn)
    if vm.address6:
        yield from _instance_ip(vm, vm.address6, port, vn)


def _instance_ip(
    vm: Vm, address: IPv4Address | IPv6Address, port: tuple[str, str], vn: tuple[str, str]
) -> Parts:
    uuid = uuid_of("instance-ip", f"{vm.name}:v{address.version}")
    own = ("instance-ip", str(uuid))
    yield node(*own, uuid=uuid, instance_ip_address=str(address))
    yield link("instance-ip-virtual-machine-interface", own, port)
    yield link("instance-ip-virtual-network", own, vn)
