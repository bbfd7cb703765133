"""What an agent answers before its core is there, and what becomes of it afterwards."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from agent.daemon.configuration import Sources
from agent.daemon.daemon import Daemon
from agent.daemon.front import Front
from agent.daemon.recorder import Recorder
from agent.daemon.replay import replay
from agent.io.awaited import PATIENCE
from agent.io.recording import DEFAULT_LIMIT, RecordingFile
from tests.fake.datapath import FakeDatapath

pytestmark = pytest.mark.system
REST, INTROSPECT = 9091, 8085
PORT = "11111111-2222-4333-8444-555555555555"
OTHER = "11111111-2222-4333-8444-666666666666"
CONFIG = """
[DEFAULT]
agent_base_directory = {directory}/lib
{more}
[VIRTUAL-HOST-INTERFACE]
physical_interface = fabric0
"""


def body(uuid: str) -> bytes:
    members = {
        "id": uuid,
        "instance-id": "22222222-2222-4333-8444-555555555555",
        "vn-id": "33333333-2222-4333-8444-555555555555",
        "vm-project-id": "44444444-2222-4333-8444-555555555555",
        "display-name": "vm",
        "system-name": f"tap{uuid[-4:]}",
        "ip-address": "10.0.0.3",
        "ip6-address": "::",
        "mac-address": "02:00:00:00:00:03",
        "type": 0,
        "rx-vlan-id": -1,
        "tx-vlan-id": -1,
    }
    return json.dumps(members).encode()


async def ask(
    port: int, method: str, path: str, data: bytes = b"", **headers: str
) -> tuple[int, str]:
    """The status and the text of an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}"
    writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    answer = (await reader.read()).decode()
    writer.close()
    top, _, text = answer.partition("\r\n\r\n")
    return int(top.split(" ")[1]), text


def written(directory: Path, more: str = "") -> Sources:
    config = directory / "agent.conf"
    config.write_text(CONFIG.format(directory=directory, more=more))
    return Sources(config, directory)


async def begun(
    sources: Sources, recorder: Recorder | None = None, patience: float = PATIENCE
) -> Front:
    """What there is before the core; whoever joins it to one need not stop it."""
    front = Front(*sources.load(), patience)
    if recorder is not None:
        recorder.started(front.store, pid=front.pid, seed=front.seed, now=front.began)
    await front.start()
    return front


@asynccontextmanager
async def alone(sources: Sources, patience: float = PATIENCE) -> AsyncIterator[Front]:
    """The same without a core, until the block ends."""
    front = await begun(sources, patience=patience)
    try:
        yield front
    finally:
        await front.stop()


@asynccontextmanager
async def joined(
    sources: Sources, front: Front, recorder: Recorder | None = None
) -> AsyncIterator[Daemon]:
    """With the core, until the block ends."""
    daemon = Daemon(sources, *sources.load(), front, recorder)
    task = asyncio.create_task(daemon.run())
    try:
        yield daemon
    finally:
        daemon.stop()
        await task


def here(test: Callable[[Path], Any]) -> Callable[[None, Path], None]:
    """Run a coroutine test on uvloop in the test's own network namespace."""

    def run(own_network: None, tmp_path: Path) -> None:
        uvloop.run(test(tmp_path))

    run.__doc__ = test.__doc__
    return run


@here
async def test_ports_are_stored_and_probes_answered_before_there_is_a_core(
    directory: Path,
) -> None:
    sources = written(directory)
    front = await begun(sources)
    assert await ask(REST, "POST", "/port", body(PORT)) == (200, "{}")
    assert (directory / "lib/ports" / PORT).exists()
    assert await ask(INTROSPECT, "GET", "/healthz") == (200, "ok\n")
    assert await ask(INTROSPECT, "GET", "/readyz") == (503, "not ready: the agent starts\n")
    asked = asyncio.create_task(ask(REST, "GET", f"/port/{PORT}"))
    looked = asyncio.create_task(ask(INTROSPECT, "GET", "/status"))
    _, waiting = await asyncio.wait({asked, looked}, timeout=0.05)
    assert waiting == {asked, looked}
    async with joined(sources, front):
        assert await asked == (404, '{"error":"{ Not Found }"}'), "nobody has configured it"
        status, text = await looked
        assert status == 200, text
        assert json.loads(text)["ready"] is False
        status, text = await ask(INTROSPECT, "GET", "/readyz")
        assert status == 503
        assert "the agent starts" not in text


