"""The connection to collectors, step by step: order, hand-over, handshake, resends, faults."""

from __future__ import annotations

from ipaddress import IPv4Address
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.settings import Server
from agent.telemetry.uve import Drop, Generator, Identity, Level, Outbox, State, Type, UveCache
from agent.telemetry.uve.generator import (
    CHUNK,
    CONNECT_TIME,
    GOOD_TIME,
    HANDSHAKE_TIME,
    MOST_PAUSE,
    STALL_TIME,
)
from tests.fake.collector import Received, answer, cut

ONE, TWO, THREE = (Server(IPv4Address(f"10.0.0.{n}"), 8086) for n in (1, 2, 3))
TAGS = "UVEVMITags"
TYPES = (TAGS, "UVEVMIStats")


def generator(*servers: Server) -> Generator:
    """One that has these collectors in this order, at the time 0."""
    box = Outbox(Identity("host", 7, 8085), UveCache(), lambda: 1.5, types=TYPES)
    made = Generator(box, shuffle=lambda found: found.sort(key=str), jitter=lambda: 0.5)
    made.configure(servers, 0.0)
    return made


def established(one: Generator, now: float = 0.0, known: dict[str, int] | None = None) -> None:
    one.connected(now)
    one.data_to_send()
    one.receive(answer(known or {}), now)
    assert one.view().state is State.ESTABLISHED


def sent(one: Generator) -> list[Received]:
    data = b""
    while found := one.data_to_send():
        data += found
    frames, rest = cut(data)
    assert not rest
    return frames


def test_without_collectors_nothing_is_wanted() -> None:
    one = generator()
    assert (one.configured, one.server, one.deadline(), one.has_data) == (False, None, None, False)
    one.tick(1e9)
    one.outbox.put(TAGS, {"name": "a"})
    assert sent(one) == []
    assert one.view().state is State.IDLE


def test_the_handshake() -> None:
    one = generator(ONE)
    assert one.server == ONE
    one.connected(1.0)
    assert one.view().state is State.CLIENT_INIT
    [hello] = sent(one)
    assert hello.name == "SandeshCtrlClientToServer"
    assert (hello.header["Hints"], hello.header["Context"], hello.header["Type"]) == (
        "2", "ctrl", "2",
    )  # fmt: skip
    texts = {each.tag: each.text for each in hello.message if not len(each)}
    assert texts == {
        "source": "host", "module_name": "contrail-vrouter-agent", "sucessful_connections": "0",
        "pid": "7", "http_port": "8085", "node_type_name": "Compute", "instance_id_name": "0",
    }  # fmt: skip
    assert [each.text for each in hello.message.iter("element")] == ["VMIStats", "VMITags"]
    one.receive(answer({}), 1.0)
    view = one.view()
    assert (view.state, view.last_state, view.connects) == (
        State.ESTABLISHED, State.CLIENT_INIT, 1,
    )  # fmt: skip


def test_nothing_is_sent_before_the_answer() -> None:
    one = generator(ONE)
    one.outbox.put(TAGS, {"name": "a"})
    one.outbox.send("SessionEndpointObject", {}, Level.NOTICE, Type.SESSION, 0.0)
    one.connected(0.0)
    assert [each.name for each in sent(one)] == ["SandeshCtrlClientToServer"]
    assert not one.has_data
    one.receive(answer({}), 0.0)
    assert sorted(each.name for each in sent(one)) == ["SessionEndpointObject", TAGS]


def test_what_a_collector_knew_before_us_is_of_another_process() -> None:
    one = generator(ONE)
    one.outbox.put(TAGS, {"name": "a"})
    one.outbox.put(TAGS, {"name": "b"})
    established(one, known={"VMITags": 1})
    assert [each.sequence for each in sent(one)] == [1, 2]
    one.disconnected("lost", 5.0)
    one.outbox.put(TAGS, {"name": "c"})
    one.tick(one.deadline() or 0.0)
    one.connected(6.0)
    [hello] = sent(one)
    assert hello.message.findtext("sucessful_connections") == "1"
    one.receive(answer({"VMITags": 1}), 6.0)
    assert [each.sequence for each in sent(one)] == [2, 3]


