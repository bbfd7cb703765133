"""Feeds damaged frames to the packet parser and to the services behind it.

Each case takes a golden frame, damages it and parses it twice: with the compiled parser and
with the reference in tests/reference; both must see the same. Then the ARP and DHCP services
get it: at most one answer, which parses, fits a pkt0 datagram and is zero where it must be.
Run alone: `python tests/fuzz/fuzz_packet.py --cases 1000000 --seed 1`.
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

from agent.pkt import FrameBatch, Packet  # noqa: E402
from agent.services import TrappedPackets  # noqa: E402
from tests.reference.packet_agree import FABRIC, SILENT_VMI, VMI, agree, port_of  # noqa: E402
from tests.unit.services.world import World  # noqa: E402

LONGEST = 1600
TRAPS = (0, 2, 5, 6, 7, 8, 11, 12, 13, 15, 16, 17, 18, 19, 20, 21, 0xFFFF)
TYPES = (0x0800, 0x0806, 0x8100, 0x88A8, 0x86DD, 0x88E7, 0x8847)
BYTES = (0, 1, 2, 4, 6, 17, 44, 47, 50, 53, 55, 57, 58, 67, 68, 82, 121, 132, 0x45, 0x4F, 0x60, 255)
SPOTS = (18, 56, 58, 60, 64, 67, 72, 78, 80, 82, 86, 122, 322, 326)


def corpus() -> list[bytes]:
    """The golden frames, those with a service behind them more often."""
    lines = (TESTS / "vectors" / "pkt0.jsonl").read_text().splitlines()
    frames = []
    for line in map(json.loads, lines):
        served = line["name"].startswith(("arp-", "dhcp-", "resolve-"))
        frames += [bytes.fromhex(line["hex"])] * (8 if served else 1)
    return frames


def damaged(raw: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """`raw` with one to five mistakes."""
    data = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 3, 5))):
        at = rng.choice(SPOTS) if rng.random() < 0.5 else rng.randrange(len(data) + 1)
        match rng.randrange(9):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                data[at : at + 1] = bytes([rng.choice(BYTES)])
            case 2:
                data[18:20] = rng.choice(TRAPS).to_bytes(2)
            case 3:
                data[56:58] = rng.choice(TYPES).to_bytes(2)
            case 4:
                del data[at:]
            case 5:
                del data[at : at + rng.randrange(1, 12)]
            case 6:
                data[at:at] = rng.randbytes(rng.randrange(1, 12))
            case 7:
                data[56:56] = rng.choice(TYPES).to_bytes(2) + rng.randbytes(2)
            case _:
                data[at:] = rng.choice(others)[at:]
    return bytes(data[:LONGEST])


def serve(box: TrappedPackets, batch: FrameBatch, frame: bytes, now: float) -> int:
    """Hand the frame to the services; the number of answers."""
    batch.fill([frame])
    answers = box.receive(batch, now)
    assert len(answers) <= 1, "two answers to one frame"
    for answer in answers + box.tick(now):
        assert 86 <= len(answer) <= 1514, f"an answer of {len(answer)} bytes"
        assert answer[18:44] == bytes(26), "rubbish in the encapsulation"
        packet = Packet()
        verdict = packet.open(answer) or packet.parse(port_of(VMI))
        assert not verdict, f"an answer that does not parse: {verdict:#x}"
    box.take_events()
    return len(answers)


def run(cases: int, seed: int) -> int:
    """Run `cases` cases; the number of frames that were answered. AssertionError on a fault."""
    rng = random.Random(seed)
    frames = corpus()
    world, batch = World(), FrameBatch(1)
    box = TrappedPackets(world)
    answered = 0
    for case in range(cases):
        frame = damaged(rng.choice(frames), frames, rng)
        try:
            agree(frame, True, rng.choice((VMI, SILENT_VMI, FABRIC)))
            answered += serve(box, batch, frame, case / 1000)
        except Exception as fault:
            raise AssertionError(f"seed {seed}, case {case}: {frame.hex()}") from fault
    counters = box.dispatcher.counters
    assert counters.pkt_exceptions == cases
    assert len(box.arp.table) <= 4096
    return answered


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFFFFFF)
    options = parser.parse_args()
    begin = time.monotonic()
    answered = run(options.cases, options.seed)
    seconds = time.monotonic() - begin
    print(f"{options.cases} cases, seed {options.seed}, {answered} answered, {seconds:.0f} s: ok")


if __name__ == "__main__":
    main()
