"""What a demonstration asserts about the frames between hosts, as tshark reads them."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.ifmap.from_topology import vrf_name
from agent.lab.connection import Connection
from agent.lab.controller import messages
from agent.lab.errors import LabError
from agent.lab.plan import BRIDGE
from agent.lab.processes import environment
from agent.topology import Topology, Vm

LIMIT_SECONDS = 60.0
_FIELDS = ("ip.src", "ip.dst", "ip.proto", "udp.dstport", "gre.proto", "mpls.label", "vxlan.vni")
_UDP, _GRE = "17", "47"
_MPLS_PORT, _VXLAN_PORT, _MPLS_IN_GRE = "6635", "4789", "0x8847"


@dataclass(frozen=True, slots=True)
class Flow:
    """Frames of one kind: outer addresses, encapsulation ("" for none), label or VNI."""

    source: str
    target: str
    encapsulation: str
    label: int


Flows = Counter[Flow]


@contextmanager
def capture(connection: Connection, file: Path) -> Iterator[None]:
    """Record what passes the fabric meanwhile; LabError if that does not work."""
    command = [sys.executable, "-m", "agent.lab.capture", BRIDGE, str(file)]
    with subprocess.Popen(
        connection.inside(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        assert process.stdin
        assert process.stdout
        if process.stdout.readline() != "capturing\n":
            raise LabError("cannot capture on the fabric")
        try:
            yield
        finally:
            process.stdin.close()
            said = process.stdout.readline()
        if said != "captured\n":
            raise LabError("the capture on the fabric broke off")


def read(file: Path) -> Flows:
    """Count the IP frames of a capture by kind, as tshark decodes them; LabError if it cannot."""
    argv = ["tshark", "-n", "-r", str(file), "-d", f"udp.port=={_MPLS_PORT},mpls"]
    argv += ["-T", "fields", "-E", "occurrence=f", "-Y", "ip"]
    argv += [word for field in _FIELDS for word in ("-e", field)]
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            env=environment(),
            check=False,
        )
    except FileNotFoundError:
        raise LabError("tshark is missing: apt-get install tshark") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"tshark did not end within {LIMIT_SECONDS:g} s") from None
    if done.returncode:
        raise LabError(f"tshark failed ({done.returncode}): {done.stderr.strip()}")
    return Counter(_flow(*line.split("\t")) for line in done.stdout.splitlines())


def _flow(
    source: str, target: str, protocol: str, port: str, gre: str, label: str, vni: str
) -> Flow:
    if protocol == _UDP and port == _MPLS_PORT and label:
        return Flow(source, target, "MPLSoUDP", int(label))
    if protocol == _GRE and gre == _MPLS_IN_GRE and label:
        return Flow(source, target, "MPLSoGRE", int(label))
    if protocol == _UDP and port == _VXLAN_PORT and vni:
        return Flow(source, target, "VXLAN", int(vni))
    return Flow(source, target, "", 0)


def labels(connection: Connection, topology: Topology) -> dict[str, set[int]]:
    """By VM: the labels (or VNIs) that its host announced for it, as a controller holds them."""
    controller = next(iter(topology.controllers))
    found: dict[str, set[int]] = {name: set() for name in topology.vms}
    for network in topology.networks:
        reply = connection.control(controller, ["routes", vrf_name(network)])
        assert isinstance(reply, messages.RouteList)
        for vm in topology.vms.values():
            if vm.network == network:
                found[vm.name] |= set(_labels_of(vm, reply.routes))
    return found


def _labels_of(vm: Vm, routes: Iterable[messages.Route]) -> Iterator[int]:
    """Of the VM's own routes: ADDRESS/32, and [TAG-]MAC,ADDRESS/32."""
    for route in routes:
        mac = route.route.rpartition(",")[0].rpartition("-")[2]
        named = {"inet": route.route == f"{vm.address}/32", "evpn": mac == str(vm.mac)}
        if named.get(route.family) and vm.host in route.nexthops:
            yield int(route.nexthops[vm.host].split()[1])


def tunnelled(
    topology: Topology, flows: Flows, announced: Mapping[str, set[int]], pings: int
) -> list[Flow]:
    """All that hosts said to each other's VMs was in tunnels, with the labels announced.

    `pings` went each way between the VMs of each network meanwhile. Returns the kinds of
    tunnel frames; LabError says what was missing or in the clear.
    """
    encapsulation = topology.encapsulations[0]
    for vm in topology.vms.values():
        host = topology.hosts[vm.host].fabric.ip
        remote = [
            topology.hosts[other.host].fabric.ip
            for other in topology.vms.values()
            if other.network == vm.network and other.host != vm.host
        ]
        seen = sum(
            flows[Flow(str(source), str(host), encapsulation, label)]
            for source in set(remote)
            for label in announced[vm.name]
        )
        if seen < 2 * pings * len(remote):
            wanted = ", ".join(map(str, sorted(announced[vm.name]))) or "none"
            raise LabError(
                f"{vm.name}: {seen} frames in {encapsulation} with its label ({wanted}), "
                f"expected {2 * pings * len(remote)}\n{_listed(flows)}"
            )
    _nothing_in_the_clear(topology, flows)
    return sorted((flow for flow in flows if flow.encapsulation), key=str)


def _nothing_in_the_clear(topology: Topology, flows: Flows) -> None:
    addresses = {str(vm.address) for vm in topology.vms.values()}
    for flow in flows:
        if addresses & {flow.source, flow.target}:
            raise LabError(f"VMs' frames without a tunnel\n{_listed(flows)}")


def _listed(flows: Flows) -> str:
    return "\n".join(f"    {count} x {flow}" for flow, count in flows.most_common())
