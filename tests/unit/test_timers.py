"""The deadline heap: one deadline a key, earliest first, bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.timers import Deadlines


def test_due_keys_come_earliest_first_and_once() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.arm("b", 2.0)
    deadlines.arm("a", 1.0)
    deadlines.arm("c", 3.0)
    assert deadlines.next() == 1.0
    assert deadlines.due(2.0) == ["a", "b"]
    assert deadlines.due(2.0) == []
    assert "c" in deadlines


def test_arming_again_replaces_and_disarming_forgets() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.arm("a", 1.0)
    deadlines.arm("a", 5.0)
    deadlines.arm("b", 2.0)
    deadlines.disarm("b")
    assert deadlines.next() == 5.0
    assert deadlines.due(4.9) == []
    assert deadlines.due(5.0) == ["a"]
    assert deadlines.next() is None


def test_rearming_for_ever_does_not_grow_the_heap() -> None:
    deadlines: Deadlines[int] = Deadlines()
    for at in range(10_000):
        deadlines.arm(at % 4, float(at))
    assert len(deadlines) == 4
    assert len(deadlines._heap) <= 2 * 4 + 64


Steps = st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 20))))


@given(Steps, st.integers(0, 20))
def test_it_agrees_with_a_dictionary(steps: list[tuple[int, int | None]], now: int) -> None:
    deadlines: Deadlines[int] = Deadlines()
    model: dict[int, int] = {}
    for key, at in steps:
        if at is None:
            deadlines.disarm(key)
            model.pop(key, None)
        else:
            deadlines.arm(key, at)
            model[key] = at
    assert deadlines.next() == min(model.values(), default=None)
    due = deadlines.due(now)
    assert sorted(due) == sorted(key for key, at in model.items() if at <= now)
    assert len(deadlines) == sum(at > now for at in model.values())
