"""The port API at work: store, files, HTTP server and the stale timer on the running loop."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from agent.io.awaited import PATIENCE, Awaited
from agent.io.doors import Door
from agent.io.guard import Guard, Refusal
from agent.io.http import HttpServer, Limits
from agent.io.portfiles import PortFiles
from agent.rest import FileAction, OperationalView, PortStore, build_app
from agent.rest.files import Stamp
from agent.telemetry.meters import FileMeter

log = structlog.get_logger(__name__)

Explain = Callable[[Mapping[str, str]], Mapping[str, object]]
"""Answers a question about a flow. ConfigError says what is wrong with the question."""


def interface_exists(name: str) -> bool:
    """Whether the host has a network interface of that name now."""
    try:
        socket.if_nametoindex(name)
    except (OSError, ValueError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Core:
    """What is behind the API: `changed` is called whenever `store.changes()` may have some,
    `explain` for a question about a flow.
    """

    view: OperationalView
    changed: Callable[[], None]
    explain: Explain


class PortApi:
    """The `Backend` of the resources; `core` may be put there later than clients come.

    Ports are taken and stored without it. What needs it waits, for `patience` seconds at most.
    `meter` is told of files that cannot be written. With `check_interfaces`, stored ports whose
    interface is gone are not taken over at start.
    """

    def __init__(
        self,
        store: PortStore,
        *,
        directory: Path,
        door: Door,
        check_interfaces: bool = True,
        limits: Limits | None = None,
        meter: FileMeter | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.store = store
        self._core: Awaited[Core] = Awaited(patience)
        self._files = PortFiles(directory, meter)
        self._server = HttpServer(Guard(build_app(self), door, _refused), door, limits)
        self._exists = interface_exists if check_interfaces else None
        self._door = door
        self._timer: asyncio.TimerHandle | None = None
        self._cleaning: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The TCP port in use."""
        return self._server.port

    async def start(self) -> None:
        """Open the socket, take over stored ports, then answer.

        In this order no port is lost that a client stores while the agent starts: either its
        file is found, or its request waits in the socket. ConfigError when the address or the
        directory cannot be used.
        """
        self._server.listen()
        self.store.replay(await self._files.load(), self._exists)
        self._door.announce("port API")
        self._after_change()
        await self._server.start()
        log.info(
            "port API",
            host=self._door.host,
            port=self.port,
            replayed=self.store.counters.replayed,
        )

    def join(self, core: Core) -> None:
        """The core is there, and hears of all ports that are."""
        self._core.put(core)
        core.changed()

    def renew(self, door: Door) -> None:
        """The files of certificates and of the token were read again."""
        self._door.renew(door)

    async def stop(self) -> None:
        """Close the server, finish the files. What is stored stays stored."""
        await self._server.stop()
        if self._timer is not None:
            self._timer.cancel()
        if self._cleaning:
            await asyncio.wait(self._cleaning)
        self._files.close()

    # Backend

    def now(self) -> float:
        return time.monotonic()

    def stamp(self) -> Stamp:
        return Stamp(sys.argv[0], time.time())

    async def apply(self, actions: Sequence[FileAction]) -> None:
        self._after_change()
        await self._files.execute(actions)

    async def view(self) -> OperationalView:
        return (await self._core.get()).view

    async def explain(self, question: Mapping[str, str]) -> Mapping[str, object]:
        return (await self._core.get()).explain(question)

    def failed(self, error: BaseException) -> None:
        log.error("port API request failed", exc_info=error)

    def _after_change(self) -> None:
        while self.store.notices:
            log.warning(self.store.notices.popleft())
        self._arm()
        if self._core.value is not None:
            self._core.value.changed()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at = self.store.next_deadline()
        if at is not None:
            delay = max(0.0, at - self.now())
            self._timer = asyncio.get_running_loop().call_later(delay, self._expire)

    def _expire(self) -> None:
        task = asyncio.create_task(self.apply(self.store.expire(self.now())))
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)


def _refused(peer: str, refusal: Refusal) -> None:
    log.warning("port API request refused", peer=peer, reason=refusal.reason)
