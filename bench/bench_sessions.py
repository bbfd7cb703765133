"""Records of sessions: from pairs of flows to the bytes of each destination; the walk over pairs.

Forms are measured beside the plain way to make such a record: a dict, and the standard library's
JSON of it. The walk stands for itself: it goes over all pairs once in the period in which their
counters are read, of which a core may spend 5 % on all statistics together.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from bench_flow_scan import LIVE, SHARE, Walk

from agent._fast.flow_sessions import Sampling, SessionWalk
from agent.sandesh import xml
from agent.telemetry.sessions import Session
from agent.telemetry.sessions.documents import lines
from agent.telemetry.sessions.ipfix import Exporter
from agent.telemetry.sessions.messages import MESSAGE, Limits, messages
from agent.telemetry.sessions.syslog import datagrams
from tests.unit.telemetry.sessions.site import RED1, RED2, UDP, Site, rate

PAIRS = 250
SESSIONS = 2 * PAIRS
FORMS = "sessions: records to bytes"
WALK = "sessions: walk over 500 k flows"
NOW = 1_700_000_100.0


@pytest.fixture(scope="module")
def site() -> Site:
    """Pairs between two ports, which count."""
    made = Site(*rate(-1))
    for number in range(PAIRS):
        pair = made.connect(RED1, RED2, UDP, 1000 + number, 53)
        made.count(pair, 100 + number, 900 + number, (1, 3))
    made.wait(6)
    return made


@pytest.fixture(scope="module")
def told(site: Site) -> list[Session]:
    """Their sessions, of both ends."""
    found = site.tell()
    assert len(found) == SESSIONS
    return found


def test_making_sessions_of_pairs(contest: Any, site: Site, told: list[Session]) -> None:
    """The kernel's rows of the pairs, and what oper knows of them."""
    flows = site.engine

    def fresh() -> tuple[tuple[Any], dict[str, Any]]:
        sessions = type(site.sessions)(flows, site.compiler, run=told[0].forward.flow, seed=5)
        sessions.targets = site.sessions.targets
        sessions.begin(site.now)
        return (sessions,), {}

    def run(sessions: Any) -> int:
        count, more = 0, True
        while more:
            found, more = sessions.step(site.now, NOW)
            count += len(found)
        return count

    assert run(*fresh()[0]) == SESSIONS
    contest("sessions: from pairs to records", "vrouter", per=SESSIONS).pedantic(
        run, setup=fresh, rounds=30, warmup_rounds=2
    )


def test_json_lines(contest: Any, told: list[Session]) -> None:
    assert lines(told, "host", NOW).count(b"\n") == SESSIONS
    contest(FORMS, "JSON lines", per=SESSIONS, aim_ratio=("json.dumps of dicts", 1.0))(
        lines, told, "host", NOW
    )


def test_syslog(contest: Any, told: list[Session]) -> None:
    assert len(datagrams(told, "host", 7, 16, NOW)) == SESSIONS
    contest(FORMS, "syslog", per=SESSIONS)(datagrams, told, "host", 7, 16, NOW)


def test_ipfix(contest: Any, told: list[Session]) -> None:
    exporter = Exporter(1)

    def run() -> int:
        return sum(records for _, records in exporter.packets(told, 0.0, NOW))

    assert run() == SESSIONS
    contest(FORMS, "IPFIX", per=SESSIONS)(run)


def test_collector(contest: Any, told: list[Session]) -> None:
    def run() -> int:
        made = [xml.message(MESSAGE, each) for each in messages(told, Limits())]
        return sum(one.count("</SessionInfo>") for one in made)

    assert run() == SESSIONS
    contest(FORMS, "SessionEndpointObject", per=SESSIONS)(run)


def test_plain_json(contest: Any, told: list[Session]) -> None:
    """A dict of the same members for each, and json.dumps."""

    def run() -> bytes:
        return "".join(json.dumps(_plain(one)) + "\n" for one in told).encode()

    assert run().count(b"\n") == SESSIONS
    contest(FORMS, "json.dumps of dicts", per=SESSIONS)(run)


def _plain(one: Session) -> dict[str, Any]:
    endpoint, forward, reverse = one.endpoint, one.forward, one.reverse
    return {
        "@timestamp": NOW,
        "host": "host",
        "kind": "sample",
        "vmi": endpoint.vmi,
        "vn": endpoint.vn,
        "remote_vn": endpoint.remote_vn,
        "role": "client" if endpoint.client else "server",
        "local_ip": str(one.aggregate.local),
        "remote_ip": str(one.remote),
        "protocol": one.aggregate.protocol,
        "service_port": one.aggregate.port,
        "client_port": one.port,
        "action": one.action,
        "forward_bytes": forward.bytes,
        "forward_packets": forward.packets,
        "reverse_bytes": reverse.bytes,
        "reverse_packets": reverse.packets,
        "start_time": one.started,
        "session_id": str(forward.flow),
        "sampling_scale": one.scale,
        "vm": one.vm,
        "vrouter_ip": str(endpoint.router),
        "policy_rule": one.policy_rule,
        "security_group_rule": one.sg_rule,
    }


# --- The walk


@pytest.fixture(scope="module")
def busy() -> Walk:
    walk = Walk(LIVE)
    assert len(walk.pairs) == LIVE // 2
    return walk


def whole(walk: SessionWalk) -> Iterable[bytes]:
    """All that a walk over all pairs shows."""
    yield walk.running()
    while walk.midway:
        yield walk.running()


def sweep(walk: SessionWalk) -> int:
    """A walk over all pairs; the bytes that it shows."""
    return sum(map(len, whole(walk)))


def aim(busy: Walk) -> float:
    """Nanoseconds a flow."""
    return SHARE * busy.scanner.period * 1e9 / LIVE


def test_walk_over_silent_pairs(contest: Any, busy: Walk) -> None:
    walk = SessionWalk(busy.pairs, seed=1)
    walk.choose(Sampling.ALL)
    sweep(walk)
    assert sweep(walk) == 0
    contest(
        WALK, "vrouter, silent", per=LIVE, aim_ns=aim(busy), bytes_a_pair=walk.memory / (LIVE // 2)
    ).pedantic(sweep, args=(walk,), rounds=12, warmup_rounds=1)  # fmt: skip


def test_walk_over_busy_pairs(contest: Any, busy: Walk) -> None:
    """All count on; chance leaves about 1,300 of 250,000 sessions to be told."""
    walk = SessionWalk(busy.pairs, seed=1)
    walk.choose(Sampling.ALL)
    sweep(walk)
    walk.choose(Sampling.SOME, 100_000)

    def traffic() -> tuple[tuple[SessionWalk], dict[str, Any]]:
        busy.traffic()
        busy.sweep()
        return (walk,), {}

    contest(
        WALK, "vrouter, all counting", per=LIVE, aim_ns=aim(busy),
        share_of_a_core=f"time of a walk / {busy.scanner.period:g} s",
    ).pedantic(sweep, setup=traffic, rounds=6)  # fmt: skip
    assert walk.counters[1] > 5 * 200_000
