"""The Falcon resources: pages, the files beside them, and numbers for the script."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias

import falcon
from falcon.asgi import Request, Response

from agent.introspect.pace import Pace
from agent.introspect.pages.asked import Asked, BadRequest, NotThere
from agent.introspect.pages.render import HTML, STATIC, Renderer, headers, static
from agent.introspect.pages.shown import Note, Section, Shown
from agent.introspect.slices import PACE
from agent.telemetry import Node

Show: TypeAlias = Callable[[Node, Asked], Awaitable[Shown]]
"""Makes a page; BadRequest, NotThere."""
Tell: TypeAlias = Callable[[Node, Asked], Awaitable[dict[str, Any]]]
"""Numbers for the script, as JSON has them; BadRequest, NotThere."""


class Resource(Protocol):
    """What Falcon asks; `path` are the parts of the address by their names in its pattern."""

    async def on_get(self, req: Request, resp: Response, **path: str) -> None: ...


class Page:
    """One kind of page."""

    def __init__(
        self, node: Node, renderer: Renderer, show: Show, pace: Callable[[], Pace]
    ) -> None:
        self._node = node
        self._renderer = renderer
        self._show = show
        self._pace = pace

    async def on_get(self, req: Request, resp: Response, **path: str) -> None:
        asked = _asked(req, path)
        PACE.set(self._pace())
        try:
            shown = await self._show(self._node, asked)
        except BadRequest as error:
            shown = _problem("This cannot be answered", str(error), falcon.HTTP_400)
        except NotThere as error:
            shown = _problem("There is no such thing here", str(error), falcon.HTTP_404)
        resp.status = shown.status
        resp.content_type = HTML
        resp.text = await self._renderer.render(shown, req.path, asked.text("q"))
        headers(resp)


class Data:
    """Numbers that the script draws."""

    def __init__(self, node: Node, tell: Tell, pace: Callable[[], Pace]) -> None:
        self._node = node
        self._tell = tell
        self._pace = pace

    async def on_get(self, req: Request, resp: Response, **path: str) -> None:
        PACE.set(self._pace())
        try:
            answer = await self._tell(self._node, _asked(req, path))
        except (BadRequest, NotThere) as error:
            resp.status = falcon.HTTP_404
            answer = {"error": str(error)}
        resp.content_type = falcon.MEDIA_JSON
        resp.data = json.dumps(answer, allow_nan=False).encode()
        headers(resp)


class Static:
    """The style sheet, the script and the icon."""

    def __init__(self) -> None:
        self._contents = {name: static(name) for name in STATIC}

    async def on_get(self, req: Request, resp: Response, **path: str) -> None:
        name = path["name"]
        if name not in self._contents:
            raise falcon.HTTPNotFound
        resp.content_type = STATIC[name]
        resp.data = self._contents[name]
        headers(resp, keep=True)


def _asked(req: Request, path: dict[str, str]) -> Asked:
    query = {
        name: value[-1] if isinstance(value, list) else str(value)
        for name, value in req.params.items()
    }
    return Asked(path, query)


def _problem(title: str, text: str, status: str) -> Shown:
    return Shown(title, [Section("problem", "What was asked", [Note(text)])], status=status)
