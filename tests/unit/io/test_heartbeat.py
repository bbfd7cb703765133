"""A real process whose loop is blocked, and what is found of it afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.io.heartbeat import FILE, STACKS

SCRIPT = Path(__file__).with_name("beating.py")
ROOT = Path(__file__).parents[3]


class Process:
    def __init__(self, run_dir: Path, exit_after: float = 0.0) -> None:
        self.run_dir = run_dir
        self.errors = run_dir / "errors"
        with self.errors.open("w") as errors:
            self.child = subprocess.Popen(
                [sys.executable, str(SCRIPT), str(run_dir), str(exit_after)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        assert self.line() == "ready"

    def line(self) -> str:
        assert self.child.stdout is not None
        return self.child.stdout.readline().strip()

    def block(self, where: str, seconds: float) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(f"{where} {seconds}\n")
        self.child.stdin.flush()

    def end(self) -> int:
        assert self.child.stdin is not None
        self.child.stdin.close()
        return self.child.wait(10)

    def kill(self) -> None:
        self.child.kill()
        with self.child:
            pass

    def stacks(self) -> str:
        return (self.run_dir / STACKS).read_text()

    def age(self) -> float:
        return time.time() - (self.run_dir / FILE).stat().st_mtime


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    made = Process(tmp_path_factory.mktemp("heart"))
    yield made
    made.kill()


@pytest.mark.parametrize("where", ["python", "c"])
def test_stacks_of_a_standstill_are_written_and_told(process: Process, where: str) -> None:
    process.block(where, 1.0)
    assert process.line().startswith("stood ")
    told = process.stacks()
    assert f"in block_in_{where}" in told
    assert "--- the loop stood still for" in told.partition(f"in block_in_{where}")[2]
    assert "the loop stood still" in process.errors.read_text()


def test_a_signal_has_stacks_of_threads_and_tasks_written(process: Process) -> None:
    process.child.send_signal(signal.SIGUSR2)
    while "tasks at" not in process.stacks():
        time.sleep(0.02)
    told = process.stacks()
    assert "(most recent call first):" in told
    assert "in wait_for_ever" in told


def test_the_file_is_old_while_the_loop_stands_still_and_goes_in_the_end(process: Process) -> None:
    while process.age() > 0.5:
        time.sleep(0.02)
    process.block("c", 1.5)
    while process.age() < 0.8:
        time.sleep(0.02)
    assert process.line().startswith("stood ")
    while process.age() > 0.5:
        time.sleep(0.02)
    assert process.end() == 0
    assert not (process.run_dir / FILE).exists()


def test_a_process_that_stands_may_end_by_itself_and_tells_stacks_then(tmp_path: Path) -> None:
    """Even where compiled code never gives the interpreter back."""
    process = Process(tmp_path, exit_after=3.0)
    try:
        process.block("lock", 0.0)
        assert process.child.wait(20) == -signal.SIGALRM
        assert "block_in_lock" in process.stacks()
    finally:
        process.kill()


def test_a_watchdog_from_outside_has_stacks_written_too(tmp_path: Path) -> None:
    """As systemd's, which ends a service by SIGABRT."""
    process = Process(tmp_path)
    try:
        process.block("lock", 0.0)
        while process.age() < 1.0:
            time.sleep(0.02)
        process.child.send_signal(signal.SIGABRT)
        assert process.child.wait(20) == -signal.SIGABRT
        assert "block_in_lock" in process.stacks()
    finally:
        process.kill()
