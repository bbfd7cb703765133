"""A restart with many ports and routes: how long until in sync, and that nothing is written.

A script, since what it measures is a process from its start: the site of bench_routes_e2e.py
with more ports, each on a veth of which nobody has the other end. The agent is killed and
started again; the relay says the table of routes when the agent joins the VRF anew, as a
control node would.

    .venv/bin/python bench/bench_restart.py [--ports 1000] [--routes 100000]

Prints one JSON object. `seconds` runs from the start of the process to "in sync", with the
waits of up to two seconds that the site's configuration asks for, in which controllers may say
all that they have; `busy` is processor time of the agent. `writes` are those since the start,
a moment after "in sync": they must be none.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, suppress
from datetime import datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil

from agent.ifmap.from_topology import vrf_name
from agent.lab.netns import call
from bench import bench_routes_e2e
from bench.bench_routes_e2e import FIRST, RELAYS, Bench, Relay, table
from tests.system import controlled
from tests.system.conftest import Sandbox
from tests.system.controlled import FABRIC, HOST

LIMIT = 600.0
PORTS_A_REQUEST = 100
AFTERWARDS = 3.0
"""Seconds after "in sync" in which nothing may be written either."""
_JOIN = re.compile(rb"<subscribe node=[\"']" + vrf_name("red").encode())
STEPS = ("datapath read", "routes complete", "in sync")


def topology(ports: int) -> str:
    """The site's, with so many VMs on host1."""
    first = int(IPv4Address("10.1.0.10"))
    vms = "".join(
        f"  vm{at}: {{host: host1, network: red, address: {IPv4Address(first + at)}}}\n"
        for at in range(ports)
    )
    head = controlled.TOPOLOGY.partition("vms:")[0].replace("10.1.1.0/24", "10.1.0.0/16")
    return f"{head}vms:\n{vms}"


class Restart(Bench):
    """A host whose ports have nobody behind them; each takes five labels."""

    SIZES = ("--flow-entries", "4096", "--bridge-entries", "16384", "--labels", "65536")

    def __init__(self, box: Sandbox, directory: Path, ports: int) -> None:
        controlled.TOPOLOGY = topology(ports)
        super().__init__(box, directory)

    def _wire(self) -> None:
        box = self.box
        for name in (HOST, FABRIC):
            box.netns(name)
        box.veth(HOST, "fabric0", FABRIC, "wire")
        for address in (*controlled.ADDRESSES.values(), str(controlled.FAR_HOST)):
            box.run("ip", "-n", FABRIC, "address", "add", f"{address}/24", "dev", "wire")
        lines = "".join(
            f"link add {vm.tap} type veth peer name far{at}\nlink set {vm.tap} up\n"
            for at, vm in enumerate(self.vms.values())
        )
        batch = self.directory / "links"
        batch.write_text(lines)
        box.run("ip", "-n", HOST, "-batch", str(batch))
        box.popen("sh", "-c", controlled.VHOST, netns=HOST)

    def up(self) -> None:
        """Start everything and plug all ports."""
        self.vms = {"red1": next(iter(self.vms.values())), **self.vms}
        super().up()

    def plug_all(self) -> None:
        """Plug the ports of all VMs, many in a request."""
        vms = list(dict.fromkeys(self.vms.values()))
        for at in range(0, len(vms), PORTS_A_REQUEST):
            self.plug(*vms[at : at + PORTS_A_REQUEST])

    def ready(self) -> None:
        """Wait until all ports are programmed; nobody is behind them to answer."""
        addresses = {str(vm.address) for vm in self.vms.values()}
        deadline = time.monotonic() + LIMIT
        while not (addresses <= self.routes().keys() and self._is_known()):
            if time.monotonic() > deadline:
                raise SystemExit("the ports were never programmed")
            time.sleep(1.0)

    def _is_known(self) -> bool:
        """Whether both controllers have heard of the ports; they may be too busy to say so."""
        try:
            return all(one.knows() for one in self.controllers)
        except OSError:
            return False

    def writes(self) -> dict[str, int]:
        """What the agent has written since its start, by kind and operation."""
        status, page = call(self._namespaces / HOST, 8085, "GET", "/metrics")
        assert status == 200, page
        found = re.findall(r"^vrouter_ksync_writes_total\{(.*)\} (\d+)", page, re.MULTILINE)
        return {labels: int(number) for labels, number in found}

    def agent_process(self) -> psutil.Process:
        """The agent that runs now."""
        return psutil.Process(
            next(
                one.pid
                for one in psutil.process_iter(["cmdline"])
                if (one.info["cmdline"] or [])[1:3] == ["-m", "agent"]
                and str(self.directory) in " ".join(one.info["cmdline"])
            )
        )


