"""The whole agent on real sockets and links, with a fake datapath that checks every request."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import uvloop
import yaml

from agent.daemon.configuration import Sources
from agent.daemon.daemon import Daemon
from agent.lab.plan import port_request
from agent.topology import Topology, Vm, parse, uuid_of
from tests.fake.collector import Collector
from tests.fake.datapath import FakeDatapath
from tests.netns import ip
from tests.unit.daemon.running import running, until

pytestmark = pytest.mark.system
ONE_HOST = Path(__file__).parents[3] / "agent/lab/topologies/one-host.yaml"
REST = "http://127.0.0.1:9091"


class Host:
    """One host: a run directory, a topology file, a datapath, and taps in this namespace."""

    def __init__(self, directory: Path) -> None:
        self.run_dir = directory / "run"
        self.run_dir.mkdir()
        self.file = directory / "topology.yaml"
        self.file.write_text(ONE_HOST.read_text())
        self.config = directory / "agent.conf"
        self.config.write_text(
            f"[DEFAULT]\nagent_base_directory = {directory}/lib\n"
            f"[STANDALONE]\ntopology = {self.file}\n"
        )
        self.datapath = FakeDatapath()
        ip("link", "add", "fabric0", "type", "veth", "peer", "name", "wire")
        ip("link", "set", "fabric0", "up")

    @property
    def topology(self) -> Topology:
        return parse(yaml.safe_load(self.file.read_text()))

    def tap(self, vm: Vm) -> None:
        ip("link", "add", vm.tap, "type", "veth", "peer", "name", f"{vm.name}-eth")
        ip("link", "set", vm.tap, "up")
        ip("link", "set", f"{vm.name}-eth", "up")

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[Daemon]:
        async with running(Sources(self.config, self.run_dir)) as daemon:
            yield daemon

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        await until(condition, what, self.datapath.violations)

    def names(self) -> set[str]:
        return {vif.vifr_name for vif in self.datapath.objects["vif"].values()}


def call(method: str, path: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(REST + path, data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except urllib.error.URLError:
        return 0, None


async def rest(method: str, path: str, body: Any = None) -> tuple[int, Any]:
    for _ in range(500):
        status, answer = await asyncio.to_thread(call, method, path, body)
        if status:
            return status, answer
        await asyncio.sleep(0.01)
    pytest.fail("the port API never answered")


async def plug(vm: Vm, **more: int) -> None:
    """Plug a VM's port, with these members of the request too."""
    port = port_request(vm, str(uuid_of("virtual-network", vm.network)))
    assert await rest("POST", "/port", port | more) == (200, {})


async def settled(host: Host, daemon: Daemon, *taps: str) -> None:
    await host.until(lambda: host.names() >= {"fabric0", "vhost0", *taps}, f"vifs {taps}")
    await host.until(lambda: daemon.session.in_sync, "in sync")


def here(test: Callable[[Host], Any]) -> Callable[[None, Path], None]:
    """Run a coroutine test on uvloop in the test's own network namespace."""

    def run(own_network: None, tmp_path: Path) -> None:
        host = Host(tmp_path)

        async def main() -> None:
            async with host.datapath.served(host.run_dir / "dpdk_netlink"):
                await test(host)

        uvloop.run(main())
        assert host.datapath.violations == []

    run.__name__ = test.__name__
    return run


@here
async def test_a_plugged_port_reaches_the_datapath_and_the_api(host: Host) -> None:
    red1 = host.topology.vms["red1"]
    host.tap(red1)
    async with host.agent() as daemon:
        await plug(red1)
        await settled(host, daemon, red1.tap)
        status, answer = await rest("GET", f"/port/{red1.port}")
        assert status == 200
        assert (answer["ip-address"], answer["plen"]) == ("10.1.1.3", 24)
        status, answer = await rest("GET", f"/vm-cfg/{red1.uuid}")
        assert (status, answer[0]["id"]) == (200, str(red1.port))
        prefixes = {key[2] for key in host.datapath.inet_routes()}
        assert red1.address.packed in prefixes


@here
async def test_a_tap_that_comes_later_is_taken_and_one_that_goes_is_left(host: Host) -> None:
    red1 = host.topology.vms["red1"]
    async with host.agent() as daemon:
        await plug(red1)
        assert (await rest("GET", f"/port/{red1.port}"))[0] in (200, 404)
        host.tap(red1)
        await settled(host, daemon, red1.tap)
        route = red1.address.packed
        await host.until(lambda: route in {k[2] for k in host.datapath.inet_routes()}, "a route")
        ip("link", "del", red1.tap)
        await host.until(
            lambda: route not in {k[2] for k in host.datapath.inet_routes()}, "no route"
        )


@here
async def test_stored_ports_without_their_tap_are_only_for_dpdk(host: Host) -> None:
    red1 = host.topology.vms["red1"]
    enable = f"/enable-port/{red1.port}"
    async with host.agent():
        await plug(red1)
    async with host.agent():
        assert "Port Not found" in (await rest("PUT", enable))[1]["error"]
    host.config.write_text(host.config.read_text().replace("[DEFAULT]", "[DEFAULT]\nplatform=dpdk"))
    async with host.agent():
        assert "Incorrect Port type" in (await rest("PUT", enable))[1]["error"]


