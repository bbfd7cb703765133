"""The Falcon resources, one a route of facts rest-api.md 2."""

from __future__ import annotations

from uuid import UUID

import falcon
from falcon.asgi import Request, Response

from agent.errors import ConfigError
from agent.rest.answers import Record, port_answer, vm_answer, vm_config_answer
from agent.rest.backend import Backend
from agent.rest.bodies import Bodies
from agent.rest.body import Rejected, encode, encode_pretty
from agent.rest.files import FileAction
from agent.rest.validate import container_port, gateway_names, gateways, plugged_ports

CONTENT_TYPE = "application/json; charset=UTF-8"


def _refuse(resp: Response, text: str, status: str = falcon.HTTP_500) -> None:
    resp.status = status
    resp.data = encode({"error": text})


def _found(resp: Response, answer: Record | list[Record] | None) -> None:
    if answer is None:
        _refuse(resp, "{ Not Found }", falcon.HTTP_404)
    else:
        resp.data = encode_pretty(answer)


class Resource:
    """What all resources share: the backend, bodies, the acknowledgement."""

    def __init__(self, backend: Backend, bodies: Bodies) -> None:
        self._backend = backend
        self._bodies = bodies

    async def on_options(self, req: Request, resp: Response, **params: object) -> None:
        raise falcon.HTTPRouteNotFound

    async def _done(self, resp: Response, actions: list[FileAction]) -> None:
        await self._backend.apply(actions)
        resp.data = encode({})


class Ports(Resource):
    """POST /port"""

    async def on_post(self, req: Request, resp: Response) -> None:
        try:
            ports = await self._bodies.read(req, plugged_ports)
            actions = self._backend.store.plug(ports, self._backend.stamp())
        except Rejected as error:
            return _refuse(resp, f"{{ {error} }}")
        await self._done(resp, actions)


class Port(Resource):
    """GET and DELETE /port/<uuid>"""

    async def on_get(self, req: Request, resp: Response, uuid: UUID) -> None:
        backend = self._backend
        view = await backend.view()
        _found(resp, port_answer(backend.store, view, uuid, backend.stamp()))

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
        try:
            rows = await self._bodies.read(req, gateways)
            self._backend.store.add_gateways(rows)
        except Rejected as error:
            return _refuse(resp, f"{{ {error} }}")
        await self._done(resp, [])

    async def on_delete(self, req: Request, resp: Response) -> None:
        try:
            names = await self._bodies.read(req, gateway_names)
            self._backend.store.remove_gateways(names)
        except Rejected as error:
            return _refuse(resp, f"{{{error}}}")
        await self._done(resp, [])


class Vms(Resource):
    """POST /vm"""

    async def on_post(self, req: Request, resp: Response) -> None:
        try:
            port = await self._bodies.read(req, container_port)
            actions = self._backend.store.plug([port], self._backend.stamp())
        except Rejected as error:
            return _refuse(resp, f"{{ {error} }}")
        await self._done(resp, actions)


class Vm(Resource):
    """GET and DELETE /vm/<vm-uuid>"""

    async def on_get(self, req: Request, resp: Response, vm: UUID) -> None:
        backend = self._backend
        view = await backend.view()
        _found(resp, vm_answer(backend.store, view, vm, None, backend.stamp()))

    async def on_delete(self, req: Request, resp: Response, vm: UUID) -> None:
        await self._done(resp, self._backend.store.unplug_vm(vm))


class VmInterface(Resource):
    """GET /vm/<vm-uuid>/<vmi-uuid>"""

    async def on_get(self, req: Request, resp: Response, vm: UUID, vmi: UUID) -> None:
        backend = self._backend
        view = await backend.view()
        _found(resp, vm_answer(backend.store, view, vm, vmi, backend.stamp()))


class VmConfig(Resource):
    """GET /vm-cfg/<vm-name>"""

    async def on_get(self, req: Request, resp: Response, name: str) -> None:
        _found(resp, vm_config_answer(await self._backend.view(), name))


class LinkState(Resource):
    """PUT /enable-port/<uuid> and /disable-port/<uuid>"""

    def __init__(self, backend: Backend, bodies: Bodies, *, up: bool) -> None:
        super().__init__(backend, bodies)
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
            resp.data = encode_pretty(dict(await self._backend.explain(words)))
        except ConfigError as error:
            _refuse(resp, str(error), falcon.HTTP_400)
