"""The agent, the datapath or their connection dies at every step of a port's life.

Whenever it happens, the datapath ends equal to what is desired, nothing is ever done out
of order, and an object that was right is not written again.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.ksync import world as w

ROUTES = [w.route(f"15.0.{i}.0/24", 14, flags=2) for i in range(6)]


def life() -> list[Callable[[w.World], None]]:
    """What the owner does, batch by batch."""
    objects = w.port()
    moved = [w.vif(3, vifr_nh_id=14, vifr_os_idx=44), w.route("15.0.0.0/24", 15, flags=8)]
    return [
        lambda world: world.apply(*objects[:6]),
        lambda world: world.apply(*objects[6:]),
        lambda world: world.complete(),
        lambda world: world.apply(*ROUTES),
        lambda world: world.apply(*moved),
        lambda world: world.apply(removed=[each.key for each in ROUTES[::2]]),
        lambda world: world.apply(removed=[w.label(22, 20).key, w.bridge_key(b"\xff" * 6)]),
    ]


def walk(accident: Callable[[w.World], w.World], at: int, **options: int) -> tuple[w.World, int]:
    """Live through `life`, with the accident at wire step `at`; the steps that there were."""
    world = w.World(**options)
    world.start()
    steps = 0
    for act in life():
        act(world)
        moved = True
        while moved:
            if steps == at:
                world = accident(world)
            steps += 1
            moved = world.step()
            if world.link is None:
                world.connect()
                moved = True
    world.complete()  # a new agent has not said so yet
    world.settle()
    return world, steps


def cut(world: w.World) -> w.World:
    world.cut()
    return world


def datapath_dies(world: w.World) -> w.World:
    world.datapath.restart()
    return world


def agent_dies(world: w.World) -> w.World:
    """A new agent with the same configuration; it has it all before it connects."""
    world.cut()
    again = w.World(world.datapath, **world.options)
    again.apply(*world.desired.values())
    return again


def reply_is_lost(world: w.World) -> w.World:
    """The datapath acts but its answers never come."""
    out = world.session.data_to_send()
    if world.link is not None:
        world.link.feed(out)
        world.link.take()
    world.cut()
    return world


ACCIDENTS = [cut, datapath_dies, agent_dies, reply_is_lost]
STEPS = walk(cut, -1, messages_per_frame=2, window=1)[1]


@pytest.mark.parametrize("accident", ACCIDENTS, ids=lambda accident: accident.__name__)
@pytest.mark.parametrize("at", range(STEPS))
def test_an_accident_at_any_step_heals(accident: Callable[[w.World], w.World], at: int) -> None:
    world, _ = walk(accident, at, messages_per_frame=2, window=1)
    world.assert_equal()


@pytest.mark.parametrize("at", range(STEPS))
def test_a_lost_connection_costs_no_needless_write(at: int) -> None:
    """All that the datapath had executed is recognised, so every write happens once."""
    undisturbed, _ = walk(cut, -1, messages_per_frame=2, window=1)
    for accident in (cut, agent_dies, reply_is_lost):
        world, _ = walk(accident, at, messages_per_frame=2, window=1)
        repeated = world.writes() - undisturbed.writes()
        assert repeated <= 0, accident.__name__


@pytest.mark.parametrize("accident", [cut, agent_dies], ids=lambda accident: accident.__name__)
def test_an_accident_at_rest_costs_no_write(accident: Callable[[w.World], w.World]) -> None:
    world, _ = walk(cut, -1)
    before = world.writes()
    world = accident(world)
    world.complete()
    world.settle()
    assert world.writes() == before
    world.assert_equal()
