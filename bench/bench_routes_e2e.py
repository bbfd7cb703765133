"""Routes from a controller's socket to the acknowledged datapath: rate, latency, memory.

A script, since what it measures is several processes: a forwarder, an agent and two lab
controllers, on their real sockets, in namespaces of its own. Between agent and controllers
stands a relay, which puts a full table of routes into one session; the forwarder itself is
asked when they are there.

    .venv/bin/python bench/bench_routes_e2e.py [--routes 100000] [--rate 20000] [--probes 300]

Prints one JSON object. Rates are by the wall clock, so the machine must be idle: two cores
carry agent and forwarder, and whoever floods takes his share as well. `cpu_us` is what each
of the two took itself.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from itertools import count
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil

from agent.cli.datapath_client import DatapathClient
from agent.ifmap.from_topology import network_name, vrf_name
from agent.lab.controller.downstream import messages
from agent.lab.netns import tcp_socket_in
from agent.routes import (
    Encapsulation,
    InetKey,
    RouteAttributes,
    RouteBatch,
    RouteFamily,
    RouteNexthop,
    RouteUpdate,
)
from agent.sandesh.vrouter import SandeshOp, VrInterfaceReq, VrRouteReq
from tests.system.conftest import Sandbox
from tests.system.controlled import FABRIC, HOST, Site

RELAYS = ("10.0.0.240", "10.0.0.241")
PORT = 5269
LIMIT = 120.0
FIRST = 0x14000000  # 20.0.0.0
_PROBES = count(0x1E000000, 1 << 16)  # 30.0.0.0, 30.1.0.0 and so on
ENCAPSULATIONS = (Encapsulation.GRE, Encapsulation.UDP)


def table(first: int, routes: int, *, there: bool = True) -> list[bytes]:
    """The route messages of host routes of 50 hosts, each with a label of its own."""
    vn, vrf = network_name("red"), vrf_name("red")
    updates = []
    for at in range(routes):
        way = RouteNexthop(
            IPv4Address(0x0A000002 + at % 50), 1000 + at % 100_000, ENCAPSULATIONS, vn
        )
        made = RouteAttributes(
            (way,),
            virtual_network=vn,
            sequence=1,
            local_preference=200,
            med=100,
            security_groups=(8000001,),
        )
        key = InetKey((first + at).to_bytes(4, "big"), 32)
        updates.append(RouteUpdate(key, made if there else None))
    return list(messages(HOST, RouteBatch(RouteFamily.INET, vrf, updates), "10.0.0.2:1"))


@dataclass
class Relay:
    """Carries a session between agent and controller, and can add to what the agent hears."""

    agent: socket.socket
    controller: socket.socket
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Carry both ways until an end closes."""
        for ends in ((self.agent, self.controller), (self.controller, self.agent)):
            threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(1 << 16):
            with self.lock:
                target.sendall(data)

    def say(self, stanzas: bytes) -> None:
        """Let the agent hear whole stanzas; only while the controller is quiet."""
        with self.lock:
            self.agent.sendall(stanzas)


class Relays:
    """Listens in place of the controllers; the newest session of each counts."""

    def __init__(self, namespace: Path, controllers: list[str]) -> None:
        self.sessions: dict[str, Relay] = {}
        self._namespace = namespace
        for own, behind in zip(RELAYS, controllers, strict=True):
            listener = tcp_socket_in(namespace)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((own, PORT))
            listener.listen()
            threading.Thread(target=self._accept, args=(listener, own, behind), daemon=True).start()

    def _accept(self, listener: socket.socket, own: str, behind: str) -> None:
        while True:
            agent, _ = listener.accept()
            agent.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            controller = tcp_socket_in(self._namespace)
            controller.connect((behind, PORT))
            self.sessions[own] = Relay(agent, controller)
            self.sessions[own].start()


@dataclass(frozen=True)
class _Named:
    address: str


