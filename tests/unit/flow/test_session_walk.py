"""The kernel of sessions over pairs that count: what it shows, how often, and chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent._fast.flow_sessions import ENDS, ROW, Sampling, SessionWalk
from agent.flow.aging import Timeouts
from tests.unit.flow.pairs_rig import FAR_HOST, ONE, REMOTE, TWO, Talk
from tests.unit.flow.pairs_rig import Rig as PairsRig
from tests.unit.flow.scan_rig import Rig, packet

NONE = 0xFFFFFFFF


class Shown(NamedTuple):
    """A row by name, as the .pyi tells them."""

    forward: bytes
    reverse: bytes
    serial: int
    started: int
    ended: int
    bytes: tuple[int, int]
    packets: tuple[int, int]
    total_bytes: tuple[int, int]
    total_packets: tuple[int, int]
    scale: float
    number: int
    from_vif: int
    to_vif: int
    peer: int
    tunnel: int
    end: int
    over: int
    fresh: int
    logged: int


def rows(data: bytes) -> list[Shown]:
    return [row(fields) for fields in ROW.iter_unpack(data)]


def row(fields: tuple[Any, ...]) -> Shown:
    forward, reverse, serial, started, ended, *rest = fields
    pairs = [(rest[at], rest[at + 1]) for at in range(0, 8, 2)]
    scale, number, from_vif, to_vif, _, _, peer, _, _, *small = rest[8:]
    end, over, fresh, logged, tunnel = small[6:11]
    return Shown(
        forward, reverse, serial, started, ended, *pairs, scale, number, from_vif, to_vif, peer,
        tunnel, end, over, fresh, logged,
    )  # fmt: skip


@dataclass
class Counting:
    """A rig with pairs that an earlier agent left; each `count` adds to all of them."""

    rig: Rig
    walk: SessionWalk
    indexes: list[tuple[int, int]]
    told: tuple[int, int] = (0, 0)

    def count(self, forward: int, reverse: int = 0) -> None:
        """So many bytes, in one packet each, pass on every pair and are noticed."""
        self.told = self.told[0] + forward, self.told[1] + reverse
        for indexes in self.indexes:
            for index, total in zip(indexes, self.told, strict=True):
                self.rig.count(index, total, total // 100 + bool(total))
        self.rig.advance(self.rig.scanner.period + 0.1)

    def running(self) -> list[Shown]:
        """A whole walk."""
        found = rows(self.walk.running())
        while self.walk.midway:
            found += rows(self.walk.running())
        return found


def counting(pairs: int = 1, *, seed: int = 1, shown: int = 256) -> Counting:
    rig = Rig(Timeouts(common=40))
    indexes = [rig.leave(packet(1000 + at)) for at in range(pairs)]
    rig.advance(rig.scanner.period + 6)
    assert len(rig.pairs) == pairs
    return Counting(rig, SessionWalk(rig.pairs, seed=seed, rows=shown), indexes)


def test_nothing_is_shown_and_nothing_kept_until_something_is_wanted() -> None:
    rig = PairsRig()
    rig.connect(Talk(ONE.address, TWO.address))
    walk = SessionWalk(rig.pairs, seed=1)
    empty = walk.memory
    rig.pairs.end(0, rig.now)
    rig.settle()
    assert (walk.ended(), walk.running()) == (b"", b"")
    assert walk.counters == (0, 0, 1)
    assert walk.memory == empty
    assert rig.pairs.take_records() == []


def test_a_running_session_is_shown_with_what_passed_since_it_was_last_shown() -> None:
    made = counting()
    made.walk.choose(Sampling.ALL)
    made.count(1000, 200)
    assert [one.bytes for one in made.running()] == [(0, 0)], "of an earlier agent: told by it"
    assert made.running() == []
    made.count(500, 30)
    (one,) = made.running()
    assert (one.bytes, one.total_bytes) == ((500, 30), (1500, 230))
    assert (one.packets, one.scale, one.over, one.fresh) == ((5, 0), 1.0, 0, 0)
    assert (one.from_vif, one.to_vif, one.peer) == (3, 4, 0)


def test_the_end_is_shown_once_with_the_rest() -> None:
    rig = PairsRig()
    walk = SessionWalk(rig.pairs, seed=1)
    walk.choose(Sampling.ALL)
    rig.connect(Talk(ONE.address, REMOTE))
    rig.now += 7
    rig.pairs.end(0, rig.now)
    rig.settle()
    (one,) = rows(walk.ended())
    assert (one.over, one.fresh, one.ended - one.started) == (1, 1, 7000)
    assert (ENDS[one.end], one.peer, one.tunnel) == ("asked", int.from_bytes(FAR_HOST), 2)
    assert (one.from_vif, one.to_vif) == (ONE.vif, NONE)
    assert walk.ended() == b""


def test_a_session_from_the_fabric_knows_who_sent_it() -> None:
    rig = PairsRig()
    walk = SessionWalk(rig.pairs, seed=1)
    walk.choose(Sampling.ALL)
    rig.connect(Talk(REMOTE, ONE.address))
    rig.pairs.end(0, rig.now)
    rig.settle()
    (one,) = rows(walk.ended())
    assert (one.from_vif, one.to_vif) == (NONE, ONE.vif)
    assert (one.peer, one.tunnel) == (int.from_bytes(FAR_HOST), 2)


def test_the_number_of_an_ended_pair_begins_anew() -> None:
    rig = PairsRig()
    walk = SessionWalk(rig.pairs, seed=1)
    walk.choose(Sampling.ALL)
    for _ in range(2):
        rig.connect(Talk(ONE.address, TWO.address))
        rig.pairs.end(0, rig.now)
        rig.settle()
    first, second = rows(walk.ended())
    assert first.number == second.number
    assert first.serial < second.serial
    assert (first.fresh, second.fresh) == (1, 1)


def test_new_sessions_are_shown_for_logging_and_those_that_are_logged_again() -> None:
    made = counting(3)
    made.walk.choose(Sampling.NOTHING, logging=True)
    made.count(100)
    shown = made.running()
    assert [(one.scale, one.fresh, one.logged) for one in shown] == [(0.0, 1, 0)] * 3
    made.walk.log(shown[1].number, shown[1].serial)
    made.walk.log(shown[2].number, shown[2].serial + 1)
    made.walk.log(1 << 30, 1)
    made.count(60)
    (one,) = made.running()
    assert (one.number, one.bytes, one.logged, one.fresh) == (shown[1].number, (60, 0), 1, 0)


def test_a_step_is_bounded_and_the_next_goes_on() -> None:
    made = counting(20, shown=8)
    made.walk.choose(Sampling.ALL)
    made.count(100)
    steps = []
    while True:
        steps.append(len(rows(made.walk.running(budget=5))))
        if not made.walk.midway:
            break
    assert sum(steps) == 20
    assert max(steps) == 5
    made.count(100)
    assert len(rows(made.walk.running())) == 8
    assert made.walk.midway


BOUND = 500


def test_below_the_bound_chance_decides_in_proportion_and_scales() -> None:
    made = counting(200, seed=7)
    made.walk.choose(Sampling.SOME, BOUND)
    made.count(1)
    made.running()
    real = exported = chosen = 0.0
    for _ in range(40):
        made.count(80, 20)
        shown = made.running()
        assert all(one.scale == BOUND / 101 for one in shown)
        real += 200 * 100
        chosen += len(shown)
        exported += sum(sum(one.bytes) * one.scale for one in shown)
    assert chosen == pytest.approx(8000 * 101 / BOUND, rel=0.1)
    assert exported == pytest.approx(real, rel=0.1)
    assert made.walk.counters[1] == pytest.approx(8000 - chosen, abs=200)


def test_what_reaches_the_bound_is_told_as_it_is() -> None:
    made = counting(5)
    made.walk.choose(Sampling.SOME, BOUND)
    made.count(1)
    made.running()
    made.count(400, 100)
    assert [(one.scale, one.bytes) for one in made.running()] == [(1.0, (400, 100))] * 5


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(1, 2**64 - 1), octets=st.integers(1, 3000), bound=st.integers(1, 2000)
)  # fmt: skip
def test_a_sample_stands_for_the_inverse_of_its_chance(seed: int, octets: int, bound: int) -> None:
    made = counting(4, seed=seed)
    made.walk.choose(Sampling.SOME, bound)
    made.running()
    made.count(1)
    made.running()
    made.count(octets)
    for one in made.running():
        assert sum(one.bytes) == octets
        assert one.scale == (1.0 if octets >= bound else bound / (octets + 1))


def test_numbers_that_cannot_be_are_refused() -> None:
    rig = PairsRig()
    with pytest.raises(ValueError, match="4096 rows"):
        SessionWalk(rig.pairs, seed=1, rows=0)
    walk = SessionWalk(rig.pairs, seed=0)
    with pytest.raises(ValueError, match="one pair"):
        walk.running(0)
    with pytest.raises(ValueError, match="bound"):
        walk.choose(Sampling.SOME, 1 << 62)
    with pytest.raises(ValueError, match="valid Sampling"):
        walk.choose(7)  # type: ignore[arg-type]


def test_pairs_are_found_by_the_rule_that_decided_on_them() -> None:
    rig = PairsRig()
    for at in range(5):
        rig.connect(Talk(ONE.address, TWO.address, sport=1000 + at))
    rule = rig.pairs.describe(0)["forward"]["rules"][0]  # type: ignore[index]
    assert rig.pairs.decided_by([999, rule], most=0) == ([0, 5], [], None)
    assert rig.pairs.decided_by([rule], most=2) == ([2], [0, 1], 2)
    assert rig.pairs.decided_by([rule], 2, look=2) == ([2], [2, 3], 4)
    assert rig.pairs.decided_by([rule], 4) == ([1], [4], None)
    assert rig.pairs.decided_by([rule], 400) == ([0], [], None)
    assert rig.pairs.decided_by([]) == ([], [], None)
    with pytest.raises(ValueError, match="rules up to"):
        rig.pairs.decided_by([1 << 25])
    with pytest.raises(ValueError, match="numbered from 0"):
        rig.pairs.decided_by([rule], -1)
