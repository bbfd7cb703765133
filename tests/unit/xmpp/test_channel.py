"""One session: opening, keepalives, hold time, back-off, STARTTLS, faults."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.xmpp import Channel, State
from agent.xmpp.channel import ConfigStanza, NotReady, Ready, RouteStanza, TimedOut
from agent.xmpp.session import PLAIN, TLS, Action, Input, back_off
from tests.unit.xmpp.conversation import (
    HEADER,
    IDENTITY,
    KEEPALIVE,
    OPEN,
    config,
    routes,
)

FEATURES = (
    b'<stream:features><starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"><required />'
    b"</starttls></stream:features>"
)
STARTTLS = b'<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls" />'
PROCEED = b'<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls" />'


def make(*, tls: bool = False) -> Channel:
    return Channel(IDENTITY, jitter=lambda: 0.5, tls=tls)


def dial(channel: Channel) -> float:
    """Wait until a connection is asked for; when."""
    while channel.attempt is None:
        at = channel.deadline()
        assert at is not None
        channel.tick(at)
    return at


def hear(channel: Channel, data: bytes, now: float) -> list[bytes]:
    return list(channel.receive(data, now))


def establish(channel: Channel, now: float = 0.0) -> float:
    if channel.state is State.IDLE:
        channel.start(now)
    now = dial(channel)
    channel.connected(now)
    hear(channel, HEADER, now)
    assert channel.ready
    return now


def test_the_opening() -> None:
    channel = make()
    assert channel.deadline() is None
    channel.start(10.0)
    assert channel.state is State.ACTIVE
    assert channel.deadline() == pytest.approx(10.05)
    assert dial(channel) == pytest.approx(10.05)
    channel.connected(10.1)
    assert channel.data_to_send() == OPEN
    assert hear(channel, HEADER, 10.2) == [HEADER.partition(b"\n")[2]]
    assert channel.state is State.ESTABLISHED
    assert channel.data_to_send() == KEEPALIVE
    assert channel.events() == [Ready()]


def test_keepalives_leave_three_times_a_hold_time() -> None:
    channel = make()
    now = establish(channel)
    channel.data_to_send()
    for _ in range(5):
        at = channel.deadline()
        assert at == pytest.approx(now + 30)
        now = at
        hear(channel, KEEPALIVE, now)
        channel.tick(now)
        assert channel.data_to_send() == KEEPALIVE
    assert channel.ready


def test_silence_for_the_hold_time_ends_the_session() -> None:
    channel = make()
    now = establish(channel)
    channel.tick(now + 89.9)
    assert channel.ready
    channel.tick(now + 90)
    assert channel.state is State.ACTIVE
    assert channel.attempt is None
    assert channel.events() == [Ready(), NotReady("nothing heard for 90 s")]
    assert channel.data_to_send() == b""


def test_unread_bytes_are_no_silence() -> None:
    channel = make()
    now = establish(channel)
    channel.tick(now + 90, unread=True)
    assert channel.ready
    channel.tick(now + 179)
    assert channel.ready
    channel.tick(now + 180)
    assert not channel.ready


@pytest.mark.parametrize("data", [KEEPALIVE, config(), routes(), b"<iq"])
def test_any_bytes_restart_the_hold_timer(data: bytes) -> None:
    channel = make()
    now = establish(channel)
    hear(channel, data, now + 80)
    channel.tick(now + 169)
    assert channel.ready


def test_the_hold_time_may_change_and_be_switched_off() -> None:
    channel = make()
    now = establish(channel)
    channel.hold(9.0, now)
    assert channel.deadline() == pytest.approx(now + 3)
    channel.hold(0.0, now)
    assert channel.deadline() is None
    channel.tick(now + 1e6)
    assert channel.ready


def test_an_opening_never_waits_without_end() -> None:
    channel = make()
    channel.hold(0.0, 0.0)
    channel.start(0.0)
    now = dial(channel)
    channel.connected(now)
    at = channel.deadline()
    assert at == pytest.approx(now + 90)
    channel.tick(at)
    assert channel.state is State.ACTIVE


def test_back_off_and_its_bounds() -> None:
    assert [back_off(n, 0.5) for n in range(9)] == pytest.approx([0.05, 1, 2, 4, 8, 16, 30, 30, 30])
    assert back_off(3, 0.0) == pytest.approx(3.6)
    assert back_off(3, 1.0) == pytest.approx(4.4)


def test_failed_attempts_back_off_and_time_out() -> None:
    channel = make()
    channel.start(0.0)
    delays, now = [], 0.0
    for _ in range(6):
        before, now = now, dial(channel)
        delays.append(now - before)
        channel.disconnected(now, "refused")
    assert delays == pytest.approx([0.05, 1, 2, 4, 8, 16])
    assert channel.events() == [TimedOut(4), TimedOut(5), TimedOut(6)]
    assert channel.last_fault == "refused"


def test_a_connect_without_answer_is_given_up() -> None:
    channel = make()
    channel.start(0.0)
    now = dial(channel)
    first = channel.attempt
    at = channel.deadline()
    assert at == pytest.approx(now + 1)
    channel.tick(at)
    assert (channel.state, channel.attempt) == (State.ACTIVE, None)
    dial(channel)
    assert channel.attempt != first


def test_the_third_keepalive_resets_the_back_off() -> None:
    channel = make()
    channel.start(0.0)
    dial(channel)
    channel.disconnected(1.0, "refused")
    now = establish(channel)
    for count in (1, 2, 3):
        assert channel.attempts == 2
        hear(channel, KEEPALIVE, now + count)
    assert channel.attempts == 0


def test_stanzas_are_dispatched_by_resource() -> None:
    channel = make()
    now = establish(channel)
    channel.events()
    seen = hear(channel, config() + routes() + b'<iq to="c/bgp-peer"></iq>', now)
    assert len(seen) == 2
    for text in seen:
        channel.stanza(ElementTree.fromstring(text), now)
    found = channel.events()
    assert isinstance(found[0], RouteStanza)
    assert found[0].data == routes()
    assert isinstance(found[1], ConfigStanza)
    assert channel.counters == {"ignored: iq to bgp-peer": 1}


def test_starttls() -> None:
    channel = make(tls=True)
    channel.start(0.0)
    now = dial(channel)
    channel.connected(now)
    assert channel.data_to_send() == OPEN
    hear(channel, HEADER, now)
    assert channel.state is State.OPEN_CONFIRM
    assert hear(channel, FEATURES, now) == []
    assert channel.data_to_send() == STARTTLS
    assert not channel.handshake
    hear(channel, PROCEED, now)
    assert channel.handshake
    channel.secured(now)
    assert not channel.handshake
    assert channel.data_to_send() == OPEN
    hear(channel, HEADER, now)
    assert channel.ready
    assert channel.data_to_send() == KEEPALIVE


def test_plain_bytes_after_proceed_never_count() -> None:
    channel = make(tls=True)
    channel.start(0.0)
    now = dial(channel)
    channel.connected(now)
    hear(channel, HEADER + FEATURES, now)
    assert hear(channel, PROCEED + config(), now) == []
    assert channel.state is State.ACTIVE
    assert not channel.handshake


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (FEATURES, "requires TLS"),
        (PROCEED, "proceed in state Established"),
        (b"</stream:stream>", "closed the stream"),
        (b"<presence/>", "begins no stanza"),
        (b"\x00\xff", "begins no stanza"),
    ],
)
def test_faults_end_the_session(data: bytes, words: str) -> None:
    channel = make()
    now = establish(channel)
    assert hear(channel, data + routes(), now) == []
    assert channel.attempt is None
    ready, gone = channel.events()
    assert ready == Ready()
    assert isinstance(gone, NotReady)
    assert words in gone.reason
    assert channel.counters["faults"] == 1
    assert channel.flaps == 1


def test_stanzas_before_the_session_end_the_attempt() -> None:
    channel = make(tls=True)
    channel.start(0.0)
    now = dial(channel)
    channel.connected(now)
    assert hear(channel, HEADER + routes(), now) == [HEADER.partition(b"\n")[2]]
    assert channel.state is State.ACTIVE
    assert channel.events() == []


def test_stop_is_silent_and_final() -> None:
    channel = make()
    now = establish(channel)
    channel.stop(now)
    assert channel.state is State.IDLE
    assert channel.deadline() is None
    channel.disconnected(now, "closed")
    assert channel.state is State.IDLE


@pytest.mark.parametrize("table", [PLAIN, TLS])
def test_every_state_can_be_left(table: object) -> None:
    assert isinstance(table, dict)
    states = {state for state, _ in table} - {State.IDLE}
    assert State.ESTABLISHED in states
    for state in states:
        assert table[state, Input.STOP][0] is State.IDLE
        if state is not State.ACTIVE:
            after, actions = table[state, Input.DOWN]
            assert after is State.ACTIVE
            assert (Action.NOT_READY in actions) == (state is State.ESTABLISHED)


INPUTS = st.one_of(
    st.sampled_from(["start", "stop", "connected", "disconnected", "secured", "tick"]),
    st.sampled_from([HEADER, FEATURES, PROCEED, KEEPALIVE, routes(), config(), b"<", b"junk"]),
)


@given(st.booleans(), st.lists(st.tuples(INPUTS, st.floats(0, 40)), max_size=40))
def test_any_sequence_keeps_the_promises(
    tls: bool, inputs: list[tuple[str | bytes, float]]
) -> None:
    """Ready and NotReady alternate; a running channel always has something to wait for."""
    channel, now, ready = make(tls=tls), 0.0, False
    for event, pause in inputs:
        now += pause
        match event:
            case bytes():
                if channel.attempt is not None:
                    hear(channel, event, now)
            case "start" | "stop" | "connected" | "secured" | "tick":
                getattr(channel, event)(now)
            case _:
                channel.disconnected(now, "gone")
        for told in channel.events():
            if isinstance(told, Ready | NotReady):
                assert ready != isinstance(told, Ready)
                ready = not ready
        assert channel.ready == ready
        assert (channel.deadline() is None) == (channel.state is State.IDLE)
        if channel.attempt is None:
            assert channel.data_to_send() == b""
