"""One host with a real forwarder and a real agent, two real controllers, and a second agent.

Everything lives in a sandbox: `net` is the fabric with the controllers and the second agent
(played by the test), `host1` the host, and each VM has a namespace of its own.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any, TypeVar

import yaml

from agent.cli.datapath_client import DatapathClient
from agent.errors import AgentError
from agent.ifmap.from_topology import network_name, vrf_name
from agent.ksync import Identity, content, identity_of
from agent.ksync.dump import Answer, dump_all
from agent.lab.controller import messages
from agent.lab.netns import call, tcp_socket_in
from agent.lab.plan import port_request
from agent.objects import DatapathMessage
from agent.routes import (
    Encapsulation,
    InetKey,
    PublishedRoute,
    RouteAttributes,
    RouteFamily,
    RouteNexthop,
)
from agent.sandesh.vrouter import VrInterfaceReq, VrMplsReq, VrNexthopReq, VrRouteReq
from agent.topology import Topology, Vm, parse, uuid_of
from agent.values import ip4_from_loaded
from agent.xmpp import Identity as Name
from agent.xmpp.publish import StanzaEncoder
from tests.system.conftest import Sandbox
from tests.system.pings import counted

LIMIT = 20.0
POLL = 0.02
INET = 2
TUNNEL = 3
ARP_TRAP = 0x4
FAR_LABEL = 77
OWN_ROUTES = 2
"""The least that the host tells of its VMs."""
TREE_LABELS = 4098
"""From here on labels are given by whoever builds the broadcast trees."""
HOST, FABRIC = "host1", "net"
FAR_HOST = IPv4Address("10.0.0.2")
ADDRESSES = {"one": "10.0.0.250", "two": "10.0.0.251", "three": "10.0.0.252"}

TOPOLOGY = """
name: controlled
hosts:
  host1: {fabric: 10.0.0.1/24}
  host2: {fabric: 10.0.0.2/24}
networks:
  red: {subnet: 10.1.1.0/24}
vms:
  red1: {host: host1, network: red, address: 10.1.1.3}
  red2: {host: host1, network: red, address: 10.1.1.4}
"""

# What the network scripts of a host do whenever its datapath makes vhost0.
VHOST = """
ip -o monitor link | while read -r line; do
    case $line in
    Deleted*) ;;
    *" vhost0: "*) ip address replace 10.0.0.1/24 dev vhost0 && ip link set vhost0 up ;;
    esac
