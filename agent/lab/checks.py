"""What a demonstration asserts about the VMs of a running lab, with real clients."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import permutations

from agent.lab.connection import Connection
from agent.lab.errors import LabError
from agent.lab.plan import VM_INTERFACE
from agent.lab.processes import environment
from agent.topology import Topology, Vm
from agent.values import VRRP_MAC

PINGS = 20
LIMIT_SECONDS = 30.0

_COUNTS = re.compile(r"(\d+) packets transmitted, (\d+) (?:packets )?received")
_ARP_REPLY = re.compile(r"reply from (\S+) \[([0-9a-fA-F:]+)\]")


@dataclass(frozen=True, slots=True)
class Output:
    """What a command on a node printed and how it ended."""

    command: str
    code: int
    text: str


Running = tuple[str, "subprocess.Popen[str]"]
"""A command on a node as text, and its process."""


def run_all(connection: Connection, jobs: Iterable[tuple[str, list[str]]]) -> list[Output]:
    """Run commands, each on its node, side by side; LabError if one takes too long."""
    return [finish(command, process) for command, process in start(connection, jobs)]


def start(connection: Connection, jobs: Iterable[tuple[str, list[str]]]) -> list[Running]:
    """Start commands, each on its node; `finish` waits for one."""
    return [
        (
            f"{node}: {' '.join(command)}",
            subprocess.Popen(
                connection.argv(node, command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=environment(),
            ),
        )
        for node, command in jobs
    ]


def finish(command: str, process: subprocess.Popen[str]) -> Output:
    """Wait for a command's end; LabError if it takes too long."""
    try:
        text, _ = process.communicate(timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        text, _ = process.communicate()
        raise LabError(f"{command}: no end after {LIMIT_SECONDS:g} s\n{text}") from None
    return Output(command, process.returncode, text)


def output_of(connection: Connection, node: str, command: list[str]) -> str:
    """What a command prints; LabError if it fails."""
    (output,) = run_all(connection, [(node, command)])
    if output.code:
        raise LabError(f"{output.command}: failed ({output.code})\n{output.text}")
    return output.text


def ping_counts(output: Output) -> tuple[int, int]:
    """(sent, received) of a ping; LabError if it printed no summary."""
    found = _COUNTS.search(output.text)
    if not found:
        raise LabError(f"{output.command}: no summary\n{output.text}")
    return int(found[1]), int(found[2])


def pairs(topology: Topology, same_network: bool) -> list[tuple[Vm, Vm]]:
    """Ordered pairs of VMs that share a network, or of VMs that do not."""
    vms = topology.vms.values()
    return [(a, b) for a, b in permutations(vms, 2) if (a.network == b.network) is same_network]


def arp(connection: Connection, topology: Topology) -> int:
    """Each VM resolves its gateway and its network's other VMs; returns the count."""
    asked: list[tuple[Vm, str, str]] = []
    for vm in topology.vms.values():
        gateway = str(topology.networks[vm.network].subnets[0].gateway)
        asked.append((vm, gateway, str(VRRP_MAC)))
    asked += [(a, str(b.address), str(b.mac)) for a, b in pairs(topology, same_network=True)]
    probe = ["busybox", "arping", "-c", "1", "-w", "5", "-I", VM_INTERFACE]
    outputs = run_all(connection, ((vm.name, [*probe, address]) for vm, address, _ in asked))
    for (_, address, mac), output in zip(asked, outputs, strict=True):
        answers = {found[2].lower() for found in _ARP_REPLY.finditer(output.text)}
        if answers != {mac}:
            raise LabError(f"{output.command}: expected {address} at {mac}\n{output.text}")
    return len(asked)


def reachable(connection: Connection, topology: Topology) -> int:
    """Pings between all VMs of each network lose nothing; returns the packets sent."""
    sent = 0
    for output in _pings(connection, pairs(topology, same_network=True), PINGS, "0.05"):
        transmitted, received = ping_counts(output)
        if transmitted != PINGS or received != transmitted:
            raise LabError(f"{output.command}: {received} of {PINGS} answered\n{output.text}")
        sent += transmitted
    return sent


def separated(connection: Connection, topology: Topology) -> int:
    """No ping between VMs of different networks is answered; returns the packets sent."""
    sent = 0
    for output in _pings(connection, pairs(topology, same_network=False), 3, "0.2"):
        transmitted, received = ping_counts(output)
        if received or not transmitted:
            raise LabError(f"{output.command}: {received} answered across networks\n{output.text}")
        sent += transmitted
    return sent


def _pings(
    connection: Connection, wanted: list[tuple[Vm, Vm]], count: int, interval: str
) -> list[Output]:
    command = ["ping", "-n", "-c", str(count), "-i", interval, "-W", "1"]
    return run_all(connection, ((a.name, [*command, str(b.address)]) for a, b in wanted))
