"""A whole agent in the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agent.daemon.configuration import Sources
from agent.daemon.daemon import Daemon
from agent.daemon.front import Front


async def until(
    condition: Callable[[], Any], what: str = "what the test waits for", more: Any = ""
) -> None:
    """Wait for it; `more` is told, as it is then, where it does not come."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"never: {what} {more}")


@asynccontextmanager
async def running(sources: Sources) -> AsyncIterator[Daemon]:
    """It runs until the block ends."""
    settings, topology = sources.load()
    front = Front(settings, topology)
    daemon = Daemon(sources, settings, topology, front)

    async def run() -> None:
        await front.start()
        await daemon.run()

    task = asyncio.create_task(run())
    try:
        yield daemon
    finally:
        daemon.stop()
        await task
