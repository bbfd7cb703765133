"""The Falcon resources of requests, of lists of them, and of metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass

import falcon
from falcon.asgi import Request, Response

from agent.errors import DatapathError, UsageError, WireError
from agent.introspect import index, live, pages
from agent.introspect.document import document, is_served, single
from agent.introspect.forms import JSON, XML, Form
from agent.introspect.pace import Pace
from agent.introspect.query import parse
from agent.introspect.request import Answer
from agent.introspect.slices import PACE
from agent.telemetry import Node
from agent.telemetry.prometheus import CONTENT_TYPE, exposition

_PIECE = 64 << 10
"""Bytes that are sent at once."""
_INDEX = "index"


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

    def pace(self) -> Pace:
        """How long an answer may be made before others have their turn."""
        return Pace(self.clock, self.pause)

    async def guarded(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The pieces of an answer that has begun.

        When one cannot be made the connection breaks off, and the client sees it.
        """
        try:
            async for piece in pieces:
                yield piece
        except Exception as error:
            self.failed(error)
            raise


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
        pace = self._around.pace()
        PACE.set(pace)
        made = await document(self._node, request, query, form, pace)
        if made.rest is None:
            resp.data = made.first
        else:
            resp.stream = self._around.guarded(_stream(made.first, made.rest, pace))


async def _stream(first: bytes, rest: AsyncIterator[bytes], pace: Pace) -> AsyncIterator[bytes]:
    """The answer in pieces that are soon sent."""
    for piece in _pieces(first):
        yield piece
    async for message in rest:
        for piece in _pieces(message):
            yield piece
            if pace.due:
                await pace.rest()


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
    """`/<module>.xml`: the requests of a module, with their fields; `/index.xml`: the modules."""

    async def on_get(self, req: Request, resp: Response, module: str) -> None:
        text = index.modules() if module == _INDEX else index.module(module)
        if text is None:
            raise falcon.HTTPRouteNotFound
        resp.content_type = XML.content_type
        resp.data = text.encode()


class Home:
    """`/`: the page for people where a browser asks, else the list of modules."""

    def __init__(self, page: pages.Resource) -> None:
        self._page = page

    async def on_get(self, req: Request, resp: Response) -> None:
        if req.client_prefers(("text/xml", "application/xml", "text/html")) == "text/html":
            await self._page.on_get(req, resp)
        else:
            await Module().on_get(req, resp, _INDEX)
        resp.append_header("Vary", "Accept")


class Metrics:
    """`/metrics`: everything that is counted, as Prometheus reads it."""

    def __init__(self, node: Node, around: Surroundings) -> None:
        self._node = node
        self._around = around

    async def on_get(self, req: Request, resp: Response) -> None:
        resp.content_type = CONTENT_TYPE
        pieces = _paced(exposition(self._node), self._around.pace())
        resp.stream = self._around.guarded(pieces)


async def _paced(pieces: Iterable[bytes], pace: Pace) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
        if pace.due:
            await pace.rest()
