"""What a tool does on a terminal and nowhere else: colours, a pager, redrawing.

Text that goes to a file or a pipe is what the tool printed, byte for byte. NO_COLOR and
TERM=dumb turn the colours off, PAGER=cat the pager.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO, cast

CLEAR = "\x1b[H\x1b[2J\x1b[3J"
_RESET = "\x1b[0m"
_BOLD, _RED, _YELLOW, _DIM = "\x1b[1m", "\x1b[31m", "\x1b[33m", "\x1b[2m"
_PAGER = ("less", "-FRX")
_STYLES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^(?:vRouter\(Response\)|error):.*"), _RED),
    (re.compile(r"^(?:vif\d+/\d+|Id:\d+|Vrf: ?\d+)\b"), _BOLD),
    (re.compile(r"^-{5,}$"), _DIM),
    (re.compile(r"\b(?:errors|Drops):[1-9]\d*"), _RED),
    (re.compile(r"\bAction:D\([^)]*\)"), _RED),
    (re.compile(r"\bAction:H\b"), _YELLOW),
)


def colours() -> bool:
    """May the terminal of standard output be painted?"""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and not _dumb()


def _dumb() -> bool:
    """Does the terminal understand nothing but lines?"""
    return os.environ.get("TERM", "") in ("", "dumb")


def paint(line: str) -> str:
    """A line with its identity, its errors and its drops standing out."""
    for pattern, style in _STYLES:
        line = pattern.sub(f"{style}\\g<0>{_RESET}", line)
    return line


class Painter(io.TextIOBase):
    """A text stream that paints each whole line and passes it on."""

    def __init__(self, below: TextIO) -> None:
        self._below = below
        self._part = ""

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._below.isatty()

    def fileno(self) -> int:
        return self._below.fileno()

    def write(self, text: str) -> int:
        *lines, self._part = (self._part + text).split("\n")
        self._below.write("".join(f"{paint(line)}\n" for line in lines))
        return len(text)

    def flush(self) -> None:
        """Pass on also the line that has no end yet."""
        self._below.write(paint(self._part))
        self._part = ""
        self._below.flush()


@contextlib.contextmanager
def painted() -> Iterator[None]:
    """Standard output in colours where that makes sense."""
    if not colours():
        yield
        return
    painter = Painter(sys.stdout)
    with contextlib.redirect_stdout(cast(TextIO, painter)):
        yield
        painter.flush()


@contextlib.contextmanager
def paged() -> Iterator[None]:
    """Standard output through the user's pager, if it is a terminal.

    BrokenPipeError when the user leaves the pager early. The pager is waited for.
    """
    pager = _start_pager() if sys.stdout.isatty() else None
    if pager is None or pager.stdin is None:
        with painted():
            yield
        return
    try:
        with _through(cast(TextIO, pager.stdin)):
            yield
    finally:
        with contextlib.suppress(OSError):
            pager.stdin.close()
        _wait(pager)


@contextlib.contextmanager
def _through(pipe: TextIO) -> Iterator[None]:
    stream = cast(TextIO, Painter(pipe)) if colours() else pipe
    with contextlib.redirect_stdout(stream):
        yield
        stream.flush()


def _start_pager() -> subprocess.Popen[str] | None:
    """$PAGER, else less; None when there is none. It may colour, and ends with a short text."""
    chosen = os.environ.get("PAGER")
    environment = {"LESS": "FRX", **os.environ}
    if chosen is None and not _dumb() and shutil.which(_PAGER[0]):
        return subprocess.Popen(_PAGER, stdin=subprocess.PIPE, text=True)
    if chosen and chosen.strip() != "cat":
        return subprocess.Popen(
            chosen, shell=True, stdin=subprocess.PIPE, text=True, env=environment
        )
    return None


def _wait(pager: subprocess.Popen[str]) -> None:
    """Until the user has left the pager; Ctrl-C is the pager's."""
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            pager.wait()
            return


def repeat(show: Callable[[], None], seconds: float) -> None:
    """Show again and again, until interrupted; a terminal is redrawn, a file goes on."""
    while True:
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            show()
        draw(text.getvalue())
        time.sleep(seconds)


def draw(text: str) -> None:
    """One repetition: on a terminal as much as fits, from its top."""
    if not sys.stdout.isatty():
        print(text, end="", flush=True)
        return
    lines = text.splitlines()[: shutil.get_terminal_size().lines - 1]
    if colours():
        lines = [paint(line) for line in lines]
    print(CLEAR + "".join(f"{line}\n" for line in lines), end="", flush=True)
