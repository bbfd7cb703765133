"""Request bodies as they come: each of bounded size, and all together too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import falcon
from falcon.asgi import Request

T = TypeVar("T")

SMALL = 64 << 10
"""Bytes of a body that is always taken, and read without a thread."""
ROOM = 32 << 20
"""Bytes that all others have together."""

# An oversized body is read on up to this many times the limit, so that the client, which
# first sends everything, then finds the answer and not a reset connection.
_DRAINED = 8


ARRIVING = "agent.arriving"
"""Of a scope: its `Arriving`."""


class Arriving:
    """Events of a request, which falcon reads alike whether its end came or the client went."""

    def __init__(self, receive: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        self._receive = receive
        self.whole = False
        """Whether all of the body has come."""

    async def __call__(self) -> dict[str, Any]:
        event = await self._receive()
        if event["type"] == "http.request" and not event.get("more_body", False):
            self.whole = True
        return event


class Bodies:
    """Of all clients together. Long bodies are read in a thread, one after another.

    So the loop goes on meanwhile, whatever a client sends; `most` bytes are taken of a body.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._room = ROOM
        self._reading = asyncio.Lock()

    async def read(self, req: Request, reader: Callable[[bytes], T]) -> T:
        """What `reader` makes of the body. HTTPError: it is too long or was cut off."""
        pieces: list[bytes] = []
        size = held = 0
        try:
            async for piece in req.stream:
                size += len(piece)
                if size > _DRAINED * self._most:
                    break
                if size <= self._most:
                    held += self._take(len(piece) if size > SMALL else 0)
                    pieces.append(piece)
            self._check(size, req.scope[ARRIVING])
            body = b"".join(pieces)
            pieces.clear()
            if size <= SMALL:
                return reader(body)
            async with self._reading:
                return await asyncio.to_thread(reader, body)
        finally:
            self._room += held

    def _take(self, size: int) -> int:
        if size > self._room:
            raise falcon.HTTPServiceUnavailable(
                title="Too many long requests at once", headers={"Connection": "close"}
            )
        self._room -= size
        return size

    def _check(self, size: int, arriving: Arriving) -> None:
        if size > self._most:
            raise falcon.HTTPContentTooLarge(
                title=f"The request body is longer than {self._most} bytes",
                headers={"Connection": "close"},
            )
        if not arriving.whole:
            raise falcon.HTTPBadRequest(title="The request body was cut off")
