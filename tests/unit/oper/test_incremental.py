"""The engine: exact recomputation, early cutoff, failures, cycles, collection."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.oper.incremental import Call, Engine, Failure, InputRead, Source, View

CELLS: Source[str, int | None] = Source("cells")
NAMES: Source[None, tuple[str, ...]] = Source("names")


class Sheet:
    """Inputs of the tests: named numbers."""

    def __init__(self, **cells: int) -> None:
        self.engine = Engine()
        self.cells: dict[str, int] = dict(cells)
        self.unread: list[str] = []
        self.engine.attach(CELLS, self.cells.get, self.unread.append)
        self.engine.attach(NAMES, lambda _: tuple(sorted(self.cells)))

    def put(self, **cells: int) -> None:
        for name, value in cells.items():
            if name not in self.cells:
                self.engine.touch(NAMES, None)
            self.cells[name] = value
            self.engine.touch(CELLS, name)

    def drop(self, name: str) -> None:
        del self.cells[name]
        self.engine.touch(CELLS, name)
        self.engine.touch(NAMES, None)

    def recomputed(self) -> dict[str, int]:
        counts = {name.split(".")[1]: n for name, n in self.engine.recomputed.items()}
        self.engine.recomputed.clear()
        return counts


def double(view: View, name: str) -> int:
    value = view.read(CELLS, name)
    if value is None:
        raise ValueError(f"{name} is empty")
    return 2 * value


def sign(view: View, name: str) -> int:
    return (view.read(CELLS, name) or 0) > 0


def label(view: View, name: str) -> str:
    return f"{name}{'+' if view(sign, name) else '-'}"


def choose(view: View) -> int:
    return view(double, "b") if view(sign, "a") else view(double, "c")


def every_double(view: View) -> tuple[Call, ...]:
    return tuple(Call(double, (name,)) for name in view.read(NAMES, None))


def every_label(view: View) -> tuple[Call, ...]:
    return tuple(Call(label, (name,)) for name in view.read(NAMES, None))


def only_choose(view: View) -> tuple[Call, ...]:
    return (Call(choose, ()),)


def test_only_what_read_the_change_is_recomputed() -> None:
    sheet = Sheet(**{f"n{i}": i for i in range(100)})
    sheet.engine.enumerate(every_double)
    assert len(sheet.engine.commit()) == 100
    assert sheet.recomputed() == {"every_double": 1, "double": 100}
    sheet.put(n7=70)
    [change] = sheet.engine.commit()
    assert (change.call, change.value, change.gone) == (Call(double, ("n7",)), 140, False)
    assert sheet.recomputed() == {"double": 1}


def test_an_equal_result_stops_the_wave() -> None:
    sheet = Sheet(a=1)
    sheet.engine.enumerate(every_label)
    sheet.engine.commit()
    sheet.recomputed()
    sheet.put(a=5)
    assert sheet.engine.commit() == []
    assert sheet.recomputed() == {"sign": 1}
    sheet.put(a=-5)
    assert [change.value for change in sheet.engine.commit()] == ["a-"]
    assert sheet.recomputed() == {"sign": 1, "label": 1}


def test_reads_follow_the_branch_taken() -> None:
    sheet = Sheet(a=1, b=2, c=3)
    sheet.engine.enumerate(only_choose)
    assert [change.value for change in sheet.engine.commit()] == [4]
    sheet.put(c=30)
    assert sheet.engine.commit() == []
    sheet.put(a=-1, b=20)
    assert [change.value for change in sheet.engine.commit()] == [60]
    assert sheet.engine.why(choose) == [Call(sign, ("a",)), Call(double, ("c",))]
    assert sheet.engine.why(double, "c") == [InputRead("cells", "c")]
    sheet.recomputed()
    sheet.put(b=200)
    assert sheet.engine.commit() == []
    assert sheet.recomputed() == {}, "the branch not taken is no longer kept"


def test_what_nobody_demands_is_dropped() -> None:
    sheet = Sheet(a=1, b=2)
    sheet.engine.enumerate(every_label)
    sheet.engine.commit()
    size = len(sheet.engine)
    sheet.put(c=3)
    sheet.engine.commit()
    sheet.drop("c")
    [change] = sheet.engine.commit()
    assert change.gone
    assert change.call == Call(label, ("c",))
    assert len(sheet.engine) == size
    assert sheet.unread == ["c"]


def test_a_failing_function_loses_only_its_own_result() -> None:
    sheet = Sheet(a=1, b=2, c=3)
    sheet.engine.enumerate(every_double)
    sheet.engine.enumerate(only_choose)
    sheet.engine.commit()
    sheet.cells.pop("b")  # gone, while the key set still names it
    sheet.engine.touch(CELLS, "b")
    sheet.put(c=4)
    values = {str(change.call): change.value for change in sheet.engine.commit()}
    failure = Failure("test_incremental.double(b): ValueError: b is empty")
    assert values == {
        "test_incremental.double(b)": failure,
        "test_incremental.double(c)": 8,
        "test_incremental.choose()": failure,
    }
    assert set(sheet.engine.failures()) == {
        "test_incremental.double(b)",
        "test_incremental.choose()",
    }
    sheet.put(b=5)
    sheet.engine.commit()
    assert sheet.engine.failures() == {}
    assert sheet.engine.value(choose) == 10


def ping(view: View) -> int:
    return (view.read(CELLS, "a") or 0) or view(pong)


def pong(view: View) -> int:
    return view(ping) + 1


@pytest.mark.parametrize("order", [(ping, pong), (pong, ping)])
def test_a_cycle_is_reported_with_its_path_and_heals(order: tuple[Callable[..., int], ...]) -> None:
    sheet = Sheet(a=0)
    sheet.engine.enumerate(lambda view: tuple(Call(function, ()) for function in order))
    path = "cycle: test_incremental.ping() -> test_incremental.pong() -> test_incremental.ping()"
    assert {change.value for change in sheet.engine.commit()} == {Failure(path)}
    sheet.put(a=7)
    sheet.engine.commit()
    assert (sheet.engine.value(ping), sheet.engine.value(pong)) == (7, 8)
    sheet.put(a=0)
    assert {change.value for change in sheet.engine.commit()} == {Failure(path)}


def test_a_failing_enumeration_keeps_its_demands() -> None:
    def positive(view: View) -> tuple[Call, ...]:
        if (view.read(CELLS, "a") or 0) < 0:
            raise ValueError("negative")
        return Call(double, ("a",)), Call(double, ("b",))

    sheet = Sheet(a=1, b=2)
    sheet.engine.enumerate(positive)
    sheet.engine.commit()
    sheet.put(a=-1, b=3)
    assert {change.value for change in sheet.engine.commit()} == {-2, 6}
    assert next(iter(sheet.engine.failures().values())).endswith("ValueError: negative")


# A random program: layer n computes from layer n-1 and from inputs that other inputs choose.
KEYS = "abcde"


def node(view: View, depth: int, index: int) -> int:
    own = view.read(CELLS, KEYS[index])
    if own is None:
        return 0
    if own == 9:
        raise ValueError("nine")
    if depth == 0:
        return own
    other = view(node, depth - 1, (index + own) % len(KEYS))
    return min(own, 3) + (other if own % 2 else min(other, 2))


def tops(view: View) -> tuple[Call, ...]:
    return tuple(Call(node, (3, KEYS.index(name))) for name in view.read(NAMES, None))


changes = st.dictionaries(st.sampled_from(KEYS), st.one_of(st.none(), st.integers(0, 9)))


@settings(max_examples=300, deadline=None)
@given(st.lists(changes, max_size=8))
def test_incremental_equals_full(batches: list[dict[str, int | None]]) -> None:
    sheet = Sheet()
    sheet.engine.enumerate(tops)
    sheet.engine.commit()
    known: dict[Call, object] = {}
    for batch in batches:
        for name, value in batch.items():
            if value is not None:
                sheet.put(**{name: value})
            elif name in sheet.cells:
                sheet.drop(name)
        for change in sheet.engine.commit():
            if change.gone:
                del known[change.call]
            else:
                known[change.call] = change.value
        fresh = Sheet(**sheet.cells)
        fresh.engine.enumerate(tops)
        assert known == {change.call: change.value for change in fresh.engine.commit()}
        assert len(sheet.engine) == len(fresh.engine), "nothing is kept that nobody reads"
