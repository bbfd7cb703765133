"""What systemd is told; a datagram socket stands in for it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.io.service_manager import ServiceManager


class Systemd:
    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)

    def told(self) -> list[str]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return found


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    made = Systemd(str(tmp_path / "notify"))
    yield made
    made.socket.close()


def test_a_life(systemd: Systemd, tmp_path: Path) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    manager.alive("waits")
    manager.reloading()
    manager.reloaded()
    manager.ready()
    for words in ("ok", "ok", "degraded:\n datapath", "ok"):
        manager.alive(words)
    before = time.monotonic_ns() // 1000
    manager.reloading()
    manager.reloaded()
    manager.stopping()
    manager.alive("never")
    told = systemd.told()
    stamp = told.pop(-3).removeprefix("RELOADING=1\nMONOTONIC_USEC=")
    assert before <= int(stamp) <= time.monotonic_ns() // 1000
    assert told == [
        "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=60000000\nSTATUS=waits",
        "READY=1",
        "WATCHDOG=1\nSTATUS=ok",
        "WATCHDOG=1",
        "WATCHDOG=1\nSTATUS=degraded: datapath",
        "WATCHDOG=1\nSTATUS=ok",
        "READY=1",
        "STOPPING=1",
    ]


def test_an_abstract_socket() -> None:
    systemd = Systemd("\0vrouter-agent-test-notify")
    manager = ServiceManager({"NOTIFY_SOCKET": "@vrouter-agent-test-notify"})
    manager.ready()
    assert systemd.told() == ["READY=1"]
    manager.stopping()
    systemd.socket.close()


def test_nobody_listens_any_more_or_slowly(systemd: Systemd, tmp_path: Path) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    for number in range(2000):  # more than the socket has room for
        manager.alive(str(number))
    assert len(systemd.told()) < 2000
    systemd.socket.close()
    manager.alive("gone")
    manager.stopping()


def test_there_is_nobody_to_tell() -> None:
    manager = ServiceManager({})
    manager.ready()
    manager.alive("ok")
    manager.stopping()
