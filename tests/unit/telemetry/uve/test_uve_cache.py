"""The cache of UVEs: merging, numbers, deletions, bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import BugError
from agent.telemetry.uve import UveCache

TAGS = "UVEVMITags"
PORT = "UveVMInterfaceAgentTrace"


def test_what_is_new_or_different_is_told() -> None:
    cache = UveCache()
    assert cache.put(TAGS, {"name": "a", "app": "x", "tier": "t"}) == {"name", "app", "tier"}
    assert cache.put(TAGS, {"name": "a", "app": "x", "tier": "t"}) == frozenset()
    assert cache.sequence(TAGS) == 1
    assert cache.put(TAGS, {"name": "a", "tier": "u"}) == {"tier"}
    uve = cache.get(TAGS, "a")
    assert uve is not None
    assert uve.values == {"name": "a", "app": "x", "tier": "u"}
    assert uve.sequence == 2
    assert uve.part(frozenset({"tier"})) == {"data": {"name": "a", "tier": "u"}}


def test_a_part_carries_what_may_not_be_missing() -> None:
    cache = UveCache()
    cache.put(PORT, {"name": "p", "vm_name": "v", "vm_uuid": "u", "virtual_network": "n"})
    changed = cache.put(PORT, {"name": "p", "active": True})
    uve = cache.get(PORT, "p")
    assert uve is not None
    assert uve.part(changed) == {
        "data": {
            "name": "p", "vm_name": "v", "vm_uuid": "u", "virtual_network": "n", "active": True,
        }
    }  # fmt: skip


def test_messages_are_numbered_each_for_itself() -> None:
    cache = UveCache()
    cache.put(TAGS, {"name": "a"})
    cache.put(PORT, {"name": "a"})
    cache.put(TAGS, {"name": "b"})
    assert (cache.sequence(TAGS), cache.sequence(PORT), cache.sequence("UVEVMIStats")) == (2, 1, 0)
    assert [uve.key for uve in cache.since(TAGS, 1)] == ["b"]
    assert cache.since("UVEVMIStats", 0) == []


def test_a_deleted_uve_is_told_until_it_is_back() -> None:
    cache = UveCache()
    cache.put(PORT, {"name": "p", "vm_name": "v", "active": True})
    assert cache.delete(PORT, "p")
    assert not cache.delete(PORT, "p")
    assert not cache.delete(TAGS, "p")
    [gone] = cache.since(PORT, 1)
    assert gone.whole() == {"data": {"name": "p", "vm_name": "v", "deleted": True}}
    assert cache.keys(PORT) == []
    assert cache.put(PORT, {"name": "p", "vm_name": "v"}) == {"name", "vm_name"}
    [back] = cache.since(PORT, 0)
    assert not back.deleted
    assert back.values == {"name": "p", "vm_name": "v"}


def test_it_is_bounded() -> None:
    cache = UveCache(most=2, most_deleted=1)
    for name in "abc":
        cache.put(TAGS, {"name": name})
    assert cache.keys(TAGS) == ["a", "b"]
    assert cache.refused == 1
    assert cache.put(TAGS, {"name": "a", "app": "x"}) == {"app"}
    cache.delete(TAGS, "a")
    cache.delete(TAGS, "b")
    assert [uve.key for uve in cache.since(TAGS, 0)] == ["b"]
    assert len(cache) == 1


def test_what_is_no_uve_is_refused() -> None:
    for name in ("ItfReq", "nonsense", "VMITags"):
        with pytest.raises(BugError):
            UveCache().put(name, {"name": "a"})


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.sampled_from("abc"), st.sampled_from("xyz")),
            st.tuples(st.just("delete"), st.sampled_from("abc"), st.just("")),
        )
    ),
    st.integers(0, 30),
)
def test_since_is_what_a_reader_lacks(steps: list[tuple[str, str, str]], at: int) -> None:
    """Whoever applies what changed since a number has what the cache has."""
    cache = UveCache()
    known: dict[str, str] = {}
    number = 0
    for place, (what, key, value) in enumerate(steps):
        if what == "put":
            cache.put(TAGS, {"name": key, "app": value})
        else:
            cache.delete(TAGS, key)
        if place == at:
            known = {key: cache.get(TAGS, key).values["app"] for key in cache.keys(TAGS)}  # type: ignore[union-attr]
            number = cache.sequence(TAGS)
    numbers = []
    for uve in cache.since(TAGS, number):
        numbers.append(uve.sequence)
        if uve.deleted:
            known.pop(uve.key, None)
        else:
            known[uve.key] = uve.values["app"]
    assert numbers == sorted(set(numbers))
    assert known == {uve.key: uve.values["app"] for uve in cache.since(TAGS, 0) if not uve.deleted}
