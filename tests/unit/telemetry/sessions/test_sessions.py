"""Sessions of a host: who they are of, what passed, which of them are told."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.telemetry.sessions import Aggregate, Session, Tags
from agent.telemetry.sessions.making import flow_uuid
from agent.telemetry.sessions.routing import Target
from tests.graph.policies import GLOBAL, node, tag
from tests.graph.test_session_ports import slo
from tests.unit.telemetry.sessions.site import (
    BLUE1,
    FAR,
    FAR_HOST,
    ICMP,
    RED1,
    RED2,
    RUN,
    WALL,
    Site,
    interface,
    rate,
)

ALL = rate(-1)
RED = "default-domain:default-project:red"
OPEN: dict[str, Any] = {
    "security_groups": {"open": {"ingress": [{"from": "0.0.0.0/0"}]}},
    "vms": {
        "red1": {"network": "red", "address": RED1, "security_groups": ["open"]},
        "red2": {"network": "red", "address": RED2, "security_groups": ["open"]},
        "blue1": {"network": "blue", "address": BLUE1},
    },
}


def bytes_of(told: list[Session]) -> list[tuple[int, int]]:
    return [(one.forward.bytes, one.reverse.bytes) for one in told]


def test_a_session_between_two_ports_is_one_of_each() -> None:
    site = Site(*ALL)
    pair = site.connect(RED1, RED2)
    site.count(pair, 1000, 5000, (10, 40))
    site.wait(6)
    client, server = site.tell()
    assert (client.endpoint.vmi, server.endpoint.vmi) == (
        interface("red1")[1],
        interface("red2")[1],
    )
    assert (client.endpoint.client, server.endpoint.client) == (True, False)
    assert client.aggregate == Aggregate(IPv4Address(RED1), 80, 6)
    assert server.aggregate == Aggregate(IPv4Address(RED2), 80, 6)
    assert (str(client.remote), client.port) == (RED2, 40000)
    assert (str(server.remote), server.port) == (RED1, 40000)
    for one in (client, server):
        assert (one.forward.bytes, one.forward.packets) == (1000, 10)
        assert (one.reverse.bytes, one.reverse.packets) == (5000, 40)
        assert (one.endpoint.vn, one.endpoint.remote_vn) == (RED, RED)
        assert (one.started, one.ended, one.action) == (WALL + 1000, None, "pass")
        assert (str(one.endpoint.router), one.peer, one.scale) == ("10.0.0.1", None, 1.0)
    assert [client.vm, server.vm] == ["red1", "red2"]
    assert client.forward.flow == server.forward.flow == flow_uuid(RUN, 1, 0)


def test_the_bytes_of_a_session_are_told_once() -> None:
    site = Site(*ALL)
    pair = site.connect(RED1, RED2)
    told: list[tuple[int, int]] = []
    for forward, reverse in ((100, 0), (700, 80), (700, 80), (900, 3000)):
        site.count(pair, forward, reverse, (forward // 50, reverse // 50))
        site.wait(6)
        told += bytes_of(site.tell())[:1]
    site.count(pair, 950, 3010, (19, 61))
    site.end(pair)
    last = site.tell()[0]
    assert told == [(100, 0), (600, 80), (200, 2920)]
    assert bytes_of([last]) == [(50, 10)]
    assert (last.forward.total_bytes, last.reverse.total_bytes) == (950, 3010)
    assert (last.ended, last.why) == (WALL + site.now, "asked")
    assert site.tell() == []


def test_a_session_to_another_host_names_its_vrouter_and_network() -> None:
    site = Site(*ALL)
    site.learn(FAR, "elsewhere:net", tags=(2 << 32 | 5, 9 << 32, 7))
    pair = site.connect(RED1, FAR)
    site.end(pair)
    [one] = site.tell()
    assert one.endpoint.client
    assert (str(one.peer), one.endpoint.remote_vn) == (FAR_HOST, "elsewhere:net")
    assert one.tunnel == 2
    assert one.endpoint.remote_tags == Tags(
        tier="0x000200000005", labels=("0x000000000007",), custom=("0x000900000000",)
    )
    assert one.endpoint.prefix == ""


def test_a_session_out_of_the_tunnel_is_its_servers() -> None:
    site = Site(*ALL, topology=OPEN)
    site.learn(FAR, RED)
    pair = site.arrive(FAR, RED1)
    site.end(pair)
    [one] = site.tell()
    assert (one.endpoint.client, one.endpoint.vmi) == (False, interface("red1")[1])
    assert (str(one.aggregate.local), str(one.remote), one.port) == (RED1, FAR, 40000)
    assert (str(one.peer), one.tunnel) == (FAR_HOST, 2)


def test_a_wide_route_to_the_other_end_is_its_prefix() -> None:
    site = Site(*ALL)
    site.learn("10.1.1.64", RED, length=26)
    site.end(site.connect(RED1, FAR))
    [one] = site.tell()
    assert one.endpoint.prefix == "10.1.1.64/26"


def test_tags_are_told_by_name_of_both_ends() -> None:
    site = Site(
        *ALL,
        *tag(interface("red1"), "tier", "web", 2 << 32 | 5),
        *tag(interface("red1"), "label", "x", 7),
        *tag(interface("red2"), "application", "hr", 1 << 32 | 1),
    )
    site.end(site.connect(RED1, RED2))
    client, server = site.tell()
    web, hr = Tags(tier="tier=web", labels=("label=x",)), Tags(application="application=hr")
    assert (client.endpoint.tags, client.endpoint.remote_tags) == (web, hr)
    assert (server.endpoint.tags, server.endpoint.remote_tags) == (hr, web)


def test_a_refused_session_says_why() -> None:
    site = Site(*ALL)
    pair = site.connect(RED1, BLUE1)
    site.wait(6)
    assert site.pairs.find(b"\0" * 20) is None
    told = site.tell()
    assert told, pair
    one = told[0]
    assert (one.action, one.drop_reason) == ("deny", "NO_DST_ROUTE")
    assert (one.ended is not None, one.why) == (True, "short")


def test_pings_have_their_number_as_the_port_of_the_client() -> None:
    site = Site(*ALL)
    site.end(site.connect(RED1, RED2, ICMP, 77, 0))
    for one in site.tell():
        assert (one.aggregate.protocol, one.aggregate.port, one.port) == (1, 0, 77)


def test_a_port_that_is_gone_is_known_until_its_sessions_are_told() -> None:
    site = Site(*ALL)
    pair = site.connect(RED1, RED2)
    site.count(pair, 100, 0, (1, 0))
    site.wait(6)
    assert len(site.tell()) == 2
    site.compiler.remove_port(_port("red1"))
    site.commit()
    site.wait(6)
    last = site.tell()
    assert [one.endpoint.vmi for one in last] == [interface("red1")[1], interface("red2")[1]]
    for one in last:
        assert (one.action, one.drop_reason) == ("deny", "UNAVAILABLE_INTERFACE")
        assert one.ended is not None


def _port(vm: str) -> UUID:
    return UUID(interface(vm)[1].rpartition(":")[2])


def test_nobody_knows_the_session_of_a_port_that_was_never_told_of() -> None:
    site = Site(*ALL)
    site.end(site.connect(RED1, FAR))
    site.compiler.remove_port(_port("red1"))
    site.commit()
    assert site.tell() == []
    assert site.sessions.counters.nameless == 1


# --- What is told ---------------------------------------------------------------------------


def test_by_default_nothing_is_told_and_that_is_counted() -> None:
    site = Site()
    site.end(site.connect(RED1, RED2))
    assert site.tell() == []
    assert site.sessions.counters.disabled == 1


def test_without_a_destination_nothing_is_told() -> None:
    site = Site(*ALL)
    site.sessions.targets = (Target("file", sample=False, slo=True),)
    site.end(site.connect(RED1, RED2))
    assert site.tell() == []


def test_sessions_are_left_to_chance_once_there_are_enough() -> None:
    site = Site(*rate(2))
    site.tell()
    pairs = [site.connect(RED1, RED2, sport=1000 + at) for at in range(50)]
    for number in range(1, 4):
        for pair in pairs:
            site.count(pair, 100 * number, 20 * number, (number, number))
        site.wait(6)
        told = site.tell()
    sampler, counters = site.sessions.sampler, site.sessions.counters
    assert sampler.bound >= 500
    assert 0 < len(told) < 100
    for one in told:
        assert one.scale == sampler.bound / 121
    assert counters.sampled_out > 0
    assert counters.exports + 2 * counters.sampled_out == 2 * 50 * 3


def test_each_nth_session_of_a_rule_is_logged_up_to_its_end() -> None:
    rule = sg_rule()
    site = Site(*logged(rule, 3), node(*GLOBAL), topology=OPEN)
    pairs = [site.connect(RED1, RED2, sport=1000 + at) for at in range(7)]
    for pair in pairs:
        site.count(pair, 100, 0, (1, 0))
    site.wait(6)
    first = site.tell()
    assert {one.port for one in first} == {1000, 1003, 1006}
    assert all(one.logged and not one.sampled for one in first)
    for pair in pairs:
        site.end(pair)
    last = site.tell()
    assert {one.port for one in last} == {1000, 1003, 1006}
    assert all(one.ended is not None for one in last)
    assert site.sessions.counters.slo_passed_over == 4


def sg_rule() -> str:
    """The rule of the security group that lets red1 speak to red2."""
    site = Site(*ALL, topology=OPEN)
    site.end(site.connect(RED1, RED2))
    return site.tell()[0].sg_rule


def logged(rule: str, rate: int) -> list[Any]:
    made = slo("s", interface("red1"))
    made[0].properties["security-logging-object-rules"] = {
        "rule": [{"rule-uuid": rule, "rate": rate}]
    }
    return made


def test_logging_is_switched_off_for_the_whole_globe() -> None:
    site = Site(*logged(sg_rule(), 1), node(*GLOBAL, enable_security_logging=False), topology=OPEN)
    site.end(site.connect(RED1, RED2))
    assert site.tell() == []


def test_a_session_that_is_both_has_both() -> None:
    site = Site(*logged(sg_rule(), 1), *ALL, topology=OPEN)
    site.end(site.connect(RED1, RED2))
    assert [(one.sampled, one.logged) for one in site.tell()] == [(True, True)] * 2


# --- Any history ----------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(st.sampled_from(["talk", "end", "tell", "wait"]), st.integers(0, 5)), max_size=40
)


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_every_byte_is_told_exactly_once_whatever_happens(steps: list[tuple[str, int]]) -> None:
    """Connections come, count, end and come again under the same number."""
    site = SITE
    live: dict[int, int] = {}
    passed: dict[int, int] = {}
    real: Counter[UUID] = Counter()
    told: Counter[UUID] = Counter()
    for what, at in [*steps, *(("end", port) for port in range(6)), ("tell", 0)]:
        if what == "talk":
            pair = live.get(at)
            if pair is None:
                pair = live[at] = site.connect(RED1, RED2, sport=50000 + at)
            passed[at] = passed.get(at, 0) + 100 + at
            site.count(pair, passed[at], 0, (passed[at] // 100, 0))
            real[name(site, pair)] = passed[at]
        elif what == "end" and at in live:
            site.end(live.pop(at))
            del passed[at]
        elif what == "wait":
            site.wait(6)
        else:
            for one in site.tell():
                told[one.forward.flow] += one.forward.bytes * one.endpoint.client
                if one.ended is not None:
                    assert one.forward.total_bytes == real[one.forward.flow]
    assert told == real


SITE = Site(*ALL)


def name(site: Site, pair: int) -> UUID:
    serial = site.pairs.describe(pair)["serial"]
    assert isinstance(serial, int)
    return flow_uuid(RUN, serial, 0)
