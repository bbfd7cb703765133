"""A real forwarder in a directory of the test's own, with little memory, and who asks it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent.io.datapath import Address
from agent.io.datapath_reader import DatapathReader

ROOT = Path(__file__).parents[3]
SMALL = ("--flow-entries", "1024", "--bridge-entries", "1024", "--nexthops", "4096")


@asynccontextmanager
async def forwarder(run_dir: Path, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """It serves until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent.forwarder", "--run-dir", str(run_dir), *SMALL, *options),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(30):
            while b"serves" not in (line := await process.stderr.readline()):
                assert line, "the forwarder ended"
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@asynccontextmanager
async def reading(address: Address, timeout: float = 5.0) -> AsyncIterator[DatapathReader]:
    """A reader that is connected."""
    reader = DatapathReader(address, timeout=timeout, jitter=lambda: 0.0)
    reader.start()
    try:
        async with asyncio.timeout(10):
            while not reader.connected:
                await asyncio.sleep(0.005)
        yield reader
    finally:
        await reader.close()
