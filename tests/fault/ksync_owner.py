"""What the daemon is to its connection to a datapath, for tests of that connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from agent.io.datapath import Address
from agent.io.ksync import KsyncConnection
from agent.ksync import Dumped, Session


class Owner:
    """Applies its objects once the datapath is known."""

    def __init__(self, address: Address, objects: list[Any], **options: Any) -> None:
        self.objects = objects
        self.session = Session(pid=1, **options)
        self.connection = KsyncConnection(address, self.session, self.on_events, jitter=lambda: 0.0)
        self.events: list[Any] = []
        self._changed = asyncio.Event()

    def on_events(self, events: Any) -> None:
        self.events += events
        if any(isinstance(event, Dumped) for event in events):
            now = asyncio.get_running_loop().time()
            self.session.apply(self.objects, [], now)
            self.session.complete(now)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for events until `condition` holds."""
        async with asyncio.timeout(30):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self.events)
