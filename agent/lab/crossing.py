"""TCP between two networks of a topology: what its policies let pass, and what they do not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from agent.lab import tcp
from agent.lab.checks import pairs, run_all
from agent.lab.connection import Connection
from agent.lab.errors import LabError
from agent.lab.processes import environment
from agent.topology import Topology, TrafficRule, Vm

SOURCE_PORT = 40000
"""Of the questions why: any one stands for all."""

_TCP = 6


@dataclass(frozen=True, slots=True)
class Crossing:
    """From a VM of one network to one of another: the port that passes, and one that does not."""

    client: Vm
    server: Vm
    passes: int
    denied: int


def crossing(topology: Topology) -> Crossing | None:
    """The first that policies of the file tell of, rather between hosts; None without one."""
    apart = sorted(
        pairs(topology, same_network=False), key=lambda pair: pair[0].host == pair[1].host
    )
    for client, server in apart:
        told = _told(topology, client, server)
        allowed = next((ports[0] for passes, ports in told if passes), None)
        if allowed is not None:
            covered = [ports for _, ports in told]
            return Crossing(client, server, allowed, _outside(covered, allowed))
    return None


def _told(topology: Topology, client: Vm, server: Vm) -> list[tuple[bool, tuple[int, int]]]:
    """What policies of both networks say of TCP from the one to the other: pass, and ports."""
    mine, theirs = (topology.networks[vm.network] for vm in (client, server))
    return [
        (rule.passes, service.ports)
        for name in mine.policies
        if name in theirs.policies
        for rule in topology.policies.networks[name]
        if _leads(rule, client.network, server.network)
        for service in rule.services
        if service.protocol == _TCP and service.ports is not None
    ]


def _leads(rule: TrafficRule, source: str, destination: str) -> bool:
    ends = rule.source.network, rule.destination.network
    return ends == (source, destination) or (rule.both and ends == (destination, source))


def _outside(covered: list[tuple[int, int]], port: int) -> int:
    """The next port that none of the ranges has."""
    while any(first <= port <= last for first, last in covered):
        port += 1
    return port


def connect(connection: Connection, found: Crossing) -> None:
    """Try both, with a server on both ports; LabError if one passes that should not, or not."""
    ports = (found.passes, found.denied)
    client = [sys.executable, "-m", tcp.__name__, "connect", str(found.server.address)]
    with _served(connection, found.server.name, ports):
        jobs = [(found.client.name, [*client, str(port)]) for port in ports]
        passing, denied = run_all(connection, jobs)
    if passing.code:
        raise LabError(f"{passing.command}: a policy lets it pass, and it failed\n{passing.text}")
    if not denied.code:
        raise LabError(f"{denied.command}: a policy denies it, and it was answered\n{denied.text}")


@contextmanager
def _served(connection: Connection, vm: str, ports: Iterable[int]) -> Iterator[None]:
    """A server in a VM; it ends when its input closes, so also with this process."""
    serve = [sys.executable, "-m", tcp.__name__, "listen", *map(str, ports)]
    with subprocess.Popen(
        connection.argv(vm, serve),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
    ) as server:
        assert server.stdin
        assert server.stdout
        if (said := server.stdout.readline().strip()) != tcp.LISTENING:
            raise LabError(f"{vm}: no TCP server: {said}\n{server.communicate()[0]}")
        try:
            yield
        finally:
            server.stdin.close()


def explanations(connection: Connection, found: Crossing) -> Iterator[str]:
    """Why, as the agent of the client's host tells it; LabError if it tells otherwise."""
    host = found.client.host
    ends = [str(found.client.address), str(found.server.address)]
    wanted = {found.passes: 0, found.denied: 1}
    questions = [["explain", "flow", *ends, "tcp", str(SOURCE_PORT), str(port)] for port in wanted]
    agent = [sys.executable, "-m", "agent"]
    outputs = run_all(connection, [(host, [*agent, *question]) for question in questions])
    for code, question, output in zip(wanted.values(), questions, outputs, strict=True):
        if output.code != code:
            raise LabError(f"{output.command}: unexpected answer ({output.code})\n{output.text}")
        yield f"{host}# vrouter-agent {' '.join(question)}\n{output.text.rstrip()}"