class JoinedRelay(Relay):
    """Says `table` when the agent joins the VRF."""

    table = b""
    """Of all relays: the first one that is joined says it."""

    def start(self) -> None:
        """Carry both ways; look at what is said."""
        self._said, self._whole = b"", True
        super().start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):  # an end was closed
            while data := source.recv(1 << 16):
                if source is self.agent:
                    if self._joins(data):
                        stanzas, JoinedRelay.table = JoinedRelay.table, b""
                        threading.Thread(target=self._tell, args=(stanzas,), daemon=True).start()
                    target.sendall(data)
                    continue
                with self.lock:
                    target.sendall(data)
                    self._whole = data.rstrip().endswith((b"</iq>", b"</message>"))
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _tell(self, stanzas: bytes) -> None:
        """Say all of it between two stanzas of the controller."""
        while True:
            with self.lock:
                if self._whole:
                    self.agent.sendall(stanzas)
                    return
            time.sleep(0.001)

    def _joins(self, data: bytes) -> bool:
        if not JoinedRelay.table:
            return False
        self._said += data
        return _JOIN.search(self._said) is not None


def restart(bench: Restart, stanzas: bytes, figures: dict[str, Any]) -> None:
    """Kill the agent, start it, and wait until it is in sync."""
    mark = bench.agent.mark()
    bench.agent.kill()
    JoinedRelay.table = stanzas
    began = time.time()
    bench.agent.start()
    process = bench.agent_process()
    line = bench.agent.says('event="in sync"', mark, LIMIT)
    figures["seconds"] = round(_stamp(line) - began, 2)
    figures["busy"] = round(sum(process.cpu_times()[:2]), 2)
    figures["memory_mb"] = round(process.memory_info().rss / 1e6, 1)
    figures["steps"] = {
        step: round(_stamp(found[0]) - began, 2)
        for step in STEPS
        if (found := bench.agent.said(f'event="{step}"', mark))
    }
    for name in ("adopted", "swept"):
        found = re.search(rf"\b{name}=(\d+)", line)
        figures[name] = int(found[1]) if found else None
    time.sleep(AFTERWARDS)
    figures["writes"] = bench.writes()


def _stamp(line: str) -> float:
    found = re.search(r"timestamp=(\S+?)Z", line)
    assert found, line
    return datetime.fromisoformat(f"{found[1]}+00:00").timestamp()


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--ports", type=int, default=1000)
    options.add_argument("--routes", type=int, default=100_000)
    given = options.parse_args()
    bench_routes_e2e.Relay = JoinedRelay  # type: ignore[misc]
    figures: dict[str, Any] = {"ports": given.ports, "routes": given.routes}
    with ExitStack() as stack:
        box = Sandbox()
        stack.callback(box.close)
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bench = Restart(box, directory, given.ports)
        stack.callback(bench.close)
        try:
            bench.up()
            stanzas = b"".join(table(FIRST, given.routes))
            bench.relays.sessions[RELAYS[0]].say(stanzas)
            bench.wait(FIRST + given.routes - 1, 1000 + (given.routes - 1) % 100_000, 0.05)
            time.sleep(3.0)
            restart(bench, stanzas, figures)
        except BaseException:
            print(bench.agent.log[-3000:], file=sys.stderr)
            raise
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
