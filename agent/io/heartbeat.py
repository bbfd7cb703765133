"""The beat of the event loop: how late it comes, who is to blame, and a file that others see.

Whoever cannot ask the agent, because its loop stands still, sees it from the age of
RUN_DIR/heartbeat. What it was doing then is in RUN_DIR/stacks.log: these stacks are written
without the interpreter's lock, so that code that never gives it back is found as well.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from io import StringIO
from itertools import islice
from pathlib import Path

import structlog

from agent.telemetry.loop import LoopWatch

FILE, STACKS = "heartbeat", "stacks.log"
"""Names in the run directory."""
PERIOD = 0.25
"""Seconds between two beats; each fourth is seen in the file."""
BEATS_A_MARK = 4
_MOST_STACKS = 1 << 20
"""Bytes of stacks beyond which the file begins anew."""
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
        self._stacks = -1
        self._timer: asyncio.TimerHandle | None = None
        self._beats = 0

    def start(self) -> None:
        """Begin to beat. OSError when a file in the run directory cannot be written."""
        loop = asyncio.get_running_loop()
        self._file.write_text(f"{os.getpid()}\n")
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._stacks = os.open(self._stacks_path, flags, 0o640)
        loop.add_signal_handler(DUMP_SIGNAL, self._dump_tasks)
        # On top of the loop's own handler, which comes when the loop turns again.
        faulthandler.register(DUMP_SIGNAL, file=self._stacks, all_threads=True, chain=True)
        self._mark()
        self._arm()

    def close(self) -> None:
        """Stop; the file goes, so that nobody takes an ended agent for a stalled one."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        self._set_alarm(0.0)
        faulthandler.cancel_dump_traceback_later()
        faulthandler.unregister(DUMP_SIGNAL)
        asyncio.get_running_loop().remove_signal_handler(DUMP_SIGNAL)
        os.close(self._stacks)
        self._stacks = -1
        with suppress(OSError):
            self._file.unlink()

    def _arm(self) -> None:
        due = time.monotonic() + self._period
        self._timer = asyncio.get_running_loop().call_later(self._period, self._beat, due)

    def _beat(self, due: float) -> None:
        stall = self._watch.beat(due)
        self._beats += 1
        if stall is not None:
            self._write(f"--- the loop stood still for {stall.seconds:.1f} s, until")
            where = str(self._stacks_path)
            log.error("the loop stood still", seconds=round(stall.seconds, 1), stacks=where)
        if stall is not None or self._beats % BEATS_A_MARK == 0:
            self._mark()
        self._arm()

    def _mark(self) -> None:
        """Show that we live, and give the watchdogs their time anew."""
        with suppress(OSError):  # a full or vanished run directory must not end the beat
            os.utime(self._file)
            if os.fstat(self._stacks).st_size > _MOST_STACKS:
                os.ftruncate(self._stacks, 0)
        faulthandler.dump_traceback_later(self._watch.standstill, file=self._stacks)
        self._set_alarm(self._exit_after)
        self._marked()

    def _set_alarm(self, seconds: float) -> None:
        """The kernel ends the process by SIGALRM then, whatever keeps the interpreter."""
        if self._exit_after:
            signal.setitimer(signal.ITIMER_REAL, seconds)

    def _dump_tasks(self) -> None:
        """After the threads, which are written at the signal: what each task waits for."""
        text = StringIO()
        tasks = asyncio.all_tasks()
        for task in islice(tasks, _MOST_TASKS):
            task.print_stack(file=text)
        self._write(f"--- {len(tasks)} tasks at", text.getvalue())
        log.info("stacks written", stacks=str(self._stacks_path), tasks=len(tasks))

    def _write(self, title: str, text: str = "") -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with suppress(OSError):
            os.write(self._stacks, f"{title} {now} ---\n{text}\n".encode(errors="replace"))
