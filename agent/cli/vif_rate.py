"""`vif --rate`: how fast counters grow, shown again each second. Facts: vrouter-cli.md."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agent.cli import tool
from agent.cli.render_vif import type_name
from agent.cli.terminal import CLEAR
from agent.cli.vif_json import as_json
from agent.sandesh.vrouter import VrInterfaceReq

SECONDS = 1.0
QUIT = "q"
_COUNTERS = tuple(
    name
    for name in VrInterfaceReq.FIELDS
    if name.endswith(("packets", "bytes", "errors", "nombufs", "syscalls"))
)
_PER_CORE = "vifr_queue_ierrors_to_lcore"
_TITLES = ["Interface rate statistics", "-" * 25, ""]
_COLUMNS = [
    f"{'Interface name':<30}{'VIF ID':<30}{'RX':<30}{'TX':<30}",
    f"{'':<54}{'Errors   Packets':<30}Errors   Packets",
    "",
]
_KEYS = "Key 'q' for quit, key 'k' for previous page, key 'j' for next page."
_LINES_AROUND, _LINES_A_ROW, _MOST_ROWS = 9, 3, 32

Read = Callable[[], list[VrInterfaceReq]]
Lines = Callable[[VrInterfaceReq], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Sample:
    """The interfaces with their counters at a time (monotonic seconds)."""

    at: float
    vifs: dict[int, VrInterfaceReq]

    @classmethod
    def take(cls, read: Read) -> Sample:
        """Now."""
        vifs = {vif.vifr_idx: vif for vif in read()}
        return cls(time.monotonic(), vifs)

    def since(self, before: Sample) -> list[VrInterfaceReq]:
        """The interfaces with what their counters grew by in a second; new ones have not grown.

        A counter that was cleared in between has not grown.
        """
        milliseconds = max(round(1000 * (self.at - before.at)), 1)
        return [_grown(before.vifs.get(i, vif), vif, milliseconds) for i, vif in self.vifs.items()]


def _grown(old: VrInterfaceReq, new: VrInterfaceReq, milliseconds: int) -> VrInterfaceReq:
    def rate(now: int, then: int) -> int:
        return max(now - then, 0) * 1000 // milliseconds

    rates: dict[str, Any] = {
        name: rate(getattr(new, name), getattr(old, name)) for name in _COUNTERS
    }
    cores = zip(getattr(new, _PER_CORE), getattr(old, _PER_CORE), strict=False)
    rates[_PER_CORE] = tuple(rate(now, then) for now, then in cores)
    return new.replace(**rates)


def rows(vifs: list[VrInterfaceReq]) -> Iterator[str]:
    """The table of `vif --list --rate`."""
    yield from _COLUMNS
    for vif in vifs:
        yield _row(vif)
        yield from ("", "")


def _row(vif: VrInterfaceReq) -> str:
    received = sum(getattr(vif, f"vifr_{part}ierrors") for part in ("dev_", "port_", "queue_", ""))
    sent = sum(getattr(vif, f"vifr_{part}oerrors") for part in ("dev_", "port_", "queue_", ""))
    name = f"{type_name(vif.vifr_type)}: {vif.vifr_name}"
    text = f"{name:<30}{f'vif{vif.vifr_rid}/{vif.vifr_idx}':<24}"
    text += f"{f'{received:<7}  {vif.vifr_ipackets:<7}':<30}"
    return text + f"{f'{sent:<7}  {vif.vifr_opackets:<7}':<25}"


class Keys:
    """Keys that the user presses, one at a time, where there is a terminal to press them on."""

    def __init__(self) -> None:
        self.there = sys.stdin.isatty() and sys.stdout.isatty()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Without waiting for the end of a line; the terminal is put back afterwards."""
        if not self.there:
            yield
            return
        before = termios.tcgetattr(sys.stdin)
        tty.setcbreak(sys.stdin)
        try:
            yield
        finally:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)

    def wait(self, seconds: float) -> str:
        """The next key, or empty once the time is over; a terminal that is gone quits."""
        if not self.there:
            time.sleep(seconds)
            return ""
        ready, _, _ = select.select([sys.stdin], [], [], seconds)
        if not ready:
            return ""
        return os.read(sys.stdin.fileno(), 1).decode(errors="replace").lower() or QUIT


@dataclass(slots=True)
class Screen:
    """What is drawn each time: a page of the table, or one interface in full."""

    one: Lines | None = None
    keys: Keys = field(default_factory=Keys)
    first: int = 0

    def draw(self, vifs: list[VrInterfaceReq]) -> None:
        """Print it, on a terminal over the last one."""
        page = vifs[self.first : self.first + self._room()]
        lines = [*_TITLES]
        if self.one is None:
            lines += rows(page)
            lines += [_KEYS] if self.keys.there else []
        else:
            lines += (line for vif in page for line in self.one(vif))
        lines.append(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z} ")
        print((CLEAR if sys.stdout.isatty() else "") + "\n".join(lines), flush=True)

    def turn(self, key: str, count: int) -> None:
        """To another page, if this key asks for one; `count`: how many interfaces there are."""
        step = {"j": self._room(), "k": -self._room()}.get(key, 0)
        if 0 <= self.first + step < max(count, 1):
            self.first += step
        elif step < 0:
            self.first = 0

    def _room(self) -> int:
        if not self.keys.there:
            return sys.maxsize
        lines = shutil.get_terminal_size().lines - _LINES_AROUND
        return min(max(lines // _LINES_A_ROW, 1), _MOST_ROWS)


def watch(read: Read, *, json: bool, count: int | None, one: Lines | None = None) -> None:
    """Show rates each second until the user presses q or interrupts, or `count` times.

    `one` gives the lines of an interface that is shown in full; without it a table is. The
    first time nothing has grown yet.
    """
    screen = Screen(one)
    before = Sample.take(read)
    shown, after = 0, before
    with screen.keys.listening():
        while True:
            vifs = after.since(before)
            if json:
                tool.print_json([as_json(vif) for vif in vifs])
            else:
                screen.draw(vifs)
            shown += 1
            if shown == count or (key := screen.keys.wait(SECONDS)) == QUIT:
                return
            screen.turn(key, len(vifs))
            before, after = after, Sample.take(read)
