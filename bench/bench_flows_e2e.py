"""First packets of flows: from a guest's interface through trap, decision and set-up to another's.

A script, since what it measures is several processes on their real sockets: a forwarder, what
answers its traps, and a load that sends packets of flows that nobody has seen. What answers is
the least that can (`bench/flows/answer.c`, a C loop with the same pair for every flow), or
whatever runs on the forwarder's sockets already.

    .venv/bin/python bench/bench_flows_e2e.py [--rates 20000,200000] [--seconds 3]
    .venv/bin/python bench/bench_flows_e2e.py --load OUT,IN,DST_MAC,SRC_MAC,SRC_IP,DST_IP ...

The first form brings everything up in namespaces of its own; it needs root. The second one only
sends: from interface OUT to interface IN of the network namespace that it runs in, between two
guests of a site that is up (an agent's), and with `--run-dir` reads that forwarder's counters.

Prints one JSON object. `arrived_per_second` is what came through while the load lasted and a
little longer; `extra_us` is how much later than a second packet of their flows (half of those)
the first ones came. Rates are by the wall clock, so the machine must be idle: on two cores the
load takes its share as well.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil

from agent.cli.datapath_client import DatapathClient
from agent.sandesh.vrouter import (
    FlowOp,
    Message,
    VrFlowTableData,
    VrInterfaceReq,
    VrMplsReq,
    VrNexthopReq,
    VrRouteReq,
)
from agent.values import Mac
from tests.system.conftest import Sandbox

ROOT = Path(__file__).parents[1]
BUILT = ROOT / "build" / "bench"
HOST, GUESTS = "host", "guests"
ROUTER = Mac.parse("00:00:5e:00:01:00")
GUEST_MACS = (Mac.parse("02:00:00:00:03:01"), Mac.parse("02:00:00:00:04:01"))
GUEST_IPS = (IPv4Address("15.0.0.3"), IPv4Address("15.0.0.4"))
VIFS = (3, 4)
NEXTHOPS = (20, 21)
TO_ROUTER, VRF = 22, 1
POLICY_L3_L2 = 0xC1
FLOW_ENTRIES = 2_097_152
LIMIT = 60.0


def built(name: str) -> str:
    """The program of bench/flows/NAME.c, compiled."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise SystemExit("a C compiler is needed")
    BUILT.mkdir(parents=True, exist_ok=True)
    program = BUILT / f"flow_{name}"
    source = ROOT / "bench" / "flows" / f"{name}.c"
    subprocess.run(
        [compiler, "-O2", "-pthread", f"-I{ROOT / 'agent/_fast/src'}", "-o", program, source],
        check=True,
    )
    return str(program)


@dataclass(frozen=True)
class Way:
    """Between two guests: where the load goes in and comes out, and as whose packets."""

    out: str
    into: str
    dst_mac: str
    src_mac: str
    src: str
    dst: str

    @property
    def words(self) -> list[str]:
        """As the load program takes them."""
        return [self.out, self.into, self.dst_mac, self.src_mac, self.src, self.dst]


OWN_PATH = Way(
    "guest3", "guest4", str(ROUTER), str(GUEST_MACS[0]), str(GUEST_IPS[0]), str(GUEST_IPS[1])
)


def messages() -> list[Message]:
    """Two guests with policy in one VRF, routed; the answering program as agent."""
    made: list[Message] = [
        VrInterfaceReq(
            vifr_idx=2, vifr_type=1, vifr_transport=3, vifr_name="unix", vifr_mac=bytes(6),
            vifr_flags=0x40, vifr_vrf=65535, vifr_mcast_vrf=65535, vifr_mtu=1514,
        ),
        VrNexthopReq(nhr_id=TO_ROUTER, nhr_type=8, nhr_family=7, nhr_flags=1, nhr_vrf=VRF),
        VrRouteReq(rtr_family=7, rtr_vrf_id=VRF, rtr_mac=ROUTER, rtr_nh_id=TO_ROUTER),
    ]  # fmt: skip
    for vif, nexthop, mac, ip in zip(VIFS, NEXTHOPS, GUEST_MACS, GUEST_IPS, strict=True):
        made += [
            VrInterfaceReq(
                vifr_idx=vif, vifr_type=3, vifr_transport=2, vifr_name=f"vif{vif}",
                vifr_mac=ROUTER, vifr_flags=POLICY_L3_L2, vifr_vrf=VRF, vifr_mcast_vrf=VRF,
                vifr_mtu=1514, vifr_nh_id=nexthop, vifr_mir_id=-1, vifr_qos_map_index=-1,
            ),
            VrNexthopReq(
                nhr_id=nexthop, nhr_type=2, nhr_family=2, nhr_flags=3, nhr_vrf=VRF,
                nhr_encap_oif_id=(vif,), nhr_encap=mac + ROUTER + b"\x08\0",
                nhr_encap_len=14, nhr_encap_family=0x0800,
            ),
            VrMplsReq(mr_label=16 + vif, mr_nhid=nexthop),
            VrRouteReq(
                rtr_family=2, rtr_vrf_id=VRF, rtr_prefix=ip.packed, rtr_prefix_len=32,
                rtr_nh_id=nexthop, rtr_label_flags=2,
            ),
        ]  # fmt: skip
    return made


