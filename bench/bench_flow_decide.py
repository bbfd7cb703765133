"""Deciding on new flows: parsed packet to both encoded messages, one core, no Python between.

Ports have 100 security-group rules each way (and 10, 1000 beside it). Peer: the plain oracle in
Python, which is what a decision costs without compiled tables. Also: taking 100 000 routes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from ipaddress import IPv4Network, ip_address
from typing import Any

import pytest

from agent._fast.flow_world import Floating, Packet, Rehearsal
from agent.sandesh.vrouter import VrRouteReq
from tests.unit.flow.world_rig import BLUE, RED, Rig, allow, mac, packed, place, service

PORTS = 64
PACKETS = 4096
REMOTE = 10_000
ROUTES = 100_000
UDP = 17
FIRST_VIF = 3
ROUTER_MAC = bytes.fromhex("00005e000100")


def rules(count: int, salt: int) -> list[Any]:
    """Security-group rules as users write them: ports by group or prefix, some for all."""
    rng = random.Random(salt)
    made = []
    for number in range(count - 1):
        first = rng.randrange(1, 60_000)
        wanted = service(rng.choice((6, UDP)), first, first + rng.randrange(20))
        if number % 3 == 0:
            far = place(group=rng.randrange(1000))
        else:
            far = place(f"10.{rng.randrange(256)}.{rng.randrange(256)}.0/24")
        made.append(allow(number, services=wanted, src=far, dst=far))
    made.append(allow(count, services=service(UDP, 0, 65535), src=place(), dst=place()))
    return made


@pytest.fixture(scope="module", params=[10, 100, 1000])
def host(request: pytest.FixtureRequest) -> tuple[int, Rig]:
    """64 ports with so many rules each way, half of them with a floating IP; remote routes."""
    rig = Rig()
    rig.tunnel(22, "10.0.0.2")
    for number in range(PORTS):
        vif = FIRST_VIF + number
        lists = {
            "egress_lists": (rig.lists(2 * vif, *rules(request.param, 2 * vif)),),
            "ingress_lists": (rig.lists(2 * vif + 1, *rules(request.param, 2 * vif + 1)),),
        }
        fip = Floating(packed(f"20.0.0.{vif}"), packed(own(vif)), RED)
        rig.vm(vif, BLUE, own(vif), "blue", groups=(vif,), grouped=True, **lists, floating=(fip,))
    remote = [rig.meta("blue", (group,)) for group in range(100)]
    rng = random.Random(1)
    for number in range(REMOTE):
        rig.route(BLUE, f"{far(number)}/32", 22, rng.choice(remote))
    rig.route(RED, "0.0.0.0/0", 22)
    return request.param, rig


def own(vif: int) -> str:
    return f"10.1.0.{vif}"


def far(number: int) -> str:
    return str(ip_address("10.128.0.0") + number)


def packets(rig: Rig, target: Callable[[random.Random], str]) -> list[Packet]:
    rng = random.Random(2)
    made = []
    for _ in range(PACKETS):
        vif = FIRST_VIF + rng.randrange(PORTS)
        made.append(
            rig.sent(
                vif, own(vif), target(rng), UDP, rng.randrange(65536), rng.randrange(65536),
                source_mac=mac(vif), destination_mac=ROUTER_MAC,
            )
        )  # fmt: skip
    return made


TARGETS: dict[str, Callable[[random.Random], str]] = {
    "another host": lambda rng: far(rng.randrange(REMOTE)),
    "the same host": lambda rng: own(FIRST_VIF + rng.randrange(PORTS)),
    "NAT": lambda rng: f"8.8.{rng.randrange(256)}.{rng.randrange(256)}",
}


@pytest.mark.parametrize("to", TARGETS)
def test_decide_and_encode(contest: Any, host: tuple[int, Rig], to: str) -> None:
    """`flows` a second is the figure to reach: 1 M with 100 rules."""
    count, rig = host
    rehearsal = Rehearsal(rig.world, packets(rig, TARGETS[to]))
    assert rehearsal.run() > PACKETS * 0.9
    group = f"flows: decide and encode, to {to}, {count} rules a port"
    contest(group, "vrouter", per=PACKETS, aim_ns=1000)(rehearsal.run)


@pytest.mark.parametrize("to", TARGETS)
def test_the_oracle(contest: Any, host: tuple[int, Rig], to: str) -> None:
    """One flow at a time in plain Python, without its messages; few remote routes."""
    count, rig = host
    facts = rig.facts.routes
    kept = {at: facts[at] for at in list(facts)[:300]}
    rig.facts.routes, everything = kept, facts
    asked = packets(rig, TARGETS[to])[:20]
    group = f"flows: decide and encode, to {to}, {count} rules a port"
    bench = contest(group, "plain Python, without messages", per=len(asked))
    try:
        bench.pedantic(lambda: [rig.oracle(one) for one in asked], rounds=3)
    finally:
        rig.facts.routes = everything


def test_take_routes(contest: Any) -> None:
    """100 000 host routes in one call; memory per route is told beside the time."""
    network = IPv4Network("10.128.0.0/9")
    routes = [
        VrRouteReq(
            rtr_vrf_id=BLUE,
            rtr_family=2,
            rtr_prefix=(network.network_address + 7 * number).packed,
            rtr_prefix_len=32,
            rtr_nh_id=22,
        )
        for number in range(ROUTES)
    ]
    rng = random.Random(3)
    rng.shuffle(routes)
    batch = [(route, 0) for route in routes]

    def fresh() -> tuple[tuple[Rig], dict[str, Any]]:
        return (Rig(),), {}

    def take(rig: Rig) -> Rig:
        rig.world.put_routes(batch)
        return rig

    rig = Rig()
    before = rig.world.sizes.memory
    take(rig)
    size = (rig.world.sizes.memory - before) // ROUTES
    bench = contest("flows: take routes into the world", "vrouter", per=ROUTES, bytes=size)
    bench.pedantic(take, setup=fresh, rounds=5)
