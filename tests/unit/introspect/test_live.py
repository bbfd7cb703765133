"""Liveness, readiness, status, log levels, and streams of traces."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import falcon.asgi
import falcon.testing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.introspect.live import Trace
from agent.io.bell import Bell
from agent.telemetry import Finding, State
from agent.telemetry.checks import watch
from tests.unit.introspect.asking import Asker
from tests.unit.telemetry.node_world import NodeWorld


@pytest.fixture
def world() -> NodeWorld:
    return NodeWorld()


@pytest.fixture
def ask(world: NodeWorld) -> Asker:
    return Asker(world.node)


def test_whoever_asks_sees_that_the_loop_turns(ask: Asker) -> None:
    found = ask.get("/healthz")
    assert (found.status_code, found.text) == (200, "ok\n")


def test_readiness_says_what_it_waits_for(world: NodeWorld, ask: Asker) -> None:
    watch(world.node.health, world.node, lambda: world.core.configured)
    found = ask.get("/readyz")
    assert (found.status_code, found.text) == (200, "ready\n")
    world.core.session.disconnected(world.now)
    found = ask.get("/readyz")
    assert found.status_code == 503
    assert found.text == "not ready: datapath: the datapath closed the connection\n"


def test_status_is_the_report(world: NodeWorld, ask: Asker) -> None:
    world.node.health.add("loop", lambda: [Finding(State.DEGRADED, "slow")])
    assert ask.get("/status").json == world.node.health.report().record()


class TestLogLevel:
    """What is logged, asked and changed."""

    def post(self, ask: Asker, query: str) -> Any:
        return ask._client.simulate_post("/log-level", query_string=query)

    def test_modules_and_all(self, world: NodeWorld, ask: Asker) -> None:
        assert self.post(ask, "module=xmpp&level=sys_debug").status_code == 200
        assert self.post(ask, "level=SYS_ERR").status_code == 200
        assert self.post(ask, "category=flow").status_code == 200
        assert ask.get("/log-level").json == {
            "enabled": True,
            "level": "SYS_ERR",
            "category": "agent.flow",
            "modules": {"agent.xmpp": "SYS_DEBUG"},
        }
        assert self.post(ask, "module=xmpp").json["modules"] == {}

    @pytest.mark.parametrize("query", ["", "module=xmpp&level=LOUD"])
    def test_nonsense(self, ask: Asker, query: str) -> None:
        found = self.post(ask, query)
        assert found.status_code == 400
        assert "expected" in found.json["error"] or "name module" in found.json["error"]


async def stream(world: NodeWorld, query: str) -> AsyncIterator[Any]:
    req = falcon.testing.create_asgi_req(path="/trace", query_string=query)
    resp = falcon.asgi.Response()
    await Trace(world.node, Bell).on_get(req, resp)
    assert resp.sse is not None, resp.text
    return aiter(resp.sse)


def test_a_followed_port_is_told_live(world: NodeWorld) -> None:
    name = next(iter(world.topology.vms))
    port = world.topology.vms[name].port
    world.core.trace = world.node.traces

    async def play() -> list[Any]:
        events = await stream(world, f"port={port}")
        told = [await anext(events)]
        assert world.node.traces.follows == 1
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        world.plug(name)
        told.append(await asyncio.wait_for(waiting, 5))
        await events.aclose()  # type: ignore[attr-defined]
        return [event.json for event in told]

    following, plugged = asyncio.run(play())
    assert following == {"following": f"port {port}"}
    assert plugged["part"] == "Port"
    assert plugged["text"].startswith(f"plugged: port {port}")
    assert world.node.traces.follows == 0


def test_a_followed_flow_is_looked_at(world: NodeWorld) -> None:
    world.plug()
    first, second = list(world.topology.vms.values())[:2]

    async def play() -> list[Any]:
        query = f"source={first.address}&destination={second.address}&protocol=icmp"
        events = await stream(world, query)
        told = [await anext(events) for _ in range(3)]
        await events.aclose()  # type: ignore[attr-defined]
        return [event.json for event in told]

    following, verdict, entry = asyncio.run(play())
    assert following["following"].startswith(f"flow {first.address}:0 to {second.address}:0")
    assert (verdict["part"], entry["text"]) == ("Flow", "no flow table")
    assert verdict["text"].startswith("decision: ")


def test_a_stream_ends_after_the_seconds_that_were_asked_for(world: NodeWorld, ask: Asker) -> None:
    found = ask.get("/trace?prefix=10.0.0.0/8&vrf=red&for=0")
    assert found.headers["content-type"].startswith("text/event-stream")
    (line,) = filter(None, found.text.splitlines())
    assert json.loads(line.removeprefix("data: ")) == {"following": "prefix 10.0.0.0/8 of red"}
    assert world.node.traces.follows == 0


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "name what to follow"),
        ("port=tap1", "expected the UUID of a port"),
        ("prefix=10.0.0.0/8&for=ever", "for=ever: expected seconds"),
        ("source=a&destination=10.0.0.1&protocol=tcp", "expected an IP address"),
    ],
)
def test_what_cannot_be_followed(query: str, words: str, ask: Asker) -> None:
    found = ask.get(f"/trace?{query}")
    assert found.status_code == 400
    assert words in found.json["error"]


NAMES = st.sampled_from(
    ["port", "prefix", "vrf", "source", "destination", "protocol", "source_port", "module",
     "level", "category", "x"]
)  # fmt: skip
WORDS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["10.0.0.1", "10.0.0.0/8", "::/0", "tcp", "0", "65536", "xmpp", "SYS_DEBUG"]),
)


def test_no_question_is_answered_with_an_error_of_ours() -> None:
    ask = Asker(NodeWorld().node)

    @settings(max_examples=60, deadline=None)
    @given(st.dictionaries(NAMES, WORDS, max_size=6))
    def asked(query: dict[str, str]) -> None:
        assert ask.get(f"/trace?{urlencode({**query, 'for': '0'})}").status_code in (200, 400)
        found = ask._client.simulate_post("/log-level", query_string=urlencode(query))
        assert found.status_code in (200, 400)
        assert not ask.errors

    asked()