class Bench:
    """A forwarder with two guests and the answering C loop."""

    def __init__(self, directory: Path) -> None:
        self.run_dir = directory / "run"
        self.box = Sandbox()
        self._said: subprocess.Popen[str] | None = None
        self._pid = ""

    def up(self) -> None:
        """Start everything."""
        for name in (HOST, GUESTS):
            self.box.netns(name)
        for vif in VIFS:
            self.box.veth(HOST, f"vif{vif}", GUESTS, f"guest{vif}")
        for name, link in ((HOST, "vif"), (GUESTS, "guest")):
            for vif in VIFS:
                self.box.run("ip", "-n", name, "link", "set", f"{link}{vif}", "addrgenmode", "none")
        flows = ["--flows", "--flow-entries", str(FLOW_ENTRIES), "--log-level", "warning"]
        forwarder = [sys.executable, "-m", "agent.forwarder", "--run-dir", str(self.run_dir)]
        self.box.popen("sh", "-c", f"cd {ROOT} && exec {' '.join(forwarder + flows)}", netns=HOST)
        deadline = time.monotonic() + LIMIT
        while not (self.run_dir / "dpdk_netlink").exists():
            if time.monotonic() > deadline:
                raise SystemExit("the forwarder did not start")
            time.sleep(0.05)
        self._said = self.box.popen(
            built("answer"), str(self.run_dir), str(NEXTHOPS[1]), netns=HOST
        )
        assert self._said.stdout is not None
        said = self._said.stdout.readline()
        if not said.startswith("ready "):
            raise SystemExit(f"the answering program: {said}")
        self._pid = said.split()[1]
        with DatapathClient.connect(self.run_dir) as client:
            for message in messages():
                code = client.request(message.encode())[0]
                if code:
                    raise SystemExit(f"{message!r}: {code}")

    def cpu(self) -> float:
        """Seconds of processor time that the forwarder took so far."""
        for process in psutil.process_iter(["cmdline"]):
            line = process.info["cmdline"] or [""]
            if line[0] == sys.executable and str(self.run_dir) in line:
                return float(sum(process.cpu_times()[:2]))
        raise SystemExit("the forwarder ended")

    def load(self, rate: int, count: int, first: int) -> dict[str, Any]:
        """One run of the load program."""
        words = [*OWN_PATH.words, str(rate), str(count), str(first)]
        said = self.box.run(built("load"), *words, netns=GUESTS, limit=LIMIT + count / rate * 10)
        return dict(json.loads(said.stdout.splitlines()[-1]))

    def answered(self) -> dict[str, Any]:
        """What the answering program counted; it ends."""
        assert self._said is not None
        # Not the shell's own kill: the shell is outside, where the number is another's.
        self.box.run("env", "kill", "-TERM", self._pid)
        out, _ = self._said.communicate(timeout=LIMIT)
        return dict(json.loads(out.splitlines()[-1]))

    def close(self) -> None:
        """End everything."""
        self.box.close()


def counters(run_dir: Path) -> dict[str, int]:
    """What the forwarder's table says."""
    with DatapathClient.connect(run_dir) as client:
        asked = VrFlowTableData(ftable_op=FlowOp.FLOW_TABLE_GET).encode()
        told = client.get(asked, VrFlowTableData)
    names = ("used_entries", "created", "processed", "added", "changed", "hold_entries")
    return {name: getattr(told, f"ftable_{name}") for name in names}


def run_own(rates: list[int], seconds: float) -> dict[str, Any]:
    """Against the C loop; every rate begins with flows that are new."""
    figures: dict[str, Any] = {"answerer": "c-loop", "runs": []}
    with ExitStack() as stack:
        directory = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="flows-", dir="/dev/shm"))
        )
        bench = Bench(directory)
        stack.callback(bench.close)
        bench.up()
        first = 0
        for rate in rates:
            count = int(rate * seconds)
            before, spent = counters(bench.run_dir), bench.cpu()
            run = bench.load(rate, count, first)
            after, spent = counters(bench.run_dir), bench.cpu() - spent
            run["forwarder_us"] = round(spent / max(run["arrived"], 1) * 1e6, 2)
            run["table"] = {name: after[name] - before[name] for name in after}
            figures["runs"].append(run)
            first += count
        figures["c_loop"] = bench.answered()
    return figures


def run_elsewhere(
    path: Way, rates: list[int], seconds: float, run_dir: Path | None
) -> dict[str, Any]:
    """Only the load, on a site that is up."""
    figures: dict[str, Any] = {"answerer": "external", "runs": []}
    first = int(time.time()) % 30_000 * 60_000  # flows of earlier runs may live on
    for rate in rates:
        count = int(rate * seconds)
        before = counters(run_dir) if run_dir else {}
        words = [*path.words, str(rate), str(count), str(first)]
        said = subprocess.run([built("load"), *words], check=True, text=True, capture_output=True)
        run = json.loads(said.stdout)
        if run_dir:
            run["table"] = {name: value - before[name] for name, value in counters(run_dir).items()}
        figures["runs"].append(run)
        first += count
    return figures


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rates", default="20000,200000", help="flows a second, one run each")
    options.add_argument("--seconds", type=float, default=3.0, help="how long each run sends")
    options.add_argument("--load", metavar="OUT,IN,DST_MAC,SRC_MAC,SRC_IP,DST_IP")
    options.add_argument("--run-dir", type=Path, help="of a forwarder that runs already")
    chosen = options.parse_args()
    rates = [int(rate) for rate in chosen.rates.split(",")]
    if chosen.load:
        path = Way(*chosen.load.split(","))
        figures = run_elsewhere(path, rates, chosen.seconds, chosen.run_dir)
    else:
        figures = run_own(rates, chosen.seconds)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