@here
async def test_a_restarted_agent_writes_nothing(host: Host) -> None:
    vms = [host.topology.vms[name] for name in ("red1", "blue1", "red2")]
    for vm in vms:
        host.tap(vm)
    async with host.agent() as daemon:
        for vm in vms:
            await plug(vm)
        await settled(host, daemon, *(vm.tap for vm in vms))
    before = {kind: dict(rows) for kind, rows in host.datapath.objects.items()}
    async with host.agent() as daemon:
        await host.until(lambda: daemon.session.in_sync, "in sync")
        assert daemon.session.counters.adopted > 50
        assert daemon.session.counters.writes.total() == 0
    assert {kind: dict(rows) for kind, rows in host.datapath.objects.items()} == before


@here
async def test_a_restarted_datapath_gets_everything_again(host: Host) -> None:
    red1 = host.topology.vms["red1"]
    host.tap(red1)
    async with host.agent() as daemon:
        await plug(red1)
        await settled(host, daemon, red1.tap)
        before = {kind: dict(rows) for kind, rows in host.datapath.objects.items()}
        host.datapath.restart()
        await host.until(lambda: not daemon.session.in_sync, "out of sync")
        await host.until(lambda: daemon.session.in_sync, "in sync again")
        assert {kind: dict(rows) for kind, rows in host.datapath.objects.items()} == before


@here
async def test_unplugging_leaves_the_start_state(host: Host) -> None:
    red1 = host.topology.vms["red1"]
    host.tap(red1)
    async with host.agent() as daemon:
        await settled(host, daemon)
        start = {kind: dict(rows) for kind, rows in host.datapath.objects.items()}
        await plug(red1)
        await settled(host, daemon, red1.tap)
        assert await rest("DELETE", f"/port/{red1.port}") == (200, {})
        await host.until(lambda: red1.tap not in host.names(), "the vif gone")
        await host.until(lambda: daemon.session.in_sync, "in sync")
        assert {kind: dict(rows) for kind, rows in host.datapath.objects.items()} == start


@here
async def test_a_changed_topology_is_taken_on_reload(host: Host) -> None:
    red1 = host.topology.vms["red1"]
    host.tap(red1)
    async with host.agent() as daemon:
        await plug(red1)
        await settled(host, daemon, red1.tap)
        host.file.write_text(host.file.read_text().replace("10.1.1.3", "10.1.1.33"))
        daemon.reload()
        new = bytes([10, 1, 1, 33])
        await host.until(
            lambda: new in {key[2] for key in host.datapath.inet_routes()}, "the new address"
        )
        host.file.write_text("hosts: 5")
        daemon.reload()
        await asyncio.sleep(0.05)
        assert new in {key[2] for key in host.datapath.inet_routes()}


@here
async def test_a_reload_says_what_needs_a_restart_and_keeps_what_was_read_before(
    host: Host,
) -> None:
    file, log = host.config.read_text(), host.run_dir / "log"
    logged = file.replace("[DEFAULT]\n", f"[DEFAULT]\nlog_file = {log}\n")
    assert logged != file

    def reload(text: str) -> str:
        log.write_text("")
        host.config.write_text(text)
        daemon.reload()
        return log.read_text()

    async with host.agent() as daemon:
        await settled(host, daemon)
        told = reload(logged + "[LLGR]\nllgr_stale_time = 7\n[RESTART]\nreset = true\n")
        assert 'event="needs a restart" options="[RESTART] reset"' in told
        told = reload(logged + "[LLGR]\nllgr_stale_time = soon\n")
        assert 'event="configuration not reloaded"' in told
        assert "[LLGR] llgr_stale_time = soon: expected a whole number" in told
        told = reload(logged)
        assert 'event="configuration reloaded"' in told
        assert "needs a restart" not in told
        reload(file)


@here
async def test_systemd_hears_when_the_agent_is_ready_reads_again_and_ends(host: Host) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(host.run_dir.parent / "notify"))
        systemd.setblocking(False)
        told: list[str] = []

        def heard(words: str) -> bool:
            with suppress(BlockingIOError):
                while True:
                    told.extend(systemd.recv(4096).decode().splitlines())
            return words in told

        with patch.dict(os.environ, NOTIFY_SOCKET=str(host.run_dir.parent / "notify")):
            async with host.agent() as daemon:
                await host.until(lambda: heard("READY=1"), "ready")
                assert daemon.session.in_sync
                assert told[told.index("READY=1") - 1 :].count("READY=1") == 1
                assert any(line.startswith("STATUS=waits for ") for line in told)
                del told[:]
                daemon.reload()
                await host.until(lambda: heard("WATCHDOG=1"), "watchdog")
                assert told[0] == "RELOADING=1"
                assert told[1].startswith("MONOTONIC_USEC=")
                assert told[2] == "READY=1"
                assert "STOPPING=1" not in told
        assert heard("STOPPING=1")


@here
async def test_collectors_are_told_from_when_they_are_configured(host: Host) -> None:
    red1 = host.topology.vms["red1"]
    host.tap(red1)
    async with Collector() as collector, host.agent() as daemon:
        await plug(red1)
        await settled(host, daemon, red1.tap)
        assert collector.connections == 0
        text = host.config.read_text().replace(
            "[DEFAULT]", f"[DEFAULT]\ncollectors = {collector.server}"
        )
        host.config.write_text(text)
        daemon.reload()
        port = "UveVMInterfaceAgentTrace"
        await collector.until(lambda: collector.uves(port))
        assert collector.uves(port)[0].text("vm_name") == "red1"
        ip("link", "del", red1.tap)
        await collector.until(lambda: len(collector.uves(port)) > 1)
        assert collector.uves(port)[1].text("active") == "false"
