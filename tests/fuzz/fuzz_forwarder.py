"""Feeds messages of any fields and damaged frames to the forwarder's control side.

Each case makes a few messages with numbers from a small range (so that objects refer to
each other and get deleted under each other), damages their bytes now and then and has them
answered. Every answer must be readable, none may be "input/output error", which is what a
handler that failed gets; now and then a frame comes in while the tables are like that.
Run alone: `python tests/fuzz/fuzz_forwarder.py --cases 1000000 --seed 1`.
"""

from __future__ import annotations

import argparse
import errno
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS.parent))

from agent.errors import SandeshError  # noqa: E402
from agent.forwarder.dispatcher import HANDLERS, answer  # noqa: E402
from agent.forwarder.sizes import Sizes  # noqa: E402
from agent.sandesh.vrouter import (  # noqa: E402
    Message,
    SandeshOp,
    VrInterfaceReq,
    VrNexthopReq,
    VrResponse,
    decode_messages,
    encode_many,
)
from tests.unit.forwarder.stage import Stage  # noqa: E402

SIZES = Sizes(
    interfaces=32, vrfs=8, nexthops=64, labels=64, flow_entries=64, flow_overflow=16,
    bridge_entries=64, bridge_overflow=16,
)  # fmt: skip
KINDS = sorted(HANDLERS, key=lambda kind: kind.NAME)
COMMON = [kind for kind in KINDS if kind.NAME.startswith(("vr_inter", "vr_next", "vr_rou"))]
NUMBERS = (0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 31, 32, 63, 64, 255, 0x41, 0x81, 0xC0,
           0x2001, 0x2021, 4096, 65535, -1, -2, 1 << 31, (1 << 32) - 1, 1 << 63)  # fmt: skip
SIZES_OF_BYTES = (0, 4, 6, 6, 6, 14, 14, 16, 60, 64, 65, 70, 300)
OPERATIONS = (0, 0, 0, 0, 1, 1, 2, 3, 3, 5, 99)


def value_like(chance: random.Random, held: Any) -> Any:
    """A value of the kind that a field holds."""
    if isinstance(held, int):
        return chance.choice(NUMBERS) if chance.random() < 0.7 else chance.randrange(64)
    if isinstance(held, str):
        return chance.choice(("", "tap1", "vif0/3", "x" * 300))
    if isinstance(held, bytes):
        mac = bytes((2, 0, 0, 0, 0, chance.randrange(4)))
        size = chance.choice(SIZES_OF_BYTES)
        return mac if size == 6 else chance.randbytes(size)
    return tuple(chance.randrange(-1, 40) for _ in range(chance.choice((0, 1, 1, 2, 5, 40))))


def any_message(chance: random.Random) -> Message:
    """A message whose fields fit, whatever they say."""
    kind = chance.choice(COMMON if chance.random() < 0.5 else KINDS)
    message = kind()
    for name in kind.FIELDS:
        if chance.random() < 0.35:
            continue
        try:
            message = message.replace(**{name: value_like(chance, getattr(message, name))})
        except SandeshError:
            continue  # a number that this field cannot hold
    if "h_op" in kind.FIELDS:
        message = message.replace(h_op=chance.choice(OPERATIONS))
    return message


def damaged(chance: random.Random, data: bytes) -> bytes:
    """The bytes with a few of them changed, or cut short."""
    changed = bytearray(data)
    for _ in range(chance.randrange(1, 5)):
        if changed:
            changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(
        changed[: chance.randrange(len(changed) + 1)] if chance.random() < 0.3 else changed
    )


def readable(replies: list[bytes]) -> None:
    """Every reply is messages; none says that a handler failed."""
    for reply in replies:
        messages = decode_messages(reply)
        assert messages
        for message in messages:
            if isinstance(message, VrResponse):
                assert message.resp_code != -errno.EIO, "a handler failed"


def run(cases: int, seed: int) -> int:
    """Feed so many cases; the number of replies."""
    chance = random.Random(seed)
    replied = 0
    with tempfile.TemporaryDirectory(prefix="fuzz-") as run_dir:
        stage = Stage(Path(run_dir), SIZES)
        for _ in range(cases):
            messages = [any_message(chance) for _ in range(chance.randrange(1, 4))]
            payload = encode_many(messages)
            if chance.random() < 0.2:
                payload = damaged(chance, payload)
            replies = answer(stage.control, payload)
            readable(replies)
            replied += len(replies)
            if chance.random() < 0.1:
                stage.datapath.inject(chance.randrange(32), chance.randbytes(64))
        for kind, marker in ((VrInterfaceReq, "vifr_marker"), (VrNexthopReq, "nhr_marker")):
            readable(answer(stage.control, kind(h_op=SandeshOp.DUMP, **{marker: -1}).encode()))
        stage.close()
    return replied


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--cases", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    began = time.monotonic()
    replied = run(given.cases, given.seed)
    seconds = time.monotonic() - began
    print(f"{given.cases} cases, {replied} replies, {seconds:.0f} s")


if __name__ == "__main__":
    main()