def test_when_one_fails_the_next_one_follows() -> None:
    one = generator(ONE, TWO)
    assert one.disconnected("connection refused", 0.0) == "connection refused"
    assert one.server is None
    first = one.deadline()
    assert first is not None
    assert first < 0.2
    one.tick(first)
    assert one.server == TWO
    one.disconnected("connection refused", first)
    again = one.deadline()
    assert again is not None
    assert again - first == 1.0
    one.tick(again)
    assert one.server == ONE


def test_pauses_grow_until_a_connection_lasts() -> None:
    one, now, pauses = generator(ONE), 0.0, []
    for _ in range(12):
        one.disconnected("refused", now)
        deadline = one.deadline()
        assert deadline is not None
        pauses.append(deadline - now)
        one.tick(now := deadline)
    assert all(before <= after for before, after in pairwise(pauses))
    assert pauses[-1] == MOST_PAUSE
    established(one, now)
    one.disconnected("lost", now + GOOD_TIME + 1)
    assert one.deadline() == now + GOOD_TIME + 1 + pauses[0]
    assert one.view().failures == 13


@pytest.mark.parametrize(
    ("connected", "time", "fault"),
    [
        (False, CONNECT_TIME, "it does not answer"),
        (True, HANDSHAKE_TIME, "it does not answer the handshake"),
    ],
)
def test_no_answer(*, connected: bool, time: float, fault: str) -> None:
    one = generator(ONE)
    if connected:
        one.connected(0.0)
    assert one.deadline() == time
    one.tick(time - 0.1)
    assert not one.broken
    one.tick(time)
    assert one.broken
    assert one.disconnected("closed", time) == fault
    assert one.view().last_fault == fault


def test_a_refusal() -> None:
    one = generator(ONE, TWO)
    one.connected(0.0)
    one.receive(answer({}, success=False), 0.0)
    assert one.broken
    assert one.disconnected("closed", 0.0) == "it refuses us"
    one.tick(1.0)
    assert one.server == TWO


def test_whoever_takes_nothing_is_left() -> None:
    one = generator(ONE)
    established(one)
    assert one.deadline() is None
    one.outbox.put(TAGS, {"name": "a"})
    assert one.deadline() == 0.0
    one.tick(2.0)
    assert one.deadline() == 2.0 + STALL_TIME
    one.tick(1.9 + STALL_TIME)
    assert not one.broken
    one.tick(2.0 + STALL_TIME)
    assert one.broken
    assert one.disconnected("x", 70.0) == "it takes nothing for 60 s"


def test_whoever_takes_something_now_and_then_is_not() -> None:
    one = generator(ONE)
    established(one)
    for now in range(0, 1000, 50):
        one.outbox.put(TAGS, {"name": "a", "app": str(now)})
        one.tick(float(now))
        assert len(sent(one)) == 1
    assert not one.broken


def test_another_list_is_connected_to_at_once() -> None:
    one = generator(ONE, TWO)
    established(one)
    one.configure([TWO, ONE], 1.0)
    assert not one.broken
    one.configure([THREE], 1.0)
    assert one.broken
    assert one.disconnected("given up", 1.0) == ""
    assert one.server == THREE
    assert one.view().failures == 0


def test_no_list_ends_it() -> None:
    one = generator(ONE)
    established(one)
    one.outbox.send("SessionEndpointObject", {}, Level.NOTICE, Type.SESSION, 0.0)
    one.configure([], 1.0)
    assert one.broken
    assert sent(one) == []
    one.disconnected("given up", 1.0)
    assert (one.server, one.view().state, one.deadline()) == (None, State.IDLE, None)
    assert one.outbox.stats.total.dropped[Drop.NO_CLIENT].messages == 1
    one.configure([ONE], 2.0)
    assert one.server == ONE


