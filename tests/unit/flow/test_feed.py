"""Whatever order oper's changes come in, the world is that of the last state."""

from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from agent.oper import Delta
from agent.routes import (
    Encapsulation,
    InetKey,
    RouteAttributes,
    RouteBatch,
    RouteFamily,
    RouteNexthop,
    RouteUpdate,
)
from tests.graph.worlds import START
from tests.graph.worlds import World as State
from tests.unit.flow.glue_rig import Fed, fed, of

WEB = {
    "web": {
        "ingress": [{"from": "any", "service": "tcp/80"}],
        "egress": [{"to": "10.1.1.0/24"}],
    }
}
VMS = {
    "red1": {"network": "red", "address": "10.1.1.3"},
    "red2": {"network": "red", "address": "10.1.1.4", "security_groups": ["web"]},
    "blue1": {"network": "blue", "address": "10.2.2.3", "disable_policy": True},
}
PLAIN = of()
GROUPED = of(vms=VMS, security_groups=WEB)
FEWER = of(vms={"red2": VMS["red2"]}, security_groups=WEB)
ASKED = [
    ("10.1.1.3", "10.1.1.4", "tcp", 999, 80),
    ("10.1.1.3", "10.1.1.4", "tcp", 999, 81),
    ("10.1.1.4", "10.1.1.3", "udp", 5, 6),
    ("10.2.2.3", "10.1.1.3", "icmp"),
]


def outcome(one: Fed) -> list[Any]:
    """Sizes of the world and what it decides."""
    sizes = replace(one.world.sizes, memory=0, metas=0)
    return [sizes, *(_answer(one, asked) for asked in ASKED)]


def _answer(one: Fed, asked: Any) -> Any:
    try:
        told = one.explain(*asked)
    except ValueError as error:
        return str(error)
    return told.allowed, [step.topic for step in told.steps]


def test_every_way_to_a_state_makes_the_same_world() -> None:
    expected = outcome(fed(GROUPED))
    assert outcome(fed(PLAIN, GROUPED)) == expected
    assert outcome(fed(GROUPED, FEWER, GROUPED)) == expected
    assert outcome(fed(GROUPED, State(), GROUPED)) == expected
    for seed in range(6):
        one = Fed()
        for state in (FEWER, PLAIN, START, GROUPED):
            one.go(state, random.Random(seed))
        assert outcome(one) == expected, seed


def test_nothing_is_left_of_ports_that_went() -> None:
    empty = fed(START).world.sizes
    emptied = fed(START, GROUPED, START).world.sizes
    assert replace(emptied, memory=0, metas=0) == replace(empty, memory=0, metas=0)

    lists = fed(START, GROUPED, START).feed.lists
    assert len(lists) == 0
    assert not any(map(lists.name, range(100))), "some list is still referred to"


def test_a_group_decides_as_configured() -> None:
    one = fed(GROUPED)
    assert one.explain("10.1.1.3", "10.1.1.4", "tcp", 999, 80).allowed
    refused = one.explain("10.1.1.3", "10.1.1.4", "tcp", 999, 81)
    assert not refused.allowed
    assert refused.verdict == "DROPPED: denied by the security groups of the other port"


def test_a_remote_route_brings_what_is_known_of_its_addresses() -> None:
    group = {"web": {"ingress": [{"from": "default"}], "egress": [{"to": "any"}]}}
    one = fed(of(vms=VMS, security_groups=group))
    vrf = "default-domain:default-project:red:red"
    for groups, allowed in (((8000001,), True), ((8000009,), False), ((8000001,), True)):
        way = RouteNexthop(IPv4Address("10.0.0.2"), 77, (Encapsulation.UDP,), "red")
        path = RouteAttributes((way,), "default-domain:default-project:red", 0, False, 100)
        path = replace(path, security_groups=groups)
        key = InetKey(bytes([10, 1, 1, 9]), 32)
        batch = RouteBatch(RouteFamily.INET, vrf, [RouteUpdate(key, path)])
        one.compiler.routes("control1", batch)
        one.commit()
        told = one.explain("10.1.1.9", "10.1.1.4", "udp", 5, 6)
        assert told.allowed is allowed, told
    retracted = RouteBatch(RouteFamily.INET, vrf, [RouteUpdate(key, None)])
    one.compiler.routes("control1", retracted)
    one.commit()
    gone = one.explain("10.1.1.9", "10.1.1.4", "udp", 5, 6)
    assert not gone.allowed
    assert gone.verdict == "DROPPED: denied by security groups", "nothing is known of it now"


def test_an_empty_delta_changes_nothing() -> None:
    one = fed(GROUPED)
    before = outcome(one)
    one.feed.follow(Delta(), one.compiler)
    assert outcome(one) == before
