"""What the settings and the topology say about this host."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from typing import TYPE_CHECKING

from agent.errors import ConfigError
from agent.inputs import HostSettings
from agent.io.platforms import DPDK, PKT0_TAP, WINDOWS, in_kernel
from agent.settings import PciDevice, Settings
from agent.values import Mac

if TYPE_CHECKING:
    from agent.topology import Host, Topology

_ETHERNET = 1
"""vifr_transport of a vif that is a network interface."""
_PMD = 2
"""That of one that DPDK drives, or of a vhost-user socket."""
_ALL = ("MPLSoUDP", "MPLSoGRE", "VXLAN")


def host_settings(settings: Settings, topology: Topology | None) -> HostSettings:
    """Join the file's [VIRTUAL-HOST-INTERFACE] with the topology's host, the file first.

    ConfigError if neither names the fabric interface.
    """
    host = standalone_host(settings, topology)
    interfaces = settings.get("VIRTUAL-HOST-INTERFACE", "physical_interface", tuple)
    devices = settings.get("DEFAULT", "physical_interface_address", tuple)
    if not interfaces and settings.get("DEFAULT", "platform", str) == DPDK:
        interfaces = tuple(map(str, devices))
    if not interfaces and host is None:
        raise ConfigError(
            "[VIRTUAL-HOST-INTERFACE] physical_interface is missing: name the fabric interface"
        )
    gateways = settings.get("VIRTUAL-HOST-INTERFACE", "gateway", tuple)
    address = settings.optional("VIRTUAL-HOST-INTERFACE", "ip", IPv4Interface)
    made = HostSettings(
        host_name=host_name(settings),
        fabric_interface=str(interfaces[0]) if interfaces or host is None else host.interface,
        address=address or (host.fabric if host else None),
        gateway=_gateway(gateways, host),
        vhost_name=settings.get("VIRTUAL-HOST-INTERFACE", "name", str),
        subnet_hosts_resolvable=settings.get("DEFAULT", "subnet_hosts_resolvable", bool),
        dhcp_relay=settings.get("DEFAULT", "dhcp_relay_mode", bool),
        encapsulations=_encapsulations(settings, topology),
        least_pair_length=settings.get("DEFAULT", "min_aap_prefix_len", int),
        metadata_port=settings.get("METADATA", "metadata_proxy_port", int),
        mirror_port=settings.get("DEFAULT", "mirror_client_port", int),
    )
    platform = settings.get("DEFAULT", "platform", str)
    if platform == DPDK:
        return _without_kernel(made, settings)
    if not in_kernel(platform) and platform != WINDOWS:
        return made
    return replace(made, pkt0_name=PKT0_TAP, pkt0_transport=_ETHERNET)


def left_out(settings: Settings) -> list[str]:
    """What is asked for and not done: further fabric interfaces."""
    interfaces = settings.get("VIRTUAL-HOST-INTERFACE", "physical_interface", tuple)
    if len(interfaces) < 2:
        return []
    others = " ".join(interfaces[1:])
    hint = "join them in a bond, and name that"
    return [
        "[VIRTUAL-HOST-INTERFACE] physical_interface: "
        f"{interfaces[0]} is used alone, not {others}: {hint}"
    ]


def _without_kernel(made: HostSettings, settings: Settings) -> HostSettings:
    """A host whose fabric interface and VMs are DPDK's."""
    devices: tuple[PciDevice, ...] = settings.get("DEFAULT", "physical_interface_address", tuple)
    macs: tuple[Mac, ...] = settings.get("DEFAULT", "physical_interface_mac", tuple)
    return replace(
        made,
        interface_transport=_PMD,
        fabric_mac=macs[0] if macs else None,
        fabric_device=devices[0].number if devices else 0,
    )


def host_name(settings: Settings) -> str:
    """The agent's name, as configured."""
    return settings.get("DEFAULT", "agent_name", str) or settings.get("DEFAULT", "hostname", str)


def standalone_host(settings: Settings, topology: Topology | None) -> Host | None:
    """The host of the topology that this agent is; ConfigError if it has no such host."""
    if topology is None:
        return None
    name = settings.get("STANDALONE", "host", str)
    if not name and len(topology.hosts) == 1:
        name = next(iter(topology.hosts))
    name = name or host_name(settings)
    if name not in topology.hosts:
        known = ", ".join(topology.hosts)
        raise ConfigError(f"[STANDALONE] host = {name}: the topology has only {known}")
    return topology.hosts[name]


def _gateway(gateways: tuple[IPv4Address, ...], host: Host | None) -> IPv4Address | None:
    if gateways:
        return gateways[0]
    return host.gateway if host else None


def _encapsulations(settings: Settings, topology: Topology | None) -> tuple[str, ...]:
    if topology is not None:
        return topology.encapsulations
    first = settings.get("DEFAULT", "tunnel_type", str)
    return (first, *(kind for kind in _ALL if kind != first))
