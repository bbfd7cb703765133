"""What a demonstration asserts about a lab whose controllers come and go."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from agent.lab.checks import finish, pairs, ping_counts, start
from agent.lab.connection import Connection
from agent.lab.controller import messages
from agent.lab.errors import LabError
from agent.lab.messages import Kill, Start
from agent.topology import Topology, Vm

PINGS = 40
INTERVAL = "0.05"
UNDER_WAY = "icmp_seq=5 "
SETTLED_SECONDS = 30.0
POLL_SECONDS = 0.1


def remote_pairs(topology: Topology) -> list[tuple[Vm, Vm]]:
    """Ordered pairs of VMs of one network on different hosts."""
    return [(a, b) for a, b in pairs(topology, same_network=True) if a.host != b.host]


def without_loss(connection: Connection, topology: Topology, action: Callable[[], None]) -> int:
    """Pings between hosts lose nothing while `action` happens; returns the packets sent."""
    command = ["ping", "-n", "-c", str(PINGS), "-i", INTERVAL, "-W", "2"]
    running = start(
        connection, ((a.name, [*command, str(b.address)]) for a, b in remote_pairs(topology))
    )
    begun = [_until_under_way(name, process) for name, process in running]
    action()
    sent = 0
    for (name, process), before in zip(running, begun, strict=True):
        output = finish(name, process)
        transmitted, received = ping_counts(output)
        if transmitted != PINGS or received != transmitted:
            text = f"{before}{output.text}"
            raise LabError(f"{name}: {received} of {transmitted} answered\n{text}")
        sent += transmitted
    return sent


def _until_under_way(name: str, process: subprocess.Popen[str]) -> str:
    """Read a ping's output until some of it is answered."""
    assert process.stdout
    seen = ""
    while UNDER_WAY not in seen:
        line = process.stdout.readline()
        seen += line
        if not line or "packet loss" in line:
            output = finish(name, process)
            raise LabError(f"{name}: not answered\n{seen}{output.text}")
    return seen


def kill(connection: Connection, controllers: list[str]) -> None:
    """SIGKILL controllers."""
    for name in controllers:
        connection.command(Kill(name, "controller"))


def revive(connection: Connection, topology: Topology) -> None:
    """Start all controllers again and wait until they have every agent's routes."""
    for name in topology.controllers:
        connection.command(Start(name, "controller"))
    settled(connection, topology)


def settled(connection: Connection, topology: Topology) -> None:
    """Wait until every controller has every agent's routes; LabError if that does not come."""
    deadline = time.monotonic() + SETTLED_SECONDS
    while missing := _missing(connection, topology):
        if time.monotonic() > deadline:
            raise LabError(f"{missing}, after {SETTLED_SECONDS:g} s")
        time.sleep(POLL_SECONDS)


def _missing(connection: Connection, topology: Topology) -> str:
    for name in topology.controllers:
        state = connection.control(name, ["status"])
        assert isinstance(state, messages.State)
        agents = {agent.name: agent.published for agent in state.agents}
        for host in topology.hosts:
            if not agents.get(host) and topology.on_host(host):
                return f"{name} has no routes from {host}"
    return ""
