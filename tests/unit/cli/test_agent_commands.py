"""`vrouter-agent trace` and `log-level`: what they ask, and what they print."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from agent.cli import log_level, trace
from tests.unit.cli.http_agent import HttpAgent

EINVAL = 22
LINE = {"time": "2026-11-21T21:12:14.483+00:00", "part": "Port", "text": "plugged: port 1"}


class Agent(HttpAgent):
    """Answers everything with `status` and `body`."""

    def __init__(self) -> None:
        super().__init__()
        self.status, self.body = 200, b"{}"

    def answer(self) -> tuple[int, bytes]:
        return self.status, self.body

    def says(self, *events: object) -> None:
        self.body = b"".join(f"data: {json.dumps(event)}\n\n".encode() for event in events)


@pytest.fixture
def agent() -> Iterator[Agent]:
    made = Agent()
    yield made
    made.close()


def test_a_stream_is_printed_line_by_line(agent: Agent, capsys: pytest.CaptureFixture[str]) -> None:
    agent.says({"following": "port 1"}, LINE, {"lost": 7})
    agent.body += b": ping\n\n"
    assert trace.main(["--port", "1", "--for", "3", "--agent", agent.url]) == 0
    assert agent.asked == ["GET /trace?port=1&for=3"]
    assert capsys.readouterr().out.splitlines() == [
        "following port 1; Ctrl-C ends it",
        "2026-11-21T21:12:14.483+00:00 Port      plugged: port 1",
        "… 7 lines were lost: too much happens",
    ]
    assert (
        trace.main(["--prefix", "10.0.0.0/8", "--vrf", "a b", "--json", "--agent", agent.url]) == 0
    )
    assert agent.asked[1] == "GET /trace?prefix=10.0.0.0%2F8&vrf=a+b"
    assert json.loads(capsys.readouterr().out.splitlines()[1]) == LINE


def test_a_flow_is_asked_for_by_its_words(agent: Agent) -> None:
    words = ["--flow", "10.0.0.1", "10.0.0.2", "tcp", "1000", "80"]
    assert trace.main([*words, "--agent", agent.url]) == 0
    assert agent.asked == [
        "GET /trace?source=10.0.0.1&destination=10.0.0.2&protocol=tcp"
        "&source_port=1000&destination_port=80"
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--flow", "10.0.0.1", "10.0.0.2"], "expected SRC DST PROTO"),
        (["--port", "1"], "answered 400: expected the UUID of a port"),
        (["--port", "1", "--agent", "http://127.0.0.1:1"], "no answer of an agent"),
    ],
)
def test_what_cannot_be_followed(
    words: list[str], told: str, agent: Agent, capsys: pytest.CaptureFixture[str]
) -> None:
    agent.status, agent.body = 400, b'{"error": "expected the UUID of a port"}'
    assert trace.main([*(() if "--agent" in words else ("--agent", agent.url)), *words]) == EINVAL
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ([], "GET /log-level"),
        (["xmpp", "SYS_DEBUG"], "POST /log-level?module=xmpp&level=SYS_DEBUG"),
        (["all", "SYS_ERR"], "POST /log-level?module=&level=SYS_ERR"),
        (["xmpp", "same"], "POST /log-level?module=xmpp&level="),
        (["--category", "flow"], "POST /log-level?category=flow"),
        (["--category", "all"], "POST /log-level?category="),
    ],
)
def test_log_levels_are_asked_and_changed(
    words: list[str], asked: str, agent: Agent, capsys: pytest.CaptureFixture[str]
) -> None:
    record = {
        "enabled": True,
        "level": "SYS_NOTICE",
        "category": "agent.flow",
        "modules": {"agent.xmpp": "SYS_DEBUG"},
    }
    agent.body = json.dumps(record).encode()
    assert log_level.main([*words, "--agent", agent.url]) == 0
    assert agent.asked == [asked]
    assert capsys.readouterr().out == (
        "all: SYS_NOTICE\nof others than agent.flow: errors only\nagent.xmpp: SYS_DEBUG\n"
    )


@pytest.mark.parametrize("words", [["xmpp"], ["xmpp", "DEBUG", "--category", "flow"]])
def test_log_levels_without_sense(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert log_level.main(words) == EINVAL
    assert "expected a LEVEL" in (told := capsys.readouterr().err) or "either MODULE" in told
