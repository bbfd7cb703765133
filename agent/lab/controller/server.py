"""The controller's sockets: the XMPP listener, its connections and the control socket."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import msgspec

from agent.errors import AgentError
from agent.io.files import read_topology
from agent.lab.controller.controller import Controller, Options
from agent.lab.controller.messages import (
    AnyCommand,
    AnyReply,
    Close,
    Delay,
    Done,
    Failed,
    Flap,
    Kind,
    Release,
    Reload,
    Repeat,
    Restart,
    RouteList,
    Routes,
    Start,
    Status,
    Stop,
    Withhold,
    line,
    read_command,
)
from agent.lab.controller.session import Session
from agent.settings import Server as Address


def note(text: str) -> None:
    """A line of the log."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class _Connection(asyncio.Protocol):
    """One agent's TCP connection; among `connections` once it is made."""

    def __init__(
        self, controller: Controller, connections: set[_Connection], pump: Callable[[], None]
    ) -> None:
        self._controller = controller
        self._connections = connections
        self._pump = pump
        self._paused = False
        self._transport: asyncio.Transport | None = None
        self.session: Session | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        remote = IPv4Address(transport.get_extra_info("peername")[0])
        self.session = self._controller.connected(remote, time.monotonic())
        self._connections.add(self)
        self._pump()

    def data_received(self, data: bytes) -> None:
        assert self.session
        self._controller.received(self.session, data, time.monotonic())
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        assert self.session
        self._transport = None
        self._connections.discard(self)
        self._controller.lost(self.session, time.monotonic())
        self._pump()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._pump()

    def write(self, now: float) -> bool:
        """Send what is due, and close when the session says so; whether anything was sent."""
        if self._transport is None or self.session is None or self._transport.is_closing():
            return False
        if self.session.closed:
            self._transport.abort()
            return False
        data = b"" if self._paused else self.session.take(now)
        if data:
            self._transport.write(data)
        return bool(data)


@dataclass(frozen=True, slots=True)
class Places:
    """Where a controller listens, where it is told commands, and its topology file."""

    listen: Address
    control: Path
    topology: Path


class Server:
    """Runs one controller until SIGTERM or SIGINT."""

    def __init__(self, places: Places, options: Options) -> None:
        self._places = places
        self._file = places.topology
        self._controller = Controller(read_topology(places.topology), options, note)
        self._connections: set[_Connection] = set()
        self._listener: asyncio.Server | None = None
        self._changing = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._pumping = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve; OSError if an address cannot be used."""
        loop = asyncio.get_running_loop()
        end = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end.set)
        await self._follow_serving()
        path = self._places.control
        control = await asyncio.start_unix_server(self._commands, path=f"{path}.new")
        os.rename(f"{path}.new", path)  # visible only once it answers
        note(f"serving {read_topology(self._file).name} on {self._places.listen}")
        await end.wait()
        self._controller.stop()
        self._pump()
        await self._follow_serving()
        control.close()
        path.unlink(missing_ok=True)

    # Sessions

    def _connect(self) -> _Connection:
        return _Connection(self._controller, self._connections, self._pump)

    def _pump(self) -> None:
        """Let the controller act on the time, send what it has, and wake up when it must."""
        if self._pumping:
            return  # closing a connection may call back at once
        self._pumping = True
        try:
            now = time.monotonic()
            self._controller.tick(now)
            while any([connection.write(now) for connection in list(self._connections)]):
                self._controller.tick(now)
        finally:
            self._pumping = False
        self._arm()
        if self._controller.serving != (self._listener is not None):
            self._spawn()

    def _arm(self) -> None:
        if self._timer:
            self._timer.cancel()
        wake = self._controller.wake()
        loop = asyncio.get_running_loop()
        delay = None if wake is None else max(0.001, wake - time.monotonic())
        self._timer = None if delay is None else loop.call_later(delay, self._pump)

    def _spawn(self) -> None:
        task = asyncio.create_task(self._follow_serving())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow_serving(self) -> None:
        """Listen when the controller serves, and else not."""
        async with self._changing:
            if self._controller.serving and self._listener is None:
                loop = asyncio.get_running_loop()
                listen = self._places.listen
                self._listener = await loop.create_server(
                    self._connect, str(listen.address), listen.port, reuse_address=True
                )
            elif not self._controller.serving and self._listener:
                self._listener.close()
                self._listener = None

    # Commands

    async def _commands(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while text := await reader.readline():
                writer.write(line(await self._answer(text)))
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # a client that went away or sent an endless line
        finally:
            writer.close()

    async def _answer(self, text: bytes) -> AnyReply:
        try:
            reply = self._carry_out(read_command(text))
        except msgspec.DecodeError as error:
            return Failed(f"not a command: {error}")
        except AgentError as error:
            return Failed(str(error))
        self._pump()
        await self._follow_serving()
        return reply

    def _carry_out(self, command: AnyCommand) -> AnyReply:
        controller, now = self._controller, time.monotonic()
        match command:
            case Status():
                return controller.state(now)
            case Routes(vrf):
                return RouteList(controller.routes(vrf))
            case Stop():
                controller.stop()
            case Start():
                controller.start()
            case Restart():
                controller.stop()
                controller.start()
            case Flap(count, seconds):
                controller.flap(count, seconds, now)
            case _:
                self._disturb(command, now)
        return Done()

    def _disturb(self, command: AnyCommand, now: float) -> None:
        controller = self._controller
        match command:
            case Delay(ms):
                controller.delay = max(0.0, ms / 1000)
            case Close(agent):
                controller.close(agent)
            case Withhold(kinds):
                controller.withheld.update(kinds)
            case Release(kinds):
                controller.withheld.difference_update(kinds or list(Kind))
            case Repeat(count, agent):
                controller.repeat(count, agent, now)
            case Reload(path):
                self._file = Path(path) if path else self._file
                controller.reload(read_topology(self._file))
