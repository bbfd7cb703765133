"""What both tables share: the read-only mapping and torn-read-safe copies."""

from __future__ import annotations

import mmap
import os
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator
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


def map_file(path: str | os.PathLike[str]) -> mmap.mmap:
    """Map a table file read-only. OSError as from open; WireError if it is empty."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_size == 0:
            raise WireError(f"{os.fspath(path)} is empty: the datapath has not sized it yet")
        return mmap.mmap(descriptor, 0, mmap.MAP_SHARED, mmap.PROT_READ)
    finally:
        os.close(descriptor)


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

    @classmethod
    def open(cls, path: str | os.PathLike[str], main_entries: int | None = None) -> Self:
        """Map the table file at `path` read-only.

        `main_entries` is vo_flow_entries or vo_bridge_entries of the datapath; without
        it the default 20 % overflow part is assumed. OSError, WireError.
        """
        mapped = map_file(path)
        try:
            return cls(mapped, main_entries)
        except WireError as error:
            mapped.close()
            raise WireError(f"{os.fspath(path)}: {error}") from None

    def close(self) -> None:
        """Drop the mapping; no other method may be called afterwards."""
        if isinstance(self._buffer, mmap.mmap):
            self._buffer.close()

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
        start = 0
        while start < self.geometry.entries:
            found = self.scan(start, SLICE)
            start = found.next_index
            for index in found.picked:
                if (row := self.entry(index)) is not None:
                    yield row

    def window(self, start: int, count: int | None, limit: int | None) -> tuple[int, array[int]]:
        """Where a scan ends, and room for the indexes that it picks."""
        stop = self.geometry.entries if count is None else min(start + count, self.geometry.entries)
        room = max(stop - start, 0) if limit is None else min(limit, max(stop - start, 0))
        return stop, array("I", bytes(4 * room))

    def raw(self, index: int) -> bytes:
        """The bytes of one entry as they are now. IndexError outside the table."""
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
