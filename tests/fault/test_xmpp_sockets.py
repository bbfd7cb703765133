"""Control connections on real sockets: sessions, restarts, flaps, hostile and dead peers, TLS."""

from __future__ import annotations

import asyncio
import time
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.io.control_stream import READ_SIZE
from agent.io.xmpp import tls_context
from agent.settings import Server
from agent.xmpp import (
    ConfigUpdate,
    EndOfRib,
    PeerDown,
    PeerUp,
    Routes,
    State,
)
from agent.xmpp.publish import StanzaEncoder
from tests.fault.control_scene import Runner, agent, node
from tests.unit.xmpp.control_node import certificates
from tests.unit.xmpp.conversation import (
    END_OF_RIB,
    HEADER,
    IDENTITY,
    KEEPALIVE,
    OPEN,
    config,
    route,
    routes,
    vector,
)


def test_a_session(run: Runner) -> None:
    async def scene() -> None:
        async with node() as one, agent(one.address) as self:
            await self.told(PeerUp)
            await one.hears(IDENTITY.virtual_router())
            assert one.heard == OPEN + KEEPALIVE + IDENTITY.virtual_router()
            assert one.sources == ["127.0.0.9"]
            one.say(KEEPALIVE + vector("18-config-minimal-one-vm.xml") + KEEPALIVE)
            one.say(routes() + config() + END_OF_RIB)
            await self.told(EndOfRib)
            (batch,) = await self.told(Routes)
            assert isinstance(batch, Routes)
            assert batch.batch.vrf == "vn1"
            first = (await self.told(ConfigUpdate, 2))[0]
            assert isinstance(first, ConfigUpdate)
            assert first.stanza.tag == "{jabber:client}iq"
            assert len(list(first.stanza.iter("{jabber:client}node"))) > 20
            self.controllers.subscribe_vrf("vn1", 3)
            self.controllers.publish(route(3))
            self.connections.kick()
            said = StanzaEncoder(IDENTITY).publish(route(3))
            await one.hears(IDENTITY.vrf("vn1", 3, 0, subscribe=True) + said)

    run(scene())


def test_single_bytes(run: Runner) -> None:
    async def scene() -> None:
        async with node() as one, agent(one.address) as self:
            await self.told(PeerUp)
            for byte in config() + routes() + KEEPALIVE + END_OF_RIB:
                one.say(bytes((byte,)))
                await asyncio.sleep(0)
            await self.told(EndOfRib)
            assert len(await self.told(ConfigUpdate)) == len(await self.told(Routes)) == 1

    run(scene())


def test_names_that_are_no_jids_are_read(run: Runner) -> None:
    async def scene() -> None:
        async with node() as one, agent(one.address) as self:
            await self.told(PeerUp)
            one.say(b'<iq from="a b@c/d" to="Node_A:0 x@y@z/config"><config/></iq>')
            one.say(b'<iq xmlns="urn:other" to="/config"><config/></iq>')
            one.say(b"<iq type='set'/><iq to='c/dns-peer'></iq><message></message>")
            one.say(config())
            assert len(await self.told(ConfigUpdate, 3)) == 3
            counters = self.controllers.channel(one.address).counters
            assert sorted(counters) == [
                "ignored: iq to dns-peer",
                "ignored: iq to nobody",
                "ignored: message to nobody",
            ]

    run(scene())


def test_a_flood_is_read_as_fast_as_it_is_worked_on(run: Runner) -> None:
    async def scene() -> None:
        async with node() as one, agent(one.address) as self:
            await self.told(PeerUp)
            said = 3 * READ_SIZE // len(routes())
            self.full = lambda: any(isinstance(event, Routes) for event in self.log)
            one.say(routes() * said)
            await self.told(Routes)
            for _ in range(100):
                await asyncio.sleep(0)
            assert len(await self.told(Routes)) * len(routes()) <= READ_SIZE
            self.full = lambda: False
            self.connections.kick()
            assert len(await self.told(Routes, said)) == said

    run(scene())


