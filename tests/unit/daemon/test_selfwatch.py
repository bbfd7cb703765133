from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from agent.daemon.follow import wanted
from agent.daemon.selfwatch import LoggedTrace, SelfWatch
from agent.errors import ConfigError
from agent.settings import parse
from tests.unit.telemetry.node_world import HOST, NodeWorld

UUID = "5a5e1b1c-9f3f-4a4e-8b2c-0123456789ab"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"port={UUID}", {"port": UUID}),
        ("prefix=10.0.0.0/8,red", {"prefix": "10.0.0.0/8", "vrf": "red"}),
        (
            "flow=10.0.0.1,10.0.0.2,tcp,1,2",
            {
                "source": "10.0.0.1",
                "destination": "10.0.0.2",
                "protocol": "tcp",
                "source_port": "1",
                "destination_port": "2",
            },
        ),
    ],
)
def test_what_an_option_names(text: str, words: dict[str, str]) -> None:
    assert wanted(text) == words


@pytest.mark.parametrize("text", ["", "port", "port=", "vrf=x", "port=a,b", "flow=1,2,3,4,5,6"])
def test_an_option_without_sense(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--trace .*: expected port=UUID"):
        wanted(text)


def test_an_option_that_names_nothing() -> None:
    with pytest.raises(ConfigError, match="--trace port=x: port x: expected the UUID of a port"):
        wanted("port=x")


def test_what_is_followed_from_the_start_is_logged() -> None:
    structlog.reset_defaults()
    world = NodeWorld()
    name = next(iter(world.topology.vms))
    port = str(world.topology.vms[name].port)
    world.core.trace = world.node.traces

    async def play() -> None:
        trace = LoggedTrace(world.node, {"port": port})
        trace.start()
        world.plug(name)
        await asyncio.sleep(0)
        trace.close()

    with capture_logs() as lines:
        asyncio.run(play())
    told = [line for line in lines if line.get("follows") == f"port {port}"]
    assert told[0]["part"] == "Port"
    assert any(line["event"].startswith("wanted: vif ") for line in told)
    assert world.node.traces.follows == 0


def test_a_followed_flow_is_looked_at_from_the_start() -> None:
    structlog.reset_defaults()
    world = NodeWorld()
    words = {"source": "10.99.0.1", "destination": "10.99.0.2", "protocol": "tcp"}

    async def play() -> None:
        trace = LoggedTrace(world.node, words)
        trace.start()
        while not any("no entry" in line["event"] or "no flow" in line["event"] for line in lines):
            await asyncio.sleep(0.01)
        trace.close()

    with capture_logs() as lines:
        asyncio.run(asyncio.wait_for(play(), 10))
    told = [line["event"] for line in lines if line.get("part") == "Flow"]
    assert told[0].startswith("no decision: neither 10.99.0.1 nor 10.99.0.2 is the address of")


def test_nonsense_is_a_wrong_configuration() -> None:
    with pytest.raises(ConfigError, match="--trace: port x: expected the UUID of a port"):
        LoggedTrace(NodeWorld().node, {"port": "x"})


def test_a_core_is_joined_to_its_traces_and_a_signal_reads_their_sizes(tmp_path: Path) -> None:
    world = NodeWorld()
    text = HOST + "[TRACEBUFFSIZE]\nXmpp = 2\n"

    async def play() -> None:
        watch = SelfWatch(world.core, world.node, tmp_path, lambda: parse(text))
        watch.start()
        assert (tmp_path / "heartbeat").exists()
        os.kill(os.getpid(), signal.SIGUSR1)
        while world.node.traces.buffers["Xmpp"].lines.maxlen != 2:
            await asyncio.sleep(0.01)
        watch.close()

    asyncio.run(asyncio.wait_for(play(), 10))
    assert not (tmp_path / "heartbeat").exists()
    assert world.core.trace is world.node.traces
    world.node.traces.switch("Writes", True)
    assert world.core.session.watcher is world.node.traces
    world.node.traces.switch("Writes", False)
    assert world.core.session.watcher is None
    assert "loop" in {part.name for part in world.node.health.report().parts}


def test_a_run_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    world = NodeWorld()

    async def play() -> None:
        SelfWatch(world.core, world.node, tmp_path / "none", lambda: parse(HOST)).start()

    with pytest.raises(ConfigError, match="none/heartbeat: No such file"):
        asyncio.run(play())
