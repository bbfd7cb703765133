"""Where records of sessions leave: a file that is rotated, and datagrams. None ever blocks.

What cannot leave in time is dropped and counted: records are not worth the agent's memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import structlog

from agent.telemetry.sessions import OutletCounters

Address: TypeAlias = str | tuple[str, int]
"""The path of a local socket, or a host's address and UDP port."""
_FILE_BYTES = 8 << 20
"""Lines that wait for a slow disk."""
_DATAGRAMS = 4096
_PIECE = 1 << 20
_LAST = 2.0
"""Seconds for what still waits when the agent ends."""

log = structlog.get_logger(__name__)


class RotatingFile:
    """A file that is followed by a new one when it would grow beyond `size` bytes (0: never).

    `count` files are kept: PATH, PATH.1 (the one before) and so on. Blocks: for threads.
    """

    def __init__(self, path: Path, size: int, count: int) -> None:
        self._path, self._size, self._count = path, size, count
        self._file: int | None = None
        self._written = 0

    def write(self, data: bytes) -> None:
        """Append whole lines. OSError: what of it was written is not known."""
        if self._file is not None and not self._is_mine(self._file):
            self.close()  # someone moved it away, as logrotate does
        if self._file is None:
            self._open()
        if self._size and self._written and self._written + len(data) > self._size:
            self._rotate()
        view = memoryview(data)
        while view and self._file is not None:
            view = view[os.write(self._file, view) :]
        self._written += len(data)

    def close(self) -> None:
        """It is opened again by the next `write`."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(self._path, flags, 0o640)
        self._written = os.fstat(self._file).st_size

    def _is_mine(self, file: int) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(file))
        except FileNotFoundError:
            return False

    def _rotate(self) -> None:
        self.close()
        for at in range(self._count - 1, 0, -1):
            older = self._numbered(at - 1)
            with contextlib.suppress(FileNotFoundError):
                older.replace(self._numbered(at))
        if self._count == 1:
            self._path.unlink(missing_ok=True)
        self._open()

    def _numbered(self, at: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{at}") if at else self._path


class FileOutlet:
    """Appends lines to a file, off the loop."""

    def __init__(self, file: RotatingFile, counters: OutletCounters) -> None:
        self._file = file
        self._counters = counters
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._size = 0
        self._some = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._write(), name="session file")

    def put(self, lines: bytes, records: int) -> None:
        """Have lines written soon."""
        if self._size + len(lines) > _FILE_BYTES:
            self._counters.lost += records
            return
        self._waiting.append((lines, records))
        self._size += len(lines)
        self._some.set()

    async def close(self) -> None:
        """Write what waits, or give it up after a while."""
        task, self._task = self._task, None
        if task is None:
            return
        deadline = asyncio.get_running_loop().time() + _LAST
        while self._waiting and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._file.close()

    async def _write(self) -> None:
        while True:
            await self._some.wait()
            data, records, pieces = self._piece()
            # Cancelled or not, a thread that writes is waited for: the file is its own.
            done = asyncio.get_running_loop().run_in_executor(None, self._try, data)
            try:
                problem = await asyncio.shield(done)
            except asyncio.CancelledError:
                await asyncio.wait([done], timeout=_LAST)
                raise
            self._tell(problem, records)
            for _ in range(pieces):
                self._size -= len(self._waiting.popleft()[0])
            if not self._waiting:
                self._some.clear()

    def _piece(self) -> tuple[bytes, int, int]:
        size = records = pieces = 0
        for lines, count in self._waiting:
            if pieces and size + len(lines) > _PIECE:
                break
            size, records, pieces = size + len(lines), records + count, pieces + 1
        found = [self._waiting[at][0] for at in range(pieces)]
        return b"".join(found), records, pieces

    def _try(self, data: bytes) -> str:
        try:
            self._file.write(data)
        except OSError as error:
            self._file.close()
            return f"{error.filename or 'write'}: {error.strerror}"
        return ""

    def _tell(self, problem: str, records: int) -> None:
        counters = self._counters
        if problem:
            counters.lost += records
        else:
            counters.records += records
            counters.messages += 1
        if problem and problem != counters.problem:
            log.warning("records of sessions are not written", reason=problem)
        counters.problem = problem


class DatagramOutlet:
    """Sends datagrams to a local socket or over UDP, as fast as it takes them."""

    def __init__(self, name: str, address: Address, counters: OutletCounters) -> None:
        self._name = name
        self._address = address
        self._counters = counters
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._socket: socket.socket | None = None
        self._blocked = False

    def start(self) -> None:
        """The socket is opened when there is something to send."""

    def put(self, datagrams: Iterable[tuple[bytes, int]]) -> None:
        """Send datagrams, each with the number of its records."""
        for datagram, records in datagrams:
            if len(self._waiting) == _DATAGRAMS:
                self._counters.lost += records
            else:
                self._waiting.append((datagram, records))
        if not self._blocked:
            self._send()

    async def close(self) -> None:
        """Send what is taken at once."""
        self._send()
        self._counters.lost += sum(records for _, records in self._waiting)
        self._waiting.clear()
        self._disconnect()

    def _send(self) -> None:
        while self._waiting:
            datagram, records = self._waiting[0]
            try:
                self._connected().send(datagram)
            except (BlockingIOError, InterruptedError):
                self._wait()
                return
            except OSError as error:
                self._counters.lost += records
                self._trouble(error)
            else:
                self._counters.records += records
                self._counters.messages += 1
                self._counters.problem = ""
            self._waiting.popleft()
        self._unblock()

    def _wait(self) -> None:
        if self._socket is not None and not self._blocked:
            self._blocked = True
            asyncio.get_running_loop().add_writer(self._socket, self._send)

    def _unblock(self) -> None:
        if self._socket is not None and self._blocked:
            asyncio.get_running_loop().remove_writer(self._socket)
        self._blocked = False

    def _connected(self) -> socket.socket:
        if self._socket is None:
            local = isinstance(self._address, str)
            family = socket.AF_UNIX if local else socket.AF_INET
            made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            try:
                made.connect(self._address)
            except OSError:
                made.close()
                raise
            self._socket = made
        return self._socket

    def _disconnect(self) -> None:
        self._unblock()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _trouble(self, error: OSError) -> None:
        self._disconnect()
        problem = error.strerror or str(error)
        if problem != self._counters.problem:
            where = self._address if isinstance(self._address, str) else self._address[0]
            log.warning("records of sessions do not leave", to=self._name, at=where, reason=problem)
        self._counters.problem = problem
