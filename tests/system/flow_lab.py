"""A lab for flows: TCP that is watched line by line, configuration that changes, flows as rows."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.system.conftest import RunningLab, VrouterLab
from tests.system.test_agent_restart import Resynced

LIMIT = 15.0
QUIET = 0.8
"""Seconds without a line after which a connection counts as cut; lines come every 20 ms."""

RED1, RED2, FLOATING = "10.1.1.3", "10.1.1.4", "203.0.113.10"
COMMON: dict[str, Any] = {
    "networks": {
        "red": {"subnets": ["10.1.1.0/24", "fd00:1::/64"], "policies": ["web"]},
        "blue": {"subnet": "10.2.2.0/24", "policies": ["web"]},
        "public": {"subnet": "203.0.113.0/24"},
    },
    "policies": {"web": [{"from": "red", "to": "blue", "service": "tcp/8080", "direction": "<>"}]},
    "security_groups": {"open": {"ingress": [{"from": "0.0.0.0/0"}, {"from": "::/0"}]}},
    "floating_ips": {"web": {"network": "public", "address": FLOATING, "vm": "red1"}},
}
"""What topologies of flows have in common; their VMs are those of `vms`."""

_SERVER = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
listener = socket.create_server((sys.argv[1], int(sys.argv[2])), family=family)
print("listening", flush=True)
sock, peer = listener.accept()
print(peer[0], flush=True)
for line in sock.makefile("rb"):
    print(line.decode().strip(), flush=True)
"""
_CLIENT = """
import socket, sys, time
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
for number in range(int(sys.argv[3])):
    sock.sendall(b"%d\\n" % number)
    time.sleep(0.02)
"""
_NAMES = """
import socket, socketserver
class Name(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(socket.gethostname().encode())
server = socketserver.TCPServer(("", 80), Name)
print("listening", flush=True)
server.serve_forever()
"""
_ASK = """
import socket, sys
for _ in range(int(sys.argv[2])):
    with socket.create_connection((sys.argv[1], 80), 5) as sock:
        print(sock.recv(99).decode())
"""
_SEND = """
import socket, sys
for port in map(int, sys.argv[3:]):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", port))
        sock.sendto(b"x", (sys.argv[1], int(sys.argv[2])))
"""


def vms(**others: dict[str, Any]) -> dict[str, Any]:
    """red1, red2 and others, all in the open group. Members given for red1 and red2 are added."""
    reds = {
        f"red{at}": {"network": "red", "address": address, "address6": f"fd00:1::{at + 2}"}
        for at, address in ((1, RED1), (2, RED2))
    }
    named = {name: reds.get(name, {}) | others.get(name, {}) for name in (*reds, *others)}
    return {name: {**vm, "security_groups": ["open"]} for name, vm in named.items()}


