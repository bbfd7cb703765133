"""Long work in slices: the loop gets its turns, and nothing is left out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from agent.introspect.pace import SLICE, Pace
from agent.introspect.slices import PACE, made, pause, sliced, walk


class Time:
    """A clock that moves by the work that is done; `rests` are the lengths of slices."""

    def __init__(self) -> None:
        self.now = 0.0
        self._begun = 0.0
        self.rests: list[float] = []

    def work(self, seconds: float) -> None:
        self.now += seconds

    async def rest(self) -> None:
        self.rests.append(self.now - self._begun)
        await asyncio.sleep(0)
        self._begun = self.now


@pytest.fixture
def time() -> Iterator[Time]:
    made_time = Time()
    token = PACE.set(Pace(lambda: made_time.now, made_time.rest))
    yield made_time
    PACE.reset(token)


async def test_items_come_in_order_with_pauses(time: Time) -> None:
    seen = []
    async for item in sliced(range(100)):
        time.work(SLICE / 10)
        seen.append(item)
    assert seen == list(range(100))
    assert 6 <= len(time.rests) <= 10
    assert max(time.rests) <= 1.5 * SLICE


async def test_what_is_quick_has_no_pause(time: Time) -> None:
    assert await made(range(5), lambda one: 2 * one) == [0, 2, 4, 6, 8]
    await pause()
    assert time.rests == []


async def test_a_long_list_is_walked_part_by_part(time: Time) -> None:
    seen: list[int] = []

    def take(part: range) -> None:
        time.work(SLICE / 2)
        seen.extend(part)

    await walk(range(10_000), take)
    assert seen == list(range(10_000))
    assert len(time.rests) >= 15
    assert max(time.rests) <= 1.5 * SLICE


async def test_answers_at_the_same_time_keep_their_own_pace(time: Time) -> None:
    async def one(number: int) -> int:
        PACE.set(Pace(lambda: time.now, time.rest))
        total = 0
        async for item in sliced(range(50)):
            time.work(SLICE / 4)
            total += item * number
        return total

    assert await asyncio.gather(one(1), one(2)) == [1225, 2450]
