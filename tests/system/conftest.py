"""Fixtures for tests in real namespaces, with real clients.

`sandbox` gives a test private namespaces of its own. Commands run inside; network
namespaces and links are made there, and all of it is gone when the test ends, however it
ends. Works as root and, where the kernel allows it, unprivileged:

    def test_something(sandbox):
        sandbox.netns("a")
        sandbox.netns("b")
        sandbox.veth("a", "left", "b", "right")
        sandbox.run("ip", "address", "add", "10.0.0.1/24", "dev", "left", netns="a")
        server = sandbox.popen(sys.executable, "-m", "agent.forwarder", ..., netns="a")

Python code runs inside the same way: give it to `sandbox.run(sys.executable, "-c", ...)`.

`vrouter_lab` runs the `vrouter-lab` command as a user would. `lab` is the one-host
topology brought up once a test module: `lab.run("red1", "ping", ...)`,
`lab.popen("red1", ...)`, `lab.command("kill", "host1", "agent")`, `lab.state()`.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.lab.connection import Connection
from agent.lab.messages import State
from agent.lab.processes import environment
from agent.lab.rundir import RunDir
from agent.lab.sandbox import NODES, REFUSED, enter_argv, make_argv

REPOSITORY = Path(__file__).parents[2]
ONE_HOST = REPOSITORY / "agent/lab/topologies/one-host.yaml"
LIMIT = 60.0

Completed = subprocess.CompletedProcess[str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.system)


def _run(argv: list[str], check: bool, limit: float) -> Completed:
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit,
        env=environment(),
        cwd="/",
    )
    assert not check or done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout}"
    return done


def _popen(argv: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
        cwd="/",
    )


class Sandbox:
    """Private namespaces held by a process that ends when its input closes."""

    def __init__(self) -> None:
        script = "mount -t tmpfs lab /run && ip link set lo up && echo held && exec cat"
        self._holder = subprocess.Popen(
            make_argv(["sh", "-c", script]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
        )
        assert self._holder.stdout
        said = self._holder.stdout.readline()
        assert said == "held\n", f"{REFUSED}: {said}"
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text()
        self.pid = int(children)

    def argv(self, *command: str, netns: str | None = None) -> list[str]:
        """The command line that runs `command` inside, in a network namespace made here."""
        inside = ["nsenter", f"--net={NODES / netns}", "--"] if netns else []
        return enter_argv(self.pid, [*inside, *command])

    def run(
        self, *command: str, netns: str | None = None, check: bool = True, limit: float = LIMIT
    ) -> Completed:
        """Run a command to its end; its output, errors included, is `stdout`."""
        return _run(self.argv(*command, netns=netns), check, limit)

    def popen(self, *command: str, netns: str | None = None) -> subprocess.Popen[str]:
        """Start a command; it is killed with the sandbox at the latest."""
        return _popen(self.argv(*command, netns=netns))

    def netns(self, name: str) -> None:
        """Make a network namespace with its loopback up."""
        self.run("ip", "netns", "add", name)
        self.run("ip", "-n", name, "link", "set", "lo", "up")

    def veth(self, netns: str, name: str, peer_netns: str, peer: str, mac: str = "") -> None:
        """Join two namespaces by a pair of links, both up; `mac` is the peer's address."""
        address = ["address", mac] if mac else []
        ends = ["type", "veth", "peer", "name", peer, *address, "netns", peer_netns]
        self.run("ip", "-n", netns, "link", "add", name, *ends)
        self.run("ip", "-n", netns, "link", "set", name, "up")
        self.run("ip", "-n", peer_netns, "link", "set", peer, "up")

    def close(self) -> None:
        """End everything inside."""
        assert self._holder.stdin
        self._holder.stdin.close()
        self._holder.wait()
        assert self._holder.stdout
        self._holder.stdout.close()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    box = Sandbox()
    try:
        yield box
    finally:
        box.close()


VrouterLab = Callable[..., Completed]


@pytest.fixture(scope="session")
def vrouter_lab() -> VrouterLab:
    """vrouter_lab("status", "--run-dir", ..., check=False, limit=60): run it to its end."""

    def command(*words: str, check: bool = True, limit: float = LIMIT) -> Completed:
        return _run([sys.executable, "-m", "agent.lab", *words], check, limit)

    return command


