"""Waking those who wait for news, for at most so long."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Bell:
    """Rung by anybody on the loop, heard by one."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """There is news."""
        self._event.set()

    async def heard(self, seconds: float) -> None:
        """Return when it rang since last heard, or after so many seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), max(0.0, seconds))
        self._event.clear()