done
"""

TREE_WRITES = 6
"""A new tree builder means another label for the tree: some writes, of some hundred objects."""

T = TypeVar("T")


def until(condition: Callable[[], T], what: Callable[[], object] | str, limit: float = LIMIT) -> T:
    """Wait until `condition` gives something true, and give that."""
    deadline = time.monotonic() + limit
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"never: {what if isinstance(what, str) else what()}")
        time.sleep(POLL)
    return found


class Process:
    """A command in a namespace of the sandbox that can be killed and started again."""

    def __init__(self, box: Sandbox, netns: str, directory: Path, name: str, *command: str) -> None:
        self._box = box
        self._netns = netns
        self.command = command
        self._pid = directory / f"{name}.pid"
        self._running: subprocess.Popen[str] | None = None
        self.code: int | None = None
        """With which it has ended."""
        self.log_file = directory / f"{name}.log"
        self.log_file.touch()

    def start(self) -> None:
        """Start it; its output is added to the log."""
        self._pid.unlink(missing_ok=True)
        script = 'echo $$ >"$1.new"; mv "$1.new" "$1"; log=$2; shift 2; exec "$@" >>"$log" 2>&1'
        words = ["sh", "-c", script, "sh", str(self._pid), str(self.log_file), *self.command]
        self._running = self._box.popen(*words, netns=self._netns)
        until(self._pid.exists, f"start of {self.command}")

    def signal(self, name: str) -> None:
        """Send it a signal."""
        self._box.run("env", "kill", f"-{name}", self._pid.read_text().strip())

    def kill(self, name: str = "KILL") -> None:
        """End it, and wait until it has ended."""
        assert self._running is not None
        self.signal(name)
        self._running.communicate(timeout=LIMIT)
        self.code = self._running.returncode

    @property
    def log(self) -> str:
        """All that it has said."""
        return self.log_file.read_text()

    def said(self, text: str, since: int = 0) -> list[str]:
        """The lines with `text` behind a mark."""
        return [line for line in self.log[since:].splitlines() if text in line]

    def mark(self) -> int:
        """Where the log ends now."""
        return len(self.log)

    def says(self, text: str, since: int = 0, limit: float = LIMIT) -> str:
        """Wait for a line with `text` behind a mark."""
        return until(
            lambda: self.said(text, since), lambda: f"{text!r} in\n{self.log[since:]}", limit
        )[-1]


class ControlNode:
    """A lab controller as a process, with its control socket."""

    def __init__(self, box: Sandbox, directory: Path, name: str, *options: str) -> None:
        self.name = name
        self.address = ADDRESSES[name]
        self._socket = directory / f"{name}.sock"
        words = ["-m", "agent.lab.controller", "--listen", self.address, "--name", name]
        words += ["--topology", str(directory / "topology.yaml"), "--control", str(self._socket)]
        self.process = Process(box, FABRIC, directory, name, sys.executable, *words, *options)

    def start(self) -> None:
        """Start it; it serves when this returns."""
        self._socket.unlink(missing_ok=True)
        self.process.start()
        until(self._socket.exists, lambda: self.process.log)

    def tell(self, *words: str) -> messages.AnyReply:
        """Give it a command."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream:
            stream.settimeout(LIMIT)
            stream.connect(str(self._socket))
            stream.sendall(messages.line(messages.command_of(words)))
            with stream.makefile("rb") as lines:
                reply = messages.read_reply(lines.readline())
        assert not isinstance(reply, messages.Failed), reply
        return reply

    @property
    def state(self) -> messages.State:
        """Its status."""
        reply = self.tell("status")
        assert isinstance(reply, messages.State)
        return reply

    def agent(self, name: str = HOST) -> messages.Agent | None:
        """The session of an agent, as it sees it."""
        return next((agent for agent in self.state.agents if agent.name == name), None)

    def ours(self) -> set[str]:
        """The routes of host1 that it has in red."""
        reply = self.tell("routes", vrf_name("red"))
        assert isinstance(reply, messages.RouteList)
        return {each.route for each in reply.routes if HOST in each.nexthops}

    def knows(self) -> bool:
        """Whether the agent is there and has told its routes."""
        agent = self.agent()
        return agent is not None and agent.published >= OWN_ROUTES

    def has_told(self) -> bool:
        """Whether the agent knows all its routes too."""
        agent = self.agent()
        return agent is not None and agent.end_of_rib_sent and self.knows()


class FarAgent:
    """The agent of host2, as far as controllers see it: joins a VRF and publishes routes."""

    def __init__(self, namespace: Path, controllers: Sequence[ControlNode]) -> None:
        identity = Name("host2")
        self._encoder = StanzaEncoder(identity)
        self._sockets = [_session(namespace, identity, one.address) for one in controllers]

    def publish(self, address: str, sequence: int = 0, preference: int = 100) -> None:
        """Say that host2 has an address."""
        self._say(self._encoder.publish(far_route(address, sequence, preference)))

    def withdraw(self, address: str) -> None:
        """Take that back."""
        self._say(self._encoder.withdraw(far_route(address)))

    def _say(self, stanzas: bytes) -> None:
        for each in self._sockets:
            each.sendall(stanzas)

    def close(self) -> None:
        """Go away."""
        for each in self._sockets:
            each.close()


def _session(namespace: Path, identity: Name, address: str) -> socket.socket:
    """A session in which the VRF red is joined."""
    stream = tcp_socket_in(namespace)
    stream.settimeout(LIMIT)
    stream.bind((str(FAR_HOST), 0))
    stream.connect((address, 5269))
    stream.sendall(identity.open())
    assert b"<stream:stream" in stream.recv(4096)
    stream.sendall(identity.vrf(vrf_name("red"), 1, 0, subscribe=True))
    return stream


