"""What an idle agent takes: processor time and memory, without configuration and with ports.

A script, since what it measures is a process over a while: first an agent that has no
configuration and no datapath, then one that has ports on a real forwarder. Each port is on a
veth of which nobody has the other end, so its address is probed for as long as the agent runs.

    .venv/bin/python bench/bench_idle.py [--ports 100] [--seconds 30]

Prints one JSON object. `cpu_percent` is that of one core, `wakeups` are those of all threads a
second, `rss_mb` is resident memory and `own_mb` that without what others have as well, such as
the datapath's tables. Nobody has asked introspect for more than whether it is ready.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from ipaddress import IPv4Address
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil

from agent.lab.plan import port_request
from agent.topology import Topology, parse, uuid_of
from tests.netns import ip, own_network

REST, INTROSPECT = 9091, 8085
LIMIT = 120.0
SETTLED = 10.0
"""Seconds until what follows from a start is over."""
FIRST = int(IPv4Address("10.1.0.10"))


def content(ports: int) -> dict[str, object]:
    """The topology of one host with so many VMs in ten networks."""
    networks = {f"net{at}": {"subnet": f"10.1.{at * 16}.0/20"} for at in range(10)}
    vms = {
        f"vm{at}": {
            "host": "host1",
            "network": f"net{at % 10}",
            "address": str(IPv4Address(FIRST + (at % 10) * 16 * 256 + at // 10)),
        }
        for at in range(ports)
    }
    hosts = {"host1": {"fabric": "10.0.0.1/24", "interface": "fabric0"}}
    return {"name": "idle", "hosts": hosts, "networks": networks, "vms": vms}


def asked(port: int, method: str, path: str, body: str | None = None) -> tuple[int, str]:
    """Status and text of an answer; status 0 if nobody listens."""
    client = HTTPConnection("127.0.0.1", port, timeout=LIMIT)
    try:
        client.request(method, path, body)
        answer = client.getresponse()
        return answer.status, answer.read().decode()
    except ConnectionError:
        return 0, ""
    finally:
        client.close()


def until(condition: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > ends:
            raise SystemExit(f"never: {what}")
        time.sleep(0.05)


@contextmanager
def program(log: Path, *words: str) -> Iterator[psutil.Process]:
    """Runs until the block ends."""
    with (
        log.open("w") as file,
        subprocess.Popen([sys.executable, "-m", *words], stdout=file, stderr=file) as process,
    ):
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def measured(process: psutil.Process, seconds: float) -> dict[str, float]:
    time.sleep(SETTLED)
    before, switches = process.cpu_times(), woken(process)
    time.sleep(seconds)
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    memory = process.memory_full_info()
    return {
        "cpu_percent": round(100 * used / seconds, 2),
        "wakeups": round((woken(process) - switches) / seconds, 1),
        "rss_mb": round(memory.rss / 1e6, 1),
        "own_mb": round(memory.uss / 1e6, 1),
    }


def woken(process: psutil.Process) -> int:
    """How often its threads have waited for something."""
    return int(process.num_ctx_switches().voluntary)


def bare(directory: Path, seconds: float) -> dict[str, float]:
    """An agent without any configuration but the name of the fabric interface."""
    words = [
        "agent", "--run-dir", str(directory / "run"),
        "--VIRTUAL-HOST-INTERFACE.physical_interface", "eth0",
        "--DEFAULT.agent_base_directory", str(directory / "lib"),
    ]  # fmt: skip
    with program(directory / "log", *words) as process:
        until(lambda: asked(INTROSPECT, "GET", "/healthz")[0] == 200, "an answer")
        return measured(process, seconds)


def with_ports(directory: Path, ports: int, seconds: float) -> dict[str, float]:
    """An agent in sync with a forwarder."""
    made = parse(content(ports))
    file, config, run_dir = (directory / name for name in ("topology.yaml", "agent.conf", "run"))
    file.write_text(json.dumps(content(ports)))
    config.write_text(
        f"[DEFAULT]\nagent_base_directory = {directory}/lib\n[STANDALONE]\ntopology = {file}\n"
    )
    links(made, directory / "links")
    with ExitStack() as stack:
        forwarder = ["agent.forwarder", "--run-dir", str(run_dir)]
        stack.enter_context(program(directory / "forwarder.log", *forwarder))
        until((run_dir / "dpdk_netlink").exists, "the forwarder")
        agent = ["agent", "--config", str(config), "--run-dir", str(run_dir)]
        process = stack.enter_context(program(directory / "agent.log", *agent))
        until(lambda: asked(REST, "GET", "/")[0] == 404, "an answer")
        for vm in made.vms.values():
            body = port_request(vm, str(uuid_of("virtual-network", vm.network)))
            status, text = asked(REST, "POST", "/port", json.dumps(body))
            if status != 200:
                raise SystemExit(f"port {vm.name}: {text}")
        until(lambda: asked(INTROSPECT, "GET", "/readyz")[0] == 200, "in sync")
        return measured(process, seconds)


def links(made: Topology, batch: Path) -> None:
    """The interfaces of the host and its VMs."""
    ip("link", "add", "fabric0", "type", "veth", "peer", "name", "wire")
    batch.write_text(
        "link set fabric0 up\n"
        + "".join(
            f"link add {vm.tap} type veth peer name far{at}\nlink set {vm.tap} up\n"
            for at, vm in enumerate(made.vms.values())
        )
    )
    ip("-batch", str(batch))


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ports", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args(words)
    found = {}
    with tempfile.TemporaryDirectory() as directory:
        for name in ("bare", "ports"):
            (Path(directory) / name).mkdir()
        with own_network():
            found["no configuration"] = bare(Path(directory) / "bare", arguments.seconds)
        with own_network():
            found[f"{arguments.ports} ports"] = with_ports(
                Path(directory) / "ports", arguments.ports, arguments.seconds
            )
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