@here
async def test_who_waits_too_long_is_told_so(directory: Path) -> None:
    async with alone(written(directory), patience=0.01) as front:
        text = '{"error":"The agent is still starting"}'
        assert await ask(REST, "GET", f"/port/{PORT}") == (503, text)
        assert await ask(REST, "GET", "/explain/flow?source=10.0.0.1") == (503, text)
        assert await ask(INTROSPECT, "GET", "/Snh_ItfReq") == (503, text)
        assert front.meters.http["introspect", 503] == 1


@here
async def test_doors_are_guarded_from_the_first_moment(directory: Path) -> None:
    token = directory / "token"
    token.touch(0o600)
    token.write_text("a-token-of-this-test")
    more = f"rest_token_file = {token}\nhttp_server_token_file = {token}\n"
    async with alone(written(directory, more)):
        for port, path in ((REST, f"/port/{PORT}"), (INTROSPECT, "/healthz"), (INTROSPECT, "/")):
            status, _ = await ask(port, "GET", path)
            assert status == 401
        bearer = {"Authorization": "Bearer a-token-of-this-test"}
        assert await ask(INTROSPECT, "GET", "/healthz", **bearer) == (200, "ok\n")


@here
async def test_a_recording_has_the_ports_that_came_before_the_core(directory: Path) -> None:
    """So a replay of it comes to the same state."""
    sources, file = written(directory), directory / "recording"
    recorder = Recorder(RecordingFile(file, DEFAULT_LIMIT), sources.read())
    async with FakeDatapath().served(directory / "dpdk_netlink"):
        front = await begun(sources, recorder)
        assert await ask(REST, "POST", "/port", body(PORT)) == (200, "{}")
        async with joined(sources, front, recorder) as daemon:
            assert await ask(REST, "POST", "/port", body(OTHER)) == (200, "{}")
            async with asyncio.timeout(20):
                while not daemon.session.running:
                    await asyncio.sleep(0.01)
    with file.open("rb") as recorded:
        result = replay(recorded)
    assert result.faithful, result.findings
    assert {PORT, OTHER} <= {str(row.key) for row in result.rows}


def test_signals_wait_until_there_is_a_core(own_network: None, tmp_path: Path) -> None:
    """One that reads the files again, and one that ends the agent cleanly."""
    sources = written(tmp_path)
    words = [sys.executable, "-m", "agent", "--config", str(sources.config)]
    words += ["--run-dir", str(tmp_path / "run")]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as agent:
        assert agent.stderr is not None
        try:
            for line in agent.stderr:
                if "event=introspect" in line:
                    break
            assert asyncio.run(ask(INTROSPECT, "GET", "/healthz"))[0] == 200
            agent.send_signal(signal.SIGHUP)
            agent.send_signal(signal.SIGTERM)
            log = agent.stderr.read()
            assert agent.wait(30) == 0, log
        finally:
            agent.kill()
    assert 'event="configuration reloaded"' in log
    assert "event=stopped" in log


def test_a_wrong_configuration_ends_the_start_before_anybody_listens(
    own_network: None, tmp_path: Path
) -> None:
    sources = written(tmp_path)
    assert sources.config is not None
    sources.config.write_text("[DEFAULT]\nxmpp_auth_enable = true\nxmpp_ca_cert = /none\n")
    for more, reason in (
        (("--VIRTUAL-HOST-INTERFACE.physical_interface", "eth0"), "xmpp_ca_cert = /none"),
        (("--DEFAULT.xmpp_auth_enable", "false"), "physical_interface is missing"),
        (("--trace", "port=x"), "--trace port=x: port x: expected the UUID of a port"),
    ):
        words = [sys.executable, "-m", "agent", "--config", str(sources.config)]
        words += ["--run-dir", str(tmp_path / "run"), *more]
        ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 22, ended.stderr
        assert reason in ended.stderr
        assert "event=introspect" not in ended.stderr
        assert 'event="port API"' not in ended.stderr
