"""Events and their times: exactly what was recorded comes back, and nothing else is believed."""

from __future__ import annotations

import io
import math
import random
import time
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import get_args
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.inputs import ContainerPort, Link, PluggedPort, SimpleGateway
from agent.record import MAGIC, MAX_ENTRY, Packer, Reader, Writer, events
from agent.record.events import AnyEvent, Event
from agent.values import Mac

WORD = st.text(max_size=8)
MAC = st.binary(min_size=6, max_size=6).map(Mac)
ADDRESS = st.ip_addresses(v=4)
NETWORK = st.builds(
    lambda address, length: IPv4Network((int(address) >> (32 - length) << (32 - length), length)),
    ADDRESS,
    st.integers(1, 32),
)
st.register_type_strategy(Mac, MAC)
st.register_type_strategy(IPv4Address, ADDRESS)
st.register_type_strategy(IPv6Address, st.ip_addresses(v=6))
st.register_type_strategy(IPv4Network, NETWORK)
st.register_type_strategy(str, WORD)
st.register_type_strategy(int, st.integers(0, 2**64 - 1))
st.register_type_strategy(float, st.floats(allow_nan=False))
for row in (Link, PluggedPort, ContainerPort, SimpleGateway):
    st.register_type_strategy(row, st.builds(row))
EVENTS = st.one_of(*(st.builds(kind) for kind in get_args(AnyEvent)))
NOW = st.floats(allow_nan=False) | st.integers(0, 2**52).map(lambda nanos: nanos / 1e9)


def written(calls: list[tuple[Event, float]]) -> bytes:
    writer, packer = Writer(), Packer()
    for event, now in calls:
        writer.append(event, now)
    return MAGIC + packer.block(writer.buffer)


def entries(*payloads: bytes) -> bytes:
    """A file with these entries, whatever they are."""
    parts = [len(payload).to_bytes(4, "little") + payload for payload in payloads]
    return MAGIC + Packer().block(b"".join(parts))


def test_every_event_has_a_number_of_its_own() -> None:
    tags = [kind.__struct_config__.tag for kind in get_args(AnyEvent)]
    assert len(set(tags)) == len(tags)
    assert set(get_args(AnyEvent)) == set(Event.__subclasses__())


@given(st.lists(st.tuples(EVENTS, NOW), max_size=8))
def test_what_was_written_is_read(calls: list[tuple[Event, float]]) -> None:
    reader = Reader(io.BytesIO(written(calls)).read)
    found = list(reader)
    assert reader.problem is None
    assert [(one.event, one.now) for one in found] == calls
    assert [one.number for one in found] == list(range(1, len(calls) + 1))
    for one, (_, now) in zip(found, calls, strict=True):
        assert math.copysign(1, one.now) == math.copysign(1, now) or now == 0


def test_times_of_the_clock_are_small_and_exact() -> None:
    times = [time.monotonic() for _ in range(1000)]
    times += [round(now, 3) for now in times]  # the loop's own clock counts milliseconds
    writer = Writer()
    for now in times:
        writer.append(events.Listed(), now)
    file = MAGIC + Packer().block(writer.buffer)
    assert [one.now for one in Reader(io.BytesIO(file).read)] == times
    first = Writer()
    first.append(events.Listed(), times[0])
    assert len(writer.buffer) / len(times) <= len(first.buffer)


def test_what_is_too_large_is_refused_and_leaves_no_trace() -> None:
    writer = Writer()
    writer.append(events.Listed(), 1.0)
    before = bytes(writer.buffer)
    with pytest.raises(ValueError, match=f"the limit is {MAX_ENTRY}"):
        writer.append(events.DatapathReceived(bytes(MAX_ENTRY)), 2.0)
    assert writer.buffer == before


def test_what_cannot_be_written_is_refused_and_leaves_no_trace() -> None:
    writer = Writer()
    with pytest.raises(ValueError, match=r"LinksChanged: .*utf-8"):
        writer.append(events.LinksChanged((), ("\udcff",)), 1.0)
    assert writer.buffer == b""


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode(7),
        msgspec.msgpack.encode([0, [9999]]),
        msgspec.msgpack.encode([0, [12, "too", "many"]]),
        msgspec.msgpack.encode([None, [12]]),
        msgspec.msgpack.encode([2**63, [12]]) * 2,
        msgspec.msgpack.encode([0, [22, "no uuid"]]),
        msgspec.msgpack.encode([0, [50, [b"12345", 1]]]),
        msgspec.msgpack.encode([0, [50, [17, 1]]]),
        msgspec.msgpack.encode([0, [25, [["a", "b", [7], []]]]]),
        b"\x91" * 100_000,
    ],
)
def test_an_entry_that_is_no_event_ends_the_reading(entry: bytes) -> None:
    good = msgspec.msgpack.encode([0, [12]])
    reader = Reader(io.BytesIO(entries(good, entry, good)).read)
    assert [one.event for one in reader] == [events.Listed()]
    assert reader.problem is not None
    assert str(reader.problem).startswith("event 2: ")


def test_times_beyond_all_clocks_are_errors_not_crashes() -> None:
    entry = msgspec.msgpack.encode([2**63 - 1, [12]])
    reader = Reader(io.BytesIO(entries(*[entry] * 5)).read)
    assert len(list(reader)) == 5


def test_noise_is_never_believed() -> None:
    """Random damage in the content, behind right checksums."""
    noise = random.Random(7)
    port = events.PortUnplugged(UUID(int=5))
    peer = events.Peer(IPv4Address("10.0.0.1"), 5269)
    calls: list[tuple[Event, float]] = [
        (port, 1.0),
        (events.ControllerFault(peer, 3, "why"), 2.0),
        (events.LinksChanged((Link("eth0", 2, Mac(bytes(6)), True),), ("eth1",)), 3.0),
        (events.Trapped((b"frame", b"other")), 4.0),
    ]
    writer = Writer()
    for event, now in calls:
        writer.append(event, now)
    content = bytes(writer.buffer)
    for _ in range(2000):
        damaged = bytearray(content)
        for _ in range(noise.randint(1, 4)):
            damaged[noise.randrange(len(damaged))] = noise.randrange(256)
        reader = Reader(io.BytesIO(MAGIC + Packer().block(damaged)).read)
        for one in reader:
            assert isinstance(one.event, get_args(AnyEvent))