class FlowLab(RunningLab):
    """A running lab whose flows are looked at."""

    def flows(self, match: str, host: str = "host1") -> list[dict[str, Any]]:
        """Rows of `flow --match`."""
        shown = self.run(host, "flow", "--match", match, "--json", check=False).stdout
        found = json.loads(shown)
        rows: list[dict[str, Any]] = found["flows"] if isinstance(found, dict) else found
        return rows

    def explain(self, *question: str, host: str = "host1") -> dict[str, Any]:
        """What `vrouter-agent explain flow` answers."""
        done = self.run(
            host, sys.executable, "-m", "agent", "explain", "flow", "--json", *question, check=False
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def configure(self, topology: dict[str, Any], host: str = "host1") -> None:
        """Have a host that stands alone read another topology."""
        write = 'printf %s "$1" > /run/vrouter/topology.yaml'
        self.run(host, "sh", "-c", write, "sh", yaml.safe_dump(topology, sort_keys=False))
        agents = [one for one in self.state().daemons if (one.node, one.role) == (host, "agent")]
        self.run(host, "kill", "-HUP", str(agents[0].pid))

    def give_address6(self) -> None:
        """red1 and red2 put their IPv6 addresses on their interfaces."""
        for vm, last in (("red1", 3), ("red2", 4)):
            words = ["address", "replace", f"fd00:1::{last}/64", "dev", "eth0", "nodad"]
            self.run(vm, "ip", *words)

    def loss(self, vm: str, address: str, *words: str, count: int = 3) -> int:
        """How many of `count` pings were not answered."""
        ping = ["ping", "-n", "-c", str(count), "-i", "0.1", "-W", "1", *words, address]
        return count - self.run(vm, *ping, check=False).stdout.count(" bytes from ")


class Stream:
    """TCP from a client VM to a server VM: lines every 20 ms, watched at the server."""

    def __init__(
        self, lab: RunningLab, client: str, server: str, to: str, port: int, at: str = "0.0.0.0"
    ) -> None:
        self._server = lab.popen(server, sys.executable, "-c", _SERVER, at, str(port))
        self._said = b""
        assert self._line() == "listening"
        words = [to, str(port), "3000"]
        self._client = lab.popen(client, "timeout", "70", sys.executable, "-c", _CLIENT, *words)
        self.lab, self.vm = lab, client
        self.peer = self._line()
        """The client's address as the server sees it."""

    def _line(self, limit: float = LIMIT) -> str | None:
        """The next line; None if none comes."""
        while b"\n" not in self._said:
            if not self._read(limit):
                return None
        line, _, self._said = self._said.partition(b"\n")
        return line.decode().strip()

    def _read(self, limit: float) -> bool:
        """Take what comes within the time; whether anything did."""
        assert self._server.stdout
        fileno = self._server.stdout.fileno()
        if not select.select([fileno], [], [], limit)[0]:
            return False
        piece = os.read(fileno, 65536)
        self._said += piece
        return bool(piece)

    def goes_on(self, lines: int = 10) -> None:
        """Wait until so many lines have come from now on."""
        while self._read(0.0):
            self._said = b""
        for _ in range(lines + 1):  # the first may have lost its beginning
            assert self._line(), "the stream does not go on"

    def stops(self) -> None:
        """Wait until no line comes any more."""
        deadline = time.monotonic() + LIMIT
        while self._line(QUIET) is not None:
            assert time.monotonic() < deadline, "the stream goes on"

    def close(self) -> None:
        """End both ends; they live in a PID namespace of their own."""
        for process in (self._client, self._server):
            end(process)


def end(process: subprocess.Popen[str]) -> None:
    """End what `popen` started in a node: its own child there, then itself."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    subprocess.run(["kill", "-9", *children, str(process.pid)], check=False)
    process.wait()
    assert process.stdout
    process.stdout.close()


@contextmanager
def streaming(lab: RunningLab, client: str, server: str, to: str, **at: Any) -> Iterator[Stream]:
    """A stream that is under way."""
    stream = Stream(lab, client, server, to, at.pop("port", 8080), **at)
    try:
        stream.goes_on(3)
        yield stream
    finally:
        stream.close()


@contextmanager
def brought_up(vrouter_lab: VrouterLab, topology: dict[str, Any]) -> Iterator[FlowLab]:
    """A lab of this topology."""
    with tempfile.TemporaryDirectory(prefix="vrouter-lab-") as parent:
        file, run_dir = Path(parent) / "flows.yaml", Path(parent) / "lab"
        file.write_text(yaml.safe_dump(topology, sort_keys=False))
        vrouter_lab("up", str(file), "--run-dir", str(run_dir))
        running = FlowLab(run_dir, vrouter_lab)
        try:
            yield running
        finally:
            running.close()


def check_killed_agent(lab: FlowLab, stream: Stream) -> None:
    """The agent of host1 is killed: a stream from red1 to red2 goes on.

    The next agent takes its flows over as they are: no entry is made anew.
    """
    match = f"{RED1},{RED2}:8080 & proto tcp"
    before = {(row["index"], row["gen_id"]) for row in lab.flows(match)}
    assert before
    with Resynced(lab) as resynced:
        lab.command("kill", "host1", "agent")
        stream.goes_on(20)
        lab.command("start", "host1", "agent")
        resynced.wait()
    stream.goes_on(20)
    assert before <= {(row["index"], row["gen_id"]) for row in lab.flows(match)}


def iperf(lab: RunningLab, client: str, server: str, address: str, *words: str) -> dict[str, Any]:
    """The end of an iperf3 run."""
    served = lab.popen(server, "iperf3", "-s", "-1", "--forceflush")
    assert served.stdout
    while "listening" not in (line := served.stdout.readline()):
        assert line, "iperf3 did not listen"
    shown = lab.run(client, "iperf3", "-c", address, "-J", *words).stdout
    served.communicate(timeout=LIMIT)
    found: dict[str, Any] = json.loads(shown)["end"]
    return found


@contextmanager
def serving_names(lab: RunningLab, *vms: str) -> Iterator[None]:
    """Servers on TCP port 80 that tell the names of their VMs."""
    servers = [lab.popen(vm, sys.executable, "-c", _NAMES) for vm in vms]
    try:
        for server in servers:
            assert server.stdout
            assert server.stdout.readline() == "listening\n"
        yield
    finally:
        for server in servers:
            end(server)


def names_asked(lab: RunningLab, client: str, address: str, times: int) -> list[str]:
    """Who answered so many connections."""
    return lab.run(client, sys.executable, "-c", _ASK, address, str(times)).stdout.split()


def sent(lab: RunningLab, client: str, address: str, to: int, ports: Iterable[int]) -> None:
    """A UDP packet from each of these ports."""
    lab.run(client, sys.executable, "-c", _SEND, address, str(to), *map(str, ports))
