"""How the agent is now: liveness, readiness, status, log levels, and traces as they happen.

| path | answer |
|---|---|
| `/healthz` | 200 `ok`: the loop turns |
| `/readyz` | 200 `ready`, or 503 with what it waits for |
| `/status` | everything on health, JSON: `agent.telemetry.health.Report.record` |
| `/log-level` | what is logged, JSON; POST with `module` and `level`, or `category`, changes it |
| `/trace` | what happens to one port, prefix or flow, as server-sent events, each a JSON object |
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol

import falcon
from falcon.asgi import Request, Response, SSEvent

from agent.errors import AgentError, UsageError
from agent.telemetry import Node
from agent.telemetry.probes import ALIVE, READY, Answer, not_ready
from agent.telemetry.trace_flow import PERIOD, FlowLook
from agent.telemetry.trace_subjects import FlowSubject, parse
from agent.telemetry.traces import FLOW, Follow, Line

KEEP_ALIVE = 2.0
"""Seconds of silence after which a stream shows that it lives, and finds out who has gone."""


class Bell(Protocol):
    """Wakes who waits for news."""

    def ring(self) -> None:
        """There is some."""
        ...

    async def heard(self, seconds: float) -> None:
        """Return when it rang since last heard, or after so many seconds."""
        ...


def resources(node: Node, bell: Callable[[], Bell]) -> Mapping[str, object]:
    """What to mount, by path. `bell` makes one."""
    return {
        "/healthz": Alive(),
        "/readyz": Ready(node),
        "/status": Status(node),
        "/log-level": LogLevel(node),
        "/trace": Trace(node, bell),
    }


class Alive:
    """Whoever gets this answer knows that the loop turns."""

    async def on_get(self, req: Request, resp: Response) -> None:
        _say(resp, ALIVE)


class Ready:
    """Whether the datapath is as the whole configuration wants it."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def on_get(self, req: Request, resp: Response) -> None:
        report = self._node.health.report()
        _say(resp, READY if report.ready else not_ready(report.waits_for))


class Status:
    """All parts with their states."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def on_get(self, req: Request, resp: Response) -> None:
        _answer(resp, self._node.health.report().record())


class LogLevel:
    """Asks for or changes what is logged."""

    def __init__(self, node: Node) -> None:
        self._logs = node.logs

    async def on_get(self, req: Request, resp: Response) -> None:
        _answer(resp, self._logs.record())

    async def on_post(self, req: Request, resp: Response) -> None:
        """`module` with `level` ("" gives it the level of all others again), or `category`."""
        said = req.params
        try:
            if "category" in said:
                self._logs.only(str(said["category"]))
            elif said.get("level"):
                self._logs.set(str(said.get("module", "")), str(said["level"]))
            elif said.get("module"):
                self._logs.unset(str(said["module"]))
            else:
                raise UsageError("name module and level, or category")
        except UsageError as error:
            return _refuse(resp, error)
        _answer(resp, self._logs.record())


class Trace:
    """Follows a subject until the client goes, or for the seconds that `for` gives."""

    def __init__(self, node: Node, bell: Callable[[], Bell]) -> None:
        self._node = node
        self._bell = bell

    async def on_get(self, req: Request, resp: Response) -> None:
        said = {name: str(value) for name, value in req.params.items()}
        bell = self._bell()
        try:
            seconds = _seconds(said.pop("for", ""))
            subject = parse(said, self._node.compiler)
            follow = self._node.traces.follow(subject, bell.ring)
        except AgentError as error:
            return _refuse(resp, error)
        resp.sse = self._events(follow, bell, seconds)

    async def _events(
        self, follow: Follow, bell: Bell, seconds: float | None
    ) -> AsyncIterator[SSEvent | None]:
        node, subject, lost = self._node, follow.subject, 0
        ends = None if seconds is None else node.clock() + seconds
        look = None
        if isinstance(subject, FlowSubject):
            look = FlowLook(subject, node.flows, node.compiler)
        pause, silent = KEEP_ALIVE if look is None else PERIOD, node.clock()
        try:
            yield SSEvent(json={"following": str(subject)})
            while ends is None or node.clock() < ends:
                lines = follow.take()
                if look is not None:
                    lines += [Line(node.wall(), FLOW, text) for text in look.news()]
                for line in lines:
                    yield SSEvent(json=line.record())
                if follow.lost > lost:
                    yield SSEvent(json={"lost": follow.lost - lost})
                    lost = follow.lost
                if lines:
                    silent = node.clock()
                elif node.clock() - silent >= KEEP_ALIVE:
                    silent = node.clock()
                    yield None
                await bell.heard(pause if ends is None else min(pause, ends - node.clock()))
        finally:
            node.traces.drop(follow)


def _seconds(text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1e6:
        raise UsageError(f"for={text}: expected seconds")
    return value


def _say(resp: Response, answer: Answer) -> None:
    resp.content_type = falcon.MEDIA_TEXT
    resp.status, resp.text = answer


def _answer(resp: Response, record: Mapping[str, object]) -> None:
    resp.content_type = falcon.MEDIA_JSON
    resp.text = json.dumps(record)


def _refuse(resp: Response, error: AgentError) -> None:
    resp.status = falcon.HTTP_400
    _answer(resp, {"error": str(error)})
