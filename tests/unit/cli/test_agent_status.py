"""`vrouter-agent status`: text, JSON, exit codes, and what it finds of an agent that is silent."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.cli import status
from agent.cli.status import DEGRADED, DOWN, OK, UNKNOWN, duration, look
from agent.telemetry import Finding, Health, State
from tests.unit.cli.http_agent import HttpAgent

STARTED = 1_700_000_000.0


class Agent(HttpAgent):
    """Answers with what a health made of these findings says, unless `instead` is given."""

    def __init__(self) -> None:
        super().__init__()
        self.now = STARTED
        self.health = Health(
            host="compute-1", version="1.2", pid=4711, started=STARTED, wall=lambda: self.now
        )
        self.instead: tuple[int, Any] | None = None

    def answer(self) -> tuple[int, bytes]:
        status, body = self.instead or (200, self.health.report().record())
        return status, json.dumps(body).encode()


@pytest.fixture
def agent() -> Iterator[Agent]:
    made = Agent()
    yield made
    made.close()


def two_parts(agent: Agent, state: State) -> None:
    agent.health.add("datapath", lambda: [Finding(State.OK, "in sync")], vital=True)
    found = Finding(state, "Connect: Connection refused", instance="10.0.0.6:5269")
    agent.health.add("controller", lambda: [found])
    agent.health.report()
    agent.now += 3 * 3600 + 300


def test_the_text_form(agent: Agent, capsys: pytest.CaptureFixture[str]) -> None:
    two_parts(agent, State.DOWN)
    assert status.main(["--agent", agent.url]) == DEGRADED
    assert capsys.readouterr().out == (
        "vrouter-agent 1.2 on compute-1, process 4711, up 3 h 5 min\n"
        "state: degraded, ready\n"
        "\n"
        "datapath                  ok        3 h 5 min  in sync\n"
        "controller 10.0.0.6:5269  down      3 h 5 min  Connect: Connection refused\n"
    )


def test_colours_are_for_terminals() -> None:
    record = {"state": "down", "parts": []}
    assert status.text(record, colours=True) == "state: \x1b[31mdown\x1b[0m, not ready"
    assert status.text(record) == "state: down, not ready"


def test_the_json_form_is_what_the_agent_said(
    agent: Agent, capsys: pytest.CaptureFixture[str]
) -> None:
    two_parts(agent, State.OK)
    assert status.main(["--agent", agent.url, "--json"]) == OK
    assert json.loads(capsys.readouterr().out) == agent.health.report().record()


def test_the_line_for_monitoring(agent: Agent, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = {"worst lag": 0.002}
    agent.health.add("loop", lambda: [Finding(State.OK, numbers=numbers)])
    full = Finding(State.DOWN, "9 of 9 (100 %)", instance="vif", numbers={"used": 9, "limit": 9})
    agent.health.add("table", lambda: [full])
    assert status.main(["--agent", agent.url, "--nagios"]) == DEGRADED
    expected = "VROUTER-AGENT WARNING - table vif: 9 of 9 (100 %) | lag=0.002s 'vif'=9;;;0;9\n"
    assert capsys.readouterr().out == expected


def test_a_vital_part_that_is_down_is_told_by_the_exit_code(agent: Agent) -> None:
    agent.health.add("datapath", lambda: [Finding(State.DOWN, "gone")], vital=True)
    assert status.main(["--agent", agent.url]) == DOWN


@pytest.mark.parametrize(
    "words",
    [["--agent", "ftp://here"], ["--timeout", "0"], ["--nonsense"], ["--agent", "http://x:y"]],
)
def test_a_question_without_sense(words: list[str]) -> None:
    assert status.main(words) == UNKNOWN


def test_somebody_else_answers(agent: Agent, capsys: pytest.CaptureFixture[str]) -> None:
    agent.instead = 404, {"error": "no such page"}
    assert status.main(["--agent", agent.url]) == UNKNOWN
    assert "answered 404: no such page" in capsys.readouterr().err


class TestSilent:
    """Nobody answers; what the run directory tells then."""

    @pytest.fixture
    def held(self, tmp_path: Path) -> Iterator[Path]:
        with (tmp_path / "agent.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield tmp_path

    def test_nobody_is_there(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "agent.lock").write_text("1\n")
        url = "http://127.0.0.1:1"
        assert status.main(["--agent", url, "--run-dir", str(tmp_path), "--json"]) == DOWN
        record = json.loads(capsys.readouterr().out)
        assert (record["state"], record["pid"]) == ("down", None)
        assert record["reason"].endswith(f"Connection refused; no agent runs on {tmp_path}")

    def test_a_beating_process_whose_port_does_not_answer(self, held: Path) -> None:
        (held / "heartbeat").touch()
        found = look(held)
        assert found.pid == os.getpid()
        assert found.words.startswith(f"process {os.getpid()} is alive, last heartbeat ")

    def test_a_process_whose_loop_stands_still(self, held: Path) -> None:
        heartbeat = held / "heartbeat"
        heartbeat.touch()
        before = heartbeat.stat().st_mtime - 61
        os.utime(heartbeat, (before, before))
        found = look(held)
        assert found.age is not None
        assert found.age > 60
        assert found.words.startswith(f"the loop of process {os.getpid()} stands still (")
        assert found.words.endswith(f"; stacks in {held / 'stacks.log'}")

    def test_a_process_that_has_not_begun(self, held: Path) -> None:
        assert look(held).words == f"process {os.getpid()} has {held}, and has not begun to work"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (3661, "1 h 1 min"), (90000, "1 d 1 h")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
