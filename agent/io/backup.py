"""The directory of backups: read at start, written in a worker, the oldest removed.

Files are written under another name, synced, and renamed, so that a crash leaves the one
before. Those that are damaged or of someone else are told of and left where they are.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import structlog

from agent.backup import FAMILY, REFERENCE, checked, decode, encode, family, file_name, restored
from agent.errors import WireError
from agent.io.safe_files import read_file, replace_file, strangers
from agent.objects import Numbered
from agent.telemetry.meters import FileMeter

log = structlog.get_logger(__name__)

MAX_FILE = 64 << 20
"""The bytes of a backup at most."""
_MAX_FILES = 1024


class BackupDirectory:
    """At most `count` files of ours are kept. No call raises OSError: log and `meter` tell it."""

    def __init__(self, path: Path, count: int, meter: FileMeter | None = None) -> None:
        self._path = path
        self._count = max(count, 1)
        self._meter = meter or FileMeter()

    def read(self) -> list[Numbered]:
        """The numbers of the newest file that is whole; nothing where there is none.

        The reference agent's files count together as one, as new as the newest of them. What
        others could have put there is not read.
        """
        try:
            reason = strangers(self._path)
        except OSError:
            reason = ""  # there is none, or it tells so when it is listed
        if reason:
            log.error("no backups read", path=str(self._path), reason=reason)
            return []
        own = self._files(FAMILY)
        theirs = self._files(REFERENCE)
        if theirs and (not own or _age(theirs[0]) > _age(own[0])):
            rows = self._reference(theirs)
            if rows:
                return rows
        for path in own:
            content = read_backup(path)
            found = None if content is None else _own(path, content)
            if found is not None:
                return found
        return []

    def write(self, rows: Iterable[Numbered], time_stamp: int) -> bool:
        """Add a file with these; whether that worked. `time_stamp`: wall clock, microseconds."""
        content = encode(rows, time_stamp)
        path = self._path / file_name(content)
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            if reason := strangers(self._path):
                raise OSError(errno.EPERM, reason)
            replace_file(path, content, path.with_name(f".{path.name}.tmp"), 0o600, sync=True)
            self._rotate(path)
        except OSError as error:
            self._meter.failures += 1
            self._meter.waiting, self._meter.reason = 1, f"{self._path}: {error.strerror}"
            log.error("backup not written", path=str(path), reason=error.strerror)
            return False
        self._meter.waiting = 0
        return True

    def _files(self, wanted: str) -> list[Path]:
        """Those of ours or of the reference agent, the newest first."""
        try:
            names = [name for name in os.listdir(self._path) if family(name) == wanted]
        except FileNotFoundError:
            return []
        except OSError as error:
            log.error("no backups read", path=str(self._path), reason=error.strerror)
            return []
        found = [self._path / name for name in sorted(names)[:_MAX_FILES]]
        return sorted(found, key=_age, reverse=True)

    def _reference(self, paths: Sequence[Path]) -> list[Numbered]:
        """The newest file of each kind of the reference agent."""
        rows: dict[str, list[Numbered]] = {}
        for path in paths:
            content = read_backup(path)
            try:
                found = restored(content) if content is not None else None
            except WireError as error:
                log.warning("backup is not used", path=str(path), reason=str(error))
                continue
            if found is not None and found.message not in rows:
                rows[found.message] = found.rows
                log.info("backup of the reference agent read", path=str(path), rows=len(found.rows))
        return [row for of_file in rows.values() for row in of_file]

    def _rotate(self, newest: Path) -> None:
        others = [path for path in self._files(FAMILY) if path != newest]
        for path in others[self._count - 1 :]:
            path.unlink(missing_ok=True)


def read_backup(path: Path) -> bytes | None:
    """The content of a file if it is whole; None, told in the log, if not."""
    try:
        content = read_file(path, MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise WireError(f"larger than {MAX_FILE} bytes")
        checked(path.name, content)
    except OSError as error:
        log.warning("backup is not used", path=str(path), reason=error.strerror)
        return None
    except WireError as error:
        log.warning("backup is not used", path=str(path), reason=str(error))
        return None
    return content


def _own(path: Path, content: bytes) -> list[Numbered] | None:
    try:
        rows = decode(content)
    except WireError as error:
        log.warning("backup is not used", path=str(path), reason=str(error))
        return None
    log.info("backup read", path=str(path), rows=len(rows))
    return rows


def _age(path: Path) -> int:
    """When it was written, in nanoseconds; 0 for one that is gone."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
