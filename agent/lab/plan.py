"""What a lab of a topology consists of: links, files and names, computed before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from agent.errors import ConfigError
from agent.topology import Controller, Host, Topology, Vm

T = TypeVar("T")

BRIDGE = "fabric"
"""The bridge that joins hosts and controllers, in the sandbox's own network namespace."""

VM_INTERFACE = "eth0"
CONTROLLER_INTERFACE = "eth0"
VHOST = "vhost0"
RUN_DIR = Path("/run/vrouter")
"""The run directory as a process on a host sees it."""

CONFIG = RUN_DIR / "vrouter-agent.conf"
TOPOLOGY = RUN_DIR / "topology.yaml"
BACKUPS = RUN_DIR / "lib" / "backup"
REST_PORT = 9091
PAGE_PORT = 8085
PROJECT = "00000000-0000-0000-0000-000000000001"


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines for `ip -batch` in one network namespace; `node` is None for the sandbox's own."""

    node: str | None
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked topology with the links that it needs, in the order of making them."""

    topology: Topology
    batches: tuple[Batch, ...]

    def host(self, name: str) -> Host:
        """The host of that name; ConfigError names those that exist."""
        return _named("host", name, self.topology.hosts)

    def vm(self, name: str) -> Vm:
        """The VM of that name; ConfigError names those that exist."""
        return _named("VM", name, self.topology.vms)

    def controller(self, name: str) -> Controller:
        """The controller of that name; ConfigError names those that exist."""
        return _named("controller", name, self.topology.controllers)


def make_plan(topology: Topology) -> Plan:
    """Lay out the links of a topology; ConfigError if two nodes share a name."""
    _distinct({"hosts": topology.hosts, "controllers": topology.controllers, "vms": topology.vms})
    batches = [_fabric(topology)]
    batches += [_host(host, topology) for host in topology.hosts.values()]
    batches += [_controller(one, topology) for one in topology.controllers.values()]
    batches += [Batch(vm, ("link set lo up",)) for vm in topology.vms]
    return Plan(topology, tuple(batches))


def _distinct(sections: Mapping[str, Mapping[str, object]]) -> None:
    """Every node of a lab has its namespace by its name."""
    owners: dict[str, str] = {}
    for section, names in sections.items():
        for name in names:
            other = owners.setdefault(name, section)
            if other != section:
                raise ConfigError(f"{section}.{name}: {other} has the same name; names must differ")


def agent_config(host: Host, topology: Topology) -> str:
    """The configuration file of a host's agent, in the reference agent's INI form.

    With controllers in the topology the agent lives from them, else from its own copy of it.
    """
    gateway = f"gateway = {host.gateway}\n" if host.gateway else ""
    servers = " ".join(f"{one.address.ip}:{one.port}" for one in topology.controllers.values())
    source = (
        f"[CONTROL-NODE]\nservers = {servers}\n"
        if servers
        else f"[STANDALONE]\ntopology = {TOPOLOGY}\nhost = {host.name}\n"
    )
    return (
        "[DEFAULT]\n"
        f"agent_name = {host.name}\n"
        f"agent_base_directory = {RUN_DIR}/lib\n"
        f"rest_port = {REST_PORT}\n"
        f"http_server_port = {PAGE_PORT}\n"
        # The program may be in a home directory that is closed to others, root included.
        "further_capabilities = DAC_READ_SEARCH\n"
        "\n[VIRTUAL-HOST-INTERFACE]\n"
        f"name = {VHOST}\n"
        f"ip = {host.fabric}\n"
        f"{gateway}"
        f"physical_interface = {host.interface}\n"
        "\n[RESTART]\nbackup_enable = true\nbackup_idle_timeout = 500\n"
        f"backup_dir = {BACKUPS}\n"
        f"\n{source}"
    )


def port_request(vm: Vm, network_uuid: str) -> dict[str, str | int]:
    """The body of POST /port that plugs the VM's port (facts rest-api.md 3.1)."""
    return {
        "id": str(vm.port),
        "instance-id": str(vm.uuid),
        "vn-id": network_uuid,
        "vm-project-id": PROJECT,
        "display-name": vm.name,
        "system-name": vm.tap,
        "ip-address": str(vm.address),
        "ip6-address": str(vm.address6 or "::"),
        "mac-address": str(vm.mac),
        "type": 0,
        "rx-vlan-id": -1,
        "tx-vlan-id": -1,
    }


def _named(kind: str, name: str, rows: Mapping[str, T]) -> T:
    if name not in rows:
        raise ConfigError(f"no {kind} {name!r} in this lab; there are: {', '.join(rows) or 'none'}")
    return rows[name]


def _fabric(topology: Topology) -> Batch:
    lines = ["link set lo up", f"link add {BRIDGE} type bridge", f"link set {BRIDGE} up"]
    ends = [(host.name, host.interface) for host in topology.hosts.values()]
    ends += [(name, CONTROLLER_INTERFACE) for name in topology.controllers]
    for index, (node, interface) in enumerate(ends):
        port = f"{BRIDGE}-{index}"
        lines += [
            f"link add {port} type veth peer name {interface} netns {node}",
            f"link set {port} mtu {topology.fabric_mtu} master {BRIDGE} up",
        ]
    for host in topology.hosts.values():
        if host.gateway:
            lines.append(
                f"addr replace {host.gateway}/{host.fabric.network.prefixlen} dev {BRIDGE}"
            )
    return Batch(None, tuple(lines))


def _host(host: Host, topology: Topology) -> Batch:
    lines = ["link set lo up", f"link set {host.interface} mtu {topology.fabric_mtu} up"]
    for vm in topology.on_host(host.name):
        lines += [
            f"link add {vm.tap} type veth"
            f" peer name {VM_INTERFACE} address {vm.mac} netns {vm.name}",
            f"link set {vm.tap} up",
        ]
    return Batch(host.name, tuple(lines))


def _controller(controller: Controller, topology: Topology) -> Batch:
    return Batch(
        controller.name,
        (
            "link set lo up",
            f"addr add {controller.address} dev {CONTROLLER_INTERFACE}",
            f"link set {CONTROLLER_INTERFACE} mtu {topology.fabric_mtu} up",
        ),
    )
