"""The audit against the real forwarder process: what nobody made goes, by the table alone."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent._fast.flow_pairs import FlowPairs
from agent._fast.flow_scan import FlowScanner
from agent._fast.flow_world import World, encode_flow
from agent.cli import flow
from agent.cli.datapath_client import DatapathClient
from agent.flow.aging import Timeouts
from agent.sandesh.vrouter import (
    FlowOp,
    SandeshOp,
    VrFlowReq,
    VrFlowTableData,
    VrouterOps,
    decode_messages,
)
from agent.shm import FlowAction, FlowTable
from tests.unit.flow.scan_rig import packet, world

ROOT = Path(__file__).parents[3]


@pytest.fixture
def run_dir(tmp_path: Path) -> Iterator[Path]:
    """The run directory of a forwarder that serves."""
    options = ["--flow-entries", "1024", "--bridge-entries", "1024", "--nexthops", "4096"]
    process = subprocess.Popen(
        [sys.executable, "-m", "agent.forwarder", "--run-dir", str(tmp_path / "run"), *options],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while "serves" not in (line := process.stderr.readline()):
        assert line, "the forwarder ended"
    yield tmp_path / "run"
    process.terminate()
    process.communicate(timeout=20)


class Agent:
    """Pairs, the scanner on the forwarder's table, and a connection of their own."""

    def __init__(self, run_dir: Path) -> None:
        with DatapathClient.connect(run_dir) as client:
            request = VrFlowTableData(ftable_op=FlowOp.FLOW_TABLE_GET)
            found = client.get(request.encode(), VrFlowTableData)
            limits = client.get(VrouterOps(h_op=SandeshOp.GET).encode(), VrouterOps)
        self.table = FlowTable.open(
            found.ftable_file_path, limits.vo_flow_entries, found.ftable_size
        )
        self.world: World = world()
        self.pairs = FlowPairs(self.world, table_entries=len(self.table))
        self.scanner = FlowScanner(self.pairs, self.table, Timeouts())
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(10)
        self.socket.connect(str(run_dir / "dpdk_netlink"))
        self.now = 1000.0
        self.pairs.connected(self.now)

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.scanner.slice(self.now)
            self.pairs.tick(self.now)
            while frames := bytes(self.pairs.take_output(1 << 16, self.now)):
                self.socket.sendall(frames)
                answered = self.pairs.counters["answers"] + frames.count(b"vr_flow_req")
                while self.pairs.counters["answers"] < answered:
                    self.pairs.answers(self.socket.recv(1 << 16), self.now)
            self.now += 0.5

    def close(self) -> None:
        self.socket.close()
        self.scanner.close()
        self.table.close()


@pytest.fixture
def agent(run_dir: Path) -> Iterator[Agent]:
    made = Agent(run_dir)
    yield made
    made.close()


def by_hand(run_dir: Path, agent: Agent, side: int, sport: int, action: FlowAction) -> None:
    """What a foreign program or an earlier agent set."""
    decision = agent.world.decide(packet(sport))
    (request,) = decode_messages(encode_flow(decision, side, None, 0, None))
    assert isinstance(request, VrFlowReq)
    with DatapathClient.connect(run_dir) as client:
        code, _ = client.request(request.replace(fr_flags=1, fr_action=action).encode())
    assert code == 0


def test_entries_that_nobody_made_go_after_the_delay(run_dir: Path, agent: Agent) -> None:
    by_hand(run_dir, agent, 0, 1000, FlowAction.HOLD)
    by_hand(run_dir, agent, 0, 1001, FlowAction.DROP)
    by_hand(run_dir, agent, 1, 1002, FlowAction.FORWARD)
    agent.advance(4)
    assert len(list(agent.table)) == 3
    agent.advance(agent.scanner.period + 4)
    gone = agent.pairs.counters["entries_audited"]
    assert (gone, agent.scanner.counters["unknown"], agent.scanner.counters["held"]) == (3, 3, 1)
    assert agent.pairs.counters["nacks"] == 0
    agent.advance(agent.scanner.period)
    assert agent.scanner.sweep["unowned"] == 0


def test_a_forwarder_started_anew_has_another_table(run_dir: Path, agent: Agent) -> None:
    assert not agent.table.replaced()
    path = run_dir / "flow.shmem"
    fresh = run_dir / "fresh"
    fresh.write_bytes(bytes(len(agent.table) * 256))
    fresh.rename(path)
    assert agent.table.replaced()
    agent.scanner.slice(agent.now + 1)  # what was mapped is still there


def run_tool(run_dir: Path, capsys: pytest.CaptureFixture[str], *options: str) -> Any:
    assert flow.main(["--sock-dir", str(run_dir), "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_flow_tool_changes_what_it_shows(
    run_dir: Path, agent: Agent, capsys: pytest.CaptureFixture[str]
) -> None:
    by_hand(run_dir, agent, 0, 1000, FlowAction.FORWARD)
    by_hand(run_dir, agent, 0, 1001, FlowAction.FORWARD)
    (shown,) = run_tool(run_dir, capsys, "--match", "10.1.1.3:1000,10.1.1.4:53 & proto udp")
    assert (shown["action"], shown["sport"]) == ("forward", 1000)
    run_tool(run_dir, capsys, "-d", str(shown["index"]))
    changed = run_tool(run_dir, capsys, "--get", str(shown["index"]))
    assert changed == shown | {"action": "drop", "drop_reason": "Unknown"}
    assert run_tool(run_dir, capsys, "-s")["actions"] == {"drop": 1, "forward": 1}
    run_tool(run_dir, capsys, "-f", str(shown["index"]))
    assert run_tool(run_dir, capsys, "--get", str(shown["index"])) == shown
    assert run_tool(run_dir, capsys, "-F") == {"deleted": 2, "refused": 0}
