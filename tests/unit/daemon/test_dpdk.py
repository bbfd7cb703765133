"""An agent with `platform = dpdk` on a forwarder, on a host that has no interface of its own."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop
import yaml

from agent.cli import vif
from agent.daemon.configuration import Sources
from agent.daemon.daemon import Daemon
from agent.sandesh.framing import FrameReader, request_frame
from agent.sandesh.vrouter import SandeshOp, VrInterfaceReq, decode_messages
from agent.topology import parse
from tests.unit.daemon.running import running, until
from tests.unit.daemon.test_daemon import ONE_HOST, plug, rest
from tests.unit.io.forwarders import forwarder

pytestmark = pytest.mark.system
SETTINGS = """
[DEFAULT]
agent_base_directory = {directory}/lib
platform = dpdk
physical_interface_address = 0000:04:00.0
physical_interface_mac = 00:1b:21:bb:f9:48
[VIRTUAL-HOST-INTERFACE]
physical_interface = bond0
[STANDALONE]
topology = {topology}
"""


class Host:
    """A run directory and a configuration."""

    def __init__(self, directory: Path) -> None:
        self.run_dir = directory / "run"
        self.run_dir.mkdir()
        self.config = directory / "agent.conf"
        self.config.write_text(SETTINGS.format(directory=directory, topology=ONE_HOST))
        self.vm = parse(yaml.safe_load(ONE_HOST.read_text())).vms["red1"]

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[Daemon]:
        """It is in sync and runs until the block ends."""
        async with running(Sources(self.config, self.run_dir)) as daemon:
            await until(lambda: daemon.session.in_sync)
            yield daemon

    async def vifs(self) -> dict[str, VrInterfaceReq]:
        """What the forwarder tells of them, by name."""
        reader, writer = await asyncio.open_unix_connection(self.run_dir / "dpdk_netlink")
        ask = VrInterfaceReq(h_op=SandeshOp.DUMP, vifr_marker=-1).encode()
        writer.write(request_frame(ask, family=24, seq=1, pid=1))
        frames, found = FrameReader(), {}
        more = True
        while more:
            frames.feed(await reader.read(1 << 16))
            for frame in frames:
                for one in decode_messages(frame.payload):
                    if isinstance(one, VrInterfaceReq):
                        found[one.vifr_name] = one
                more = frame.more
        writer.close()
        await writer.wait_closed()
        return found


async def shown(path: str) -> str:
    """What introspect answers."""

    def ask() -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:8085{path}", timeout=10) as answer:
            return bytes(answer.read())

    return (await asyncio.to_thread(ask)).decode()


def test_vhost_user_ports(
    own_network: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host = Host(tmp_path)
    tap = host.vm.tap

    async def forwards(mode: int) -> None:
        async with asyncio.timeout(20):
            while True:
                one = (await host.vifs()).get(tap)
                if one is not None and (one.vifr_vrf, one.vifr_vhostuser_mode) == (2, mode):
                    break
                await asyncio.sleep(0.01)
        assert (one.vifr_transport, one.vifr_os_idx, one.vifr_intf_status) == (2, 0, 0)

    async def scene() -> str:
        async with forwarder(host.run_dir):
            async with host.agent() as daemon:
                await plug(host.vm, **{"vhostuser-mode": 0})
                await forwards(0)
                assert (await rest("GET", f"/port/{host.vm.port}"))[1]["vhostuser-mode"] == 0
                await plug(host.vm, **{"vhostuser-mode": 1})
                await forwards(1)
                await until(lambda: daemon.session.in_sync)
                told = await shown(f"/Snh_ItfReq?name={tap}")
                assert re.search(r"<transport [^>]*>PMD</transport>", told)
                assert re.search(r"<vhostuser_mode [^>]*>1</vhostuser_mode>", told)
                page = await shown(f"/ports/{host.vm.port}")
                assert f"vhost-user socket uvh_vif_{tap}, of which the datapath is the" in page
            async with host.agent() as daemon:
                assert daemon.session.counters.adopted > 20
                assert daemon.session.counters.writes.total() == 0
            await asyncio.to_thread(vif.main, ["--list", "--sock-dir", str(host.run_dir)])
            return capsys.readouterr().out

    text = uvloop.run(scene())
    assert "vif0/0      PCI: 0000:04:00.0" in text
    assert "vif0/1      PMD: vhost0" in text
    assert f"vif0/3      PMD: {tap}" in text
