"""The ASGI application of the port: routes, forms, and the answer to everything that fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import falcon
import falcon.asgi
from falcon.asgi import Request, Response

from agent.errors import DatapathError, UsageError, WireError
from agent.introspect import index, live
from agent.introspect.catalogue import prepare
from agent.introspect.document import document, is_served, single
from agent.introspect.forms import JSON, XML, Form
from agent.introspect.pace import Pace
from agent.introspect.query import parse
from agent.introspect.request import Answer
from agent.telemetry import Node

_PIECE = 64 << 10
"""Bytes that are sent at once."""

AsgiApp = Callable[[dict[str, Any], Callable[..., Any], Callable[..., Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the application needs of who serves it.

    `clock` gives seconds; `pause` lets the loop go on; `failed` is told of errors of ours.
    `bell` makes what wakes those who wait for news.
    """

    clock: Callable[[], float]
    pause: Callable[[], Awaitable[None]]
    failed: Callable[[BaseException], None]
    bell: Callable[[], live.Bell]


class Snh:
    """`/Snh_<Request>`, as XML, or as JSON where the client accepts that alone."""

    def __init__(self, node: Node, around: Surroundings, form: Form | None = None) -> None:
        self._node = node
        self._around = around
        self._form = form

    async def on_get(self, req: Request, resp: Response, request: str) -> None:
        form = self._form or form_for(req)
        resp.content_type = form.content_type
        if not is_served(request):
            resp.status = falcon.HTTP_404
            resp.data = refusal(form, f"There is no request {request}: / lists them")
            return
        try:
            await self._answer(req, resp, request, form)
        except UsageError as error:
            resp.status = falcon.HTTP_400
            resp.data = refusal(form, str(error))
        except (WireError, DatapathError) as error:
            resp.status = falcon.HTTP_503
            resp.data = refusal(form, str(error))

    async def _answer(self, req: Request, resp: Response, request: str, form: Form) -> None:
        query = parse(request, req.query_string)
        pace = Pace(self._around.clock, self._around.pause)
        made = await document(self._node, request, query, form, pace)
        if made.rest is None:
            resp.data = made.first
        else:
            resp.stream = self._stream(made.first, made.rest, pace)

    async def _stream(
        self, first: bytes, rest: AsyncIterator[bytes], pace: Pace
    ) -> AsyncIterator[bytes]:
        """The answer in pieces that are soon sent.

        When one cannot be made the connection breaks off, and the client sees it.
        """
        try:
            for piece in _pieces(first):
                yield piece
            async for message in rest:
                for piece in _pieces(message):
                    yield piece
                    if pace.due:
                        await pace.rest()
        except Exception as error:
            self._around.failed(error)
            raise


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[at : at + _PIECE] for at in range(0, len(data), _PIECE))


def form_for(req: Request) -> Form:
    """JSON where the client prefers it, else XML."""
    kinds = ("text/xml", "application/xml", "application/json")
    try:
        found = req.client_prefers(kinds)
    except ValueError:
        found = None
    return JSON if found == "application/json" else XML


def refusal(form: Form, text: str) -> bytes:
    """The answer that says what is wrong."""
    return single(form, Answer("ErrorResp", {"resp": text}))


class Fixed:
    """A text that is always the same."""

    def __init__(self, content_type: str, text: str) -> None:
        self._content_type = content_type
        self._data = text.encode()

    async def on_get(self, req: Request, resp: Response) -> None:
        resp.content_type = self._content_type
        resp.data = self._data


class Module:
    """`/<module>.xml`: the requests of a module, with their fields."""

    async def on_get(self, req: Request, resp: Response, module: str) -> None:
        text = index.module(module)
        if text is None:
            raise falcon.HTTPRouteNotFound
        resp.content_type = XML.content_type
        resp.data = text.encode()


def build_app(node: Node, around: Surroundings) -> AsgiApp:
    """The ASGI application over a running agent."""
    prepare((XML, JSON))
    app: falcon.asgi.App[Any, Any] = falcon.asgi.App()
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
    style = resources.files("agent.introspect").joinpath("universal_parse.xsl").read_text()
    return {
        "/": Fixed(XML.content_type, index.modules()),
        "/Snh_{request}": Snh(node, around),
        "/json/{request}": Snh(node, around, JSON),
        "/universal_parse.xsl": Fixed("text/xsl; charset=utf-8", style),
        "/{module}.xml": Module(),
        **live.resources(node, around.bell),
    }
