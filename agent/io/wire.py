"""A connection of something that keeps itself connected, as asyncio's protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Wire(asyncio.Protocol):
    """Hands its owner what came in, and kicks it when there is room to write again.

    `lost` is done when the connection is, with what went wrong; None: the other end closed it.
    """

    def __init__(self, received: Callable[[bytes], None], kick: Callable[[], None]) -> None:
        self._received = received
        self._kick = kick
        self.writable = True
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self._received(data)

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        self._kick()

    def connection_lost(self, problem: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(problem)
