"""Controllers that send what nobody should: it costs the session at most, never what is known.

One controller misbehaves, the other one goes on as if nothing had happened. Of the bad one
nothing that it said before is dropped: routes and configuration are swept only when a later
session has sent all.
"""

from __future__ import annotations

import asyncio
import resource
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from agent.ifmap.parser import ConfigParser, PutNode
from agent.routes import InetKey, RouteBatch
from agent.xmpp import (
    ConfigUpdate,
    EndOfRib,
    PeerDown,
    PeerUp,
    Routes,
    State,
    SweepConfig,
    SweepRoutes,
)
from agent.xmpp.framing import MAX_OPEN_TAG, MAX_STANZA, MAX_TAGS
from tests.fault.control_scene import Agent, Runner, agent, node
from tests.unit.xmpp.control_node import ControlNode
from tests.unit.xmpp.conversation import END_OF_RIB, HEADER, KEEPALIVE, config, routes

VRF = "vn1"
ROUTE_HEAD = b'<message from="c" to="compute-1/bgp-peer"><event><items node="1/1/vn1">'
ROUTE_TAIL = b"</items></event></message>"
CONFIG_HEAD = b'<iq type="set" from="c" to="compute-1/config"><config><update>'
CONFIG_TAIL = b"</update></config></iq>"
BOMB = b"<!DOCTYPE m [<!ENTITY a 'aaaaaaaaaa'>%s]>" % b"".join(
    b"<!ENTITY %c '%s'>" % (name + 1, b"&%c;" % name * 10) for name in range(ord("a"), ord("j"))
)


def item(address: str = "10.9.9.9/32", label: str = "21", inner: str = "") -> bytes:
    return (
        f'<item id="{address}"><entry><nlri><af>1</af><safi>1</safi><address>{address}</address>'
        f"</nlri><next-hops><next-hop><af>1</af><address>192.0.2.2</address><label>{label}</label>"
        f"{inner}</next-hop></next-hops></entry></item>"
    ).encode()


def message(*items: bytes) -> bytes:
    return ROUTE_HEAD + b"".join(items) + ROUTE_TAIL


def configuration(inner: bytes) -> bytes:
    return CONFIG_HEAD + inner + CONFIG_TAIL


def domain(name: bytes, properties: bytes = b"") -> bytes:
    return b'<node type="domain"><name>%s</name>%s</node>' % (name, properties)


# What ends the session, by how the reason begins
FATAL = {
    "entities declared between stanzas": (BOMB, "b'<!DOCTYPE"),
    "entities declared in a route message": (message(BOMB), "route message: not well-formed"),
    "entities declared in a configuration": (configuration(BOMB), "malformed XML"),
    "an unknown entity in a route message": (
        message(item(inner="<virtual-network>&lol;</virtual-network>")),
        "route message: not well-formed",
    ),
    "an unknown entity in a configuration": (configuration(domain(b"&lol;")), "malformed XML"),
    "a route message that nests too deeply": (
        message(b"<x>" * 50_000 + b"</x>" * 50_000),
        "route message: elements nested too deeply",
    ),
    "invalid UTF-8 in a route message": (
        message(item().replace(b"10.9", b"\xff\xfe")),
        "route message: not well-formed",
    ),
    "invalid UTF-8 in a configuration": (configuration(domain(b"\xc3\x28")), "malformed XML"),
    "an encoded surrogate": (message(item().replace(b"10.9", b"\xed\xa0\x80")), "route message"),
    "a NUL": (configuration(domain(b"\0")), "malformed XML"),
    "a huge attribute of a stanza": (
        b'<iq type="%s">' % (b"x" * MAX_OPEN_TAG),
        f"no end of a start tag within {MAX_OPEN_TAG} bytes",
    ),
    "an endless route message": (
        ROUTE_HEAD + b" " * MAX_STANZA,
        f"a stanza of more than {MAX_STANZA} bytes",
    ),
    "an endless text of a configuration": (
        CONFIG_HEAD + b"x" * MAX_STANZA,
        f"a stanza of more than {MAX_STANZA} bytes",
    ),
    "a configuration of too many tags": (
        configuration(b"<a/>" * MAX_TAGS),
        f"a stanza of more than {MAX_TAGS} tags",
    ),
    "a route message of too many items": (
        message(b'<retract id="x"/>' * 70_000),
        "route message: more than 65536 items",
    ),
    "a route message that is cut off": (
        message(item())[:-40] + KEEPALIVE + config() + routes(),
        "route message: not well-formed",
    ),
    "a configuration that is cut off": (
        configuration(domain(b"x"))[:-30] + KEEPALIVE + config(),
        "malformed XML",
    ),
    "a second header": (HEADER, "<stream:stream does not belong here"),
    "a server's features": (b"<stream:features></stream:features>", "the controller requires TLS"),
    "a presence": (b"<presence/>", "b'<presence/>' begins no stanza"),
    "text between stanzas": (b"hello", "b'hello' begins no stanza"),
    "an endless declaration": (b'<?xml version="1.0"' + b" " * 200, "endless XML declaration"),
    "a TLS handshake": (b"\x16\x03\x01\x02\x00\x01\x00", "b'\\x16\\x03"),
}


