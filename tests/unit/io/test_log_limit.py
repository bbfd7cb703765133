"""Repeated events are counted: whatever comes, every line is either logged or told of."""

from __future__ import annotations

import logging
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from agent.io.log_limit import WINDOW, RateLimit


def record(name: str, text: str) -> logging.LogRecord:
    return logging.LogRecord(name, logging.INFO, "", 0, text, (), None)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("line"), st.sampled_from("abc")),
        st.tuples(st.just("wait"), st.floats(0, 2 * WINDOW)),
        st.tuples(st.just("flush"), st.none()),
    ),
    max_size=200,
)


@given(STEPS, st.integers(1, 5))
def test_no_line_is_forgotten(steps: list[tuple[str, object]], most: int) -> None:
    now = [0.0]
    limit = RateLimit(most, lambda: now[0])
    sent: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    told: Counter[str] = Counter()

    def flush() -> None:
        for name, level, text in limit.summaries():
            assert level == logging.INFO
            count, _, event = text.removeprefix("… ").partition(" more like this: ")
            assert event == "words"
            told[name] += int(count)

    for what, value in steps:
        if what == "line":
            sent[str(value)] += 1
            passed[str(value)] += limit.filter(record(str(value), "words"))
        elif what == "wait":
            assert isinstance(value, float)
            now[0] += value
        else:
            flush()
    now[0] += WINDOW
    flush()
    assert sent == passed + told
    for name in sent:
        assert passed[name] >= min(sent[name], most)


def test_two_handlers_count_a_line_once() -> None:
    limit = RateLimit(1, lambda: 0.0)
    first, second = record("a", "words"), record("a", "words")
    assert [limit.filter(first), limit.filter(first)] == [True, True]
    assert [limit.filter(second), limit.filter(second)] == [False, False]


def test_so_many_events_are_told_apart_at_most() -> None:
    limit = RateLimit(1, lambda: 0.0)
    for number in range(5000):
        limit.filter(record("a", str(number)))
        limit.filter(record("a", str(number)))
    assert len(limit._events) <= 1024
    assert len(limit.summaries()) == 5000 - len(limit._events)


def test_zero_lets_everything_pass() -> None:
    limit = RateLimit(0, lambda: 0.0)
    assert all(limit.filter(record("a", "words")) for _ in range(100))
