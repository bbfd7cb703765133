"""A host whose datapath has the kernel module's shape: netlink, tables at the start, a tap.

The forwarder stands in for the module; everything between it and the agent goes by the
interfaces that the module has.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.io.files import read_topology
from agent.lab.plan import REST_PORT, RUN_DIR, agent_config, port_request
from agent.lab.plan import TOPOLOGY as LAB_TOPOLOGY
from agent.topology import Topology
from tests.system.conftest import Sandbox

pytestmark = pytest.mark.skipif(shutil.which("udhcpc") is None, reason="udhcpc is not installed")

SMALL = ("--flow-entries", "1024", "--bridge-entries", "1024", "--nexthops", "4096")
TOPOLOGY = """
name: kernel-shape
hosts:
  host1:
    fabric: 10.0.0.1/24
networks:
  red:
    subnet: 10.1.1.0/24
vms:
  red1: {network: red, address: 10.1.1.3}
  red2: {network: red, address: 10.1.1.4}
"""
REPEAT = "for i in $(seq 200); do {} && exit 0; sleep 0.05; done; exit 1"
PLUG = """
import sys, time, urllib.request
request = urllib.request.Request(sys.argv[1], data=sys.argv[2].encode(), method="POST")
for _ in range(200):
    try:
        urllib.request.urlopen(request)
        sys.exit(0)
    except OSError:
        time.sleep(0.05)
sys.exit(1)
"""
"""The port API may not be there yet."""
BOUND = """#!/bin/sh
[ "$1" = bound ] && ip address replace $ip/$subnet dev eth0
exit 0
"""


@dataclass
class Site:
    """A host with an agent, and a guest behind each of its ports."""

    sandbox: Sandbox
    run_dir: Path
    topology: Topology

    def start_datapath(self) -> None:
        words = ("--run-dir", str(self.run_dir), "--netlink", *SMALL)
        self.sandbox.popen(sys.executable, "-m", "agent.forwarder", *words, netns="host")

    def kill_datapath(self) -> None:
        """Its port id is its process id."""
        file = self.run_dir / "netlink_port"
        self.sandbox.run("kill", "-KILL", file.read_text().strip())

    def until(self, command: str, netns: str) -> str:
        """Run in a namespace, again until it succeeds."""
        return self.sandbox.run("sh", "-c", REPEAT.format(command), netns=netns).stdout

    def plug(self, name: str) -> None:
        vm = self.topology.vms[name]
        body = json.dumps(port_request(vm, str(self.topology.networks[vm.network].uuid)))
        url = f"http://127.0.0.1:{REST_PORT}/port"
        self.sandbox.run(sys.executable, "-c", PLUG, url, body, netns="host")


@pytest.fixture
def site(sandbox: Sandbox, tmp_path: Path) -> Site:
    file = tmp_path / "topology.yaml"
    file.write_text(TOPOLOGY)
    topology = read_topology(file)
    made = Site(sandbox, tmp_path / "run", topology)
    made.run_dir.mkdir()
    host = topology.hosts["host1"]
    for name in ("host", "wire", *topology.vms):
        sandbox.netns(name)
    sandbox.veth("host", host.interface, "wire", "far")
    for name, vm in topology.vms.items():
        sandbox.veth("host", vm.tap, name, "eth0", mac=str(vm.mac))
    text = agent_config(host, topology)
    text = text.replace(str(LAB_TOPOLOGY), str(file)).replace(str(RUN_DIR), str(made.run_dir))
    text = text.replace("[DEFAULT]", "[DEFAULT]\nplatform = kernel")
    (tmp_path / "agent.conf").write_text(text)
    made.start_datapath()
    words = ("--config", str(tmp_path / "agent.conf"), "--run-dir", str(made.run_dir))
    sandbox.popen(sys.executable, "-m", "agent", *words, netns="host")
    return made


def test_guests_get_leases_and_reach_each_other(site: Site, tmp_path: Path) -> None:
    """Over DHCP and first packets by the tap; again after the module was loaded anew."""
    script = tmp_path / "bound"
    script.write_text(BOUND)
    script.chmod(0o755)
    for name in site.topology.vms:
        site.plug(name)
    shown = site.until("ip -d link show pkt0 | grep -C2 00:00:5e:00:01:00", "host")
    assert "00:00:5e:00:01:00" in shown
    assert "tun type tap" in shown
    for name in site.topology.vms:
        site.until(f"udhcpc -f -n -q -t2 -T1 -i eth0 -s {script}", name)
    site.until("ping -c1 -W1 10.1.1.4", "red1")
    site.kill_datapath()
    site.start_datapath()
    site.until("ping -c1 -W1 10.1.1.4", "red1")