async def two_up(self: Agent, bad: ControlNode, good: ControlNode) -> None:
    """Both sessions stand, both controllers have sent something, the bad one all."""
    await self.told(PeerUp, 2)
    bad.say(routes("10.1.1.1/32") + config("before") + END_OF_RIB)
    good.say(routes("10.2.2.2/32"))
    await self.told(EndOfRib)
    await self.told(Routes, 2)


def swept_since(self: Agent, mark: int) -> list[object]:
    return [event for event in self.log[mark:] if isinstance(event, SweepRoutes | SweepConfig)]


@pytest.mark.parametrize("name", FATAL)
def test_the_session_ends_and_nothing_is_lost(run: Runner, name: str) -> None:
    data, reason = FATAL[name]

    async def scene() -> None:
        async with node() as bad, node() as good, agent(bad.address, good.address) as self:
            await two_up(self, bad, good)
            mark = len(self.log)
            bad.say(data)
            (down,) = await self.told(PeerDown)
            assert isinstance(down, PeerDown)
            assert down.peer == bad.address
            assert down.reason.startswith(reason)
            assert len(down.reason) < 200
            await self.told(PeerUp, 3)
            good.say(routes("10.2.2.3/32"))
            bad.say(routes("10.1.1.2/32"))
            await self.told(Routes, 4)
            assert swept_since(self, mark) == []
            assert bad.sessions == 2
            assert good.sessions == 1
            assert self.controllers.channel(bad.address).counters["faults"] == 1

    run(scene())


def test_what_stands_behind_a_fault_is_not_read(run: Runner) -> None:
    async def scene() -> None:
        async with node() as bad, agent(bad.address) as self:
            await self.told(PeerUp)
            bad.say(routes("10.1.1.1/32") + message(b"<x>") + routes("10.1.1.2/32") + END_OF_RIB)
            await self.told(PeerDown)
            await self.told(PeerUp, 2)
            bad.say(routes("10.1.1.3/32"))
            await self.told(Routes, 2)
            assert [str(update.key) for batch in batches(self) for update in batch.updates] == [
                "10.1.1.1/32",
                "10.1.1.3/32",
            ]
            assert not any(isinstance(event, EndOfRib) for event in self.log)

    run(scene())


def batches(self: Agent) -> list[RouteBatch]:
    return [event.batch for event in self.log if isinstance(event, Routes)]


# What costs an item only

