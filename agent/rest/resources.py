"""The Falcon resources, one a route of facts rest-api.md 2."""

from __future__ import annotations

from uuid import UUID

import falcon
from falcon.asgi import Request, Response

from agent.errors import ConfigError
from agent.rest.answers import Record, port_answer, vm_answer, vm_config_answer
from agent.rest.backend import Backend
from agent.rest.body import Rejected, encode, encode_pretty
from agent.rest.files import FileAction
from agent.rest.validate import container_port, gateway_names, gateways, plugged_ports

CONTENT_TYPE = "application/json; charset=UTF-8"

# An oversized body is read on up to this many times the limit, so that the client, which
# first sends everything, then finds the answer and not a reset connection.
_DRAINED = 8


def _refuse(resp: Response, text: str, status: str = falcon.HTTP_500) -> None:
    resp.status = status
    resp.data = encode({"error": text})


def _found(resp: Response, answer: Record | list[Record] | None) -> None:
    if answer is None:
        _refuse(resp, "{ Not Found }", falcon.HTTP_404)
    else:
        resp.data = encode_pretty(answer)


class Resource:
    """What all resources share: the backend, bodies of bounded size, the acknowledgement."""

    def __init__(self, backend: Backend, max_body: int) -> None:
        self._backend = backend
        self._max_body = max_body

    async def on_options(self, req: Request, resp: Response, **params: object) -> None:
        raise falcon.HTTPRouteNotFound

    async def _body(self, req: Request) -> bytes:
        """The whole request body; HTTPError when it is too long or was cut off."""
        pieces, size = [], 0
        async for piece in req.stream:
            size += len(piece)
            if size <= self._max_body:
                pieces.append(piece)
            elif size > _DRAINED * self._max_body:
                break
        if size > self._max_body:
            raise falcon.HTTPContentTooLarge(
                title=f"The request body is longer than {self._max_body} bytes",
                headers={"Connection": "close"},
            )
        if size < (req.content_length or 0):
            raise falcon.HTTPBadRequest(title="The request body was cut off")
        return b"".join(pieces)

    async def _done(self, resp: Response, actions: list[FileAction]) -> None:
        await self._backend.apply(actions)
        resp.data = encode({})


class Ports(Resource):
    """POST /port"""

    async def on_post(self, req: Request, resp: Response) -> None:
        body = await self._body(req)
        try:
            actions = self._backend.store.plug(plugged_ports(body), self._backend.stamp())
        except Rejected as error:
            return _refuse(resp, f"{{ {error} }}")
        await self._done(resp, actions)


class Port(Resource):
    """GET and DELETE /port/<uuid>"""

    async def on_get(self, req: Request, resp: Response, uuid: UUID) -> None:
        backend = self._backend
        _found(resp, port_answer(backend.store, backend.view, uuid, backend.stamp()))

    async def on_delete(self, req: Request, resp: Response, uuid: UUID) -> None:
        await self._done(resp, self._backend.store.unplug(uuid))


class SyncPorts(Resource):
    """POST /syncports"""

    async def on_post(self, req: Request, resp: Response) -> None:
        self._backend.store.sync(self._backend.now())
        await self._done(resp, [])


class Gateways(Resource):
    """POST and DELETE /gateway"""

    async def on_post(self, req: Request, resp: Response) -> None:
        body = await self._body(req)
        try:
            self._backend.store.add_gateways(gateways(body))
        except Rejected as error:
            return _refuse(resp, f"{{ {error} }}")
        await self._done(resp, [])

    async def on_delete(self, req: Request, resp: Response) -> None:
        body = await self._body(req)
        try:
            self._backend.store.remove_gateways(gateway_names(body))
        except Rejected as error:
            return _refuse(resp, f"{{{error}}}")
        await self._done(resp, [])


class Vms(Resource):
    """POST /vm"""

    async def on_post(self, req: Request, resp: Response) -> None:
        body = await self._body(req)
        try:
            actions = self._backend.store.plug([container_port(body)], self._backend.stamp())
        except Rejected as error:
            return _refuse(resp, f"{{ {error} }}")
        await self._done(resp, actions)


class Vm(Resource):
    """GET and DELETE /vm/<vm-uuid>"""

    async def on_get(self, req: Request, resp: Response, vm: UUID) -> None:
        backend = self._backend
        _found(resp, vm_answer(backend.store, backend.view, vm, None, backend.stamp()))

    async def on_delete(self, req: Request, resp: Response, vm: UUID) -> None:
        await self._done(resp, self._backend.store.unplug_vm(vm))


class VmInterface(Resource):
    """GET /vm/<vm-uuid>/<vmi-uuid>"""

    async def on_get(self, req: Request, resp: Response, vm: UUID, vmi: UUID) -> None:
        backend = self._backend
        _found(resp, vm_answer(backend.store, backend.view, vm, vmi, backend.stamp()))


class VmConfig(Resource):
    """GET /vm-cfg/<vm-name>"""

    async def on_get(self, req: Request, resp: Response, name: str) -> None:
        _found(resp, vm_config_answer(self._backend.view, name))


class LinkState(Resource):
    """PUT /enable-port/<uuid> and /disable-port/<uuid>"""

    def __init__(self, backend: Backend, max_body: int, *, up: bool) -> None:
        super().__init__(backend, max_body)
        self._up = up

    async def on_put(self, req: Request, resp: Response, uuid: UUID) -> None:
        store = self._backend.store
        try:
            actions = store.set_link_state(uuid, self._up, self._backend.stamp())
        except Rejected as error:
            return _refuse(resp, f"{{{error}}}")
        await self._done(resp, actions)


class FlowExplanation(Resource):
    """`/explain/flow`: why a flow is forwarded or dropped; not an API of the C++ agent."""

    async def on_get(self, req: Request, resp: Response) -> None:
        words = {name: str(value) for name, value in req.params.items()}
        try:
            resp.data = encode_pretty(dict(self._backend.explain(words)))
        except ConfigError as error:
            _refuse(resp, str(error), falcon.HTTP_400)
