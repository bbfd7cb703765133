"""The configuration of a standalone host: a topology as nodes and links of the graph.

The objects have the shapes that a controller would send, so everything behind the graph
is the same with and without one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

from agent.errors import ConfigError
from agent.inputs import GraphLink, GraphNode
from agent.topology import Network, NetworkSubnet, Topology, Vm, uuid_of

SYSTEM = "default-global-system-config"
PROJECT = "default-domain:default-project"
IPAM = f"{PROJECT}:default-network-ipam"
SECURITY_GROUP = f"{PROJECT}:default"
SECURITY_GROUP_ID = 8000001
_ANY_PORT = {"start-port": 0, "end-port": 65535}


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
    parts = [*_globals(topology, host), *_security_group()]
    for network in topology.networks.values():
        parts += _network(network)
    for vm in topology.on_host(host):
        parts += _vm(vm, host)
    return Objects(
        tuple(part for part in parts if isinstance(part, GraphNode)),
        tuple(part for part in parts if isinstance(part, GraphLink)),
    )


_Parts = Iterator[GraphNode | GraphLink]


def _node(kind: str, name: str, uuid: UUID | None = None, **properties: Any) -> GraphNode:
    value = (uuid or uuid_of(kind, name)).int
    perms = {
        "uuid": {"uuid-mslong": value >> 64, "uuid-lslong": value & (2**64 - 1)},
        "enable": True,
    }
    members = {key.replace("_", "-"): content for key, content in properties.items()}
    return GraphNode(kind, name, members | {"id-perms": perms})


def _link(metadata: str, left: tuple[str, str], right: tuple[str, str]) -> GraphLink:
    return GraphLink(metadata, left, right)


def _attribute(metadata: str, left: tuple[str, str], right: tuple[str, str], value: Any) -> _Parts:
    """A link with content: an attribute node between two links of the same metadata."""
    names = ",".join(name for _, name in sorted((left, right)))
    middle = GraphNode(metadata, f"attr({names})", {"value": value})
    yield middle
    yield _link(metadata, left, (metadata, middle.name))
    yield _link(metadata, (metadata, middle.name), right)


def _globals(topology: Topology, host: str) -> _Parts:
    router = ("virtual-router", f"{SYSTEM}:{host}")
    system = ("global-system-config", SYSTEM)
    config = ("global-vrouter-config", f"{SYSTEM}:default-global-vrouter-config")
    yield _node(*system, **_graceful_restart(topology))
    yield _node(*router, display_name=host)
    yield _node(
        *config,
        encapsulation_priorities={"encapsulation": list(topology.encapsulations)},
        vxlan_network_identifier_mode="automatic",
        forwarding_mode="l2_l3",
    )
    yield _node("network-ipam", IPAM, ipam_subnet_method="user-defined-subnet")
    yield _link("global-system-config-virtual-router", system, router)
    yield _link("global-system-config-global-vrouter-config", system, config)


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


def _security_group() -> _Parts:
    """The default group: everything out, in only from the group itself."""
    group = ("security-group", SECURITY_GROUP)
    yield _node(*group, security_group_id=SECURITY_GROUP_ID)
    anywhere = {"subnet": {"ip-prefix": "0.0.0.0", "ip-prefix-len": 0}}
    anywhere6 = {"subnet": {"ip-prefix": "::", "ip-prefix-len": 0}}
    itself, local = {"security-group": str(SECURITY_GROUP_ID)}, {"security-group": "-1"}
    rules = {
        "egress": [_rule("IPv4", local, anywhere), _rule("IPv6", local, anywhere6)],
        "ingress": [_rule("IPv4", itself, local), _rule("IPv6", itself, local)],
    }
    for direction, listed in rules.items():
        name = f"{SECURITY_GROUP}:{direction}-access-control-list"
        entries = {"dynamic": False, "acl-rule": listed}
        yield _node("access-control-list", name, access_control_list_entries=entries)
        yield _link("security-group-access-control-list", group, ("access-control-list", name))


def _rule(ethertype: str, source: dict[str, Any], destination: dict[str, Any]) -> dict[str, Any]:
    return {
        "match-condition": {
            "ethertype": ethertype,
            "protocol": "any",
            "src-address": source,
            "src-port": _ANY_PORT,
            "dst-address": destination,
            "dst-port": _ANY_PORT,
        },
        "action-list": {"simple-action": "pass"},
        "rule-uuid": str(uuid_of("acl-rule", f"{ethertype}:{source}:{destination}")),
        "direction": ">",
    }


def network_name(network: str) -> str:
    """The fully qualified name of a network of the topology."""
    return f"{PROJECT}:{network}"


def vrf_name(network: str) -> str:
    """The name of its routing instance."""
    return f"{PROJECT}:{network}:{network}"


def _network(network: Network) -> _Parts:
    vn = ("virtual-network", network_name(network.name))
    instance = ("routing-instance", vrf_name(network.name))
    yield _node(
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
    )
    yield _node(*instance, routing_instance_is_default=True)
    yield _link("virtual-network-routing-instance", vn, instance)
    subnets = {"ipam-subnets": [_subnet(subnet, network) for subnet in network.subnets]}
    yield from _attribute("virtual-network-network-ipam", vn, ("network-ipam", IPAM), subnets)


def _subnet(subnet: NetworkSubnet, network: Network) -> dict[str, Any]:
    value: dict[str, Any] = {
        "subnet": {
            "ip-prefix": str(subnet.prefix.network_address),
            "ip-prefix-len": subnet.prefix.prefixlen,
        },
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


def _vm(vm: Vm, host: str) -> _Parts:
    machine = ("virtual-machine", str(vm.uuid))
    port = ("virtual-machine-interface", f"{PROJECT}:{vm.port}")
    vn = ("virtual-network", network_name(vm.network))
    yield _node(*machine, uuid=vm.uuid, display_name=vm.name)
    yield _node(
        *port,
        uuid=vm.port,
        virtual_machine_interface_mac_addresses={"mac-address": [str(vm.mac)]},
        virtual_machine_interface_disable_policy=False,
        display_name=vm.name,
    )
    router = ("virtual-router", f"{SYSTEM}:{host}")
    yield _link("virtual-router-virtual-machine", router, machine)
    yield _link("virtual-machine-interface-virtual-machine", port, machine)
    yield _link("virtual-machine-interface-virtual-network", port, vn)
    yield from _attribute(
        "virtual-machine-interface-routing-instance",
        port,
        ("routing-instance", vrf_name(vm.network)),
        {"direction": "both", "vlan-tag": 0},
    )
    group = ("security-group", SECURITY_GROUP)
    yield _link("virtual-machine-interface-security-group", port, group)
    yield from _instance_ip(vm, vm.address, port, vn)
    if vm.address6:
        yield from _instance_ip(vm, vm.address6, port, vn)


def _instance_ip(
    vm: Vm, address: IPv4Address | IPv6Address, port: tuple[str, str], vn: tuple[str, str]
) -> _Parts:
    uuid = uuid_of("instance-ip", f"{vm.name}:v{address.version}")
    node = ("instance-ip", str(uuid))
    yield _node(*node, uuid=uuid, instance_ip_address=str(address))
    yield _link("instance-ip-virtual-machine-interface", node, port)
    yield _link("instance-ip-virtual-network", node, vn)
