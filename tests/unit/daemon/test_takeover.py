"""A datapath programmed by the reference agent is taken over as it is."""

from __future__ import annotations

from agent.inputs import Link
from agent.record import events
from agent.sandesh import encode_many
from agent.sandesh.framing import request_frame
from agent.values import Mac
from tests.fake.datapath import FakeDatapath
from tests.fake.worked_example import FIRST_PORT, TOPOLOGY, VRF, Example, Guest
from tests.unit.daemon.scripted import NOBODY, Life

TEXTS = events.Sources("agent.conf", "[STANDALONE]\ntopology = t.yaml\n", TOPOLOGY, "host1")
FABRIC = Mac(bytes((2, 0, 0, 0, 1, 1)))


def test_nothing_is_written_and_every_number_is_kept() -> None:
    datapath = FakeDatapath()
    agent = Life(TEXTS, datapath)
    names = ("fabric0", "vhost0", *(vm.tap for vm in agent.vms.values()))
    links = [Link(name, 10 + at, FABRIC, True) for at, name in enumerate(names)]
    guests = [
        Guest(vm.tap, 12 + at, vm.mac, vm.address, policy=at > 1)
        for at, vm in enumerate(agent.vms.values())
    ]
    example = Example(("fabric0", 10, FABRIC), ("vhost0", 11), tuple(guests))
    connection = datapath.connect()
    for message in example.messages:
        connection.feed(request_frame(encode_many([message]), family=24, seq=1, pid=1))
    assert datapath.violations == []
    before = {kind: dict(rows) for kind, rows in datapath.objects.items()}

    agent.core.links(links, [])
    agent.core.store.plug([port for name in agent.vms for port in agent.port(name)], NOBODY)
    agent.core.listed()
    agent.core.session.connected(agent.now())
    agent.turn()
    assert agent.core.session.in_sync
    counters = agent.core.session.counters
    assert (dict(counters.writes), counters.swept) == ({}, 0)
    assert counters.adopted > 60
    assert {kind: dict(rows) for kind, rows in datapath.objects.items()} == before
    ports = {row.name: row.vif_index for row in agent.core.compiler.vmis()}
    assert ports == {one.device: FIRST_PORT + at for at, one in enumerate(guests)}
    assert VRF in agent.core.compiler.subscriptions().values()
