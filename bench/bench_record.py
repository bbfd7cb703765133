"""What recording costs the event loop, an event, beside pickle and JSON of the same events.

Both peers write the same mix into a buffer that is emptied at a block's size, as ours does.
Packing and writing are the thread's work; they are measured apart, beside compressing with
the same library in one go.
"""

from __future__ import annotations

import base64
import io
import json
import pickle
import random
import sys
import zlib
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from agent.record import BLOCK_SIZE, MAGIC, Packer, Reader, Writer, events
from agent.record.events import Event

RECORD = "record: one event of a running agent"
PACK = "record: pack blocks"
READ = "record: read one event"
KEPT = Path(__file__).parents[1] / "tests/vectors/recordings/controllers.rec"


def mix() -> list[tuple[Event, float]]:
    """Many small events (asking, draining, turns), some frames and bytes of a wire."""
    noise = random.Random(5)
    peer = events.Peer(IPv4Address("10.0.0.250"), 5269)
    calls: list[tuple[Event, float]] = []
    now = 1000.0
    for _ in range(250):
        received = events.DatapathReceived(noise.randbytes(noise.randint(40, 600)))
        kinds = [received, events.DatapathAsked(), events.DatapathDrained()]
        kinds += [events.Trapped((noise.randbytes(342),)), events.Turn(noise.getrandbits(32))]
        kinds += [events.ControllerReceived(peer, noise.randbytes(1400))]
        kinds += [events.ControllersAsked(), events.ControllerDrained(peer)]
        for event in kinds:
            now = round(now + noise.random() / 1000, 9)
            calls.append((event, now))
    return calls


CALLS = mix()


def test_record(contest: Any) -> None:
    writer = Writer()

    def write() -> None:
        for event, now in CALLS:
            writer.append(event, now)
            if len(writer.buffer) >= BLOCK_SIZE:
                writer.buffer.clear()

    contest(RECORD, "vrouter", per=len(CALLS), aim_ns=2000)(write)


def test_record_pickle(contest: Any) -> None:
    buffer = io.BytesIO()

    def write() -> None:
        for event, now in CALLS:
            pickle.dump((now, event), buffer, pickle.HIGHEST_PROTOCOL)
            if buffer.tell() >= BLOCK_SIZE:
                buffer.seek(0)

    contest(RECORD, "pickle", per=len(CALLS))(write)


def _plain(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def test_record_json(contest: Any) -> None:
    buffer = bytearray()

    def write() -> None:
        for event, now in CALLS:
            members = {"type": type(event).__name__, "now": now, **msgspec.structs.asdict(event)}
            buffer.extend(json.dumps(members, default=_plain).encode())
            if len(buffer) >= BLOCK_SIZE:
                buffer.clear()

    contest(RECORD, "json", per=len(CALLS))(write)


def blocks() -> list[bytes]:
    """The kept recording's entries, in blocks, some times over."""
    writer = Writer()
    with KEPT.open("rb") as file:
        calls = [(one.event, one.now) for one in Reader(file.read)]
    parts = []
    for event, now in calls * 8:
        writer.append(event, now)
        if len(writer.buffer) >= BLOCK_SIZE:
            parts.append(bytes(writer.buffer))
            writer.buffer.clear()
    return [*parts, bytes(writer.buffer)]


def test_pack(contest: Any) -> None:
    parts = blocks()
    size = sum(map(len, parts))

    def pack() -> int:
        packer = Packer()
        for part in parts:
            packer.block(part)
        return packer.written

    contest(PACK, "vrouter", per=size >> 10, unit="KiB", ratio=size / pack())(pack)


def test_pack_zlib(contest: Any) -> None:
    data = b"".join(blocks())
    packed = len(zlib.compress(data, 1))
    contest(PACK, "zlib", per=len(data) >> 10, unit="KiB", ratio=len(data) / packed)(
        zlib.compress, data, 1
    )


def test_read(contest: Any) -> None:
    writer, packer = Writer(), Packer()
    for event, now in CALLS:
        writer.append(event, now)
    file = MAGIC + packer.block(writer.buffer)

    def read() -> None:
        assert sum(1 for _ in Reader(io.BytesIO(file).read)) == len(CALLS)

    contest(READ, "vrouter", per=len(CALLS))(read)


def test_read_pickle(contest: Any) -> None:
    file = zlib.compress(b"".join(pickle.dumps((now, event)) for event, now in CALLS), 1)

    def read() -> None:
        stream = io.BytesIO(zlib.decompress(file))
        for _ in CALLS:
            pickle.load(stream)

    contest(READ, "pickle", per=len(CALLS))(read)
