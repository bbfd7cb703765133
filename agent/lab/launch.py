"""Start the sandbox of a lab."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from agent.errors import ConfigError
from agent.io.files import read_topology
from agent.lab.connection import END_SECONDS
from agent.lab.errors import LabError
from agent.lab.plan import Plan, make_plan
from agent.lab.processes import environment, tail
from agent.lab.rundir import RunDir
from agent.lab.sandbox import REFUSED, make_argv

DETACH = b"d"
"""What a client writes into the lifeline so that the lab outlives it."""

SERVING = b"s"
"""What the supervisor writes into the lifeline once its control socket is there."""


def load_plan(path: Path) -> Plan:
    """Read and check a topology file; ConfigError says what is wrong and where."""
    topology = read_topology(path)
    try:
        return make_plan(topology)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


class Launch:
    """A sandbox that this process started. The lab ends with this process unless detached."""

    def __init__(self, topology_file: Path, run_dir: RunDir) -> None:
        load_plan(topology_file)  # complain before anything is started
        self._run_dir = run_dir
        lock = run_dir.claim()
        self._lifeline, theirs = socket.socketpair()
        passed = (lock, theirs.fileno())
        words = [*map(str, passed), str(run_dir), str(topology_file)]
        with run_dir.lab_log.open("ab") as log:
            self._process = subprocess.Popen(
                make_argv([sys.executable, "-m", "agent.lab.init", *words]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=environment(),
                pass_fds=passed,
                start_new_session=True,
            )
        theirs.close()
        os.close(lock)

    def wait(self) -> None:
        """Wait until the supervisor serves; LabError if the sandbox could not be made."""
        if self._lifeline.recv(1) != SERVING:
            raise LabError(f"{REFUSED}\n{tail(self._run_dir.lab_log)}")

    def detach(self) -> None:
        """Let the lab outlive this process."""
        self._lifeline.send(DETACH)

    def end(self) -> None:
        """End the lab and wait until every process of it is gone and its files are removed."""
        self._lifeline.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._run_dir.remove()
