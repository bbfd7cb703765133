"""Feeds damaged messages and frames to the compiled Sandesh codec.

Each case takes golden bytes, damages them and decodes them twice: with the compiled codec
and with the reference in tests/reference. Both must agree on what was read or that nothing
can be. Run alone: `python tests/fuzz/fuzz_sandesh.py --cases 1000000 --seed 1`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS.parent))

from agent.errors import SandeshError, WireError  # noqa: E402
from agent.sandesh import decode, decode_messages, encode_many  # noqa: E402
from agent.sandesh.framing import FrameReader  # noqa: E402
from tests.reference import sandesh_codec as reference  # noqa: E402

LONGEST = 1600
CODES = (0, 1, 2, 3, 4, 6, 8, 9, 10, 11, 12, 13, 14, 15, 18, 19, 20, 21, 22, 23, 24, 25, 255)
COUNTS = (0, 1, 2, 0x7F, 0x80, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE)


def corpus() -> tuple[list[bytes], list[bytes]]:
    """Golden messages and golden frames."""
    messages = []
    for line in (TESTS / "vectors" / "sandesh.jsonl").open():
        raw = bytes.fromhex(json.loads(line)["hex"])
        if len(raw) <= LONGEST:
            messages.append(raw)
    frames = []
    for line in (TESTS / "vectors" / "sandesh-frames.jsonl").open():
        frames += [bytes.fromhex(frame) for frame in json.loads(line)["frames"]]
    return messages, frames


def damaged(raw: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """`raw` with one to four mistakes."""
    data = bytearray(raw)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(9):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                data[at : at + 1] = bytes([rng.choice(CODES)])
            case 2:
                data[at : at + 4] = rng.choice(COUNTS).to_bytes(4, "big")
            case 3:
                del data[at:]
            case 4:
                del data[at : at + rng.randrange(1, 12)]
            case 5:
                data[at:at] = rng.randbytes(rng.randrange(1, 12))
            case 6:  # a piece of another message
                other = rng.choice(others)
                start = rng.randrange(len(other))
                data[at:at] = other[start : start + rng.randrange(1, 60)]
            case 7:  # a piece of itself again: duplicate fields
                start = rng.randrange(len(data) + 1)
                data[at:at] = data[start : start + rng.randrange(1, 40)]
            case _:  # a field that nobody knows, before the end
                data[at:at] = unknown_field(rng)
    return bytes(data)


def unknown_field(rng: random.Random) -> bytes:
    return bytes([rng.choice(CODES)]) + rng.randrange(1 << 16).to_bytes(2, "big") + value(rng, 0)


def value(rng: random.Random, depth: int) -> bytes:
    """Bytes that are often a map, set, list, struct or address, sometimes nested."""
    if depth > 3:
        return rng.randbytes(rng.randrange(5))
    match rng.randrange(5):
        case 0:
            count = rng.randrange(4)
            head = bytes([13, 8, 11]) if depth else bytes([8, 11])
            pair = rng.randbytes(4) + b"\0\0\0\1x"
            return head + count.to_bytes(4, "big") + pair * count
        case 1:
            return bytes([rng.choice((2, 10))]) + rng.randbytes(rng.choice((4, 16)))
        case 2:
            return unknown_field(rng) + b"\0"
        case 3:
            return bytes([rng.choice(CODES), 0, 0, 0, 1]) + value(rng, depth + 1)
        case _:
            return rng.randbytes(rng.randrange(17))


def check_message(data: bytes) -> bool:
    """Decodes `data` both ways; returns whether it was readable. Raises AssertionError."""
    try:
        expected = reference.decode(data)
    except reference.CodecError:
        expected = None
    fault = None
    found = None
    try:
        found = decode(data)
    except SandeshError as error:
        fault = error.offset
    assert found is not None or (fault is not None and 0 <= fault <= len(data)), data.hex()
    assert found == expected, data.hex()
    if found is None:
        return False
    messages = decode_messages(data)
    again = encode_many(messages)
    assert decode_messages(again) == messages, data.hex()
    assert again == b"".join(reference.encode(*pair) for pair in found), data.hex()
    return True


def check_stream(data: bytes, rng: random.Random) -> None:
    """Reads `data` as a stream in pieces: frames or WireError, nothing is kept for ever."""
    reader = FrameReader()
    at = 0
    try:
        while at < len(data):
            step = rng.randrange(1, 200)
            reader.feed(data[at : at + step])
            at += step
            for frame in reader:
                assert len(frame.payload) <= len(data)
    except WireError:
        return
    assert reader.pending <= len(data)


def run(cases: int, seed: int) -> int:
    """Runs the cases; returns how many of the messages were still readable."""
    rng = random.Random(seed)
    messages, frames = corpus()
    readable = 0
    for case in range(cases):
        if case % 10 == 9:
            check_stream(damaged(rng.choice(frames), frames, rng), rng)
        elif case % 50 == 8:
            readable += check_message(rng.randbytes(rng.randrange(200)))
        else:
            readable += check_message(damaged(rng.choice(messages), messages, rng))
    return readable


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    start = time.process_time()
    readable = run(options.cases, options.seed)
    spent = time.process_time() - start
    print(f"{options.cases} cases, {readable} still readable, no fault, {spent:.0f} s of CPU")


if __name__ == "__main__":
    main()
