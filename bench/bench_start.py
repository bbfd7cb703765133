"""From exec to an answer: an agent without configuration, beside the least that serves HTTP.

Measured is the CPU time of the whole process until a GET is answered, which is the time that a
start takes on a machine that does nothing else: it waits for nobody. An agent answers twice:
first its ports are there, which take and store ports and tell probes that it starts, then its
core, without which nobody knows the state of a port.
"""

from __future__ import annotations

import http.client
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from conftest import Contest

from tests.netns import own_network

REST, INTROSPECT = 9091, 8085
GROUP = "start: exec to an answer, CPU time"
CORE = "start: exec to an answer of the core, CPU time"
PORT = "/port/11111111-2222-4333-8444-555555555555"
HELLO = """
import falcon.asgi, uvicorn
uvicorn.run(falcon.asgi.App(), port=9091, log_config=None)
"""
PATIENCE = 60.0


def children() -> float:
    """CPU seconds of programs that have ended: what a start takes where nothing else runs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.fixture(autouse=True)
def network() -> Iterator[None]:
    """One in which nobody else has the ports."""
    with own_network():
        yield


pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs a network namespace of its own"),
    pytest.mark.benchmark(timer=children),
]


def asked(port: int, path: str) -> int:
    """The status of the answer; 0 if nobody listens."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        client.request("GET", path)
        return client.getresponse().status
    except ConnectionError:
        return 0
    finally:
        client.close()


def until_answered(words: Sequence[str], wanted: Sequence[tuple[int, str, int]]) -> None:
    """Start a program, and end it when it has given these answers (port, path, status)."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        try:
            ends = time.monotonic() + PATIENCE
            for port, path, status in wanted:
                while not (found := asked(port, path)):
                    assert process.poll() is None, f"{words[1:3]} has ended"
                    assert time.monotonic() < ends, f"{words[1:3]} does not listen on {port}"
                    time.sleep(0.002)
                assert found == status, (path, found)
        finally:
            process.kill()


def agent(directory: Path) -> list[str]:
    return [
        sys.executable, "-m", "agent", "--run-dir", str(directory / "run"),
        "--VIRTUAL-HOST-INTERFACE.physical_interface", "eth0",
        "--DEFAULT.agent_base_directory", str(directory / "lib"),
    ]  # fmt: skip


def test_agent(contest: Contest, tmp_path: Path) -> None:
    """Both HTTP ports answer, and ports that are stored now are not lost any more."""
    wanted = [(REST, "/", 404), (INTROSPECT, "/healthz", 200)]
    start = contest(GROUP, "vrouter", aim_ns=300e6)
    start.pedantic(until_answered, (agent(tmp_path), wanted), rounds=10, warmup_rounds=2)


def test_agent_with_its_core(contest: Contest, tmp_path: Path) -> None:
    """The operational state is asked, links are followed, the datapath is being connected to."""
    start = contest(CORE, "vrouter")
    start.pedantic(
        until_answered, (agent(tmp_path), [(REST, PORT, 404)]), rounds=10, warmup_rounds=2
    )


def test_uvicorn_and_falcon(contest: Contest) -> None:
    words = [sys.executable, "-c", HELLO]
    start = contest(GROUP, "uvicorn and falcon alone")
    start.pedantic(until_answered, (words, [(REST, "/", 404)]), rounds=10, warmup_rounds=2)


def test_python(contest: Contest) -> None:
    """The least that any program in Python takes, which answers nothing."""
    words = [sys.executable, "-c", "pass"]
    start = contest(GROUP, "python alone")
    start.pedantic(subprocess.run, (words,), {"check": True}, rounds=10, warmup_rounds=2)
