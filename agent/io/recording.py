"""A recording's file, written off the event loop.

Events are encoded as they come, gathered to blocks, and handed to a thread that packs and
writes them: nothing waits for the disk. What the thread has not yet written is bounded, and
so is the file; whatever ends a recording early is logged once, and the agent goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO

import structlog

from agent.errors import ConfigError
from agent.record import BLOCK_SIZE, MAGIC, Packer, Writer
from agent.record.events import Ended, Event

log = structlog.get_logger(__name__)

DEFAULT_LIMIT = 256 << 20
FLUSH_SECONDS = 0.25
"""How much a recording may lack of what happened before its process was killed."""
MAX_PENDING = 64 << 20


class RecordingFile:
    """Takes events for the file at `path`, of `limit` bytes at most.

    A file that is there already is kept under the name with `.1` behind it: it may tell why
    the agent before died. ConfigError if the file cannot be made.
    """

    def __init__(self, path: Path, limit: int = DEFAULT_LIMIT) -> None:
        self._path = path
        self._limit = limit
        self._file = _open(path)
        self._writer = Writer()
        self._packer = Packer()
        self._blocks: SimpleQueue[bytes | None] = SimpleQueue()
        self._handed = 0  # bytes that the thread was given, and
        self._taken = 0  # those that it is done with: each is counted by one side alone
        self._stopped = False
        self._timer: asyncio.TimerHandle | None = None
        # Started with the first events, when the process has given up its privileges.
        self._thread = threading.Thread(target=self._write, name="recording", daemon=True)

    @property
    def stopped(self) -> bool:
        """Whether nothing is recorded any more."""
        return self._stopped

    def record(self, event: Event, now: float) -> None:
        """One more event, which happened at `now`."""
        if self._stopped:
            return
        try:
            self._writer.append(event, now)
        except ValueError as error:
            self._flush()
            self._stop(str(error))
            return
        if len(self._writer.buffer) >= BLOCK_SIZE:
            self._flush()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(FLUSH_SECONDS, self._flush)

    def close(self, ended: Ended, now: float) -> None:
        """Write the rest and the end; returns when they are written."""
        if not self._stopped:
            self._writer.append(ended, now)
        self._flush()
        self._begin()
        self._blocks.put(None)
        self._thread.join()

    def _begin(self) -> None:
        if self._thread.ident is None:
            self._thread.start()

    def _flush(self) -> None:
        """Hand the gathered events to the thread."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        buffer = self._writer.buffer
        if self._stopped or not buffer:
            return
        if self._handed - self._taken + len(buffer) > MAX_PENDING:
            self._stop("the disk does not keep up")
            return
        self._begin()
        self._handed += len(buffer)
        self._blocks.put(bytes(buffer))
        buffer.clear()

    def _stop(self, reason: str) -> None:
        if not self._stopped:
            self._stopped = True
            log.error("recording stopped", file=str(self._path), reason=reason)

    # The thread

    def _write(self) -> None:
        with self._file as file:
            try:
                file.write(MAGIC)
                while (block := self._blocks.get()) is not None:
                    if not self._write_block(file, block):
                        return
                    self._taken += len(block)
            except OSError as error:
                self._stop(error.strerror or str(error))
                _cut(file, self._packer.written)

    def _write_block(self, file: BinaryIO, block: bytes) -> bool:
        """Whether there is room for more."""
        written = self._packer.written
        packed = self._packer.block(block)
        if self._packer.written > self._limit:
            self._packer.written = written
            self._stop(f"its limit of {self._limit} bytes is reached")
            return False
        try:
            _write_all(file, packed)
        except OSError:
            self._packer.written = written
            raise
        return True


def _open(path: Path) -> BinaryIO:
    try:
        with contextlib.suppress(FileNotFoundError):
            path.replace(path.with_name(f"{path.name}.1"))
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"--record {path}: {error.strerror}") from None
    return open(number, "wb", buffering=0)


def _write_all(file: BinaryIO, data: bytes) -> None:
    """An unbuffered file may take a part."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _cut(file: BinaryIO, size: int) -> None:
    """Take back a block that was written in part."""
    with contextlib.suppress(OSError):
        file.truncate(size)
