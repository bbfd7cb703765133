"""Configuration of floating IPs, alias IPs and allowed address pairs, as a controller sends it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from agent import topology
from agent.inputs import GraphLink, GraphNode
from tests.graph.worlds import World, worked

PROJECT = "default-domain:default-project"
OUTSIDE = ("virtual-network", f"{PROJECT}:net2")
OUTSIDE_VRF = f"{PROJECT}:net2:net2"
INSIDE_VRF = f"{PROJECT}:net1:net1"


def inside(vms: int = 1, **network: Any) -> topology.Topology:
    """net1 with VMs 15.0.0.3 and so on; net2, which is 15.0.1.0/24, without any."""
    parsed = worked(vms=vms, networks=2, **network)
    own = {name: vm for name, vm in parsed.vms.items() if vm.network == "net1"}
    return replace(parsed, vms=own)


def port_of(vm: topology.Vm) -> tuple[str, str]:
    """The configuration node of a VM's port."""
    return "virtual-machine-interface", f"{PROJECT}:{vm.port}"


def lent(
    kind: str,
    name: str,
    ports: list[tuple[str, str]],
    network: tuple[str, str] = OUTSIDE,
    **said: Any,
) -> World:
    """A floating-ip or alias-ip of a network's pool for some ports."""
    return World() | list(_lent(kind, name, ports, network, said))


def _lent(
    kind: str,
    name: str,
    ports: list[tuple[str, str]],
    network: tuple[str, str],
    said: dict[str, Any],
) -> Iterator[GraphNode | GraphLink]:
    pool, own = (f"{kind}-pool", f"{network[1]}:pool"), (kind, name)
    members = {f"{kind}-{key.replace('_', '-')}": value for key, value in said.items()}
    yield GraphNode(*pool)
    yield GraphNode(*own, members)
    yield GraphLink(f"virtual-network-{kind}-pool", network, pool)
    yield GraphLink(f"{kind}-pool-{kind}", pool, own)
    for port in ports:
        yield GraphLink(f"{kind}-virtual-machine-interface", own, port)


def floating(vm: topology.Vm, address: str = "15.0.1.100", **said: Any) -> World:
    """A floating IP of net2 for a VM."""
    return lent("floating-ip", f"fip-{address}", [port_of(vm)], **({"address": address} | said))


def alias(vm: topology.Vm, address: str = "15.0.1.200") -> World:
    """An alias IP of net2 for a VM."""
    return lent("alias-ip", f"alias-{address}", [port_of(vm)], address=address)


def with_property(world: World, ref: tuple[str, str], **said: Any) -> World:
    """A configuration node with other properties."""
    [row] = [
        one
        for one in world.inputs.values()
        if isinstance(one, GraphNode) and (one.type, one.name) == ref
    ]
    members = {key.replace("_", "-"): value for key, value in said.items()}
    return world | [replace(row, properties={**row.properties, **members})]


def pair(prefix: str, mac: str = "", mode: str = "active-standby") -> dict[str, Any]:
    """An allowed address pair."""
    first, _, length = prefix.partition("/")
    ip = {"ip-prefix": first, "ip-prefix-len": int(length)}
    return {"ip": ip, "address-mode": mode} | ({"mac": mac} if mac else {})


def paired(world: World, vm: topology.Vm, *pairs: Any) -> World:
    """The port of a VM with allowed address pairs."""
    listed = {"allowed-address-pair": list(pairs)}
    return with_property(world, port_of(vm), virtual_machine_interface_allowed_address_pairs=listed)
