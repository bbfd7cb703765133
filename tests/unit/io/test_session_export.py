"""Records of sessions leave by files and sockets, and never hold anybody up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.errors import BugError
from agent.io.session_export import SessionExport
from agent.io.session_outlets import DatagramOutlet, FileOutlet, RotatingFile
from agent.settings import Settings, parse
from agent.telemetry.sessions import OutletCounters
from tests.unit.telemetry.sessions.site import RED1, RED2, WALL, Site, rate

LIMIT = 10.0


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns come ten times as often as in an agent."""
    monkeypatch.setattr("agent.io.session_export._PERIOD", 0.1)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what other tasks and threads do."""
    async with asyncio.timeout(LIMIT):
        while not holds():
            await asyncio.sleep(0.001)


# --- The file -------------------------------------------------------------------------------


def test_a_file_is_followed_by_another_before_it_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "below" / "sessions.json"
    file = RotatingFile(path, 10, 3)
    for letter in b"abcdefg":
        file.write(bytes([letter]) * 4 + b"\n")
    file.close()
    names = {one.name: one.read_text() for one in path.parent.iterdir()}
    assert names == {
        "sessions.json": "gggg\n",
        "sessions.json.1": "eeee\nffff\n",
        "sessions.json.2": "cccc\ndddd\n",
    }


def test_a_file_of_which_one_is_kept_begins_anew(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "s", 4, 1)
    for line in (b"one\n", b"two\n"):
        file.write(line)
    file.close()
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("s", b"two\n")]


def test_a_line_larger_than_a_file_is_written_whole(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "s", 4, 2)
    file.write(b"much too long\n")
    file.write(b"x\n")
    file.close()
    assert (tmp_path / "s.1").read_bytes() == b"much too long\n"


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "s"
    file = RotatingFile(path, 0, 1)
    file.write(b"one\n")
    path.rename(tmp_path / "moved")
    file.write(b"two\n")
    file.close()
    assert ((tmp_path / "moved").read_bytes(), path.read_bytes()) == (b"one\n", b"two\n")


def test_a_file_goes_on_where_an_earlier_agent_ended(tmp_path: Path) -> None:
    for line in (b"one\n", b"two\n", b"six\n"):
        file = RotatingFile(tmp_path / "s", 8, 2)
        file.write(line)
        file.close()
    assert (tmp_path / "s.1").read_bytes() == b"one\ntwo\n"


async def test_lines_are_in_the_file_after_the_end(tmp_path: Path) -> None:
    counters = OutletCounters()
    outlet = FileOutlet(RotatingFile(tmp_path / "s", 0, 1), counters)
    outlet.start()
    for number in range(100):
        outlet.put(b"%d\n" % number, 1)
    await outlet.close()
    assert (tmp_path / "s").read_bytes() == b"".join(b"%d\n" % number for number in range(100))
    assert (counters.records, counters.lost, counters.problem) == (100, 0, "")


async def test_what_a_file_does_not_take_is_counted_and_it_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.mkdir()
    counters = OutletCounters()
    outlet = FileOutlet(RotatingFile(path, 0, 1), counters)
    outlet.start()
    outlet.put(b"one\n", 3)
    await until(lambda: counters.lost == 3)
    assert counters.problem == f"{path}: Is a directory"
    path.rmdir()
    outlet.put(b"two\n", 1)
    await until(lambda: counters.records == 1)
    assert counters.problem == ""
    await outlet.close()
    assert path.read_bytes() == b"two\n"


async def test_lines_wait_for_a_slow_file_only_up_to_a_limit(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "s")  # nobody reads: opening it takes forever
    counters = OutletCounters()
    outlet = FileOutlet(RotatingFile(tmp_path / "s", 0, 1), counters)
    outlet.start()
    for _ in range(20):
        outlet.put(b"x" * (1 << 20), 1)
        await asyncio.sleep(0)
    assert counters.lost == 12
    reader = os.open(tmp_path / "s", os.O_RDONLY | os.O_NONBLOCK)
    try:
        await until(lambda: _drained(reader) and counters.records == 8)
    finally:
        os.close(reader)
    await outlet.close()


def _drained(reader: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        os.read(reader, 1 << 20)
    return True


# --- Datagrams ------------------------------------------------------------------------------


async def test_datagrams_go_to_a_local_socket_that_may_come_and_go(tmp_path: Path) -> None:
    path, counters = str(tmp_path / "log"), OutletCounters()
    outlet = DatagramOutlet("syslog", path, counters)
    outlet.put([(b"one", 1)])
    assert (counters.lost, counters.problem) == (1, "No such file or directory")
    for life in (b"two", b"three"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
            server.bind(path)
            outlet.put([(b"lost or not", 1)])  # the first one after a restart finds the old socket
            outlet.put([(life, 1)])
            received = b""
            while received != life:
                received = server.recv(99)
        os.unlink(path)
    await outlet.close()
    assert counters.problem == ""


async def test_datagrams_wait_for_a_slow_socket_only_up_to_a_limit(tmp_path: Path) -> None:
    path, counters = str(tmp_path / "log"), OutletCounters()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        server.setblocking(False)
        outlet = DatagramOutlet("syslog", path, counters)
        outlet.put([(b"%d" % number, 1) for number in range(6000)])
        assert counters.lost > 0
        kept = 6000 - counters.lost
        received = []

        def drain() -> bool:
            try:
                while True:
                    received.append(server.recv(99))
            except BlockingIOError:
                return len(received) == kept

        await until(drain)
        assert received == [b"%d" % number for number in range(kept)]
        await outlet.close()


# --- All together ---------------------------------------------------------------------------


@dataclass
class Told:
    """A collector that takes everything, or nothing."""

    takes: bool = True
    messages: list[Mapping[str, Any]] = field(default_factory=list)

    def send(self, name: str, values: Mapping[str, Any]) -> bool:
        assert name == "SessionEndpointObject"
        self.messages.append(values)
        return self.takes


class Agent:
    """What an export is told of the agent; its time is that of a site."""

    host, pid = "compute-1", 7

    def __init__(self, site: Site, text: str) -> None:
        self.site = site
        self.settings: Settings = parse(text)

    def clock(self) -> float:
        return self.site.now

    def wall(self) -> float:
        return self.site.now + WALL


async def exported(
    text: str, look: Callable[[Site, Told], Awaitable[None]], told: Told | None = None
) -> Site:
    """Two sessions of a pair that ended are told to where `text` says."""
    site, collector = Site(*rate(-1)), told or Told()
    pair = site.connect(RED1, RED2)
    site.count(pair, 600, 9000, (6, 7))
    site.end(pair)
    export = SessionExport(Agent(site, text), site.sessions, collector, lambda: 99)
    export.start()
    with pytest.raises(BugError, match="started already"):
        export.start()
    try:
        await look(site, collector)
    finally:
        await export.close()
    assert site.sessions.targets == ()
    return site


async def test_a_file_gets_a_document_for_each(tmp_path: Path) -> None:
    path = tmp_path / "sessions.json"

    async def look(site: Site, _: Told) -> None:
        await until(path.exists)

    text = f"[SESSION]\nsample_destination = file\nslo_destination =\nsessions_file = {path}\n"
    site = await exported(text, look)
    found = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [(one["role"], one["forward_bytes"], one["host"]) for one in found] == [
        ("client", 600, "compute-1"), ("server", 600, "compute-1"),
    ]  # fmt: skip
    assert site.sessions.outlets["file"].records == 2


async def test_a_collector_gets_messages_and_what_it_refuses_is_counted() -> None:
    async def look(_: Site, told: Told) -> None:
        await until(lambda: bool(told.messages))

    text = "[DEFAULT]\ncollectors = 10.0.0.9\n"
    site = await exported(text, look)
    assert site.sessions.outlets["collector"] == OutletCounters(records=2, messages=1)
    site = await exported(text, look, Told(takes=False))
    assert site.sessions.outlets["collector"] == OutletCounters(
        lost=2, problem="no collector takes them"
    )


async def test_syslog_and_ipfix_get_datagrams() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as syslog,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ipfix,
    ):
        for one in (syslog, ipfix):
            one.bind(("127.0.0.1", 0))
            one.setblocking(False)
        text = (
            "[SESSION]\nsample_destination = syslog\n"
            f"syslog_server = 127.0.0.1:{syslog.getsockname()[1]}\n"
            f"ipfix_collector = 127.0.0.1:{ipfix.getsockname()[1]}\n"
            "[DEFAULT]\nsyslog_facility = LOG_LOCAL3\n"
        )
        received: list[bytes] = []

        async def look(_: Site, __: Told) -> None:
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(LIMIT):
                for one in (syslog, syslog, ipfix, ipfix):
                    received.append(await loop.sock_recv(one, 4096))

        await exported(text, look)
    assert [one[:7] for one in received[:2]] == [b"<158>1 "] * 2
    assert [int.from_bytes(one[12:16]) for one in received[2:]] == [99, 99]
    assert [int.from_bytes(one[16:18]) for one in received[2:]] == [2, 256]


async def test_without_a_destination_nothing_is_looked_at() -> None:
    async def look(site: Site, _: Told) -> None:
        await until(lambda: site.sessions.counters.disabled == 1)

    site = await exported("", look)
    assert site.sessions.counters.exports == 0


async def test_other_destinations_are_taken_over_while_it_runs(tmp_path: Path) -> None:
    site = Site(*rate(-1))
    agent = Agent(site, "[SESSION]\nsample_destination =\n")
    export = SessionExport(agent, site.sessions, Told(), lambda: 99)
    export.start()
    for name in ("one", "two"):
        file = tmp_path / name
        export.configure(parse(f"[SESSION]\nsample_destination = file\nsessions_file = {file}\n"))
        site.end(site.connect(RED1, RED2))
        await until(file.exists)
    await export.close()
    assert [len(one.read_bytes().splitlines()) for one in tmp_path.iterdir()] == [2, 2]


async def test_what_goes_wrong_does_not_end_the_export() -> None:
    class Broken(Told):
        def send(self, name: str, values: Mapping[str, Any]) -> bool:
            super().send(name, values)
            if len(self.messages) == 1:
                raise ValueError("a fault of ours")
            return True

    async def look(site: Site, told: Told) -> None:
        await until(lambda: len(told.messages) == 1)
        site.end(site.connect(RED1, RED2, sport=7))
        await until(lambda: len(told.messages) == 2)

    site = await exported("[DEFAULT]\ncollectors = 10.0.0.9\n", look, Broken())
    assert site.sessions.outlets["collector"].records == 2


async def test_a_flood_of_sessions_leaves_time_for_others() -> None:
    site, told = Site(*rate(-1)), Told()
    for sport in range(200):
        site.end(site.connect(RED1, RED2, sport=1000 + sport))
    agent = Agent(site, "[DEFAULT]\ncollectors = 10.0.0.9\n")
    ticks = iter(range(1 << 30))
    agent.clock = lambda: site.now + next(ticks) / 10  # type: ignore[method-assign]
    export = SessionExport(agent, site.sessions, told, lambda: 99)
    export.start()
    await until(lambda: site.sessions.counters.exports > 0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert 0 < site.sessions.counters.exports < 400
    await until(lambda: site.sessions.counters.exports == 400)
    await export.close()
