"""What ksync says of objects that the datapath refuses, and of a connection that was lost."""

from __future__ import annotations

import errno

import pytest

from agent.sandesh.vrouter import SandeshOp
from tests.unit.ksync import world as w

NH = "vr_nexthop_req"


@pytest.fixture
def world() -> w.World:
    made = w.World()
    made.up()
    return made


def refused(world: w.World) -> tuple[list[str], int]:
    views, count = world.session.refused(3)
    return [str(view.key) for view in views], count


def test_what_is_refused_is_told_until_it_is_accepted(world: w.World) -> None:
    world.datapath.fail(NH, errno.ENOSPC, 5)
    world.apply(*(w.discard(number) for number in range(5, 10)))
    world.run()
    assert refused(world) == ([str(w.nexthop_key(number)) for number in (5, 6, 7)], 5)
    assert world.session.unsettled == 5
    world.pass_time(5.0)
    assert refused(world) == ([], 0)
    assert world.session.unsettled == 0


def test_what_is_refused_and_no_longer_wanted_is_not_told(world: w.World) -> None:
    world.datapath.fail(NH, errno.ENOSPC)
    world.apply(w.discard(5))
    world.run()
    world.apply(removed=[w.nexthop_key(5)])
    world.run()
    assert refused(world) == ([], 0)


def test_a_refused_delete_is_told(world: w.World) -> None:
    world.apply(w.discard(5))
    world.run()
    world.datapath.fail(NH, errno.EBUSY, op=SandeshOp.DEL)
    world.apply(removed=[w.nexthop_key(5)])
    world.run()
    assert world.session.refused(3)[1] == 1
    world.pass_time(2.0)
    assert refused(world) == ([], 0)


def test_nothing_is_refused_by_a_datapath_that_is_lost(world: w.World) -> None:
    world.datapath.fail(NH, errno.ENOSPC)
    world.apply(w.discard(5))
    world.run()
    world.cut()
    assert refused(world) == ([], 0)


def test_the_reason_of_a_loss_is_known_until_the_datapath_is_read_again(world: w.World) -> None:
    assert (world.session.usable, world.session.fault) == (True, "")
    world.cut()
    assert not world.session.usable
    assert world.session.fault == "the datapath closed the connection"
    world.start()
    assert (world.session.usable, world.session.fault) == (True, "")
