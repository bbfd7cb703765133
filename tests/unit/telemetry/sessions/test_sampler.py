"""The threshold of samples follows their rate (facts oper-db.md 6.3)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.telemetry.sessions.sampler import (
    EVERYTHING,
    LEAST,
    MOST,
    NOTHING,
    THRESHOLD,
    UPDATE,
    Sampler,
    wanted_rate,
)


def after(rate: int, *shares: float) -> Sampler:
    """A sampler that measured these parts of what is wanted, one after another."""
    sampler = Sampler(rate)
    now = 0.0
    sampler.update(now)
    for share in shares:
        sampler.counted(round(share * rate * UPDATE))
        now += UPDATE
        sampler.update(now)
    return sampler


@pytest.mark.parametrize(
    ("properties", "rate"),
    [
        ({}, NOTHING),
        ({"flow-export-rate": 0}, NOTHING),
        ({"flow-export-rate": 100}, 100),
        ({"flow-export-rate": -1}, EVERYTHING),
        ({"flow-export-rate": -7}, EVERYTHING),
        ({"flow-export-rate": "many"}, NOTHING),
    ],
)
def test_the_wanted_rate(properties: dict[str, Any], rate: int) -> None:
    assert wanted_rate(properties) == rate


def test_everything_is_told_until_the_rate_comes_near_what_is_wanted() -> None:
    assert after(1000, 0.5, 0.79).bound == 0
    assert after(1000, 0.5, 0.8).bound == THRESHOLD
    assert after(1000, 0.8, 0.6).bound == THRESHOLD // 2


@pytest.mark.parametrize(
    ("share", "threshold"),
    [
        (3.01, 4 * THRESHOLD),
        (3.0, 3 * THRESHOLD),
        (2.01, 3 * THRESHOLD),
        (2.0, 2 * THRESHOLD),
        (1.26, 2 * THRESHOLD),
        (1.25, THRESHOLD),
        (0.8, THRESHOLD),
        (0.79, THRESHOLD // 2),
        (0.5, THRESHOLD // 2),
        (0.49, THRESHOLD // 4),
    ],
)
def test_the_steps_of_the_threshold(share: float, threshold: int) -> None:
    assert after(10_000, 1.0, share).threshold == threshold


def test_without_a_sample_so_far_the_threshold_is_the_first_one() -> None:
    assert after(1000, 0.1, 0.1, 0.1).threshold == THRESHOLD


def test_the_rate_is_looked_at_every_two_seconds() -> None:
    sampler = Sampler(10)
    for now in (5.0, 6.9):
        sampler.update(now)
        sampler.counted(100)
    assert sampler.measured == 0.0
    sampler.update(7.0)
    assert sampler.measured == 100.0


@pytest.mark.parametrize("rate", [NOTHING, EVERYTHING])
def test_without_a_target_chance_decides_nothing(rate: int) -> None:
    sampler = after(rate, 0.0)
    sampler.counted(1 << 20)
    sampler.update(1e9)
    assert (sampler.bound, sampler.threshold) == (0, THRESHOLD)
    assert sampler.active is (rate == EVERYTHING)


@given(st.lists(st.floats(0, 1e6), max_size=80))
def test_the_threshold_stays_within_its_bounds(shares: list[float]) -> None:
    sampler = after(1000, *shares)
    assert LEAST <= sampler.threshold <= MOST
    assert isinstance(sampler.threshold, int)


def test_it_settles_where_the_rate_is_what_is_wanted() -> None:
    """100,000 sessions a second of 1,000 bytes each, 1,000 of which are wanted."""
    sampler, now, measured = Sampler(1000), 0.0, []
    for _ in range(60):
        sampler.update(now)
        bound = sampler.bound
        chance = 1.0 if bound <= 1000 else 1001 / bound
        sampler.counted(round(100_000 * UPDATE * chance))
        now += UPDATE
        measured.append(sampler.measured / 1000)
    assert all(0.5 <= share <= 2.0 for share in measured[20:])
