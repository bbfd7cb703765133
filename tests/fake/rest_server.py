"""A real port API on an ephemeral port, in a thread of its own, over a small configuration."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import uvloop

from agent.inputs import PluggedPort
from agent.io.doors import Door
from agent.io.http import Limits
from agent.io.port_api import Core, PortApi
from agent.oper.rows import Subnet, Vmi, Vn
from agent.rest import Change, PortStore, VmiConfig
from agent.telemetry.meters import FileMeter
from agent.values import Mac, prefix

T = TypeVar("T")


class ConfigView:
    """An operational view over the `config` member of a vector, joined with the plugged ports."""

    def __init__(self, store: PortStore) -> None:
        self._store = store
        self.config: dict[str, Any] = {}

    def vmi_by_uuid(self, uuid: UUID) -> Vmi | None:
        config = self.config.get("vmi")
        plugged = any(
            (port.uuid if isinstance(port, PluggedPort) else port.vmi_uuid) == uuid
            for port in self._store.ports()
        )
        if not plugged or config is None or UUID(config["uuid"]) != uuid:
            return None
        vn = self._vn()
        ip, ip6 = config.get("instance_ip"), config.get("instance_ip6")
        return Vmi(
            uuid=uuid,
            name=config["uuid"],
            vif_index=3,
            os_index=0,
            mac=Mac.parse(config["mac"]),
            active=True,
            reason="",
            vm_uuid=UUID(config["vm"]),
            vm_name=self.config["vm"]["name"],
            vn=vn,
            vrf=None,
            ip=IPv4Address(ip) if ip else None,
            ip6=IPv6Address(ip6) if ip6 else None,
            subnet=self._subnet(vn, ip),
            subnet6=self._subnet(vn, ip6),
        )

    def vmis_of_vm(self, vm_uuid: UUID) -> Iterable[UUID]:
        config = self.config.get("vmi")
        return [UUID(config["uuid"])] if config and UUID(config["vm"]) == vm_uuid else []

    def vm_config(self, vm_name: str) -> Sequence[VmiConfig]:
        if self.config.get("vm", {}).get("name") != vm_name:
            return []
        config = self.config["vmi"]
        return [
            VmiConfig(
                UUID(config["uuid"]),
                UUID(config["vm"]),
                UUID(config["vn"]),
                self.config["vn"]["fq_name"],
                Mac.parse(config["mac"]),
                annotations=tuple((key, value) for key, value in config.get("annotations", ())),
            )
        ]

    def _vn(self) -> Vn:
        vn = self.config["vn"]
        subnets = tuple(
            Subnet(prefix(row["subnet"]), ip_address(row["gateway"]), ip_address(row["dns"]))
            for row in vn["ipam"]
        )
        return Vn(UUID(vn["uuid"]), vn["fq_name"], None, 0, subnets)

    @staticmethod
    def _subnet(vn: Vn, address: str | None) -> Subnet | None:
        if not address:
            return None
        matching = (row for row in vn.subnets if ip_address(address) in row.prefix)
        return next(matching, None)


@dataclass
class Answer:
    """An HTTP answer with its JSON body."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class RestServer:
    """The running server, and what it told the daemon so far."""

    api: PortApi
    view: ConfigView
    loop: asyncio.AbstractEventLoop
    directory: Path
    told: list[Change] = field(default_factory=list)
    meter: FileMeter = field(default_factory=FileMeter)

    @property
    def port(self) -> int:
        return self.api.port

    def on_loop(self, function: Callable[[], T]) -> T:
        """Call `function` on the server's loop, between requests."""

        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(10)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own."""
        if raw is None and body is not None:
            raw = json.dumps(body).encode()
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            client.request(method, path, raw, headers or {})
            reply = client.getresponse()
            return Answer(reply.status, dict(reply.getheaders()), reply.read().decode())
        finally:
            client.close()

    def stored(self, path: str) -> Any:
        """The content of a stored file, by its path under the port directory."""
        return json.loads((self.directory / path).read_text())


@contextmanager
def rest_server(
    directory: Path,
    *,
    stale_timeout: float = 60.0,
    check_interfaces: bool = True,
    limits: Limits | None = None,
    door: Door | None = None,
) -> Iterator[RestServer]:
    """Run a port API over `directory` until the block ends."""
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="rest-server")
    thread.start()

    async def build() -> RestServer:
        store = PortStore(stale_timeout)
        view = ConfigView(store)
        told: list[Change] = []
        meter = FileMeter()
        api = PortApi(
            store,
            directory=directory,
            door=door or Door(),
            check_interfaces=check_interfaces,
            limits=limits,
            meter=meter,
        )
        api.join(Core(view, lambda: told.extend(store.changes()), dict))
        await api.start()
        return RestServer(api, view, loop, directory, told, meter)

    try:
        server = asyncio.run_coroutine_threadsafe(build(), loop).result(10)
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(server.api.stop(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
