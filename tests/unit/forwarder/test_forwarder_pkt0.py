"""pkt0 between the data plane and agents that come and go, over real sockets."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent._fast.forwarding import FRAMING_PKT0, Datapath
from agent.io.pkt0 import Pkt0Socket
from agent.pkt import FrameBatch

PKT0_VIF = 2
AGENT, SOCKET = 1, 3


class Side:
    """A datapath with nothing but its end of pkt0."""

    def __init__(self, run_dir: Path) -> None:
        self.end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.end.bind(os.fspath(run_dir / "dpdk_pkt0"))
        self.datapath = Datapath(
            flow_table=bytearray(256 * 8),
            flow_entries=4,
            bridge_table=bytearray(64 * 8),
            bridge_entries=4,
            nexthops=16,
            labels=64,
        )
        code = self.datapath.vif_set(
            PKT0_VIF, type=AGENT, flags=0x40, vrf=0xFFFF, mac=bytes(6), name="unix"
        )
        assert code == 0
        peer = os.fspath(run_dir / "agent_pkt0")
        assert self.datapath.vif_attach(PKT0_VIF, self.end.fileno(), FRAMING_PKT0, peer) == 0

    def close(self) -> None:
        self.datapath.close()
        self.end.close()


@pytest.fixture
def side(tmp_path: Path) -> Iterator[Side]:
    side = Side(tmp_path)
    yield side
    side.close()


def ignore(_: FrameBatch) -> bool:
    return True


def test_greeting_without_an_agent_says_so(side: Side) -> None:
    assert side.datapath.vif_greet(PKT0_VIF) < 0
    assert side.datapath.vif_greet(77) < 0


async def test_a_new_agent_is_heard_once_it_is_greeted(side: Side, tmp_path: Path) -> None:
    first = Pkt0Socket(tmp_path, ignore)
    first.start()
    assert side.datapath.vif_greet(PKT0_VIF) == 0
    first.pair()
    first.send([b"first"])
    assert side.end.recv(64) == b"first"
    first.close()

    second = Pkt0Socket(tmp_path, ignore)
    second.start()
    second.send([b"refused"])
    assert second.counters.not_connected == 1, "the datapath is connected to the dead agent"
    assert side.datapath.vif_greet(PKT0_VIF) == 0
    second.send([b"second"])
    assert side.end.recv(64) == b"second"
    second.close()


async def test_paired_ends_hold_a_burst(side: Side, tmp_path: Path) -> None:
    frames: list[int] = []

    def received(batch: FrameBatch) -> bool:
        frames.append(len(batch))
        return True

    agent = Pkt0Socket(tmp_path, received)
    assert side.datapath.vif_greet(PKT0_VIF) == 0
    agent.pair()
    for _ in range(200):  # far above net.unix.max_dgram_qlen
        side.end.send(bytes(100))
    agent.start()
    async with asyncio.timeout(10):
        while sum(frames) < 200:
            await asyncio.sleep(0)
    agent.close()


async def test_a_new_datapath_can_connect_once_the_old_one_is_given_up(tmp_path: Path) -> None:
    agent = Pkt0Socket(tmp_path, ignore)
    agent.start()
    old = Side(tmp_path)
    assert old.datapath.vif_greet(PKT0_VIF) == 0
    agent.pair()
    old.close()
    (tmp_path / "dpdk_pkt0").unlink()

    new = Side(tmp_path)
    assert new.datapath.vif_greet(PKT0_VIF) < 0, "the agent is connected to the dead end"
    agent.unpair()
    assert new.datapath.vif_greet(PKT0_VIF) == 0
    agent.pair()
    agent.send([b"hello"])
    assert new.end.recv(64) == b"hello"
    new.close()
    agent.close()
