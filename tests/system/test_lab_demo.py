"""The demonstration, run as its user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

from agent.lab.processes import environment

REPOSITORY = Path(__file__).parents[2]
ONE_HOST = str(REPOSITORY / "agent/lab/topologies/one-host.yaml")
STEPS = (
    "namespaces and links",
    "forwarders",
    "agents",
    "ports: 4 plugged",
    "addresses: 4 by DHCP",
    "ARP: gateway and peers resolved",
    "ping within each network: 0 % loss",
    "ping across networks: nothing answered",
    "TCP across networks: 8080 passes, 8081 is denied",
    "both explained",
    "taken down",
)
TABLES = ("host1# vif --list", "host1# nh --list", "host1# rt --dump ")
EXPLAINED = (
    "host1# vrouter-agent explain flow 10.1.1.3 10.2.2.3 tcp 40000 8080",
    "pass by rule ",
    "\nALLOWED\n",
    "host1# vrouter-agent explain flow 10.1.1.3 10.2.2.3 tcp 40000 8081",
    "deny by rule ",
    "\nDROPPED: denied by network policy\n",
)
LEASES = ("10.1.1.3/24", "10.1.1.4/24", "10.2.2.3/24", "10.2.2.4/24")


def assert_demo(output: str, run_dir: Path) -> None:
    lines = output.splitlines()
    assert lines[-1] == "demo: ok"
    shown = output.index("summary")
    for step in STEPS:
        assert step in output[:shown], f"{step} is not reported"
        assert step in output[shown:], f"{step} is not in the summary"
    for text in (*TABLES, *LEASES):
        assert text in output, f"{text} is not shown"
    after = 0
    for text in EXPLAINED:
        assert text in output[after:], f"{text} is not shown in its place"
        after = output.index(text, after)
    assert "failed" not in output
    assert not run_dir.exists()


def test_the_demo_ends_well_and_leaves_nothing(vrouter_lab, tmp_path, traces):
    run_dir = tmp_path / "lab"
    done = vrouter_lab("demo", ONE_HOST, "--run-dir", str(run_dir), check=False)
    assert done.returncode == 0, done.stdout
    assert_demo(done.stdout, run_dir)
    traces.assert_none()


def test_the_demo_without_privileges():
    """A user who may not make namespaces makes them in a user namespace of his own."""
    if os.geteuid():
        pytest.skip("not root: every other test shows it")
    path = f"{REPOSITORY}:{sysconfig.get_path('purelib')}"
    plain = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env"]
    plain += [f"PYTHONPATH={path}", "PYTHONDONTWRITEBYTECODE=1"]
    version = f"python3.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}"):
        look = [*plain, python, "-c", "import agent.lab.demo"]
        if not _run(look, "/").returncode:
            break
    else:
        pytest.skip("neither this Python nor the system's can be used by another user here")
    with tempfile.TemporaryDirectory(dir="/tmp") as parent:  # $TMPDIR may be closed to others
        os.chmod(parent, 0o777)
        run_dir = Path(parent) / "lab"
        demo = ["-m", "agent.lab", "demo", ONE_HOST, "--run-dir", str(run_dir)]
        done = _run([*plain, python, *demo], parent)
        assert done.returncode == 0, done.stdout
        assert_demo(done.stdout, run_dir)


def _run(argv: list[str], directory: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=90,
        env=environment(),
        cwd=directory,
        check=False,
    )


def test_a_failed_check_is_named_with_the_logs(vrouter_lab, tmp_path):
    """A network without DHCP: the client of its VM gets no lease."""
    topology = tmp_path / "clash.yaml"
    topology.write_text(
        "hosts: {host1: {}}\n"
        "networks: {red: {subnet: 10.1.1.0/24, dhcp: false}}\n"
        "vms:\n"
        "  red1: {network: red, address: 10.1.1.3}\n"
    )
    done = vrouter_lab("demo", str(topology), "--run-dir", str(tmp_path / "lab"), check=False)
    assert done.returncode == 1
    assert "addresses: 1 by DHCP: failed" in done.stdout
    assert "the DHCP client of red1: no lease after" in done.stdout
    assert "demo: ok" not in done.stdout
    assert not (tmp_path / "lab").exists()
