"""`vrouter-agent prepare-kernel` with no more rights than its unit leaves it."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from tests.system import unit_filter
from tests.system.conftest import REPOSITORY
from tests.unit.io.forwarders import forwarder
from tests.unit.io.netlink_peer import needs_netlink_between_processes

UNIT = REPOSITORY / "deploy/systemd/vrouter-kernel.service"
RIGHTS = ("setpriv", "--bounding-set=-all,+net_admin,+mknod", "--inh-caps=-all")
VHOST = """
import os, subprocess, sys
from ipaddress import IPv4Interface
from pathlib import Path
from agent.daemon.prepare_kernel import _places
from agent.daemon.tables import Said
from agent.io.vhost_link import make
subprocess.run(["ip", "link", "add", "eth7", "type", "veth", "peer", "name", "far"], check=True)
assert len(make("vhost0", "eth7", IPv4Interface("10.0.0.1/24"), "veth")) == 2
assert len(list(_places((Said("", 246, 512), Said("", 246, 64)), Path(sys.argv[1])))) == 2
os.stat(sys.argv[1] + "/flow")
"""

pytestmark = [
    pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze"),
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="no setpriv"),
]


async def ran(*words: str) -> tuple[int | None, str]:
    confined = (*RIGHTS, sys.executable, unit_filter.__file__, str(UNIT), sys.executable)
    before = ("unshare", "--net") if words[0] == "-c" else ()
    process = await asyncio.create_subprocess_exec(
        *(*before, *confined, *words),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    return process.returncode, told.decode()


async def test_all_that_it_does_is_allowed(tmp_path: Path) -> None:
    needs_netlink_between_processes()
    async with forwarder(tmp_path, "--netlink"):
        words = ("-m", "agent", "prepare-kernel", "--run-dir", str(tmp_path))
        code, told = await ran(*words)
        assert (code, f"flow table: {tmp_path}/flow.shmem" in told) == (0, True), told
    code, told = await ran("-c", VHOST, str(tmp_path))
    assert code == 0, told
