"""The process that owns a lab: serves `vrouter-lab`'s requests on the control socket."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from agent.errors import AgentError
from agent.lab.lab import Lab
from agent.lab.launch import DETACH
from agent.lab.messages import (
    AnyReply,
    AnyRequest,
    Control,
    Controlled,
    Done,
    Down,
    Failed,
    Follow,
    Kill,
    Plug,
    Start,
    Status,
    Step,
    Unplug,
    line,
    read_request,
)
from agent.lab.plan import Plan


class Supervisor:
    """Runs one lab until asked to end it, or until its lifeline closes."""

    def __init__(self, plan: Plan, topology_file: Path, logs: Path) -> None:
        self._lab = Lab(plan, topology_file, logs, self._note)
        self._journal: list[Step] = []
        self._changed = asyncio.Event()
        self._outcome: Done | Failed | None = None
        self._end = asyncio.Event()
        self._busy = asyncio.Lock()
        self._sessions: set[asyncio.Task[None]] = set()

    async def run(self, control: socket.socket, lifeline: socket.socket) -> None:
        """Bring the lab up, serve, and end it. Returns when everything inside has ended."""
        loop = asyncio.get_running_loop()
        loop.add_reader(lifeline, self._read_lifeline, lifeline)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end.set)
        # Not start_unix_server: from Python 3.13 that looks for the socket's path, by which it was
        # known only while it was made.
        server = await asyncio.start_server(self._session, sock=control)
        bring_up = asyncio.create_task(self._up())
        await self._end.wait()
        bring_up.cancel()
        await asyncio.gather(bring_up, return_exceptions=True)
        await self._lab.stop()
        server.close()

    def _read_lifeline(self, lifeline: socket.socket) -> None:
        if lifeline.recv(1) != DETACH:
            self._end.set()
        asyncio.get_running_loop().remove_reader(lifeline)

    async def _up(self) -> None:
        try:
            async with self._busy:
                await self._lab.up()
            self._outcome = Done()
        except (AgentError, OSError) as error:
            self._outcome = Failed(str(error))
        self._wake()

    def _note(self, title: str, seconds: float | None) -> None:
        self._journal.append(Step(title, seconds))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._sessions.add(task)
        try:
            while text := await reader.readline():
                async for reply in self._answer(text):
                    writer.write(line(reply))
                    await writer.drain()
        except (ConnectionError, ValueError):
            pass  # a client that went away or sent an endless line; the lab lives on
        finally:
            self._sessions.discard(task)
            writer.close()

    async def _answer(self, text: bytes) -> AsyncIterator[AnyReply]:
        try:
            request = read_request(text)
        except msgspec.DecodeError as error:
            yield Failed(f"not a request of this version of vrouter-lab: {error}")
            return
        match request:
            case Follow():
                async for reply in self._follow():
                    yield reply
            case Status():
                yield self._lab.state()
            case Down():
                self._end.set()
            case _:
                yield await self._command(request)

    async def _follow(self) -> AsyncIterator[AnyReply]:
        shown = 0
        while True:
            changed = self._changed
            for step in self._journal[shown:]:
                yield step
                shown += 1
            if self._outcome and shown == len(self._journal):
                yield self._outcome
                return
            await changed.wait()

    async def _command(self, request: AnyRequest) -> Done | Controlled | Failed:
        lab = self._lab
        try:
            async with self._busy:
                match request:
                    case Kill(node, role):
                        await lab.kill(node, role)
                    case Start(node, role):
                        await lab.start(node, role)
                    case Control(controller, words):
                        return Controlled(await lab.control(controller, words))
                    case Plug(vm):
                        await lab.plug(vm)
                    case Unplug(vm):
                        await lab.unplug(vm)
        except (AgentError, OSError) as error:
            return Failed(str(error))
        return Done()