def test_a_restarted_controller_is_found_again(run: Runner) -> None:
    async def scene() -> None:
        async with node() as one, agent(one.address) as self:
            self.controllers.subscribe_vrf("vn1", 3)
            await self.told(PeerUp)
            await one.stop()
            await self.told(PeerDown)
            await one.start()
            await self.told(PeerUp, 2)
            await one.hears(b'subscribe node="vn1"')
            assert [event.sequence for event in self.log if isinstance(event, PeerUp)] == [1, 2]

    run(scene())


def test_a_flapping_controller_is_followed(run: Runner) -> None:
    async def scene() -> None:
        async with node() as one, agent(one.address) as self:
            for count in (1, 2, 3):
                await self.told(PeerUp, count)
                one.cut()
                await self.told(PeerDown, count)
            assert self.controllers.channel(one.address).flaps == 3

    run(scene())


def test_failover_of_two(run: Runner) -> None:
    async def scene() -> None:
        async with node() as one, node() as two, agent(one.address, two.address) as self:
            await self.told(PeerUp, 2)
            first, second = (one, two) if self.controllers.views()[0].config else (two, one)
            await first.hears(IDENTITY.virtual_router())
            await first.stop()
            await second.hears(IDENTITY.virtual_router())
            second.say(config())
            await self.told(ConfigUpdate)
            await first.start()
            await self.told(PeerUp, 3)

    run(scene())


@pytest.mark.parametrize(
    "data",
    [
        b"<iq to='c/config'><unclosed></iq>",
        b'<iq to="c/config">\xff\xfe</iq>',
        b'<iq to="c/config">&bomb;</iq>',
        b'<iq to="c/config"><a:b/></iq>',
        b"<!DOCTYPE x [<!ENTITY a 'b'>]>",
        b'<message to="c/bgp-peer"><event></message>',
        b"</stream:stream>",
        b"garbage",
    ],
)
def test_bad_bytes_cost_the_session_only(run: Runner, data: bytes) -> None:
    async def scene() -> None:
        async with node() as one, agent(one.address) as self:
            await self.told(PeerUp)
            one.say(data)
            (down,) = await self.told(PeerDown)
            assert isinstance(down, PeerDown)
            assert down.reason
            await self.told(PeerUp, 2)
            one.say(config())
            await self.told(ConfigUpdate)

    run(scene())


def test_a_deep_stanza_is_no_harm(run: Runner) -> None:
    async def scene() -> None:
        async with node() as one, agent(one.address) as self:
            await self.told(PeerUp)
            one.say(b'<iq to="c/config">' + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</iq>")
            await self.told(ConfigUpdate)
            one.say(config())
            await self.told(ConfigUpdate, 2)

    run(scene())


def test_nobody_answers(run: Runner) -> None:
    """A listener that accepts and says nothing, and a port where nobody listens."""

    async def scene() -> None:
        async with node(silent=True) as one, node() as two:
            await two.stop()
            async with agent(one.address, two.address) as self:
                await one.until(lambda: one.sessions == 1)
                channel = self.controllers.channel(two.address)
                async with asyncio.timeout(10):
                    while channel.attempts < 2:
                        await asyncio.sleep(0.05)
                assert self.controllers.channel(one.address).state is State.OPEN_SENT
                assert channel.last_fault == "connect: Connection refused"
                assert self.log == []

    run(scene())


def test_a_half_open_peer_is_noticed(run: Runner) -> None:
    """The peer lives but never says a word again: the hold time ends the session."""

    async def scene() -> None:
        async with node() as one, agent(one.address) as self:
            self.controllers.hold_time(1.0, asyncio.get_running_loop().time())
            await self.told(PeerUp)
            (down,) = await self.told(PeerDown)
            assert isinstance(down, PeerDown)
            assert down.reason == "nothing heard for 1 s"
            await self.told(PeerUp, 2)

    run(scene())


def test_a_slow_loop_is_not_taken_for_a_silent_peer(run: Runner) -> None:
    async def scene() -> None:
        async with node() as one, agent(one.address) as self:
            self.controllers.hold_time(1.0, asyncio.get_running_loop().time())
            await self.told(PeerUp)
            with one.own_socket() as behind_the_loop:
                for _ in range(3):
                    time.sleep(0.6)
                    behind_the_loop.send(KEEPALIVE)
                    time.sleep(0.6)
                    await asyncio.sleep(0.05)
            assert self.controllers.channel(one.address).ready

    run(scene())


def test_a_peer_that_does_not_read_is_not_buffered_for(run: Runner) -> None:
    async def scene() -> None:
        listener = await asyncio.start_server(deaf, "127.0.0.1", 0)
        address = Server(IPv4Address("127.0.0.1"), listener.sockets[0].getsockname()[1])
        async with agent(address) as self:
            await self.told(PeerUp)
            for number in range(4000):
                self.controllers.subscribe_vrf(f"{number}" + "v" * 8000, number)
            self.connections.kick()
            await asyncio.sleep(0.3)
            stream = self.connections._streams[address]
            assert not stream.writable
            assert stream.transport is not None
            assert stream.transport.get_write_buffer_size() < 2 << 20
        listener.close()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEADER)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(5)

    run(scene())


