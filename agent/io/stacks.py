"""Stacks of all threads in a file, also while the loop stands still.

Of a process that lives they are read with the interpreter's lock: without it frames come and go
under the reader, which faulthandler seldom survives. So code that keeps the lock is found when it
gives it back, which it does within the function that called it. Of a process that dies, by a fault
or by SIGABRT or SIGALRM from outside, faulthandler writes them as they are.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import FrameType

_MOST_FRAMES = 100
_MOST_BYTES = 1 << 20
"""Size of the file beyond which it begins anew."""


def stacks() -> str:
    """What each thread does now: files, lines and functions, and no values."""
    names = {one.ident: one.name for one in threading.enumerate()}
    return "\n".join(
        f"Thread {names.get(ident, ident)} (most recent call first):\n{_lines(frame)}"
        for ident, frame in sys._current_frames().items()
    )


def _lines(frame: FrameType) -> str:
    shown = islice(_callers(frame), _MOST_FRAMES)
    return "\n".join(
        f'  File "{one.f_code.co_filename}", line {one.f_lineno} in {one.f_code.co_name}'
        for one in shown
    )


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


class Stacks:
    """Appends to a file, by itself after `standstill` seconds without `beat`.

    And again when they have become twice as many. One a process.
    """

    def __init__(self, path: Path, standstill: float) -> None:
        """OSError when the file cannot be written."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self.path = path
        self._file = os.open(path, flags, 0o640)
        faulthandler.enable(self._file)
        faulthandler.register(signal.SIGALRM, self._file, chain=True)
        self._standstill = standstill
        self._beaten = time.monotonic()
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._look, name="standstill", daemon=True)
        self._watch.start()

    def beat(self) -> None:
        """The loop lives."""
        self._beaten = time.monotonic()

    def write(self, title: str, text: str = "") -> None:
        """Append one entry, from any thread; a disk that is full or gone loses it."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry = f"--- {title} {now} ---\n{text}\n".encode(errors="replace")
        with suppress(OSError):
            if os.fstat(self._file).st_size > _MOST_BYTES:
                os.ftruncate(self._file, 0)
            os.write(self._file, entry)

    def close(self) -> None:
        """Stop watching."""
        self._ended.set()
        self._watch.join()
        faulthandler.unregister(signal.SIGALRM)
        faulthandler.disable()
        os.close(self._file)

    def _look(self) -> None:
        beaten, patience = self._beaten, self._standstill
        while not self._ended.wait(max(0.0, beaten + patience - time.monotonic())):
            if beaten != self._beaten:
                beaten, patience = self._beaten, self._standstill
            elif time.monotonic() >= beaten + patience:
                self.write(f"the loop has stood still for {patience:g} s, at", stacks())
                patience *= 2
