"""A host whose flows are measured: a forwarder, four VMs, and what answers for their flows.

That is the agent, or a C loop on the agent's sockets with everything else as the agent left it.
Everything is in namespaces of its own and gone after `close`.
"""

from __future__ import annotations

import json
import mmap
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil
import yaml

from agent.cli.datapath_client import DatapathClient
from agent.lab.netns import call
from agent.lab.plan import port_request
from agent.sandesh.vrouter import FlowOp, Message, SandeshOp, VrFlowTableData, VrInterfaceReq
from agent.topology import Vm, parse, uuid_of
from tests.system.conftest import Sandbox
from tests.system.controlled import HOST, VHOST, Process, until

ROOT = Path(__file__).parents[1]
BUILT = ROOT / "build" / "bench"
GATEWAY = "10.1.1.1"
FLOW_ENTRIES = 1 << 21
RULES = 100
LIMIT = 60.0
Answerer = Literal["agent", "c-loop"]
ANSWERERS: tuple[Answerer, ...] = ("agent", "c-loop")

TOPOLOGY: dict[str, Any] = {
    "name": "flows",
    "hosts": {HOST: {"fabric": "10.0.0.1/24"}},
    "networks": {"red": {"subnet": "10.1.1.0/24"}},
    # What is sent is passed by the last rules of both directions.
    "security_groups": {
        "many": {
            "ingress": [
                {"from": f"10.{200 + at // 50}.{at % 50}.0/24", "service": f"tcp/{1000 + at}"}
                for at in range(RULES - 1)
            ]
            + [{"from": "10.1.1.0/24", "service": "udp"}],
            "egress": [
                {"to": f"10.{210 + at // 50}.{at % 50}.0/24", "service": f"tcp/{1000 + at}"}
                for at in range(RULES - 1)
            ]
            + [{"to": "10.1.1.0/24", "service": "udp"}],
        }
    },
    "vms": {
        name: {"network": "red", "address": f"10.1.1.{at}", "security_groups": ["many"]}
        for at, name in enumerate(("one", "two", "three", "four"), 3)
    },
}


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
class Counted:
    """What a process had used: seconds of processor time, resident bytes."""

    cpu: float
    memory: int


def _interfaces(last: Message | None) -> bytes:
    """The request for the interfaces after `last`."""
    marker = last.vifr_idx if isinstance(last, VrInterfaceReq) else -1
    return VrInterfaceReq(h_op=SandeshOp.DUMP, vifr_marker=marker).encode()


