"""Long work in slices: whoever shares the loop gets it back after a few milliseconds."""

from __future__ import annotations

import types
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Sequence
from typing import TypeVar

SLICE = 0.0015
"""Seconds of work until the loop is given away."""
_LOOKS = 4
_PART = 256

T = TypeVar("T")
R = TypeVar("R")


@types.coroutine
def pause() -> Generator[None, None, None]:
    """Let everything else that is due run first; tasks of a loop take a bare `yield` so."""
    yield


async def sliced(items: Iterable[T], clock: Callable[[], float]) -> AsyncIterator[T]:
    """The items, with pauses. They must bear that what they tell of changes meanwhile."""
    end = clock() + SLICE
    for count, item in enumerate(items):
        if count % _LOOKS == 0 and clock() >= end:
            await pause()
            end = clock() + SLICE
        yield item


async def made(items: Iterable[T], make: Callable[[T], R], clock: Callable[[], float]) -> list[R]:
    """What `make` makes of each item, with pauses."""
    return [make(item) async for item in sliced(items, clock)]


async def walk(
    items: Sequence[T], take: Callable[[Sequence[T]], object], clock: Callable[[], float]
) -> None:
    """Give `take` all items, some at a time, with pauses: for tables of 10^5 and more."""
    end = clock() + SLICE
    for start in range(0, len(items), _PART):
        take(items[start : start + _PART])
        if clock() >= end:
            await pause()
            end = clock() + SLICE
