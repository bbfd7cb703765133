"""Plots: numbers as people read them, and points where they belong."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.introspect.pages.plot import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Line,
    nice,
    plot,
    quantity,
    span,
)
from agent.introspect.pages.select import Smallest


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "/s", "–"),
        (0, "bit/s", "0 bit/s"),
        (0, "", "0"),
        (1, "", "1"),
        (999, "", "999"),
        (999.6, "", "1 k"),
        (1000, "bit/s", "1 kbit/s"),
        (1234567, "bit/s", "1.23 Mbit/s"),
        (123456789, "B", "123 MB"),
        (9.99e12, "B", "9.99 TB"),
        (0.005, "s", "5 ms"),
        (0.0000123, "s", "12.3 µs"),
        (0.25, "/s", "0.25 /s"),
    ],
)
def test_quantities(value: float | None, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 seconds"), (1, "1 second"), (59, "59 seconds"), (60, "1 minute"),
        (600, "10 minutes"), (3600, "1 hour"), (90000, "1 day"), (864000, "10 days"),
    ],
)  # fmt: skip
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


@given(st.floats(min_value=1e-9, max_value=1e15))
def test_axes_have_room_and_are_not_far_too_long(most: float) -> None:
    assert most * 0.999 <= nice(most) <= most * 2.51


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e12)), min_size=2, max_size=70))
def test_points_stay_inside_the_axes(values: list[float | None]) -> None:
    times = [10.0 * at for at in range(len(values))]
    made = plot("a", "A", "/s", times, [Line("one", values)])
    points = re.findall(r"([\d.]+) ([\d.-]+)", made.paths[0][1])
    known = [value for value in values if value is not None]
    assert len(points) == (len(known) if len(known) > 1 else 0)
    for x, y in points:
        assert LEFT <= float(x) <= WIDTH - RIGHT
        assert TOP - 0.1 <= float(y) <= HEIGHT - BOTTOM


def test_a_plot_says_in_words_what_it_shows() -> None:
    made = plot("a", "A", "bit/s", [0.0, 60.0, 120.0], [Line("in", [0.0, 3000.0, 1500.0])])
    assert made.summary == "In the last 2 minutes: in 1.5 kbit/s now, at most 3 kbit/s."
    assert plot("a", "A", "bit/s", [], [Line("in", [])]).summary == "No samples yet."


@given(st.lists(st.integers(0, 99)), st.integers(1, 20))
def test_the_smallest_are_those_of_a_sorted_list(values: list[int], most: int) -> None:
    kept: Smallest[int] = Smallest(most)
    for value in values:
        kept.offer(value, value)
    assert [item for _, item in kept.items()] == sorted(values)[:most]
