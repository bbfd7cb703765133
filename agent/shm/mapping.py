"""What both tables share: the read-only mapping and torn-read-safe copies."""

from __future__ import annotations

import mmap
import os
import stat
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Generic, Self, TypeVar

from agent.errors import WireError
from agent.shm.geometry import Geometry

Entry = TypeVar("Entry")
Buffer = bytes | bytearray | memoryview | mmap.mmap

COPY_ATTEMPTS = 4
SLICE = 4096
"""Entries that one compiled slice looks at when a whole table is walked."""
TALLY_SLICE = 1 << 17
"""Entries that are counted before it is checked again that the file is still whole."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a mapping comes from: the path, and which file it named then."""

    path: str
    device: int
    inode: int
    regular: bool
    """Only a regular file has a size that can change; a module's device has none."""


def map_file(path: str | os.PathLike[str], size: int | None = None) -> tuple[mmap.mmap, Origin]:
    """Map a table file read-only: the whole of a file, `size` bytes of a device.

    The datapath reports `size`: a device must be told it, and a file must have so much.
    OSError as from open, also for a symbolic link; WireError if the file is empty or shorter.
    """
    name = os.fspath(path)
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        regular = stat.S_ISREG(status.st_mode)
        if regular and status.st_size == 0:
            raise WireError(f"{name} is empty: the datapath has not sized it yet")
        if regular and status.st_size < (size or 0):
            raise WireError(f"{name} has {status.st_size} bytes, the datapath reported {size}")
        if not regular and not size:
            raise WireError(f"{name} is a device: pass the size that the datapath reports")
        # Huge pages are mapped and given back as a whole, whatever part of them a table has.
        length = 0 if regular else size or 0
        mapped = mmap.mmap(descriptor, length, mmap.MAP_SHARED, mmap.PROT_READ)
        return mapped, Origin(name, status.st_dev, status.st_ino, regular)
    finally:
        os.close(descriptor)


def _free(table: Buffer, mapped: mmap.mmap) -> None:
    if isinstance(table, memoryview):
        table.release()
    mapped.close()


@dataclass(frozen=True, slots=True)
class Scan:
    """What one slice of a scan found; go on at `next_index`."""

    next_index: int
    picked: array[int]


class Mapping(ABC, Generic[Entry]):
    """One table's bytes and geometry. Use as a context manager or call `close`.

    `corrupt` counts entries in use whose bytes cannot be right; `torn` counts entries
    that changed during each of several attempts to copy them.
    """

    ENTRY_SIZE: ClassVar[int]
    GUARDS: ClassVar[tuple[tuple[int, int], ...]]
    """Byte ranges [first, last) that must stand still while an entry is copied."""

    def __init__(self, buffer: Buffer, main_entries: int | None = None) -> None:
        self.geometry = Geometry.of(len(buffer), self.ENTRY_SIZE, main_entries)
        self.corrupt = 0
        self.torn = 0
        self._buffer = buffer
        self._mapped: mmap.mmap | None = None
        self._origin: Origin | None = None

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        main_entries: int | None = None,
        size: int | None = None,
    ) -> Self:
        """Map the table file at `path` read-only.

        `main_entries` is vo_flow_entries or vo_bridge_entries of the datapath; without
        it the default 20 % overflow part is assumed. `size` in bytes is that of the whole
        file unless given, and must be given for a device. OSError, WireError.
        """
        mapped, origin = map_file(path, size)
        table: Buffer = memoryview(mapped)[:size] if size and size < len(mapped) else mapped
        try:
            view = cls(table, main_entries)
        except WireError as error:
            _free(table, mapped)
            raise WireError(f"{os.fspath(path)}: {error}") from None
        view._origin = origin
        view._mapped = mapped
        return view

    @property
    def buffer(self) -> Buffer:
        """The table's bytes, for a kernel. Call `check` before each use."""
        return self._buffer

    def check(self) -> None:
        """Raise WireError if the mapped file has become shorter than the table.

        To read what a file no longer has would end the process (SIGBUS), so this is asked
        before entries are touched. A datapath never shrinks its tables; others may.
        """
        if self._mapped is None or self._origin is None or not self._origin.regular:
            return
        left = self._mapped.size()
        if left < self.geometry.size:
            raise WireError(
                f"{self._origin.path} has shrunk from {self.geometry.size} to {left} bytes: "
                "map it again"
            )

    def replaced(self) -> bool:
        """Whether the path names another file now, such as one of a datapath started anew.

        What is mapped stays readable, but nobody writes it any more.
        """
        if self._origin is None:
            return False
        try:
            status = os.stat(self._origin.path)
        except OSError:
            return True
        return (status.st_dev, status.st_ino) != (self._origin.device, self._origin.inode)

    def close(self) -> None:
        """Drop the mapping; no other method may be called afterwards."""
        if self._mapped is not None:
            _free(self._buffer, self._mapped)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Entries of the table, used or not."""
        return self.geometry.entries

    @abstractmethod
    def scan(self, start: int = 0, count: int | None = None) -> Scan:
        """The entries in use among `count` from `start` (all that are left by default)."""

    @abstractmethod
    def entry(self, index: int) -> Entry | None:
        """The entry at `index` if it is in use and sound, else None. IndexError."""

    def __iter__(self) -> Iterator[Entry]:
        """Every sound entry in use, in index order."""
        return self._walk(self.scan)

    def _walk(self, scan: Callable[[int, int], Scan]) -> Iterator[Entry]:
        """The sound ones among what `scan(start, count)` picks from the whole table."""
        start = 0
        while start < self.geometry.entries:
            found = scan(start, SLICE)
            start = found.next_index
            yield from self.rows(found.picked)

    def rows(self, picked: Iterable[int]) -> Iterator[Entry]:
        """The entries at these indices that are in use and sound."""
        for index in picked:
            if (row := self.entry(index)) is not None:
                yield row

    def window(self, start: int, count: int | None, limit: int | None) -> tuple[int, array[int]]:
        """Where a scan ends, and room for the indexes that it picks. WireError as `check`."""
        self.check()
        stop = self.geometry.entries if count is None else min(start + count, self.geometry.entries)
        room = max(stop - start, 0) if limit is None else min(limit, max(stop - start, 0))
        return stop, array("I", bytes(4 * room))

    def raw(self, index: int) -> bytes:
        """The bytes of one entry as they are now. IndexError outside the table, WireError."""
        self.check()
        if not 0 <= index < self.geometry.entries:
            raise IndexError(f"entry {index} of a table of {self.geometry.entries}")
        at = index * self.ENTRY_SIZE
        return bytes(self._buffer[at : at + self.ENTRY_SIZE])

    def stable(self, index: int) -> bytes | None:
        """A copy of one entry whose GUARDS ranges did not change meanwhile."""
        at = index * self.ENTRY_SIZE
        for _ in range(COPY_ATTEMPTS):
            copy = self.raw(index)
            if all(
                self._buffer[at + first : at + last] == copy[first:last]
                for first, last in self.GUARDS
            ):
                return copy
        self.torn += 1
        return None