def far_route(address: str, sequence: int = 0, preference: int = 100) -> PublishedRoute:
    """A host route of host2 in the network red."""
    encapsulations = (Encapsulation.GRE, Encapsulation.UDP)
    way = RouteNexthop(FAR_HOST, FAR_LABEL, encapsulations, network_name("red"))
    attributes = RouteAttributes(
        (way,), sequence=sequence, local_preference=preference, security_groups=(8000001,)
    )
    key = InetKey(ip_address(address).packed, 32)
    return PublishedRoute(RouteFamily.INET, vrf_name("red"), key, attributes)


@dataclass(frozen=True)
class Route:
    """A route of the datapath with the type of its nexthop and, of a tunnel, its far end."""

    nexthop: int
    kind: int
    label: int
    far: str = ""


class Site:
    """All of it. `llgr` are options of that section, `graceful` is of the topology."""

    SIZES = ("--flow-entries", "4096", "--bridge-entries", "4096")
    """How many objects the forwarder has room for."""

    def __init__(
        self,
        box: Sandbox,
        directory: Path,
        *,
        graceful: bool = False,
        controllers: int = 2,
        llgr: dict[str, int] | None = None,
    ) -> None:
        self.box = box
        self.directory = directory
        self.run_dir = directory / "run"
        self.run_dir.mkdir()
        (directory / "topology.yaml").write_text(
            TOPOLOGY + f"graceful_restart: {str(graceful).lower()}\n"
        )
        self.topology: Topology = parse(yaml.safe_load((directory / "topology.yaml").read_text()))
        self.vms = self.topology.vms
        self._namespaces = Path(f"/proc/{box.pid}/root/run/netns")
        self._far: list[FarAgent] = []
        self._llgr = {
            "config_poll_time": 1,
            "config_inactivity_time": 1,
            "stale_config_cleanup_time": 1,
            "end_of_rib_tx_poll_time": 1,
            "end_of_rib_tx_inactivity_time": 1,
            "end_of_rib_tx_fallback_time": 1,
        } | (llgr or {})
        self._wire()
        names = list(ADDRESSES)[:controllers]
        self.controllers = [ControlNode(box, directory, name, "--quiet", "0.5") for name in names]
        python = sys.executable
        run_dir = ("--run-dir", str(self.run_dir))
        self.forwarder = Process(
            box, HOST, directory, "forwarder", python, "-m", "agent.forwarder", *run_dir,
            "--fabric", "fabric0", *self.SIZES,
        )  # fmt: skip
        config = ("--config", str(directory / "agent.conf"))
        self.agent = Process(
            box, HOST, directory, "agent", python, "-m", "agent", *config, *run_dir
        )

    def _wire(self) -> None:
        box = self.box
        for name in (HOST, FABRIC, *self.vms):
            box.netns(name)
        box.veth(HOST, "fabric0", FABRIC, "wire")
        for address in (*ADDRESSES.values(), str(FAR_HOST)):
            box.run("ip", "-n", FABRIC, "address", "add", f"{address}/24", "dev", "wire")
        for vm in self.vms.values():
            box.veth(HOST, vm.tap, vm.name, "eth0", str(vm.mac))
            box.run("ip", "-n", vm.name, "address", "add", f"{vm.address}/24", "dev", "eth0")
        box.popen("sh", "-c", VHOST, netns=HOST)

    # What is started

    def configure(self, *controllers: ControlNode) -> None:
        """Write the agent's configuration file with these controllers."""
        servers = " ".join(controller.address for controller in controllers)
        llgr = "".join(f"{name} = {value}\n" for name, value in self._llgr.items())
        (self.directory / "agent.conf").write_text(
            f"[DEFAULT]\nagent_name = {HOST}\nlog_level = SYS_DEBUG\n"
            f"agent_base_directory = {self.directory}/lib\n"
            "[VIRTUAL-HOST-INTERFACE]\nname = vhost0\nip = 10.0.0.1/24\n"
            f"physical_interface = fabric0\n[CONTROL-NODE]\nservers = {servers}\n[LLGR]\n{llgr}"
        )

    def up(self) -> None:
        """Start everything, plug both VMs, and wait until they are known and served."""
        self.configure(*self.controllers)
        for process in (self.forwarder, *(one.process for one in self.controllers)):
            process.start()
        for controller in self.controllers:
            until(controller._socket.exists, lambda: self.controllers[0].process.log)
        self.agent.start()
        self.plug_all()
        self.ready()

    def ready(self) -> None:
        """Wait until all is known everywhere."""
        until(self._is_ready, lambda: f"{self.agent.log}\n{[c.state for c in self.controllers]}")
        until(lambda: not self._trapping(), "VMs that answered the agent's probes")
        self.settled()

    def _is_ready(self) -> bool:
        seen = [controller.agent() for controller in self.controllers]
        taps = {vm.tap for vm in self.vms.values()}
        return (
            all(one is not None and one.published >= OWN_ROUTES for one in seen)
            and len(self.agent.said('event="routes complete"')) >= len(self.controllers)
            and taps <= self.taps()
            and {str(vm.address) for vm in self.vms.values()} <= self.routes().keys()
        )

    def _trapping(self) -> bool:
        """Whether the ARP of a VM still goes to the agent, until it has answered."""
        routes = self.routes()
        return any(routes[str(vm.address)].rtr_label_flags & ARP_TRAP for vm in self.vms.values())

    def settled(self) -> None:
        """Wait until what is programmed has stayed the same for a moment."""
        before: Any = None
        while (now := self.programmed()) != before:
            before = now
            time.sleep(0.3)

    def back(self, mark: int) -> None:
        """Wait until all controllers are there, as they are after `ready`, and nothing moves."""
        until(
            lambda: all(one.has_told() for one in self.controllers),
            lambda: f"{self.agent.log[mark:]}\n{[one.state for one in self.controllers]}",
        )
        self.settled()

    def far_agent(self, *controllers: ControlNode) -> FarAgent:
        """A second agent at these controllers, by default at all."""
        namespace = self._namespaces / FABRIC
        self._far.append(FarAgent(namespace, controllers or self.controllers))
        return self._far[-1]

    def close(self) -> None:
        """Close what the test itself holds."""
        for far in self._far:
            far.close()

    # The port API and the VMs

    def plug(self, *vms: Vm) -> None:
        """Plug the ports of VMs, all in one request."""
        body = [port_request(vm, str(uuid_of("virtual-network", vm.network))) for vm in vms]

        def posted() -> bool:
            with suppress(OSError):
                return call(self._namespaces / HOST, 9091, "POST", "/port", body)[0] == 200
            return False

        until(posted, lambda: f"port API: {self.agent.log}")

    def plug_all(self) -> None:
        """Plug the ports of all VMs, one by one."""
        for vm in self.vms.values():
            self.plug(vm)

    def unplug(self, vm: Vm) -> None:
        """Unplug a VM's port."""
        status, answer = call(self._namespaces / HOST, 9091, "DELETE", f"/port/{vm.port}")
        assert status == 200, answer

    def quiet(self, vm: str, quiet: bool) -> None:
        """Let a VM answer no ARP, or again."""
        self.box.run("ip", "-n", vm, "link", "set", "eth0", "arp", "off" if quiet else "on")

    def ping(self, count: int = 1) -> bool:
        """Whether red1 reaches red2 with every packet."""
        words = ["ping", "-n", "-c", str(count), "-i", "0.05", "-W", "2", "10.1.1.4"]
        return f" {count} received" in self.box.run(*words, netns="red1", check=False).stdout

    def lease(self) -> str:
        """What a DHCP client in red1 is told."""
        words = ["udhcpc", "-f", "-q", "-n", "-i", "eth0", "-s", "/bin/true", "-t", "5", "-T", "1"]
        return self.box.run(*words, netns="red1", check=False).stdout

    def pinging(self) -> Pinging:
        """A ping from red1 to red2 for as long as the context lasts."""
        return Pinging(self.box)

    # The datapath

    def dump(self) -> list[DatapathMessage]:
        """Everything that is programmed; nothing while there is no datapath."""
        try:
            with DatapathClient.connect(self.run_dir) as client:
                questions = dump_all(())
                question = next(questions)
                while True:
                    question = questions.send(Answer(*client.request(question.encode())))
        except StopIteration as done:
            messages: list[DatapathMessage] = done.value
            return messages
        except AgentError:
            return []

    def taps(self) -> set[str]:
        """The names of the interfaces."""
        return {one.vifr_name for one in self.dump() if isinstance(one, VrInterfaceReq)}

    def routes(self) -> dict[str, VrRouteReq]:
        """The inet host routes of red, by address."""
        messages = self.dump()
        tap = self.vms["red1"].tap
        vifs = (one for one in messages if isinstance(one, VrInterfaceReq))
        vrf = next((vif.vifr_vrf for vif in vifs if vif.vifr_name == tap), -1)
        return {
            str(ip_address(one.rtr_prefix)): one
            for one in messages
            if isinstance(one, VrRouteReq)
            and (one.rtr_family, one.rtr_vrf_id, one.rtr_prefix_len) == (INET, vrf, 32)
        }

    def route(self, address: str) -> Route | None:
        """The host route of an address in red, if there is one."""
        row = self.routes().get(address)
        if row is None:
            return None
        hops = (one for one in self.dump() if isinstance(one, VrNexthopReq))
        return _route(row, next((hop for hop in hops if hop.nhr_id == row.rtr_nh_id), None))

    def far_route(self, address: str) -> Route:
        """Wait until an address leads to the other host."""

        def found() -> Route | None:
            route = self.route(address)
            return route if route and route.far == str(FAR_HOST) else None

        return until(found, lambda: f"{address} at the other host: {self.route(address)}")

    def programmed(self) -> dict[Identity, object]:
        """What decides about forwarding, but the labels of trees: each builder has its own."""
        return {
            identity_of(one): content(one)
            for one in self.dump()
            if not (isinstance(one, VrMplsReq) and one.mr_label >= TREE_LABELS)
        }

    def writes(self) -> int:
        """How much the agent had written when it was in sync the last time."""
        return int(re.findall(r"\bwrites=(\d+)", self.agent.log)[-1])

    def changes_since(self, before: dict[Identity, object]) -> list[str]:
        """What is not as it was, for people."""
        now = self.programmed()
        return [
            f"{key}: {before.get(key)} -> {now.get(key)}"
            for key in before.keys() | now.keys()
            if before.get(key) != now.get(key)
        ]


