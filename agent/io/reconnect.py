"""Connecting again and again, with back-off, for as long as something runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from agent.errors import BugError
from agent.telemetry.wires import ConnectCounters

RECONNECT_FIRST = 0.1
RECONNECT_MOST = 5.0

C = TypeVar("C")


class Reconnector(Generic[C]):
    """Connects, lets `carry` serve the connection until it is gone, and connects again.

    `absent` is told why a connection cannot be made, once for each reason. A connection that
    lasted was good: the next pause is the short one again.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Awaitable[C]],
        carry: Callable[[C], Awaitable[None]],
        absent: Callable[[str], None],
        jitter: Callable[[], float],
    ) -> None:
        self.tries = ConnectCounters()
        self._name = name
        self._connect = connect
        self._carry = carry
        self._absent = absent
        self._jitter = jitter
        self._told = ""
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether it is started and not closed."""
        return self._task is not None

    def start(self) -> None:
        """Begin; needs a running loop. BugError when started twice."""
        if self._task is not None:
            raise BugError(f"the connection for {self._name} is started already")
        self._task = asyncio.get_running_loop().create_task(self._run(), name=self._name)

    async def close(self) -> None:
        """End for good."""
        task = self._task
        self.stop()
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)

    def stop(self) -> None:
        """End for good, soon."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = loop.time()
            try:
                connection = await self._connect()
            except OSError as problem:
                self.tries.failed += 1
                self._tell_absent(reason_of(problem))
            else:
                self.tries.made += 1
                self._told = ""
                await self._carry(connection)
            failures = 0 if loop.time() - began > RECONNECT_MOST else failures + 1
            pause = min(RECONNECT_MOST, RECONNECT_FIRST * 2.0 ** min(failures, 16))
            await asyncio.sleep(pause * (0.5 + self._jitter()))

    def _tell_absent(self, reason: str) -> None:
        if reason != self._told:
            self._told = reason
            self._absent(reason)


def reason_of(problem: Exception) -> str:
    """Why a connection failed, for a person."""
    return getattr(problem, "strerror", None) or str(problem)
