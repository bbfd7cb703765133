"""The beat of the event loop: how late it comes, who is to blame, and a file that others see.

Whoever cannot ask the agent, because its loop stands still, sees it from the age of
RUN_DIR/heartbeat. What it was doing then is in RUN_DIR/stacks.log.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from itertools import islice
from pathlib import Path

import structlog

from agent.io.stacks import Stacks, stacks
from agent.telemetry.loop import LoopWatch

FILE, STACKS = "heartbeat", "stacks.log"
"""Names in the run directory."""
PERIOD = 0.25
"""Seconds between two beats; each fourth is seen in the file."""
BEATS_A_MARK = 4
_MOST_TASKS = 200
DUMP_SIGNAL = signal.SIGUSR2
"""Has the stacks of all threads and tasks written; SIGUSR1 has another use."""

log = structlog.get_logger(__name__)


class Heartbeat:
    """Beats on the running loop from `start` to `close`; one a process.

    `marked` is called about once a second. `exit_after`: seconds of a standstill after which
    the process ends by SIGALRM, so that the service manager starts another one; 0: never.
    `period` is below a quarter of what the watch takes for a standstill.
    """

    def __init__(
        self,
        run_dir: Path,
        watch: LoopWatch,
        marked: Callable[[], object] = lambda: None,
        *,
        exit_after: float = 0.0,
        period: float = PERIOD,
    ) -> None:
        self._file = run_dir / FILE
        self._watch = watch
        self._marked = marked
        self._exit_after = exit_after
        self._period = period
        self._stacks_path = run_dir / STACKS
        self._stacks: Stacks | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._beats = 0

    def start(self) -> None:
        """Begin to beat. OSError when a file in the run directory cannot be written."""
        self._file.write_text(f"{os.getpid()}\n")
        self._stacks = Stacks(self._stacks_path, self._watch.standstill)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(DUMP_SIGNAL, self._dump, self._stacks)
        self._mark(self._stacks)
        self._arm(self._stacks)

    def close(self) -> None:
        """Stop; the file goes, so that nobody takes an ended agent for a stalled one."""
        if self._timer is None or self._stacks is None:
            return
        self._timer.cancel()
        self._timer = None
        self._set_alarm(0.0)
        asyncio.get_running_loop().remove_signal_handler(DUMP_SIGNAL)
        self._stacks.close()
        with suppress(OSError):
            self._file.unlink()

    def _arm(self, stacks_file: Stacks) -> None:
        due = time.monotonic() + self._period
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._period, self._beat, stacks_file, due)

    def _beat(self, stacks_file: Stacks, due: float) -> None:
        stall = self._watch.beat(due)
        self._beats += 1
        if stall is not None:
            stacks_file.write(f"the loop stood still for {stall.seconds:.1f} s, until")
            where = str(self._stacks_path)
            log.error("the loop stood still", seconds=round(stall.seconds, 1), stacks=where)
        if stall is not None or self._beats % BEATS_A_MARK == 0:
            self._mark(stacks_file)
        self._arm(stacks_file)

    def _mark(self, stacks_file: Stacks) -> None:
        """Show that we live, and give the watchdogs their time anew."""
        with suppress(OSError):  # a full or vanished run directory must not end the beat
            os.utime(self._file)
        stacks_file.beat()
        self._set_alarm(self._exit_after)
        self._marked()

    def _set_alarm(self, seconds: float) -> None:
        """The kernel ends the process by SIGALRM then, whatever keeps the interpreter."""
        if self._exit_after:
            signal.setitimer(signal.ITIMER_REAL, seconds)

    def _dump(self, stacks_file: Stacks) -> None:
        """What each thread does, and what each task waits for."""
        stacks_file.write("threads at", stacks())
        text = StringIO()
        tasks = asyncio.all_tasks()
        for task in islice(tasks, _MOST_TASKS):
            task.print_stack(file=text)
        stacks_file.write(f"{len(tasks)} tasks at", text.getvalue())
        log.info("stacks written", stacks=str(self._stacks_path), tasks=len(tasks))
