"""Run in an empty network namespace: pkt0 as a tap, the datapath's part by a packet socket."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
from pathlib import Path

import pytest
import uvloop

from agent._fast.packet import FrameBatch
from agent.errors import ConfigError
from agent.io import pkt0_tap
from agent.io.pkt0_tap import Pkt0Tap

CAPTURES = Path(__file__).parents[2] / "vectors" / "kernel-captures.jsonl"
ROWS = [json.loads(line) for line in CAPTURES.read_text().splitlines()]
READ = [bytes.fromhex(row["hex"]) for row in ROWS if row.get("dir") == "pkt0"]
TRAPS = [frame for frame in READ if frame[12:14] == b"\x08\x00"]
(WRITTEN,) = (bytes.fromhex(row["hex"]) for row in ROWS if row["what"] == "agent writes to pkt0")
ETH_P_ALL, SOL_PACKET, IGNORE_OUTGOING = 3, 263, 23


class Inbox:
    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self._came = asyncio.Event()

    def received(self, batch: FrameBatch) -> bool:
        self.frames += [batch.frame(slot) for slot in range(len(batch))]
        self._came.set()
        return True

    async def until(self, count: int) -> list[bytes]:
        async with asyncio.timeout(10):
            while len(self.frames) < count:
                self._came.clear()
                await self._came.wait()
        taken, self.frames = self.frames, []
        return taken


def datapath() -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    made.setsockopt(SOL_PACKET, IGNORE_OUTGOING, 1)
    made.bind(("pkt0", ETH_P_ALL))
    made.setblocking(False)
    return made


def told(name: str) -> str:
    return Path(f"/proc/sys/net/ipv6/conf/pkt0/{name}").read_text().strip()


async def scene() -> None:
    inbox = Inbox()
    tap = Pkt0Tap(inbox.received)
    tap.start()
    loop = asyncio.get_running_loop()

    shown = subprocess.run(["ip", "link", "show", "pkt0"], capture_output=True, text=True)
    assert "00:00:5e:00:01:00" in shown.stdout, shown
    assert "UP" in shown.stdout, shown
    assert "mtu 9046" in shown.stdout, shown
    if Path("/proc/sys/net/ipv6").exists():
        assert (told("disable_ipv6"), told("addr_gen_mode")) == ("1", "1")

    with datapath() as peer:
        assert len(READ) > len(TRAPS) > 1
        for frame in READ:
            peer.send(frame)
        assert await inbox.until(len(TRAPS)) == TRAPS
        assert tap.counters.foreign == len(READ) - len(TRAPS)
        for frame in (TRAPS[0][:44], b"\xff" * 6 + TRAPS[0][6:]):  # no agent header; not to us
            peer.send(frame)
        many = [TRAPS[0] + number.to_bytes(2) for number in range(600)]
        for frame in many:
            peer.send(frame)
        assert await inbox.until(600) == many
        assert tap.counters.foreign == len(READ) - len(TRAPS) + 2
        assert tap.counters.received == len(TRAPS) + 600
        assert tap.counters.batches < 100  # not one by one

        replies = [WRITTEN + number.to_bytes(2) for number in range(100)]
        tap.send(replies)
        assert [await loop.sock_recv(peer, 9060) for _ in replies] == replies
        assert tap.counters.sent == 100
        largest = TRAPS[0] + bytes(9060 - len(TRAPS[0]))
        peer.send(largest)
        assert await inbox.until(1) == [largest]

    with pytest.raises(ConfigError, match="another program holds it"):
        Pkt0Tap(inbox.received)

    pkt0_tap._AGAIN_SECONDS = 0.02
    subprocess.run(["ip", "link", "delete", "pkt0"], check=True)
    async with asyncio.timeout(10):
        while True:
            try:
                with datapath() as peer:
                    peer.send(TRAPS[0])
                    break
            except OSError:
                tap.send([WRITTEN])  # nowhere to go, or soon there
                await asyncio.sleep(0.01)
    assert await inbox.until(1) == [TRAPS[0]]
    assert (tap.counters.remade, tap.counters.fault) == (1, "")
    tap.close()
    assert "pkt0" not in [name for _, name in socket.if_nameindex()]


if __name__ == "__main__":
    uvloop.run(scene())
