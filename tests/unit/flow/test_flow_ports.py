"""Which ports flows use, by interface, and how long they took to be set up."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent._fast.flow_ports import WORDS, PortWalk
from tests.reference.flow_model import TCP
from tests.unit.flow.pairs_rig import ICMP, ONE, REMOTE, TWO, UDP, Rig, Talk

BOUNDS = (1, 5, 100)


def walk(rig: Rig, *, vifs: int = 16, count: int = 8192) -> PortWalk:
    made = PortWalk(vifs=vifs, bounds=BOUNDS)
    finish(made, rig, count)
    return made


def finish(made: PortWalk, rig: Rig, count: int = 8192) -> None:
    while made.slice(rig.pairs, count):
        pass


def parts(bitmap: tuple[int, ...]) -> set[int]:
    """The 256ths whose bit is set."""
    assert len(bitmap) == WORDS
    return {
        32 * word + bit for word in range(WORDS) for bit in range(32) if bitmap[word] >> bit & 1
    }


def shown(made: PortWalk, vif: int | None = None) -> list[set[int]]:
    """TCP's source and destination parts, then UDP's."""
    return [parts(bitmap) for bitmap in made.bitmaps(vif)]


def test_ports_of_whoever_began_stand_at_both_ends() -> None:
    rig = Rig()
    rig.connect(Talk(ONE.address, TWO.address, TCP, 40_000, 443))
    made = walk(rig)
    used = [{40_000 // 256}, {443 // 256}, set(), set()]
    assert shown(made) == shown(made, ONE.vif) == shown(made, TWO.vif) == used


def test_flows_of_others_and_of_other_protocols_are_not_a_ports() -> None:
    rig = Rig()
    rig.connect(Talk(ONE.address, REMOTE, UDP, 65_535, 53))
    rig.connect(Talk(ONE.address, REMOTE, ICMP, 7, 0))
    made = walk(rig)
    assert shown(made, ONE.vif) == shown(made) == [set(), set(), {255}, {0}]
    assert shown(made, TWO.vif) == [set()] * 4


def test_ports_of_ipv6_flows() -> None:
    rig = Rig()
    rig.connect(Talk(ONE.address6, TWO.address6, TCP, 512, 1024))
    assert shown(walk(rig), TWO.vif) == [{2}, {4}, set(), set()]


def test_what_a_walk_has_not_finished_is_not_shown_and_what_ended_is_forgotten() -> None:
    rig = Rig()
    for port in (256, 512):
        rig.connect(Talk(ONE.address, TWO.address, TCP, port, 80))
    made = PortWalk(vifs=8, bounds=BOUNDS)
    assert made.slice(rig.pairs, 1)
    assert shown(made)[0] == set()
    finish(made, rig, 1)
    assert shown(made)[0] == {1, 2}
    rig.pairs.end(rig.pairs.pairs()[0], rig.now)
    rig.settle()
    finish(made, rig)
    assert shown(made)[0] == {2}


def test_interfaces_without_a_row_are_left_out() -> None:
    rig = Rig()
    rig.connect(Talk(ONE.address, TWO.address, TCP, 256, 80))
    made = walk(rig, vifs=ONE.vif + 1)
    assert shown(made, ONE.vif)[0] == {1}
    for vif in (TWO.vif, -1, 1 << 40):
        with pytest.raises((IndexError, OverflowError)):
            made.bitmaps(vif)


def test_set_up_times_are_told_once_and_by_bucket() -> None:
    rig = Rig()
    made = PortWalk(vifs=8, bounds=BOUNDS)
    for number, seconds in enumerate((0.0, 0.003, 0.2)):
        rig.begin(Talk(ONE.address, TWO.address, TCP, 1000 + number, 80))
        rig.now += seconds
        rig.settle()
    finish(made, rig)
    found, total = made.take_setups()
    assert found == [1, 1, 0, 1]
    assert total == pytest.approx(0.203)
    finish(made, rig)
    assert made.take_setups() == ([0, 0, 0, 0], 0.0)
    rig.connect(Talk(ONE.address, TWO.address, TCP, 2000, 80))
    finish(made, rig)
    assert made.take_setups()[0] == [1, 0, 0, 0]


FLOW = st.tuples(st.booleans(), st.integers(1, 65535), st.integers(1, 65535))


@settings(max_examples=25, deadline=None)
@given(st.lists(FLOW, max_size=12, unique=True), st.integers(1, 5))
def test_any_flows_in_slices_of_any_size(flows: list[tuple[bool, int, int]], count: int) -> None:
    rig = Rig()
    expected: list[set[int]] = [set(), set(), set(), set()]
    for tcp, source, destination in flows:
        rig.connect(Talk(ONE.address, TWO.address, TCP if tcp else UDP, source, destination))
        kind = 0 if tcp else 2
        expected[kind].add(source // 256)
        expected[kind + 1].add(destination // 256)
    assert shown(walk(rig, count=count)) == expected


def test_numbers_that_cannot_be_are_refused() -> None:
    rig = Rig()
    for vifs, bounds in ((-1, ()), (1 << 20, ()), (1, (5, 1)), (1, range(32)), (1, (-1,))):
        with pytest.raises(ValueError, match="most"):
            PortWalk(vifs=vifs, bounds=bounds)
    with pytest.raises(ValueError, match="cannot be looked at"):
        PortWalk(vifs=1, bounds=()).slice(rig.pairs, 0)