class Bench(Site):
    """The site of the system tests, with relays before its controllers."""

    def up(self) -> None:
        """Start everything."""
        for address in RELAYS:
            self.box.run("ip", "-n", FABRIC, "address", "add", f"{address}/24", "dev", "wire")
        addresses = [one.address for one in self.controllers]
        self.relays = Relays(self._namespaces / FABRIC, addresses)
        super().up()
        self.client = DatapathClient.connect(self.run_dir)
        tap = self.vms["red1"].tap
        vifs = (one for one in self.dump() if isinstance(one, VrInterfaceReq))
        self.vrf = next(vif.vifr_vrf for vif in vifs if vif.vifr_name == tap)
        lines = {" ".join(p.info["cmdline"] or ()): p for p in psutil.process_iter(["cmdline"])}
        self.processes = {
            name: next(
                found
                for line, found in lines.items()
                if line.startswith(f"{sys.executable} -m {module} ") and str(self.directory) in line
            )
            for name, module in (("agent", "agent"), ("forwarder", "agent.forwarder"))
        }

    def configure(self, *_: Any) -> None:
        """Have the agent talk to the relays."""
        super().configure(*map(_Named, RELAYS))  # type: ignore[arg-type]

    def label(self, number: int) -> int:
        """The label with which the forwarder forwards to an address; 0 for none."""
        wanted = VrRouteReq(
            h_op=SandeshOp.GET,
            rtr_family=2,
            rtr_vrf_id=self.vrf,
            rtr_prefix=number.to_bytes(4, "big"),
            rtr_prefix_len=32,
        )
        _, found = self.client.request(wanted.encode())
        route: Any = found[0] if found else None
        return int(route.rtr_label) if route is not None and route.rtr_label_flags & 1 else 0

    def wait(self, number: int, label: int, pause: float = 0.0) -> float:
        """When the forwarder forwards to an address with that label."""
        deadline = time.monotonic() + LIMIT
        while self.label(number) != label:
            if time.monotonic() > deadline:
                raise SystemExit(f"{IPv4Address(number)} never got label {label}")
            time.sleep(pause)
        return time.monotonic()

    def cpu(self) -> dict[str, float]:
        """Seconds of processor time so far."""
        return {name: sum(one.cpu_times()[:2]) for name, one in self.processes.items()}

    def memory(self) -> float:
        """Resident megabytes of the agent."""
        return float(self.processes["agent"].memory_info().rss / 1e6)


def full_table(bench: Bench, routes: int, figures: dict[str, Any]) -> None:
    """A table at once: how fast it is there, what it takes, and how fast it goes."""
    relay = bench.relays.sessions[RELAYS[0]]
    stanzas = b"".join(table(FIRST, routes))
    before, held = bench.cpu(), bench.memory()
    began = time.monotonic()
    relay.say(stanzas)
    took = bench.wait(FIRST + routes - 1, 1000 + (routes - 1) % 100_000, 0.005) - began
    spent = bench.cpu()
    figures["routes"] = routes
    figures["routes_per_second"] = round(routes / took)
    figures["cpu_us"] = {
        name: round((spent[name] - before[name]) / routes * 1e6, 2) for name in spent
    }
    time.sleep(2.0)
    figures["memory_mb"] = round(bench.memory() - held, 1)
    began = time.monotonic()
    relay.say(b"".join(table(FIRST, routes, there=False)))
    took = bench.wait(FIRST + routes - 1, 0, 0.005) - began
    figures["withdrawn_per_second"] = round(routes / took)


def latency(bench: Bench, rate: int, probes: int, figures: dict[str, Any]) -> None:
    """Single routes of the second controller, while the first one says `rate` a second."""
    flood, other = (bench.relays.sessions[name] for name in RELAYS)
    rounds = [table(FIRST, 16_000), table(FIRST, 16_000, there=False)]
    told, stop = 0, threading.Event()

    def say() -> None:
        nonlocal told
        began = time.monotonic()
        while not stop.is_set():
            for stanzas in rounds:
                each = 16_000 / len(stanzas)
                for stanza in stanzas:
                    flood.say(stanza)
                    told += each
                    ahead = began + told / rate - time.monotonic()
                    if ahead > 0.0005:
                        time.sleep(ahead)
                    if stop.is_set():
                        return

    thread = threading.Thread(target=say)
    if rate:
        thread.start()
    time.sleep(1.0)
    first, began = told, time.monotonic()
    probed, seen = next(_PROBES), []
    for at, stanza in enumerate(table(probed + n, 1)[0] for n in range(probes)):
        time.sleep(0.01)
        now = time.monotonic()
        other.say(stanza)
        seen.append(bench.wait(probed + at, 1000, 0.0001) - now)
    told_rate = (told - first) / (time.monotonic() - began)
    stop.set()
    if rate:
        thread.join()
    seen.sort()
    figures["latency_at_rate"] = round(told_rate)
    figures["latency_ms"] = {
        name: round(seen[min(int(len(seen) * part), len(seen) - 1)] * 1e3, 2)
        for name, part in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
    }


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--routes", type=int, default=100_000)
    options.add_argument("--rate", type=int, default=50_000)
    options.add_argument("--probes", type=int, default=300)
    given = options.parse_args()
    sys.setswitchinterval(1e-4)  # or the threads here wait for each other for milliseconds
    figures: dict[str, Any] = {}
    with ExitStack() as stack:
        box = Sandbox()
        stack.callback(box.close)
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bench = Bench(box, directory)
        stack.callback(bench.close)
        try:
            bench.up()
            latency(bench, 0, given.probes, idle := {})
            figures["idle_latency_ms"] = idle["latency_ms"]
            latency(bench, given.rate, given.probes, figures)
            full_table(bench, given.routes, figures)
        except BaseException:
            print(bench.agent.log[-3000:], file=sys.stderr)
            raise
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
