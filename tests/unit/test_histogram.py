"""Histograms of durations."""

from __future__ import annotations

from itertools import pairwise

import pytest

from agent.histogram import BOUNDS, Histogram


def test_bounds_go_from_ten_microseconds_to_twenty_seconds_in_three_steps_a_decade() -> None:
    assert BOUNDS[:4] == (1e-5, 2e-5, 5e-5, 1e-4)
    assert BOUNDS[-1] == 20.0
    assert all(1.9 < after / before < 2.6 for before, after in pairwise(BOUNDS))


def test_a_bound_belongs_to_its_own_bucket_and_more_than_all_to_the_last() -> None:
    histogram = Histogram()
    for seconds in (1e-5, 1.1e-5, -3.0, 1e9):
        histogram.observe(seconds)
    assert histogram.counts[:2] == [2, 1]
    assert histogram.counts[-1] == 1
    assert histogram.count == 4
    assert histogram.total == pytest.approx(1e9, rel=1e-6)


def test_counts_of_others_are_added_by_bucket() -> None:
    histogram = Histogram()
    histogram.observe(0.001)
    other = [0] * (len(BOUNDS) + 1)
    other[BOUNDS.index(0.005)] = 2
    histogram.merge(other, 0.007)
    assert (histogram.count, histogram.total) == (3, pytest.approx(0.008))
    other[BOUNDS.index(0.001)] += 1
    assert histogram.counts == other