def _route(row: VrRouteReq, hop: VrNexthopReq | None) -> Route:
    far = ""
    if hop is not None and hop.nhr_type == TUNNEL:
        far = str(ip4_from_loaded(hop.nhr_tun_dip))
    return Route(row.rtr_nh_id, hop.nhr_type if hop else -1, row.rtr_label, far)


class Before:
    """How the datapath was, and how much had been written."""

    def __init__(self, there: Site) -> None:
        there.settled()
        self._there = there
        self._programmed = there.programmed()
        self._writes = there.writes()
        self.mark = there.agent.mark()

    def changes(self) -> list[str]:
        """What is not as it was."""
        return self._there.changes_since(self._programmed)

    def assert_untouched(self, builders: int = 1) -> None:
        """It is as it was; nothing was written but trees, of so many builders one by one."""
        assert self.changes() == []
        assert self._there.writes() - self._writes <= builders * TREE_WRITES

    def assert_restarted(self) -> None:
        """As `assert_untouched`, by an agent that started since."""
        assert self.changes() == []
        assert self._there.writes() <= TREE_WRITES


class Pinging:
    """A ping from red1 to red2 that must not lose a packet."""

    def __init__(self, box: Sandbox) -> None:
        self._box = box

    def __enter__(self) -> Pinging:
        words = ["sh", "-c", "echo $$; exec ping -n -i 0.05 10.1.1.4"]
        self._ping = self._box.popen(*words, netns="red1")
        assert self._ping.stdout is not None
        self._pid = self._ping.stdout.readline().strip()
        while "icmp_seq=2" not in (line := self._ping.stdout.readline()):
            assert line, "ping ended"
        return self

    def __exit__(self, *_: object) -> None:
        self._box.run("env", "kill", "-INT", self._pid, check=False)
        said, _ = self._ping.communicate(timeout=LIMIT)
        sent, received = counted(said)
        assert sent > 2
        assert received == sent, said


def site(box: Sandbox, directory: Path, **options: Any) -> Iterator[Site]:
    """A site for a fixture: brought up, and closed afterwards."""
    made = Site(box, directory, **options)
    try:
        made.up()
        yield made
    finally:
        made.close()
