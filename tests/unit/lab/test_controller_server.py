"""The lab's controller on real sockets."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.lab.controller import messages
from agent.lab.controller.controller import Options
from agent.lab.controller.server import Places, Server
from agent.settings import Server as Address

TOPOLOGY = "hosts: {one: {}}\nnetworks: {red: {subnet: 10.1.1.0/24}}\n"
LIMIT = 20.0
AGENTS = 40


def opening(agent: str) -> bytes:
    return (
        f'<?xml version="1.0"?>\n<stream:stream from="{agent}" to="x" version="1.0" '
        'xml:lang="en" xmlns="" xmlns:stream="http://etherx.jabber.org/streams"  >'
    ).encode()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Running:
    """A controller in this process."""

    def __init__(self, places: Places) -> None:
        self.places = places

    async def ask(self, *words: str) -> messages.AnyReply:
        return await self.line(messages.line(messages.command_of(words)))

    async def line(self, data: bytes) -> messages.AnyReply:
        reader, writer = await asyncio.open_unix_connection(str(self.places.control))
        writer.write(data)
        reply: messages.AnyReply = messages.read_reply(await reader.readline())
        writer.close()
        return reply

    async def agent(self, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        listen = self.places.listen
        reader, writer = await asyncio.open_connection(str(listen.address), listen.port)
        writer.write(opening(name))
        return reader, writer


async def until_closed(reader: asyncio.StreamReader) -> None:
    """In order or by a reset."""
    with suppress(ConnectionError):
        while await reader.read(1000):
            pass


@asynccontextmanager
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    file = tmp_path / "topology.yaml"
    file.write_text(TOPOLOGY)
    listen = Address(IPv4Address("127.0.0.1"), free_port())
    places = Places(listen, tmp_path / "control", file)
    task = asyncio.create_task(Server(places, Options()).run())
    try:
        async with asyncio.timeout(LIMIT):
            while not places.control.exists():
                assert not task.done(), task.result()
                await asyncio.sleep(0.01)
            yield Running(places)
            os.kill(os.getpid(), signal.SIGTERM)
            await task
        assert not places.control.exists()
    finally:
        task.cancel()


@pytest.mark.asyncio
async def test_every_agent_is_answered_when_many_come_at_once(tmp_path: Path) -> None:
    async with running(tmp_path) as controller:
        agents = await asyncio.gather(*(controller.agent(f"host{n}") for n in range(AGENTS)))
        for number, (reader, _) in enumerate(agents):
            header = await reader.readuntil(b'/streams"  >')
            assert f'to="host{number}"'.encode() in header
        state = await controller.ask("status")
        assert isinstance(state, messages.State)
        assert len(state.agents) == AGENTS
        for _, writer in agents:
            writer.close()


@pytest.mark.asyncio
async def test_stop_closes_and_refuses_and_start_serves_again(tmp_path: Path) -> None:
    async with running(tmp_path) as controller:
        reader, writer = await controller.agent("one")
        await reader.readuntil(b">\n")
        assert await controller.ask("stop") == messages.Done()
        await until_closed(reader)
        with pytest.raises(ConnectionRefusedError):
            await controller.agent("one")
        assert await controller.ask("start") == messages.Done()
        reader, again = await controller.agent("one")
        assert b"stream:stream" in await reader.readuntil(b'/streams"  >')
        writer.close()
        again.close()


@pytest.mark.asyncio
async def test_what_cannot_be_done_is_answered(tmp_path: Path) -> None:
    async with running(tmp_path) as controller:
        for data, words in (
            (b"dance\n", "not a command"),
            (b'{"op":"close","agent":"nobody"}\n', "no agent 'nobody'"),
            (b'{"op":"reload","topology":"/nowhere.yaml"}\n', "/nowhere.yaml: No such file"),
        ):
            reply = await controller.line(data)
            assert isinstance(reply, messages.Failed)
            assert words in reply.reason


def test_a_bad_topology_is_refused_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "topology.yaml"
    file.write_text("hosts: {}\n")
    places = Places(Address(IPv4Address("127.0.0.1"), 1), tmp_path / "control", file)
    with pytest.raises(ConfigError, match="names no host"):
        Server(places, Options())
