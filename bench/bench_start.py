"""From exec to serving: an agent without configuration, beside the least that serves HTTP.

Measured is the CPU time of the whole process, which is the time that a start takes on a machine
that does nothing else: it waits for nobody.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import Contest

UNSHARE = shutil.which("unshare")
GROUP = "start: exec to serving, CPU time"
HELLO = """
import asyncio, uvicorn, falcon.asgi
server = uvicorn.Server(uvicorn.Config(falcon.asgi.App(), port=9091, log_config=None))
async def main():
    task = asyncio.ensure_future(server.serve())
    while not server.started: await asyncio.sleep(0.001)
    print("serves", flush=True)
asyncio.run(main())
"""


def children() -> float:
    """CPU seconds of programs that have ended: what a start takes where nothing else runs."""
    times = os.times()
    return times.children_user + times.children_system


pytestmark = [
    pytest.mark.skipif(
        UNSHARE is None or os.geteuid() != 0, reason="needs a network namespace of its own"
    ),
    pytest.mark.benchmark(timer=children),
]


def until_said(words: Sequence[str], text: str) -> None:
    """Start a program on a host of its own, and end it when it has said that."""
    script = 'ip link set lo up; exec "$@"'
    command = [str(UNSHARE), "--net", "sh", "-c", script, "sh", *words]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if text in line:
                break
        process.kill()
    assert text in said[-1], "".join(said)


def test_agent(contest: Contest, tmp_path: Path) -> None:
    """Both HTTP ports listen, links are followed, the datapath is being connected to."""
    words = [
        sys.executable, "-m", "agent", "--run-dir", str(tmp_path / "run"),
        "--VIRTUAL-HOST-INTERFACE.physical_interface", "eth0",
        "--DEFAULT.agent_base_directory", str(tmp_path / "lib"),
    ]  # fmt: skip
    start = contest(GROUP, "vrouter", aim_ns=300e6)
    start.pedantic(until_said, (words, "event=introspect"), rounds=10, warmup_rounds=2)


def test_uvicorn_and_falcon(contest: Contest) -> None:
    words = [sys.executable, "-c", HELLO]
    start = contest(GROUP, "uvicorn and falcon alone")
    start.pedantic(until_said, (words, "serves"), rounds=10, warmup_rounds=2)


def test_python(contest: Contest) -> None:
    words = [sys.executable, "-c", "print('serves')"]
    start = contest(GROUP, "python alone")
    start.pedantic(until_said, (words, "serves"), rounds=10, warmup_rounds=2)
