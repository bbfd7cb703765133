"""A datapath that sends anything: the session never raises, and heals on a new connection."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.ksync import world as w

EXTRAS = [
    w.route("15.0.0.0/25", 14, flags=2),
    w.encap(14, 3, nhr_flags=0x200001),
    w.vif(3, vifr_nh_id=14, vifr_os_idx=77),
]


def receive(world: w.World, data: bytes) -> None:
    world.session.receive(data, world.now)
    world.events += world.session.events()


@settings(max_examples=150, deadline=None)
@given(
    damages=st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 4000), st.integers(0, 255)), max_size=6
    ),
    page=st.integers(1, 8),
)
def test_damaged_replies(damages: list[tuple[int, int, int]], page: int) -> None:
    world = w.World(reply_timeout=20.0)
    world.datapath.page = page
    world.apply(*w.port())
    world.complete()
    world.start()
    world.cut()
    world.connect()
    for step in range(41):
        if world.session.broken:
            world.cut()
            world.connect()
        if step == 25:
            world.apply(*EXTRAS)
        out = world.session.data_to_send()
        world.link.feed(out)
        reply = bytearray(world.link.take())
        for when, where, what in damages:
            if when == step and reply:
                reply[where % len(reply)] = what
        receive(world, bytes(reply))
        for _ in world.session.snapshot():
            pass
    world.datapath.violations.clear()  # lies about what is there have their price
    world.cut()
    world.settle()
    world.assert_equal()
    assert world.session.in_sync


@settings(max_examples=200, deadline=None)
@given(noise=st.lists(st.binary(max_size=120), max_size=5), after=st.integers(0, 25))
def test_noise(noise: list[bytes], after: int) -> None:
    world = w.World()
    world.apply(*w.port())
    world.complete()
    world.connect()
    for _ in range(after):
        world.step()
    for data in noise:
        receive(world, data)
    world.cut()
    world.settle()
    world.assert_equal()
