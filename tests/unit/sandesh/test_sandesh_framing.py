"""Netlink frames in both transports' forms."""

from __future__ import annotations

from typing import Any

import pytest

from agent.errors import WireError
from agent.sandesh import decode, encode, encode_many
from agent.sandesh.framing import (
    MAX_PAYLOAD,
    NLMSG_DONE,
    Frame,
    FrameReader,
    kernel_reply_frames,
    read_frames,
    reply_frame,
    request_frame,
)
from agent.sandesh.vrouter import VrMplsReq
from tests.unit.sandesh.sandesh_vectors import vector_rows

GOLDEN = vector_rows("sandesh-frames.jsonl")
STREAM = b"".join(bytes.fromhex(frame) for row in GOLDEN for frame in row["frames"])


def payloads_of(row: dict[str, Any]) -> list[bytes]:
    """The payload of each frame: one result a frame, the objects of a dump on their own."""
    encoded = [(m["struct"], encode(m["struct"], m["fields"])) for m in row["messages"]]
    if row["dir"] == "request":
        return [b"".join(raw for _, raw in encoded)]
    parts: list[bytes] = []
    for name, raw in encoded:
        together = parts and name != "vr_response" and row["case"] != "dump-partial"
        if together or (len(parts) == 2 and row["case"] == "dump-partial"):
            parts[-1] += raw
        else:
            parts.append(raw)
    return parts


def frames_of(row: dict[str, Any]) -> list[bytes]:
    payloads = payloads_of(row)
    if row["dir"] == "request":
        return [request_frame(payloads[0], family=row["family"], seq=row["seq"], pid=row["pid"])]
    if row["transport"] == "kernel":
        return kernel_reply_frames(payloads, family=31, seq=row["seq"], pid=4242)
    return [
        reply_frame(payload, family=24, seq=row["seq"], more=payload is not payloads[-1])
        for payload in payloads
    ]


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: f"{row['case']}-{row['id']}")
def test_golden_frames_both_ways(row: dict[str, Any]) -> None:
    raw = [bytes.fromhex(frame) for frame in row["frames"]]
    assert frames_of(row) == raw
    frames = read_frames(b"".join(raw))
    assert [frame.seq for frame in frames] == [row["seq"]] * len(raw)
    assert [frame.payload for frame in frames if frame.type != NLMSG_DONE] == payloads_of(row)
    decoded = [pair for frame in frames for pair in decode(frame.payload)]
    assert decoded == [(m["struct"], m["fields"]) for m in row["messages"]]
    if row["dir"] == "reply":
        assert [frame.more for frame in frames] == [True] * (len(raw) - 1) + [False]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 16, 23, 24, 25, 100, 4096])
def test_a_stream_may_be_cut_anywhere(step: int) -> None:
    reader = FrameReader()
    frames: list[Frame] = []
    for at in range(0, len(STREAM), step):
        reader.feed(STREAM[at : at + step])
        frames += reader
    assert frames == read_frames(STREAM)
    assert reader.pending == 0
    assert len(frames) == sum(len(row["frames"]) for row in GOLDEN)


def test_a_frame_is_delivered_with_its_last_byte() -> None:
    raw = reply_frame(b"abcd", family=24, seq=1, more=False)
    reader = FrameReader()
    reader.feed(raw[:-1])
    assert list(reader) == []
    reader.feed(raw[-1:])
    assert list(reader) == [Frame(24, 0, 1, 0, b"abcd")]


def test_iteration_may_stop_between_frames() -> None:
    raw = reply_frame(b"a", family=24, seq=1, more=True)
    reader = FrameReader()
    reader.feed(raw + raw)
    for frame in reader:
        assert frame.more
        break
    assert reader.pending == len(raw)
    assert len(list(reader)) == 1


@pytest.mark.parametrize("size", range(9))
def test_every_form_gives_the_payload_without_padding(size: int) -> None:
    payload = b"\1" * size
    request = request_frame(payload, family=24, seq=1, pid=2)
    reply = reply_frame(payload, family=24, seq=1, more=False)
    (kernel,) = kernel_reply_frames([payload], family=24, seq=1, pid=2)
    assert len(kernel) % 4 == 0
    for raw in (request, reply, kernel):
        assert [frame.payload for frame in read_frames(raw)] == [payload]


def test_a_payload_too_long_for_the_attribute_is_refused() -> None:
    assert len(request_frame(bytes(MAX_PAYLOAD), family=24, seq=1, pid=1)) == MAX_PAYLOAD + 24
    with pytest.raises(WireError, match="65532 bytes: at most 65531"):
        request_frame(bytes(MAX_PAYLOAD + 1), family=24, seq=1, pid=1)


def test_a_wrapped_attribute_length_does_not_matter() -> None:
    payload = encode_many([VrMplsReq()] * 1500)
    (frame,) = read_frames(reply_frame(payload, family=24, seq=1, more=False))
    assert frame.payload == payload


@pytest.mark.parametrize("size", [0, 15, 16, 23, (1 << 17) + 1, 0xFFFFFFFF])
def test_a_length_that_cannot_be_breaks_the_stream(size: int) -> None:
    good = reply_frame(b"", family=24, seq=1, more=False)
    reader = FrameReader()
    reader.feed(good + size.to_bytes(4, "little") + good[4:])
    frames = iter(reader)
    assert next(frames).seq == 1
    with pytest.raises(WireError, match=f"type 24 says it has {size} bytes"):
        next(frames)
    with pytest.raises(WireError, match="says it has"):
        list(reader)


def test_a_datagram_cut_short_is_refused() -> None:
    raw = reply_frame(b"abcd", family=24, seq=1, more=False)
    with pytest.raises(WireError, match="27 bytes at the end of a datagram"):
        read_frames(raw[:-1])
