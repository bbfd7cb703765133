"""The agent's own words, byte by byte."""

from __future__ import annotations

from uuid import UUID
from xml.etree import ElementTree

from agent.xmpp.stanzas import Identity
from tests.unit.xmpp.conversation import IDENTITY, OPEN, VECTORS, stanzas

MACHINE = UUID("10000000-0000-0000-0000-000000000001")


def test_the_open() -> None:
    text = (VECTORS / "01-stream-open.txt").read_text().splitlines()
    said = "\n".join(line.removeprefix("C> ") for line in text[:2]).encode()
    assert IDENTITY.open() == said == OPEN


def test_a_subcluster_goes_into_the_namespace() -> None:
    assert b' xmlns="east" xmlns:stream=' in Identity("compute-1", "east").open()


def test_config_subscriptions() -> None:
    assert [
        IDENTITY.virtual_router(),
        IDENTITY.virtual_machine(MACHINE, subscribe=True),
        IDENTITY.virtual_machine(MACHINE, subscribe=False),
    ] == stanzas("02-config-subscribe.xml")


def test_vrf_subscriptions() -> None:
    fabric = "default-domain:default-project:ip-fabric:__default__"
    assert [
        IDENTITY.vrf(fabric, 0, 0, subscribe=True),
        IDENTITY.vrf("default-domain:demo:vn1:vn1", 3, 1, subscribe=True),
        IDENTITY.vrf("default-domain:demo:vn1:vn1", 3, 2, subscribe=False),
    ] == stanzas("03-vrf-subscribe.xml")


def test_the_end_of_rib() -> None:
    assert IDENTITY.end_of_rib() == stanzas("17-end-of-rib.xml")[0]


def test_names_are_escaped() -> None:
    name = 'a"b<c>&\n'
    read = ElementTree.fromstring(Identity(name).vrf(name, 1, 2, subscribe=True))
    assert read.get("from") == name
    assert [element.get("node") for element in read.iter() if element.get("node")] == [name]
