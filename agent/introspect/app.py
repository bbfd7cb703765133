"""The ASGI application of the port: routes, and the answer to everything that fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Any

import falcon
import falcon.asgi
from falcon.asgi import Request, Response

from agent.introspect import live, pages
from agent.introspect.catalogue import prepare
from agent.introspect.forms import JSON, XML
from agent.introspect.resources import (
    Fixed,
    Home,
    Metrics,
    Module,
    Snh,
    Surroundings,
    form_for,
    refusal,
)
from agent.telemetry import Node
from agent.telemetry.meters import INTROSPECT

__all__ = ["AsgiApp", "Surroundings", "build_app"]

AsgiApp = Callable[[dict[str, Any], Callable[..., Any], Callable[..., Any]], Awaitable[None]]


class _Meter:
    """Counts answers, and how long they took to begin."""

    def __init__(self, node: Node, clock: Callable[[], float]) -> None:
        self._node = node
        self._clock = clock

    async def process_request(self, req: Request, resp: Response) -> None:
        req.context.begun = self._clock()

    async def process_response(
        self, req: Request, resp: Response, resource: object, succeeded: bool
    ) -> None:
        seconds = self._clock() - req.context.begun
        self._node.meters.answered(INTROSPECT, resp.status_code, seconds)


def build_app(node: Node, around: Surroundings) -> AsgiApp:
    """The ASGI application over a running agent."""
    prepare((XML, JSON))
    app: falcon.asgi.App[Any, Any] = falcon.asgi.App(middleware=[_Meter(node, around.clock)])
    app.req_options.strip_url_path_trailing_slash = False
    for path, resource in _routes(node, around).items():
        app.add_route(path, resource)

    async def failed(req: Request, resp: Response, error: Exception, params: object) -> None:
        around.failed(error)
        form = form_for(req)
        resp.status, resp.content_type = falcon.HTTP_500, form.content_type
        resp.data = refusal(form, "Internal error: the agent's log says more")

    async def http_error(
        req: Request, resp: Response, error: falcon.HTTPError, params: object
    ) -> None:
        form = form_for(req)
        resp.status, resp.content_type = error.status, form.content_type
        resp.data = refusal(form, f"{error.title}: {req.path}")

    app.add_error_handler(Exception, failed)
    app.add_error_handler(falcon.HTTPError, http_error)
    return app


def _routes(node: Node, around: Surroundings) -> Mapping[str, object]:
    style = files("agent.introspect").joinpath("universal_parse.xsl").read_text()
    people = dict(pages.routes(node, around.pace))
    return {
        **people,
        "/": Home(people["/"]),
        "/Snh_{request}": Snh(node, around),
        "/json/{request}": Snh(node, around, JSON),
        "/universal_parse.xsl": Fixed("text/xsl; charset=utf-8", style),
        "/{module}.xml": Module(),
        "/metrics": Metrics(node, around),
        **live.resources(node, around.bell),
    }