class FlowSite:
    """One host with its VMs `one` to `four`, of which each has 100 rules in each direction."""

    def __init__(
        self, answerer: Answerer, *, vm_flows_percent: float = 0, traps: bool = False
    ) -> None:
        """`traps`: what answers gets its traps from `trap`, and none of packets."""
        self.answerer = answerer
        self._directory = tempfile.TemporaryDirectory(prefix="flows-", dir="/dev/shm")
        directory = Path(self._directory.name)
        self.run_dir = directory / "run"
        self.run_dir.mkdir()
        self._agent_dir = self.run_dir
        if traps:
            self._agent_dir = directory / "agent"
            self._agent_dir.mkdir()
            (self._agent_dir / "dpdk_netlink").symlink_to(self.run_dir / "dpdk_netlink")
        self.box = Sandbox()
        self._load, self._trap, self._answer = built("load"), built("trap"), built("answer")
        self._first = 0
        self._topology = parse(TOPOLOGY)
        (directory / "topology.yaml").write_text(yaml.safe_dump(TOPOLOGY))
        (directory / "agent.conf").write_text(
            f"[DEFAULT]\nagent_name = {HOST}\nagent_base_directory = {directory}/lib\n"
            "[VIRTUAL-HOST-INTERFACE]\nname = vhost0\nip = 10.0.0.1/24\n"
            "physical_interface = fabric0\n"
            f"[STANDALONE]\ntopology = {directory}/topology.yaml\nhost = {HOST}\n"
            + (f"[FLOWS]\nmax_vm_flows = {vm_flows_percent}\n" if vm_flows_percent else "")
        )
        self._wire()
        self.forwarder = self._process(
            "forwarder", sys.executable, "-m", "agent.forwarder", "--run-dir", str(self.run_dir),
            "--fabric", "fabric0", "--flow-entries", str(FLOW_ENTRIES), "--log-level", "warning",
        )  # fmt: skip
        self.agent = self._process(
            "agent", sys.executable, "-m", "agent", "--config", str(directory / "agent.conf"),
            "--run-dir", str(self._agent_dir),
        )  # fmt: skip
        self._loop: Process | None = None

    def _process(self, name: str, *command: str) -> Process:
        return Process(self.box, HOST, Path(self._directory.name), name, *command)

    def _wire(self) -> None:
        for name in (HOST, "wire", *self._topology.vms):
            self.box.netns(name)
        self.box.veth(HOST, "fabric0", "wire", "wire")
        for vm in self._topology.vms.values():
            self.box.veth(HOST, vm.tap, vm.name, "eth0", str(vm.mac))
            for namespace, link in ((HOST, vm.tap), (vm.name, "eth0")):
                self.box.run("ip", "-n", namespace, "link", "set", link, "addrgenmode", "none")
            self._make_deaf(vm)
        self.box.popen("sh", "-c", VHOST, netns=HOST)
        # Between ends that are not connected to each other only so many datagrams wait.
        self.box.run("sysctl", "-wq", "net.unix.max_dgram_qlen=65536", netns=HOST)

    def _make_deaf(self, vm: Vm) -> None:
        """Its kernel answers the router alone: what others send is for the load only."""
        self.box.run("ip", "-n", vm.name, "address", "add", f"{vm.address}/32", "dev", "eth0")
        self.box.run("ip", "-n", vm.name, "route", "add", GATEWAY, "dev", "eth0")
        self.box.run("sysctl", "-wq", "net.ipv4.conf.all.rp_filter=1", netns=vm.name)

    def up(self) -> None:
        """Start everything; flows are answered when it returns."""
        self.forwarder.start()
        until((self.run_dir / "dpdk_netlink").exists, lambda: self.forwarder.log)
        self._touch_table()
        self.agent.start()
        for vm in self._topology.vms.values():
            body = port_request(vm, str(uuid_of("virtual-network", vm.network)))
            until(lambda body=body: self._plugged(body), lambda: self.agent.log)  # type: ignore[misc]
        self.agent.says('event="in sync"')
        until(self._answers, lambda: self.agent.log, LIMIT)
        if self.answerer == "c-loop":
            self._start_loop()

    def _touch_table(self) -> None:
        """Have its memory there, as after a while of use: the kernel clears it page by page."""
        shared = mmap.MAP_SHARED | mmap.MAP_POPULATE
        path = self.run_dir / "flow.shmem"
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0, flags=shared) as table:
            assert len(table) > FLOW_ENTRIES

    def _plugged(self, body: dict[str, str | int]) -> bool:
        namespace = Path(f"/proc/{self.box.pid}/root/run/netns/{HOST}")
        with suppress(OSError):
            return call(namespace, 9091, "POST", "/port", body)[0] == 200
        return False

    def _answers(self) -> bool:
        """Whether new flows get through, every one."""
        if self._agent_dir != self.run_dir:
            return bool(self.trap(rate=500, count=50)["set_up"] == 50)
        return bool(self.load("one", "two", rate=500, count=50)["arrived"] == 50)

    def _start_loop(self) -> None:
        if self._loop is None:
            self.agent.kill("TERM")
            nexthop = self._interface(self._topology.vms["two"].tap).vifr_nh_id
            words = [self._answer, str(self._agent_dir), str(nexthop)]
            self._loop = self._process("c-loop", *words)
        else:
            self._loop.kill("TERM")
        mark = self._loop.mark()
        self._loop.start()
        self._loop.says("ready", mark)

    def _interface(self, name: str) -> VrInterfaceReq:
        with DatapathClient.connect(self.run_dir) as client:
            for one in client.dump(_interfaces, VrInterfaceReq):
                if isinstance(one, VrInterfaceReq) and one.vifr_name == name:
                    return one
        raise SystemExit(f"the datapath has no {name}")

    def trap(self, *, rate: int, count: int) -> dict[str, Any]:
        """Traps of `count` flows, `rate` a second or (0) as many as go; figures."""
        if self._loop is not None:
            self._start_loop()  # it is connected to the last one that sent
        one, two = (self._topology.vms[name] for name in ("one", "two"))
        vif = self._interface(one.tap)
        numbers = (vif.vifr_idx, vif.vifr_vrf, vif.vifr_nh_id)
        words = [self._trap, str(self._agent_dir), str(self.run_dir), *map(str, numbers)]
        words += [str(one.address), str(two.address), str(one.mac)]
        first, self._first = self._first, self._first + count
        words += [str(rate), str(count), str(first)]
        return self.finish_load(self.box.popen(*words, netns=HOST))

    def load(self, source: str, target: str, *, rate: int, count: int) -> dict[str, Any]:
        """First packets of `count` new flows from a VM to another, `rate` a second; figures."""
        running = self.start_load(source, target, rate=rate, count=count)
        return self.finish_load(running)

    def start_load(
        self, source: str, target: str, *, rate: int, count: int
    ) -> subprocess.Popen[str]:
        """Begin to do so."""
        ends = [self._topology.vms[name] for name in (source, target)]
        words = [f"{vm.name}:eth0" for vm in ends]
        words += [str(end.mac) for end in reversed(ends)]
        words += [str(vm.address) for vm in ends]
        first, self._first = self._first, self._first + count
        return self.box.popen(self._load, *words, str(rate), str(count), str(first))

    @staticmethod
    def finish_load(running: subprocess.Popen[str]) -> dict[str, Any]:
        """The figures at its end."""
        said, _ = running.communicate(timeout=LIMIT)
        if running.returncode:
            raise SystemExit(f"the load: {said}")
        return dict(json.loads(said.splitlines()[-1]))

    def used(self) -> dict[str, Counted]:
        """What the forwarder and what answers have used so far."""
        found = {}
        for process in psutil.process_iter(["cmdline"]):
            name = self._name_of(process.info["cmdline"] or [""])
            if name:
                times, memory = process.cpu_times(), process.memory_info()
                found[name] = Counted(times.user + times.system, memory.rss - memory.shared)
        return found

    def _name_of(self, words: list[str]) -> str:
        if not {str(self.run_dir), str(self._agent_dir)} & set(words):
            return ""
        if words[0] == self._answer:
            return "c-loop"
        modules = {"agent.forwarder": "forwarder", "agent": "agent"}
        return modules.get(words[2], "") if words[0] == sys.executable else ""

    def table(self) -> dict[str, int]:
        """What the forwarder's table counts."""
        with DatapathClient.connect(self.run_dir) as client:
            asked = VrFlowTableData(ftable_op=FlowOp.FLOW_TABLE_GET).encode()
            told = client.get(asked, VrFlowTableData)
        names = ("used_entries", "created", "processed", "added", "changed", "hold_entries")
        return {name: getattr(told, f"ftable_{name}") for name in names}

    def close(self) -> None:
        """End everything."""
        self.box.close()
        self._directory.cleanup()
