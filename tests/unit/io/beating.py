"""A process with a heart: `python beating.py DIR EXIT_AFTER`, told on stdin what to block in."""

from __future__ import annotations

import asyncio
import ctypes
import sys
import time
from pathlib import Path

import uvloop

from agent.io.heartbeat import Heartbeat
from agent.io.logs import configure
from agent.settings import parse
from agent.telemetry import Meters
from agent.telemetry.loop import LoopWatch

STANDSTILL = 0.4


def block_in_python(seconds: float) -> None:
    """As a call that lets other threads go on."""
    time.sleep(seconds)


def block_in_c(seconds: float) -> None:
    """As compiled code that keeps the interpreter's lock."""
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))


def block_in_lock(seconds: float) -> None:
    """For ever: a lock that it has itself, whatever signals come."""
    libc, lock = ctypes.PyDLL(None), ctypes.create_string_buffer(64)
    libc.pthread_mutex_lock(lock)
    libc.pthread_mutex_lock(lock)


async def wait_for_ever() -> None:
    """A task to be found in stacks."""
    await asyncio.Event().wait()


async def main(run_dir: Path, exit_after: float) -> None:
    watch = LoopWatch(Meters(), time.monotonic, time.time, standstill=STANDSTILL)
    heart = Heartbeat(run_dir, watch, exit_after=exit_after, period=0.05)
    heart.start()
    waiting = asyncio.create_task(wait_for_ever())
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print("ready", flush=True)
    while words := (await reader.readline()).decode().split():
        before = watch.standstills
        {"python": block_in_python, "c": block_in_c, "lock": block_in_lock}[words[0]](
            float(words[1])
        )
        while watch.standstills == before:
            await asyncio.sleep(0.01)
        print("stood", watch.standstills, flush=True)
    waiting.cancel()
    heart.close()


if __name__ == "__main__":
    configure(parse(""))
    uvloop.run(main(Path(sys.argv[1]), float(sys.argv[2])))
