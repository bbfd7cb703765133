"""Two hosts and two controllers: traffic in tunnels, and controllers that fail."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.lab import checks, fabric, survival
from agent.lab.checks import Output, ping_counts
from agent.lab.connection import Connection
from agent.lab.controller import messages
from agent.lab.launch import load_plan
from agent.lab.messages import Kill, Start
from agent.lab.rundir import RunDir
from agent.topology import Topology, Vm
from tests.system.conftest import RunningLab

pytestmark = pytest.mark.timeout(180)

TOPOLOGIES = Path(__file__).parents[2] / "agent/lab/topologies"
TWO_HOSTS = TOPOLOGIES / "two-hosts.yaml"
STEPS = (
    "controllers: 2",
    "sessions: each agent with its controllers",
    "addresses: 4 by DHCP",
    "routes: each host knows the others' VMs",
    "ARP: gateway and peers resolved",
    "ping within each network: 0 % loss",
    "ping across networks: nothing answered",
    "TCP across networks: 8080 passes, 8081 is denied",
    "both explained",
    "control1 killed during ping: 0 % loss",
    "all controllers killed: 0 % loss",
    "controllers back: 0 % loss",
    "taken down",
)
TABLES = ("vif --list", "nh --list", "rt --dump ", "mpls --dump", "vxlan --dump")
MIB_OF_IPERF = 8
LARGEST_IN_TUNNEL = 1500 - 20 - 8 - 4 - 14
"""Of an IP packet bridged in MPLS over UDP on a fabric of 1500 bytes."""


def test_the_demo_of_two_hosts(vrouter_lab, tmp_path, traces):
    run_dir = tmp_path / "lab"
    done = vrouter_lab("demo", "--run-dir", str(run_dir), check=False, limit=120)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "demo: ok"
    shown = done.stdout.index("summary")
    for step in (*STEPS, "tshark on the fabric: MPLSoUDP"):
        assert step in done.stdout[:shown], f"{step} is not reported"
        assert step in done.stdout[shown:], f"{step} is not in the summary"
    for host in ("host1", "host2"):
        for table in TABLES:
            assert f"{host}# {table}" in done.stdout
    assert re.search(r"10\.0\.0\.1 +10\.0\.0\.2 +MPLSoUDP +\d+ +40", done.stdout)
    for port, verdict in (("8080", "ALLOWED"), ("8081", "DROPPED: denied by network policy")):
        asked = f"host1# vrouter-agent explain flow 10.1.1.3 10.2.2.4 tcp 40000 {port}\n"
        answer = done.stdout[done.stdout.index(asked) :]
        assert answer.split("\n\n")[2].splitlines()[0] == verdict, answer
    assert not run_dir.exists()
    traces.assert_none()


@pytest.fixture(scope="module")
def two_hosts(vrouter_lab) -> Iterator[RunningLab]:
    with tempfile.TemporaryDirectory(prefix="vrouter-lab-") as parent:
        run_dir = Path(parent) / "lab"
        vrouter_lab("up", str(TWO_HOSTS), "--run-dir", str(run_dir))
        running = RunningLab(run_dir, vrouter_lab)
        try:
            yield running
        finally:
            running.close()


@pytest.fixture
def connection(two_hosts: RunningLab) -> Iterator[Connection]:
    made = Connection(RunDir(two_hosts.run_dir))
    yield made
    made.close()


@pytest.fixture
def healthy(connection: Connection) -> Callable[[], None]:
    """Waits until both controllers have the routes of both hosts."""

    def wait() -> None:
        survival.settled(connection, topology())

    wait()
    return wait


def topology(file: Path = TWO_HOSTS) -> Topology:
    return load_plan(file).topology


def until_reached(lab: RunningLab) -> None:
    """New flows are made once the agent knows its configuration whole."""
    deadline = time.monotonic() + 30
    while ping(lab, "-c", "1") != (1, 1):
        assert time.monotonic() < deadline


def ping(lab: RunningLab, *words: str) -> tuple[int, int]:
    done = lab.run("red1", "ping", "-n", "-i", "0.1", "-W", "2", *words, "10.1.1.4", check=False)
    return ping_counts(Output("ping", done.returncode, done.stdout))


def test_hosts_reach_each_other_and_the_controllers_through_vhost0(two_hosts):
    for address in ("10.0.0.2", "10.0.0.101", "10.0.0.102"):
        shown = two_hosts.run("host1", "ping", "-n", "-c", "2", "-i", "0.1", address).stdout
        assert " 0% packet loss" in shown


def test_packets_of_all_sizes(two_hosts):
    """What fits is carried whole, what does not is cut unless the sender forbids that."""
    headers = 28
    assert ping(two_hosts, "-c", "3", "-M", "do", "-s", str(LARGEST_IN_TUNNEL - headers)) == (3, 3)
    assert ping(two_hosts, "-c", "3", "-M", "dont", "-s", str(1500 - headers)) == (3, 3)
    # Of a flow that waits for the agent, the datapath keeps three packets; here come six pieces.
    sent, received = ping(two_hosts, "-c", "3", "-M", "dont", "-s", "4000")
    assert received >= sent - 1 > 0


def test_tcp_across_hosts(two_hosts):
    server = two_hosts.popen("red2", "iperf3", "-s", "-1", "--forceflush")
    assert server.stdout
    while "listening" not in (line := server.stdout.readline()):
        assert line, "iperf3 did not listen"
    shown = two_hosts.run("red1", "iperf3", "-c", "10.1.1.4", "-n", f"{MIB_OF_IPERF}M", "-J")
    server.communicate(timeout=20)
    end = json.loads(shown.stdout)["end"]
    assert end["sum_sent"]["bytes"] >= MIB_OF_IPERF << 20
    assert end["sum_received"]["bytes"] >= MIB_OF_IPERF << 19  # the rest was on its way


def test_one_label_for_each_vm(connection):
    """Both controllers hold the same routes, one of each VM."""
    labels = fabric.labels(connection, topology())
    assert all(labels.values())
    first, second = (
        connection.control(name, ["routes", "default-domain:default-project:red:red"])
        for name in ("control1", "control2")
    )
    assert isinstance(first, messages.RouteList)
    assert isinstance(second, messages.RouteList)

    def of_vms(answer: messages.RouteList) -> set[tuple[str, str, str]]:
        families = ("inet", "evpn")
        return {
            (route.route, agent, nexthop)
            for route in answer.routes
            if route.family in families
            for agent, nexthop in route.nexthops.items()
        }

    assert of_vms(first) == of_vms(second)
    assert {"10.1.1.3/32", "10.1.1.4/32"} <= {route for route, _, _ in of_vms(first)}


ENCAPSULATIONS = {"two-hosts-gre": "MPLSoGRE", "two-hosts-vxlan": "Vxlan", "two-hosts": "MPLSoUDP"}
"""Topology file to what `nh` calls its tunnels; the last is what the lab began with."""


@pytest.mark.parametrize("name", ENCAPSULATIONS)
def test_tunnels_follow_the_configured_encapsulation(two_hosts, connection, tmp_path, name):
    changed = topology(TOPOLOGIES / f"{name}.yaml")
    for controller in changed.controllers:
        two_hosts.command("controller", controller, "reload", str(TOPOLOGIES / f"{name}.yaml"))
    for vm in changed.vms.values():
        until_tunnelled(two_hosts, changed, vm, ENCAPSULATIONS[name])
    file = tmp_path / "fabric.pcap"
    with fabric.capture(connection, file):
        checks.reachable(connection, changed)
    announced = fabric.labels(connection, changed)
    seen = fabric.tunnelled(changed, fabric.read(file), announced, checks.PINGS)
    assert {(flow.source, flow.target) for flow in seen} >= {
        ("10.0.0.1", "10.0.0.2"),
        ("10.0.0.2", "10.0.0.1"),
    }
    if name == "two-hosts-vxlan":
        networks = changed.networks
        assert all(networks[vm.network].vxlan_id in announced[vm.name]
                   for vm in changed.vms.values())  # fmt: skip


def until_tunnelled(lab: RunningLab, changed: Topology, vm: Vm, tunnel: str) -> None:
    """Wait until the other host bridges frames for the VM into such a tunnel."""
    other = next(host for host in changed.hosts if host != vm.host)
    tap = next(one.tap for one in changed.on_host(other) if one.network == vm.network)
    show = f"""
        vrf=$(vif --list --json | python3 -c '
import json, sys
print(next(vif["vrf"] for vif in json.load(sys.stdin) if vif["name"] == "{tap}"))')
        while :; do
            id=$(rt --get {vm.mac} --vrf $vrf --json | sed -n 's/.*"nexthop": \\([0-9]*\\).*/\\1/p')
            nh --get $id --json | grep -q '"{tunnel}"' && exit
        done
    """
    lab.run(other, "sh", "-c", show, limit=20)


@pytest.mark.parametrize(
    "commands",
    [
        ["controller control1 restart", "controller control2 restart"],
        ["controller control1 flap 2 0.2"],
        ["controller control2 close host1", "controller control1 close host2"],
        ["controller control1 repeat 64", "controller control2 repeat 64"],
        ["controller control1 delay 300", "controller control1 delay 0"],
        ["controller control1 withhold routes config", "restart control2",
         "controller control1 release"],
    ],
    ids=lambda commands: commands[0],
)  # fmt: skip
def test_no_packet_is_lost_while_controllers_misbehave(two_hosts, connection, healthy, commands):
    def misbehave() -> None:
        for command in commands:
            two_hosts.command(*command.split(" "))

    survival.without_loss(connection, topology(), misbehave)
    healthy()


def test_an_agent_restarts_while_no_controller_is_there(two_hosts, connection, healthy):
    """It knows nothing but what the datapath holds; that must go on as it is."""
    survival.kill(connection, ["control1", "control2"])

    def restart() -> None:
        connection.command(Kill("host1", "agent"))
        connection.command(Start("host1", "agent"))

    survival.without_loss(connection, topology(), restart)
    survival.revive(connection, topology())
    healthy()
    until_reached(two_hosts)
    assert ping(two_hosts, "-c", "3") == (3, 3)


def test_a_vm_plugged_anew_is_known_to_the_other_host(two_hosts, healthy):
    two_hosts.command("unplug", "red2")
    two_hosts.command("plug", "red2")
    healthy()
    done = two_hosts.run("red1", "sh", "-c", "for n in 1 2 3 4 5 6 7 8 9 10; do "
                         "ping -n -c 1 -W 1 10.1.1.4 && exit; done; exit 1")  # fmt: skip
    assert "1 received" in done.stdout


def test_what_is_not_there_is_named(vrouter_lab, two_hosts):
    for words, answer in (
        (["controller", "control9", "status"], "no controller 'control9'"),
        (["controller", "control1", "explode"], "unknown command 'explode'"),
        (["controller", "control1", "close", "nobody"], "control1: no agent 'nobody'"),
        (["kill", "host1"], "no controller 'host1' in this lab; there are: control1, control2"),
        (["start", "control1"], "the controller control1 is running already"),
    ):
        done = vrouter_lab(*words, "--run-dir", str(two_hosts.run_dir), check=False)
        assert done.returncode == 1
        assert answer in done.stdout


def test_the_answer_of_a_controller_as_text_and_as_json(two_hosts):
    shown = two_hosts.command("controller", "control1", "status")
    assert shown.startswith("control1: serving")
    state = json.loads(two_hosts.command("controller", "--json", "control1", "status"))
    assert {agent["name"] for agent in state["agents"]} == {"host1", "host2"}
    routes = two_hosts.command(
        "controller", "control2", "routes", "default-domain:default-project:blue:blue"
    )
    assert re.search(r"inet +10\.2\.2\.4/32 +host2 +10\.0\.0\.2 \d+", routes)


def test_tshark_reads_what_the_capture_wrote(connection, tmp_path):
    """Also where there is nothing to see in a tunnel."""
    file = tmp_path / "fabric.pcap"
    with fabric.capture(connection, file):
        subprocess.run(
            connection.argv("host1", ["ping", "-n", "-c", "2", "-i", "0.1", "10.0.0.2"]),
            check=True,
            stdout=subprocess.DEVNULL,
        )
    flows = fabric.read(file)
    assert flows[fabric.Flow("10.0.0.1", "10.0.0.2", "", 0)] >= 2