def test_a_changed_list_moves_only_what_changed(run: Runner) -> None:
    async def scene() -> None:
        async with (
            node() as one,
            node() as two,
            node() as three,
            agent(one.address, two.address) as self,
        ):
            await self.told(PeerUp, 2)
            now = asyncio.get_running_loop().time()
            self.controllers.configure([one.address, three.address], now)
            self.connections.kick()
            await self.told(PeerUp, 3)
            assert [each.sessions for each in (one, two, three)] == [1, 1, 1]

    run(scene())


def test_tls(run: Runner, tmp_path: Path) -> None:
    async def scene() -> None:
        files = certificates(tmp_path, "lab")
        context = tls_context(files.certificate, files.key, files.authority)
        async with node(files.server_context()) as one, agent(one.address, context=context) as self:
            await self.told(PeerUp)
            await one.hears(KEEPALIVE + IDENTITY.virtual_router())
            one.say(config() + routes())
            await self.told(ConfigUpdate)
            await self.told(Routes)
            one.cut()
            await self.told(PeerUp, 2)

    run(scene())


def test_a_controller_of_another_ca_is_refused(run: Runner, tmp_path: Path) -> None:
    async def scene() -> None:
        ours, theirs = certificates(tmp_path, "ours"), certificates(tmp_path, "theirs")
        context = tls_context(ours.certificate, ours.key, ours.authority)
        async with (
            node(theirs.server_context()) as one,
            agent(one.address, context=context) as self,
        ):
            await one.until(lambda: one.sessions == 2)
            fault = self.controllers.channel(one.address).last_fault
            assert "TLS" in fault
            assert "verify failed" in fault.lower()
            assert self.log == []

    run(scene())


def test_a_controller_that_wants_tls_is_understood(run: Runner, tmp_path: Path) -> None:
    async def scene() -> None:
        files = certificates(tmp_path, "lab")
        async with node(files.server_context()) as one, agent(one.address) as self:
            (down, *_) = await self.told(PeerDown)
            assert isinstance(down, PeerDown)
            assert "xmpp_auth_enable" in down.reason

    run(scene())


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    files = certificates(tmp_path, "lab")
    missing = tmp_path / "missing.pem"
    with pytest.raises(ConfigError, match=r"xmpp_ca_cert = .*missing"):
        tls_context(files.certificate, files.key, missing)
    with pytest.raises(ConfigError, match=r"xmpp_server_key = .*missing"):
        tls_context(files.certificate, missing, files.authority)


def test_nothing_is_left_behind(run: Runner) -> None:
    async def scene() -> None:
        async with node() as one:
            for _ in range(3):
                async with agent(one.address) as self:
                    await self.told(PeerUp)
            await asyncio.sleep(0.05)
            running = {task.get_name() for task in asyncio.all_tasks()}
            assert not any(name.startswith("xmpp ") for name in running)

    run(scene())
