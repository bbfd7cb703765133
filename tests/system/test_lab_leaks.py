"""However a lab ends, the kernel ends all of it, and no file of it stays."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from agent.lab.connection import Connection
from agent.lab.rundir import RunDir

ONE_HOST = str(Path(__file__).parents[2] / "agent/lab/topologies/one-host.yaml")
READY = "Ctrl-C ends it"


@pytest.fixture
def run_dir(tmp_path):
    return tmp_path / "lab"


@pytest.fixture
def sandbox_of(traces):
    """The sandbox of the lab in a run directory, watched, and the supervisor's PID."""

    def look(run_dir):
        connection = Connection(RunDir(run_dir))
        connection.close()
        return traces.watch(connection.pid), connection.pid

    return look


@pytest.mark.parametrize("stage", ["namespaces and links", "forwarders", READY])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_lab_ends_with_its_client(foreground, run_dir, traces, sandbox_of, stage, number):
    """Ctrl-C, a kill and a kill -9 of the command, while it works and when it is done."""
    client = foreground("run", ONE_HOST, "--run-dir", str(run_dir))
    client.wait_for(stage)
    inside, _ = sandbox_of(run_dir)
    assert len(inside.processes()) >= 2
    client.end(number)
    inside.wait()
    traces.assert_none()
    assert not run_dir.exists()


def test_kill_9_of_the_supervisor_ends_everything(vrouter_lab, run_dir, traces, sandbox_of):
    vrouter_lab("up", ONE_HOST, "--run-dir", str(run_dir))
    inside, supervisor = sandbox_of(run_dir)
    os.kill(supervisor, signal.SIGKILL)
    inside.wait()
    traces.assert_none()
    status = vrouter_lab("status", "--run-dir", str(run_dir), check=False)
    assert status.returncode == 1
    assert "no lab runs" in status.stdout
    assert not run_dir.exists(), "the next command takes away what the killed lab left"


def test_down_ends_everything(vrouter_lab, run_dir, traces, sandbox_of):
    vrouter_lab("up", ONE_HOST, "--run-dir", str(run_dir))
    inside, _ = sandbox_of(run_dir)
    vrouter_lab("down", "--run-dir", str(run_dir))
    assert inside.processes() == [], "down returns when the last process is gone"
    inside.wait()
    traces.assert_none()
    assert not run_dir.exists()


def test_a_lab_outlives_up_and_ends_with_commands_still_running(
    vrouter_lab, foreground, run_dir, traces, sandbox_of
):
    vrouter_lab("up", ONE_HOST, "--run-dir", str(run_dir))
    inside, _ = sandbox_of(run_dir)
    shell = foreground(
        "exec", "red1", "--run-dir", str(run_dir), "--", "sh", "-c", "echo up; exec sleep infinity"
    )
    shell.wait_for("up")
    vrouter_lab("down", "--run-dir", str(run_dir))
    assert shell.process.wait(10) != 0
    inside.wait()
    traces.assert_none()


def test_a_lab_that_cannot_come_up_says_why_and_leaves_nothing(vrouter_lab, run_dir, traces):
    topology = run_dir.parent / "bad.yaml"
    topology.write_text("hosts: {host1: {interface: lo}}")
    up = vrouter_lab("up", str(topology), "--run-dir", str(run_dir), check=False)
    assert up.returncode == 1
    assert "namespaces and links: failed" in up.stdout
    assert "File exists" in up.stdout
    assert not run_dir.exists()
    traces.assert_none()


@pytest.mark.parametrize("words", [["down"], ["status"], ["exec", "red1", "true"]])
def test_without_a_lab_commands_say_how_to_start_one(vrouter_lab, run_dir, words):
    done = vrouter_lab(words[0], "--run-dir", str(run_dir), *words[1:], check=False)
    assert done.returncode == 1
    assert (
        done.stdout
        == f"vrouter-lab: no lab runs in {run_dir}; start one with: vrouter-lab up FILE\n"
    )