FAULTY = {
    "label out of range": item(label="16777216"),
    "negative label": item(label="-1"),
    "label of many digits": item(label="9" * 100_000),
    "prefix too long": item("10.0.0.0/33"),
    "prefix of many digits": item("10.0.0.0/" + "3" * 1000),
    "another family's prefix": item("2001:db8::/32"),
    "no prefix": item("nowhere"),
    "huge text in the key": item("1" * 1_000_000),
    "tag out of range": item(inner="<tag-list><tag>281474976710656</tag></tag-list>"),
    "MAC": item(inner="<mac>02:aa:bb:00:00:01:02</mac>"),
    "elements in a value": item(label="<x>21</x>"),
    "no entry": b'<item id="x"></item>',
    "a retract without id": b"",
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_item_costs_itself(run: Runner, name: str) -> None:
    faulty = FAULTY[name]

    async def scene() -> None:
        async with node() as one, agent(one.address) as self:
            await self.told(PeerUp)
            if faulty:
                one.say(message(item("10.1.1.1/32"), faulty, item("10.1.1.2/32")))
            else:
                one.say(
                    message(b'<retract id="10.1.1.1/32"/><retract/><retract id="10.1.1.2/32"/>')
                )
            await self.told(Routes)
            ((_, vrf, updates, _),) = batches(self)
            assert (vrf, [key for key, _ in updates]) == (VRF, [inet("10.1.1.1"), inet("10.1.1.2")])
            assert self.decoder.counters.skipped == 1
            assert len(self.decoder.counters.last_fault) < 250
            assert self.controllers.channel(one.address).state is State.ESTABLISHED

    run(scene())


def inet(address: str) -> InetKey:
    return InetKey(IPv4Address(address).packed, 32)


def test_messages_that_make_no_sense_are_passed_over(run: Runner) -> None:
    """Unknown families and VRFs without name, what agents say, what was never known."""

    async def scene() -> None:
        async with node() as one, agent(one.address) as self:
            await self.told(PeerUp)
            one.say(message(item()).replace(b'"1/1/vn1"', b'"1/128/vn1"'))
            one.say(message(item()).replace(b'"1/1/vn1"', b'"1/1/"'))
            one.say(message(item()).replace(b'"1/1/vn1"', b'"9999999999/1/vn1"'))
            one.say(message(item()).replace(b"message", b"iq").replace(b"bgp-peer", b"other-peer"))
            one.say(message(b'<publish node="1/1/vn1/10.0.0.0/8"/>'))
            one.say(message(b'<retract id="10.250.0.0/16"/>'))
            await self.told(Routes)
            ((_, _, updates, _),) = batches(self)
            assert updates == [(InetKey(bytes((10, 250, 0, 0)), 16), None)]
            assert self.decoder.counters.skipped == 3
            assert self.controllers.channel(one.address).ready

    run(scene())


def test_repeated_messages_share_what_they_say(run: Runner) -> None:
    async def scene() -> None:
        async with node() as one, agent(one.address) as self:
            await self.told(PeerUp)
            one.say(message(*[item("10.1.1.1/32")] * 20) * 200)
            one.say(routes("10.250.0.0/16"))
            await self.told(Routes, 201)
            heard = [update.attributes for batch in batches(self)[:200] for update in batch.updates]
            assert len(heard) == 4000
            assert len(set(map(id, heard))) == 1
            assert self.decoder.counters.remembered == 1

    run(scene())


def test_faulty_nodes_cost_themselves(run: Runner) -> None:
    async def scene() -> None:
        async with node() as one, agent(one.address) as self:
            await self.told(PeerUp)
            deep = b"<a>" * 20_000 + b"</a>" * 20_000
            wide = b"<a/>" * 100_000
            huge = b"<display-name>%s</display-name>" % (b"x" * 1_000_000)
            new = b'<node type="new"><name>new</name>%s</node>' % deep
            parts = [domain(b"deep", deep), domain(b"wide", wide), domain(b"huge", huge), new]
            one.say(b"".join(map(configuration, parts)))
            one.say(config("after"))
            told = await self.told(ConfigUpdate, 5)
            parser = ConfigParser()
            edits = [
                edit
                for event in told
                if isinstance(event, ConfigUpdate)
                for edit in parser.read(event.stanza)
            ]
            assert [edit.node.name for edit in edits if isinstance(edit, PutNode)] == [
                "deep",
                "wide",
                "huge",
                "after",
            ]
            assert parser.counters == {"unknown-property": 100_001, "too-deep": 1}
            assert self.controllers.channel(one.address).ready

    run(scene())


def test_names_without_number_do_not_pile_up(run: Runner) -> None:
    """XML parsers keep every name: 10 MB of new ones would take 250 MB for the session's life."""

    async def scene() -> None:
        async with node() as one, agent(one.address) as self:
            await self.told(PeerUp)
            one.say(config("first"))
            await self.told(ConfigUpdate)
            self.log.clear()
            before = resident()
            for turn in range(10):
                names = range(turn * 100_000, (turn + 1) * 100_000)
                one.say(configuration(b"".join(b"<a%x/>" % name for name in names)))
                await self.told(ConfigUpdate)
                self.log.clear()
            assert resident() - before < 160 << 20
            one.say(config("last"))
            (last,) = await self.told(ConfigUpdate)
            assert isinstance(last, ConfigUpdate)
            assert last.stanza.tag == "{jabber:client}iq"
            assert self.controllers.channel(one.address).ready

    run(scene())


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_oversized_stanzas_are_refused_before_they_are_whole(run: Runner) -> None:
    """No more than the bound is held, though the peer would go on for ever."""

    async def scene() -> None:
        async with node() as one, agent(one.address) as self:
            await self.told(PeerUp)
            one.say(ROUTE_HEAD)
            flood = asyncio.get_running_loop().create_task(pour(one))
            (down,) = await self.told(PeerDown)
            assert not flood.done()
            flood.cancel()
            await asyncio.gather(flood, return_exceptions=True)
            assert isinstance(down, PeerDown)
            assert down.reason == f"a stanza of more than {MAX_STANZA} bytes"

    async def pour(one: ControlNode) -> None:
        while True:
            one.say(b"<!-- -->" * 8192)
            await asyncio.sleep(0)

    run(scene())


def test_one_that_never_learns_is_asked_less_and_less(run: Runner) -> None:
    """Each session ends as it begins: the delays grow, as keepalives are never heard thrice."""

    async def scene() -> None:
        async with node() as bad, node() as good, agent(bad.address, good.address) as self:
            await self.told(PeerUp, 2)
            for count in (1, 2, 3, 4):
                bad.say(message(b"<x>"))
                await self.told(PeerDown, count)
                await self.told(PeerUp, count + 2)
                assert self.controllers.channel(bad.address).attempts == count + 1
            assert self.controllers.channel(bad.address).flaps == 4
            assert self.controllers.counters["malformed route messages"] == 4
            downs = [event for event in self.log if isinstance(event, PeerDown)]
            assert len(downs) == 4, "each session's end is told once"
            assert good.sessions == 1
            good.say(routes())
            await self.told(Routes)

    run(scene())
