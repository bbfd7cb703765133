"""What is asked for before it is there."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")
PATIENCE = 10.0
"""Seconds that a request waits for an agent that starts."""


class Awaited(Generic[T]):
    """A value that comes some time after the start, once and for all."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._there = asyncio.Event()
        self.value: T | None = None
        """None until it comes."""

    def put(self, value: T) -> None:
        """It is there: whoever waits goes on."""
        self.value = value
        self._there.set()

    async def get(self) -> T:
        """The value, as soon as it is there. TimeoutError after `patience` seconds."""
        if self.value is None:
            async with asyncio.timeout(self._patience):
                await self._there.wait()
        assert self.value is not None
        return self.value
