"""The ASGI application: routes, and the form of every answer that no resource gives."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import falcon
import falcon.asgi
from falcon.routing import BaseConverter

from agent.rest import resources
from agent.rest.backend import Backend
from agent.rest.bodies import ARRIVING, Arriving, Bodies
from agent.rest.body import encode

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY = 4 << 20
"""Bytes of a request body that are taken; a longer one is answered 413."""

_KEY = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class _KeyConverter(BaseConverter):
    """A UUID of a path: lower-case and dashed; anything else is no route."""

    def convert(self, value: str) -> UUID | None:
        return UUID(value) if _KEY.fullmatch(value) else None


async def _unknown_request(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: falcon.HTTPError, params: object
) -> None:
    resp.status = falcon.HTTP_404
    resp.data = encode({"error": "Unknown Request"})


async def _http_error(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: falcon.HTTPError, params: object
) -> None:
    resp.status = error.status
    resp.data = encode({"error": error.title})
    if error.headers:
        resp.set_headers(error.headers)


async def _starting(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: TimeoutError, params: object
) -> None:
    resp.status = falcon.HTTP_503
    resp.data = encode({"error": "The agent is still starting"})
    resp.retry_after = 1


def _routes(backend: Backend, bodies: Bodies) -> dict[str, resources.Resource]:
    return {
        "/port": resources.Ports(backend, bodies),
        "/port/{uuid:key}": resources.Port(backend, bodies),
        "/syncports": resources.SyncPorts(backend, bodies),
        "/gateway": resources.Gateways(backend, bodies),
        "/vm": resources.Vms(backend, bodies),
        "/vm/{vm:key}": resources.Vm(backend, bodies),
        "/vm/{vm:key}/{vmi:key}": resources.VmInterface(backend, bodies),
        "/vm-cfg/{name:path}": resources.VmConfig(backend, bodies),
        "/explain/flow": resources.FlowExplanation(backend, bodies),
        "/enable-port/{uuid:key}": resources.LinkState(backend, bodies, up=True),
        "/disable-port/{uuid:key}": resources.LinkState(backend, bodies, up=False),
    }


def build_app(backend: Backend) -> AsgiApp:
    """The ASGI application of the port API over `backend`."""
    app: falcon.asgi.App[Any, Any] = falcon.asgi.App(media_type=resources.CONTENT_TYPE)
    app.router_options.converters["key"] = _KeyConverter
    for path, resource in _routes(backend, Bodies(MAX_BODY)).items():
        app.add_route(path, resource)

    async def failed(
        req: falcon.asgi.Request, resp: falcon.asgi.Response, error: Exception, params: object
    ) -> None:
        backend.failed(error)
        resp.status = falcon.HTTP_500
        resp.data = encode({"error": "{ Internal error }"})

    app.add_error_handler(Exception, failed)
    app.add_error_handler(TimeoutError, _starting)
    app.add_error_handler(falcon.HTTPError, _http_error)
    app.add_error_handler(falcon.HTTPNotFound, _unknown_request)
    app.add_error_handler(falcon.HTTPMethodNotAllowed, _unknown_request)

    async def with_raw_path(scope: Scope, receive: Receive, send: Send) -> None:
        """Route on the path as the client sent it: names in it are never percent-decoded."""
        if scope["type"] == "http":
            path = scope["raw_path"].decode("latin-1")
            # Falcon ignores further slashes at the start; the API has no route with them.
            path = "/" if path.startswith("//") else path
            receive = arriving = Arriving(receive)
            scope = {**scope, "path": path, ARRIVING: arriving}
        await app(scope, receive, send)

    return with_raw_path
