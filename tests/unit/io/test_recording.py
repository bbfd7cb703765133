"""The recording's file: whole at the end, useful after a kill, bounded, and never in the way."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import stat
from pathlib import Path

import pytest

from agent.errors import ConfigError, RecordingError
from agent.io.recording import FLUSH_SECONDS, MAX_PENDING, RecordingFile
from agent.record import MAX_ENTRY, Reader
from agent.record.events import DatapathReceived, Ended, Event, Listed

END = Ended("the agent ended", "d1", 5)


def read(path: Path) -> tuple[list[Event], RecordingError | None]:
    with path.open("rb") as file:
        reader = Reader(file.read)
        return [one.event for one in reader], reader.problem


def noise(size: int, seed: int = 0) -> DatapathReceived:
    return DatapathReceived(random.Random(seed).randbytes(size))


async def test_everything_is_in_the_file_after_the_end(tmp_path: Path) -> None:
    path = tmp_path / "one.rec"
    events: list[Event] = [noise(size, size) for size in (0, 10, 70_000, 1, 200_000)]
    recording = RecordingFile(path)
    for number, event in enumerate(events):
        recording.record(event, float(number))
    recording.close(END, 9.0)
    assert read(path) == ([*events, END], None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_what_happened_is_soon_in_the_file_without_an_end(tmp_path: Path) -> None:
    path = tmp_path / "one.rec"
    recording = RecordingFile(path)
    recording.record(Listed(), 1.0)
    async with asyncio.timeout(20 * FLUSH_SECONDS):
        while not path.stat().st_size or read(path) != ([Listed()], None):
            await asyncio.sleep(0.01)
    recording.record(Listed(), 2.0)
    recording.close(END, 3.0)
    assert read(path) == ([Listed(), Listed(), END], None)


async def test_the_limit_ends_the_recording_at_a_whole_block(tmp_path: Path) -> None:
    path = tmp_path / "one.rec"
    limit = 1 << 20
    recording = RecordingFile(path, limit)
    events = [noise(60_000, seed) for seed in range(40)]
    for event in events:
        recording.record(event, 1.0)
    async with asyncio.timeout(10):
        while not recording.stopped:
            await asyncio.sleep(0.01)
    recording.record(Listed(), 2.0)
    recording.close(END, 3.0)
    found, problem = read(path)
    assert problem is None
    assert found == events[: len(found)]
    assert limit - 200_000 < path.stat().st_size <= limit


async def test_an_event_beyond_all_bounds_ends_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "one.rec"
    recording = RecordingFile(path)
    recording.record(Listed(), 1.0)
    recording.record(DatapathReceived(bytes(MAX_ENTRY)), 2.0)
    assert recording.stopped
    recording.close(END, 3.0)
    assert read(path) == ([Listed()], None)


async def test_a_file_that_is_there_is_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "one.rec"
    for turn in range(3):
        recording = RecordingFile(path)
        recording.record(noise(10, turn), 1.0)
        recording.close(END, 2.0)
    assert read(path) == ([noise(10, 2), END], None)
    assert read(tmp_path / "one.rec.1") == ([noise(10, 1), END], None)
    assert sorted(os.listdir(tmp_path)) == ["one.rec", "one.rec.1"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--record .*/none/one.rec: No such file"):
        RecordingFile(tmp_path / "none" / "one.rec")


async def test_a_full_disk_ends_the_recording_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full cannot be had without a file system of one's own: its error is made."""
    path = tmp_path / "one.rec"
    recording = RecordingFile(path)
    recording.record(noise(70_000), 1.0)
    async with asyncio.timeout(10):
        while path.stat().st_size < 70_000:
            await asyncio.sleep(0.01)

    def full(file: object, data: bytes) -> None:
        os.write(recording._file.fileno(), data[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("agent.io.recording._write_all", full)
    recording.record(noise(70_000, 1), 2.0)
    async with asyncio.timeout(10):
        while not recording.stopped:
            await asyncio.sleep(0.01)
    recording.record(Listed(), 3.0)
    recording.close(END, 4.0)
    assert read(path) == ([noise(70_000)], None)


async def test_a_disk_that_does_not_keep_up_does_not_fill_the_memory(tmp_path: Path) -> None:
    """The file is a pipe that nobody reads from: the thread waits, the loop does not."""
    path = tmp_path / "pipe"
    recording = RecordingFile(tmp_path / "one.rec")
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.dup2(os.open(path, os.O_WRONLY), recording._file.fileno())
    event = noise(1 << 20)
    for _ in range(MAX_PENDING // len(event.data) + 2):
        recording.record(event, 1.0)
    assert recording.stopped
    os.close(reading)  # the thread's write now fails
    recording.close(END, 2.0)
