"""Writes the core's numbers down when they have changed, and gives it those of the run before."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agent.daemon.core import Core
from agent.io.backup import BackupDirectory
from agent.settings import Settings
from agent.telemetry.meters import FileMeter

_MOST_IDLES = 6
"""Changes that never cease are written down after so many times the time without any."""
_RETRY = 30.0
"""Seconds until what could not be written is tried again."""


class BackupShell:
    """Does nothing unless [RESTART] backup_enable is on; files are read and written in a worker.

    `restore` before the first turn, `follow` after each, `close` at the end. What could not be
    written is told to `meter` and tried again.
    """

    def __init__(self, core: Core, settings: Settings, meter: FileMeter | None = None) -> None:
        self._core = core
        self._enabled = settings.get("RESTART", "backup_enable", bool)
        self._restores = settings.get("RESTART", "restore_enable", bool)
        self._idle = settings.get("RESTART", "backup_idle_timeout", int) / 1000
        self._directory = BackupDirectory(
            Path(settings.get("RESTART", "backup_dir", str)),
            settings.get("RESTART", "backup_count", int),
            meter,
        )
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="backup")
        self._seen = core.compiler.numberings
        self._first: float | None = None
        """When the first change that is not written came, in monotonic seconds."""
        self._latest = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[bool] | None = None
        self._closed = False

    @property
    def enabled(self) -> bool:
        """Whether numbers are written down at all."""
        return self._enabled

    async def restore(self) -> None:
        """Let the core keep the numbers of the newest backup for the same objects."""
        if self._enabled and self._restores:
            loop = asyncio.get_running_loop()
            rows = await loop.run_in_executor(self._worker, self._directory.read)
            if rows:
                self._core.restore(rows)

    def follow(self) -> None:
        """After a turn: see whether there is something to be written later."""
        changes = self._core.compiler.numberings
        if not self._enabled or changes == self._seen:
            return
        self._seen = changes
        self._latest = time.monotonic()
        if self._first is None:
            self._first = self._latest
            self._arm(self._idle)

    async def close(self) -> None:
        """Write what is not written yet."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        written = self._writing is None or await self._writing
        if not written or self._first is not None:
            await self._write()
        self._worker.shutdown()

    def _arm(self, delay: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay, self._look)

    def _look(self) -> None:
        """Write when nothing changed for a while, or changes have waited long enough."""
        assert self._first is not None
        now = time.monotonic()
        due = min(self._latest + self._idle, self._first + _MOST_IDLES * self._idle)
        if self._writing is not None and not self._writing.done():
            self._arm(self._idle)
        elif now < due:
            self._arm(due - now)
        else:
            self._timer, self._writing = None, self._write()

    def _write(self) -> asyncio.Future[bool]:
        self._first = None
        rows, wall = self._core.compiler.numbered(), time.time_ns() // 1000
        loop = asyncio.get_running_loop()
        writing = loop.run_in_executor(self._worker, self._directory.write, rows, wall)
        writing.add_done_callback(self._written)
        return writing

    def _written(self, writing: asyncio.Future[bool]) -> None:
        """A disk that was full may have room again: try later."""
        if writing.cancelled() or writing.result() or self._first is not None:
            return
        self._first = self._latest = time.monotonic()
        if not self._closed:
            self._arm(max(self._idle, _RETRY))
