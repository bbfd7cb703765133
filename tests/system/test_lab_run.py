"""`vrouter-lab run` on a terminal: progress, the prompt, Ctrl-C."""

from __future__ import annotations

import os
import pty
import re
import select
import sys
import time
from pathlib import Path

import pytest

from agent.lab.processes import environment

ONE_HOST = str(Path(__file__).parents[2] / "agent/lab/topologies/one-host.yaml")
LIMIT = 60.0
INTERRUPT = b"\x03"


class Terminal:
    """A command on a terminal of its own, in whose foreground it is."""

    def __init__(self, *argv: str) -> None:
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], argv, environment())
        self.shown = ""
        self._read_to = 0

    def type(self, text: str | bytes) -> None:
        os.write(self._terminal, text if isinstance(text, bytes) else text.encode())

    def interrupt_until(self, pattern: str) -> None:
        """Ctrl-C, and again: one that comes just before a read begins is seen after the read."""
        for _ in range(20):
            self.type(INTERRUPT)
            try:
                self.expect(pattern, limit=0.5)
                return
            except AssertionError:
                continue
        raise AssertionError(f"not interrupted: {self.shown!r}")

    def expect(self, pattern: str, limit: float = LIMIT) -> re.Match[str]:
        """Wait for a pattern in what appears from now on."""
        deadline = time.monotonic() + limit
        while not (found := re.compile(pattern).search(self.shown, self._read_to)):
            left = deadline - time.monotonic()
            assert left > 0, f"no {pattern!r} in {self.shown[self._read_to :]!r}"
            if select.select([self._terminal], [], [], left)[0]:
                self.shown += os.read(self._terminal, 4096).decode()
        self._read_to = found.end()
        return found

    def wait(self) -> int:
        """Read to the end; the exit status."""
        try:
            while data := os.read(self._terminal, 4096):
                self.shown += data.decode()
        except OSError:
            pass  # EIO: the other side has closed
        _, status = os.waitpid(self.pid, 0)
        os.close(self._terminal)
        return os.waitstatus_to_exitcode(status)


@pytest.fixture
def run_dir(tmp_path):
    return tmp_path / "lab"


@pytest.fixture
def terminal(run_dir):
    started = Terminal(
        sys.executable, "-m", "agent.lab", "run", ONE_HOST, "--run-dir", str(run_dir)
    )
    started.expect("lab> ")
    return started


def test_commands_at_the_prompt(terminal, run_dir):
    assert "namespaces and links ..." in terminal.shown, "the running step is shown"
    assert "exec red1 -- ping -c 3 10.1.1.4" in terminal.shown
    terminal.type("exec red1 -- hostname\n")
    terminal.expect(r"red1\r\n(?s:.*)lab> ")
    terminal.type("status\n")
    terminal.expect("one-host: ready")
    terminal.expect("lab> ")
    terminal.type("exec nobody -- true\n")
    terminal.expect("no VM, host or controller 'nobody' in this lab; there are: ")
    terminal.expect("lab> ")
    terminal.type('say "\n')
    terminal.expect("cannot read that")
    terminal.type("quit\n")
    assert terminal.wait() == 0
    assert not run_dir.exists()


def test_ctrl_c_is_for_the_command_first(terminal, run_dir):
    """It ends a ping but not the lab; at the prompt it ends the lab."""
    terminal.type("exec red1 -- ping 10.1.1.4\n")
    terminal.expect("icmp_seq=2")
    terminal.type(INTERRUPT)
    terminal.expect("packets transmitted")
    terminal.expect("lab> ")
    terminal.type("status\n")
    terminal.expect("one-host: ready")
    terminal.expect("lab> ")
    terminal.interrupt_until("ending")
    assert terminal.wait() == 0
    assert not run_dir.exists()
