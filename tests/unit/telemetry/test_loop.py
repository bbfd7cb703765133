from __future__ import annotations

import pytest

from agent.telemetry import Meters, State
from agent.telemetry.loop import RECENT, STANDSTILL, WINDOW, LoopWatch


class World:
    def __init__(self) -> None:
        self.now = 100.0
        self.meters = Meters()
        self.watch = LoopWatch(self.meters, lambda: self.now, lambda: 1.7e9 + self.now, "/r/s.log")

    def beat(self, lag: float = 0.0) -> bool:
        due = self.now + 0.25
        self.now = due + lag
        return self.watch.beat(due) is not None


@pytest.fixture
def world() -> World:
    return World()


def test_a_prompt_loop_is_well(world: World) -> None:
    assert not any(world.beat(0.001) for _ in range(10))
    (found,) = world.watch.check()
    assert (found.state, found.reason) == (State.OK, "")
    assert found.numbers == {"worst lag": 0.001, "standstills": 0}
    assert world.meters.loop_lag.count == 10


def test_a_standstill_is_told_for_a_while(world: World) -> None:
    world.beat()
    assert world.beat(7.3)
    (found,) = world.watch.check()
    assert found.state is State.DEGRADED
    assert found.reason.startswith("stood still for 7.3 s until 2023-11-14T22:")
    assert found.reason.endswith("; stacks in /r/s.log")
    assert (world.watch.standstills, world.meters.stalls) == (1, 1)
    while world.now < 100 + RECENT + 10:
        world.beat()
    assert world.watch.check()[0].state is State.OK
    assert world.watch.standstills == 1


def test_a_slow_loop_is_told_until_it_was_prompt_for_long(world: World) -> None:
    assert not world.beat(0.6)
    assert world.watch.check()[0].reason == "up to 0.60 s late within the last minute"
    ended = world.now + 2 * WINDOW + 1
    while world.now < ended:
        world.beat()
    assert world.watch.check()[0].state is State.OK


def test_only_the_last_standstills_are_kept(world: World) -> None:
    for _ in range(100):
        world.beat(STANDSTILL)
    assert len(world.watch.stalls) < 100 == world.watch.standstills
