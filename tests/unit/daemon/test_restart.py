"""A new core over the datapath of the one before writes nothing, whatever that had learned."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from agent.inputs import ArpResolved, Link, TrafficSeen
from agent.record import events
from agent.values import Mac
from tests.fake.datapath import FakeDatapath
from tests.unit.daemon.scripted import NOBODY, Life

PORTS = 18
"""More than the members of a composite nexthop that a dump shows."""
VMS = "".join(
    f"  red{n}: {{network: red, address: 10.1.1.{n + 3}, address6: 'fd00::{n + 3:x}'}}\n"
    for n in range(PORTS)
)
TOPOLOGY = f"""
name: restarted
hosts: {{host1: {{fabric: 10.0.0.1/24, gateway: 10.0.0.254}}}}
networks:
  red: {{subnets: [10.1.1.0/24, 'fd00::/64'], policies: [web]}}
  blue: {{subnet: 10.2.2.0/24, policies: [web]}}
policies:
  web:
    - {{from: red, to: blue, service: tcp/8080, direction: "<>"}}
vms:
{VMS}  blue1: {{network: blue, address: 10.2.2.3}}
floating_ips:
  web1: {{network: red, address: 10.1.1.200, vms: [blue1]}}
"""
TEXTS = events.Sources("agent.conf", "[STANDALONE]\ntopology = t.yaml\n", TOPOLOGY, "host1")
FABRIC = Mac(bytes((2, 0, 0, 0, 1, 1)))
GATEWAY = ArpResolved(0, ip_address("10.0.0.254"), Mac(bytes((2, 0, 0, 0, 9, 9))), 0)


def started(datapath: FakeDatapath) -> Life:
    """An agent on the datapath, with all ports, as soon as nothing is left to be done."""
    agent = Life(TEXTS, datapath)
    taps = [vm.tap for vm in agent.vms.values()]
    names = ("fabric0", "vhost0", *taps)
    agent.core.links([Link(name, 10 + at, FABRIC, True) for at, name in enumerate(names)], [])
    agent.core.store.plug([port for name in agent.vms for port in agent.port(name)], NOBODY)
    agent.core.listed()
    agent.core.session.connected(agent.now())
    agent.turn()
    assert agent.core.session.in_sync
    assert agent.core.compiler.failures() == {}
    return agent


def test_what_was_learned_of_neighbours_and_vms_is_known_again() -> None:
    """Some VMs have answered, by IPv4 or IPv6 or both, others have not; the gateway has."""
    datapath = FakeDatapath()
    before = started(datapath)
    rows = {row.name: row for row in before.core.compiler.vmis()}
    heard = []
    for at, name in enumerate(("red1", "red2", "red3", "blue1")):
        row = rows[before.vms[name].tap]
        seen = TrafficSeen(row.vif_index, row.ip, row.mac)
        if at != 1:
            heard.append(seen)
        if at in (1, 2):
            heard.append(replace(seen, ip=row.ip6))
    before.core.learned([GATEWAY, *heard])
    before.turn()
    assert [nh for nh in datapath.objects["nexthop"].values() if len(nh.nhr_nh_list) == PORTS]
    programmed = {kind: dict(rows) for kind, rows in datapath.objects.items()}
    writes = datapath.writes.copy()
    after = started(datapath)
    assert datapath.writes == writes
    assert after.core.session.counters.adopted > 10 * PORTS
    assert after.core.session.counters.writes.total() == 0
    assert programmed == {kind: dict(rows) for kind, rows in datapath.objects.items()}
    assert datapath.violations == []


def test_a_plain_change_is_all_that_is_written() -> None:
    datapath = FakeDatapath()
    before = started(datapath)
    before.core.learned([GATEWAY])
    before.turn()
    [broadcast] = [
        nh for nh in datapath.objects["nexthop"].values() if len(nh.nhr_nh_list) == PORTS
    ]
    cut = broadcast.replace(
        nhr_nh_list=broadcast.nhr_nh_list[:-1], nhr_label_list=broadcast.nhr_label_list[:-1]
    )
    datapath.objects["nexthop"][broadcast.nhr_id] = cut
    after = started(datapath)
    assert dict(after.core.session.counters.writes) == {("nexthop", "change"): 1}
    assert datapath.objects["nexthop"][broadcast.nhr_id].nhr_nh_list == broadcast.nhr_nh_list
