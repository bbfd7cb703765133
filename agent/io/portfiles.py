"""The directory of stored ports (facts rest-api.md 9): loaded at start, changed in a worker."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import structlog

from agent.errors import ConfigError
from agent.io.safe_files import read_file, replace_file
from agent.rest import FileAction, StoredFile, WriteFile
from agent.telemetry.meters import FileMeter

log = structlog.get_logger(__name__)

_CONTAINERS = "vm"
_NIL = str(UUID(int=0))
"""Names a container's port that waits for its interface, never a port of POST /port."""
_MAX_FILE = 1 << 20
_MAX_WAITING = 256
_RETRY = 30.0
"""Seconds until what failed is tried again."""


def _is_uuid(name: str) -> bool:
    try:
        return str(UUID(name)) == name.lower()
    except ValueError:
        return False


class PortFiles:
    """Carries out file actions in their order, one batch at a time, never on the loop.

    At most `_MAX_WAITING` batches are queued; further callers wait. What fails is logged, told to
    `meter` and tried again: a port works without its file, until the agent restarts.
    """

    def __init__(self, directory: Path, meter: FileMeter | None = None) -> None:
        self._meter = meter or FileMeter()
        self._directory = directory
        self._undone: dict[str, FileAction] = {}
        """By path what is to be tried again; only the worker changes it."""
        self._timer: asyncio.TimerHandle | None = None
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="port-files")
        self._waiting = asyncio.Semaphore(_MAX_WAITING)

    async def load(self) -> list[StoredFile]:
        """Make the directories and read every stored port; unreadable files are skipped.

        ConfigError when the directories cannot be made or listed.
        """
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._load)

    async def execute(self, actions: Sequence[FileAction]) -> None:
        """Carry the actions out in order; returns when that is done."""
        if not actions:
            return
        async with self._waiting:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._worker, self._carry_out, actions)
            self._arm()

    def close(self) -> None:
        """Finish what was begun, try once more what failed, and end the worker."""
        if self._timer is not None:
            self._timer.cancel()
        self._worker.submit(self._carry_out_again)
        self._worker.shutdown()

    def stored(self) -> list[StoredFile]:
        """What `load` would read, without making a directory. OSError if there is none."""
        return [file for path in self._paths() if (file := self._read(path))]

    def _load(self) -> list[StoredFile]:
        try:
            (self._directory / _CONTAINERS).mkdir(parents=True, exist_ok=True)
            if self._directory.stat().st_mode & stat.S_IWOTH:
                log.warning(
                    "everybody may write to the port directory, and so plug ports; chmod o-w",
                    directory=str(self._directory),
                )
            return self.stored()
        except OSError as error:
            raise ConfigError(
                f"port directory {self._directory}: {error.strerror}; it must be a directory "
                "that the agent may write"
            ) from None

    def _paths(self) -> Iterator[str]:
        yield from (path for path in self._uuid_files(self._directory, "") if path != _NIL)
        containers = self._directory / _CONTAINERS
        for name in sorted(os.listdir(containers)) if containers.is_dir() else ():
            folder = containers / name
            if folder.is_dir() and not folder.is_symlink():
                yield from self._uuid_files(folder, f"{_CONTAINERS}/{name}/")

    def _uuid_files(self, folder: Path, prefix: str) -> Iterator[str]:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.is_file(follow_symlinks=False) and _is_uuid(entry.name):
                yield prefix + entry.name

    def _read(self, path: str) -> StoredFile | None:
        try:
            text = read_file(self._directory / path, _MAX_FILE + 1)
        except OSError as error:
            log.warning("stored port is skipped", path=path, reason=error.strerror)
            return None
        return StoredFile(path, text)

    def _arm(self) -> None:
        if self._undone and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_RETRY, self._retry)

    def _retry(self) -> None:
        loop = asyncio.get_running_loop()
        again = loop.run_in_executor(self._worker, self._carry_out_again)
        self._timer = None
        again.add_done_callback(lambda done: self._arm())

    def _carry_out_again(self) -> None:
        self._carry_out(list(self._undone.values()))

    def _carry_out(self, actions: Sequence[FileAction]) -> None:
        for action in actions:
            try:
                if isinstance(action, WriteFile):
                    self._write(action)
                else:
                    self._remove(action.path)
            except OSError as error:
                self._failed(action, error)
            else:
                self._undone.pop(action.path, None)
        self._meter.waiting = len(self._undone)

    def _failed(self, action: FileAction, error: OSError) -> None:
        path = str(self._directory / action.path)
        self._meter.failures += 1
        self._meter.reason = f"{path}: {error.strerror}"
        if action.path not in self._undone:
            log.error(
                "stored port cannot be changed; after a restart it will be as it was before",
                path=path,
                reason=error.strerror,
            )
        self._undone[action.path] = action

    def _write(self, action: WriteFile) -> None:
        path = self._inside(action.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, action.text, path.with_name(f".{path.name}.new"))

    def _remove(self, path: str) -> None:
        file = self._inside(path)
        file.unlink(missing_ok=True)
        if file.parent != self._directory:
            with contextlib.suppress(OSError):  # not empty: other ports of the VM are in it
                file.parent.rmdir()

    def _inside(self, path: str) -> Path:
        """The file of that name; OSError where a link on the way leads out of the directory."""
        file = self._directory / path
        for parent in file.relative_to(self._directory).parents:
            if (self._directory / parent).is_symlink() and parent != Path():
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(parent))
        return file