class RunningLab:
    """A lab that was brought up with `vrouter-lab up`."""

    def __init__(self, run_dir: Path, vrouter_lab: VrouterLab) -> None:
        self.run_dir = run_dir
        self._vrouter_lab = vrouter_lab
        self._connection = Connection(RunDir(run_dir))

    def command(self, word: str, *words: str) -> str:
        """`vrouter-lab WORD ...` for this lab, which must succeed; its output."""
        return self._vrouter_lab(word, "--run-dir", str(self.run_dir), *words).stdout

    def run(self, node: str, *command: str, check: bool = True, limit: float = LIMIT) -> Completed:
        """Run a command in a VM or on a host to its end."""
        return _run(self._connection.argv(node, list(command)), check, limit)

    def popen(self, node: str, *command: str) -> subprocess.Popen[str]:
        """Start a command in a VM or on a host."""
        return _popen(self._connection.argv(node, list(command)))

    def state(self) -> State:
        """What `vrouter-lab status` shows."""
        return self._connection.state()

    def log(self, name: str) -> str:
        """A log such as "host1-agent"."""
        return (self.run_dir / "logs" / f"{name}.log").read_text()

    def close(self) -> None:
        """End the lab."""
        self._connection.down()


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest, vrouter_lab: VrouterLab) -> Iterator[RunningLab]:
    """The one-host topology, or the text `TOPOLOGY` of the test module."""
    text = getattr(request.module, "TOPOLOGY", ONE_HOST.read_text())
    with tempfile.TemporaryDirectory(prefix="vrouter-lab-") as parent:
        run_dir, topology = Path(parent) / "lab", Path(parent) / "topology.yaml"
        topology.write_text(text)
        vrouter_lab("up", str(topology), "--run-dir", str(run_dir))
        running = RunningLab(run_dir, vrouter_lab)
        try:
            yield running
        finally:
            running.close()


class Watched:
    """A sandbox that is expected to end. `pid` is any process of it."""

    def __init__(self, pid: int) -> None:
        self._namespace = os.readlink(f"/proc/{pid}/ns/pid")
        self._init = os.pidfd_open(next(p for p in self.processes() if _number_inside(p) == 1))

    def processes(self) -> list[int]:
        """The processes that live in it; one that ended but is not yet reaped does not."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    if os.readlink(entry / "ns/pid") == self._namespace and state not in "ZX":
                        found.append(int(entry.name))
                except OSError:
                    continue  # ended while we looked
        return found

    def wait(self, limit: float = 10.0) -> None:
        """Wait until its first process, and so the last one, is gone."""
        try:
            ended = select.select([self._init], [], [], limit)[0]
        finally:
            os.close(self._init)
        assert ended, f"processes of the lab live on: {self.processes()}"
        assert self.processes() == []


def _number_inside(pid: int) -> int:
    """A process's number in its own PID namespace; 0 if it has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next(int(line.split()[-1]) for line in text.splitlines() if line.startswith("NSpid"))


_PLACES = ("/run", "/sys", "/proc", "/dev", "/etc", "/var", tempfile.gettempdir())
"""Where a lab mounts; elsewhere others may do so meanwhile."""


class Traces:
    """What a lab could leave on the machine: processes, namespaces, mounts."""

    def __init__(self) -> None:
        self._before = self._look()

    @staticmethod
    def _look() -> tuple[list[str], list[str]]:
        named = sorted(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else []
        mounts = Path("/proc/self/mounts").read_text().splitlines()
        return [mount for mount in mounts if mount.split()[1].startswith(_PLACES)], named

    def watch(self, pid: int) -> Watched:
        """The sandbox of a process, to be watched until its end."""
        return Watched(pid)

    def assert_none(self) -> None:
        """No mount and no named namespace more than before the test."""
        assert self._look() == self._before


@pytest.fixture
def traces() -> Traces:
    """Taken before the test: what the machine looks like without a lab."""
    return Traces()


class Foreground:
    """`vrouter-lab WORDS` in a session of its own, as in a terminal of its own."""

    def __init__(self, words: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agent.lab", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
            cwd="/",
            start_new_session=True,
        )
        self.seen = ""

    def wait_for(self, text: str) -> None:
        """Read its output up to a line with `text`."""
        assert self.process.stdout
        while text not in (line := self.process.stdout.readline()):
            assert line, f"ended before {text!r}:\n{self.seen}"
            self.seen += line
        self.seen += line

    def end(self, number: signal.Signals, limit: float = LIMIT) -> int:
        """Send a signal to it alone; its exit status."""
        self.process.send_signal(number)
        self.seen += self.process.communicate(timeout=limit)[0]
        return self.process.returncode

    def close(self) -> None:
        """Make sure that it has ended."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()


@pytest.fixture
def foreground() -> Iterator[Callable[..., Foreground]]:
    started: list[Foreground] = []

    def start(*words: str) -> Foreground:
        started.append(Foreground(list(words)))
        return started[-1]

    yield start
    for one in started:
        one.close()