def test_a_list_that_changes_during_a_pause_or_an_attempt() -> None:
    one = generator(ONE)
    one.disconnected("refused", 0.0)
    one.configure([TWO], 0.1)
    assert (one.server, one.broken) == (TWO, False)
    one.configure([THREE], 0.2)
    assert one.broken
    assert one.disconnected("given up", 0.2) == ""
    assert one.server == THREE


def test_requests_of_a_collector_are_counted_not_answered() -> None:
    one = generator(ONE)
    established(one)
    request = b"<SandeshHeader></SandeshHeader><SandeshUVETypesReq></SandeshUVETypesReq>"
    junk = request.replace(b"SandeshUVETypesReq", b"Whatever123")
    for content in (request, junk, junk):
        one.receive(b'<sandesh length="%010d">%b</sandesh>' % (39 + len(content), content), 0.0)
    one.receive(answer({}), 0.0)
    assert not one.broken
    stats = one.outbox.stats
    assert stats.by_type()["unknown"].values() == {
        "messages_received": 2, "bytes_received": 194,
        "messages_received_dropped": 2, "bytes_received_dropped": 194,
        "messages_received_dropped_create_failed": 2, "bytes_received_dropped_create_failed": 194,
    }  # fmt: skip
    assert "Whatever123" not in stats.by_type()
    assert stats.total.received.messages == 5


def test_pieces_are_small() -> None:
    one = generator(ONE)
    established(one)
    for number in range(500):
        one.outbox.put(TAGS, {"name": f"port-{number}", "labels": ["x" * 50]})
    sizes = []
    while data := one.data_to_send():
        sizes.append(len(data))
    assert len(sizes) > 10
    assert max(sizes) < CHUNK + 2000


_FRAMES = [answer({}), answer({"VMITags": 3}), answer({}, success=False), b"\0", b"<sandesh ", b""]


@settings(max_examples=60)
@given(
    st.lists(st.one_of(st.sampled_from(_FRAMES), st.binary(max_size=60)), max_size=12),
    st.lists(st.integers(1, 80), min_size=1, max_size=20),
)
def test_whatever_a_collector_says(pieces: list[bytes], cuts: list[int]) -> None:
    """In any cut: the same end, and never more than one faulty connection."""
    stream, ends = b"".join(pieces), []
    for sizes in (cuts, [len(stream) or 1]):
        one = generator(ONE, TWO)
        one.outbox.put(TAGS, {"name": "a"})
        one.connected(0.0)
        at = turn = 0
        while at < len(stream):
            size = sizes[turn % len(sizes)]
            one.receive(stream[at : at + size], 0.0)
            at, turn = at + size, turn + 1
        frames = sent(one)
        ends.append((one.view().state, one.view().connects, one.broken, len(frames)))
        one.disconnected("closed", 1.0)
        one.tick(2.0)
        assert one.server == TWO
    assert ends[0] == ends[1]


@settings(max_examples=60)
@given(st.data())
def test_any_order_of_events(data: st.DataObject) -> None:
    """Whatever happens: a server only where one is configured, frames that are whole, no growth."""
    one, now = generator(ONE, TWO), 0.0
    connected = False
    for _ in range(data.draw(st.integers(0, 40))):
        now += data.draw(st.sampled_from([0.0, 0.1, 3.0, 70.0]))
        match data.draw(st.sampled_from(["up", "down", "hear", "put", "list", "send", "tick"])):
            case "up" if one.server and not connected and not one.broken:
                one.connected(now)
                connected = True
            case "down" if connected or one.server:
                one.disconnected("lost", now)
                connected = False
            case "hear" if connected:
                one.receive(data.draw(st.sampled_from(_FRAMES)), now)
            case "put":
                one.outbox.put(TAGS, {"name": data.draw(st.sampled_from("abc")), "app": str(now)})
            case "list":
                one.configure(data.draw(st.sampled_from([[], [ONE], [ONE, TWO]])), now)
            case "send" if connected:
                sent(one)
            case _:
                one.tick(now)
        assert len(one.outbox) <= 3
        assert (one.server is None) or one.configured
        deadline = one.deadline()
        assert deadline is None or one.configured or connected
