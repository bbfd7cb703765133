"""A whole agent in the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.daemon.configuration import Sources
from agent.daemon.daemon import Daemon
from agent.daemon.front import Front


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
