"""Numbers: lowest free, kept until released, recognised after a restart."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.objects import Key, Kind, Numbered
from agent.oper.ids import ExhaustedError, Ids


def nexthop(name: object) -> Key:
    return Key(Kind.NEXTHOP, name)


def ids() -> tuple[Ids, list[Kind]]:
    freed: list[Kind] = []
    return Ids(freed.append), freed


def used(numbers: Ids, key: Key) -> int:
    """Claim and hand over."""
    index = numbers.claim(key, ())
    numbers.handed(key)
    return index


def test_first_numbers_leave_the_reserved_ones() -> None:
    numbers, _ = ids()
    first = {kind: numbers.claim(Key(kind, "a"), ()) for kind in (Kind.VIF, Kind.VRF, Kind.LABEL)}
    assert first == {Kind.VIF: 3, Kind.VRF: 2, Kind.LABEL: 16}
    assert numbers.claim(nexthop("a"), ()) == 4


def test_the_lowest_free_number_comes_first() -> None:
    numbers, _ = ids()
    keys = [nexthop(name) for name in "abcde"]
    assert [used(numbers, key) for key in keys] == [4, 5, 6, 7, 8]
    for at in (3, 1):
        numbers.unread(keys[at])
        numbers.release(Kind.NEXTHOP, 4 + at)
    assert [used(numbers, nexthop(name)) for name in "xyz"] == [5, 7, 9]


def test_a_number_stays_taken_until_the_datapath_let_it_go() -> None:
    numbers, _ = ids()
    assert used(numbers, nexthop("a")) == 4
    numbers.unread(nexthop("a"))
    assert numbers.claim(nexthop("b"), ()) == 5
    assert numbers.claim(nexthop("a"), ()) == 4, "who comes back in time keeps it"
    numbers.release(Kind.NEXTHOP, 4)
    assert numbers.bound(nexthop("a")) == 4, "an old release does not take it from a live key"
    numbers.unread(nexthop("a"))
    assert numbers.bound(nexthop("a")) is None


def test_a_number_that_was_never_handed_over_is_free_at_once() -> None:
    numbers, _ = ids()
    numbers.claim(nexthop("a"), ())
    numbers.unread(nexthop("a"))
    assert numbers.claim(nexthop("b"), ()) == 4


def test_seeded_numbers_are_recognised_and_otherwise_left_alone() -> None:
    numbers, _ = ids()
    numbers.seed(Kind.NEXTHOP, 5, "five")
    numbers.seed(Kind.NEXTHOP, 4, "four")
    numbers.seed(Kind.NEXTHOP, 1, "reserved")
    assert numbers.claim(nexthop("a"), ["unknown"]) == 6
    assert numbers.claim(nexthop("b"), ["unknown", "five"]) == 5
    assert numbers.claim(nexthop("c"), ["five"]) == 7, "a recognition counts once"
    assert numbers.claim(nexthop("d"), ["reserved"]) == 8
    numbers.release(Kind.NEXTHOP, 4)
    assert numbers.claim(nexthop("e"), ["four"]) == 4


def test_exhaustion_is_an_error_that_ends() -> None:
    numbers, freed = ids()
    numbers.limit(Kind.VRF, 4)
    for name in "ab":
        used(numbers, Key(Kind.VRF, name))
    with pytest.raises(ExhaustedError, match="all 4 vrf numbers are in use"):
        numbers.claim(Key(Kind.VRF, "c"), ())
    numbers.unread(Key(Kind.VRF, "a"))
    assert freed == []
    numbers.release(Kind.VRF, 2)
    assert freed == [Kind.VRF]
    assert numbers.claim(Key(Kind.VRF, "c"), ()) == 2


def test_numbers_of_other_kinds_are_no_business_of_ours() -> None:
    numbers, _ = ids()
    numbers.release(Kind.VXLAN, 5)
    assert numbers.owner(Kind.VXLAN, 5) is None


steps = st.lists(st.tuples(st.sampled_from(["claim", "unread", "release"]), st.integers(0, 9)))


@settings(max_examples=200, deadline=None)
@given(steps)
def test_no_number_is_given_twice(actions: list[tuple[str, int]]) -> None:
    numbers, _ = ids()
    held: dict[int, Key] = {}  # what the datapath may still hold
    live: set[Key] = set()
    for action, at in actions:
        key = nexthop(at)
        if action == "claim":
            index = used(numbers, key)
            assert held.setdefault(index, key) == key
            live.add(key)
        elif action == "unread" and key in live:
            live.discard(key)
            numbers.unread(key)
        elif action == "release":
            for index in [index for index, owner in held.items() if owner not in live]:
                del held[index]
                numbers.release(Kind.NEXTHOP, index)
    assert set(held.values()) == set(numbers.in_use(Kind.NEXTHOP).values())
    assert live <= set(held.values())


def restored(*rows: tuple[Kind, int, object]) -> Ids:
    numbers, _ = ids()
    numbers.restore(Numbered(kind, index, Key(kind, name).text) for kind, index, name in rows)
    return numbers


def test_restored_numbers_go_to_their_keys_in_any_order() -> None:
    numbers = restored((Kind.NEXTHOP, 9, "a"), (Kind.NEXTHOP, 4, ("b", b"\1", 2)))
    assert [used(numbers, nexthop(name)) for name in "xyz"] == [5, 6, 7]
    assert used(numbers, nexthop("a")) == 9
    assert used(numbers, nexthop(("b", b"\1", 2))) == 4
    assert [used(numbers, nexthop(name)) for name in "uv"] == [8, 10]


def test_what_the_datapath_holds_counts_for_more_than_what_was_written_down() -> None:
    numbers = restored((Kind.NEXTHOP, 4, "a"), (Kind.NEXTHOP, 5, "b"))
    numbers.seed(Kind.NEXTHOP, 7, "content of a")
    assert numbers.claim(nexthop("a"), ["content of a"]) == 7
    assert numbers.claim(nexthop("c"), ()) == 4


def test_a_number_that_the_datapath_holds_unknown_goes_to_whom_it_was_written_down_for() -> None:
    numbers = restored((Kind.VRF, 3, "red"))
    numbers.seed(Kind.VRF, 3)
    assert numbers.claim(Key(Kind.VRF, "blue"), ()) == 2
    assert numbers.claim(Key(Kind.VRF, "red"), ()) == 3


def test_unused_restored_numbers_are_forgotten() -> None:
    numbers = restored((Kind.NEXTHOP, 4, "a"), (Kind.NEXTHOP, 5, "b"), (Kind.NEXTHOP, 5, "b2"))
    assert used(numbers, nexthop("x")) == 6
    assert used(numbers, nexthop("b")) == 5
    assert numbers.forget() == 2
    assert [used(numbers, nexthop(name)) for name in "ya"] == [4, 7]
    assert numbers.forget() == 0


def test_restored_numbers_that_cannot_be_are_not_given() -> None:
    numbers = restored((Kind.LABEL, 15, "reserved"), (Kind.LABEL, 99999, "beyond"))
    assert numbers.claim(Key(Kind.LABEL, "reserved"), ()) == 16
    assert numbers.claim(Key(Kind.LABEL, "beyond"), ()) == 17
    numbers.forget()
    numbers.limit(Kind.LABEL, 18)
    with pytest.raises(ExhaustedError):
        numbers.claim(Key(Kind.LABEL, "more"), ())


def test_what_is_numbered_can_be_restored() -> None:
    numbers = restored((Kind.NEXTHOP, 9, "waiting"))
    before = numbers.changes
    keys = [Key(Kind.VIF, ("uuid", "tap")), nexthop("a"), nexthop("b")]
    given = {key: used(numbers, key) for key in keys}
    assert numbers.changes == before + 3
    numbers.unread(keys[1])
    numbers.release(Kind.NEXTHOP, given[keys[1]])
    assert numbers.changes == before + 4
    again, _ = ids()
    again.restore(numbers.numbered())
    assert again.claim(nexthop("a"), ()) == given[keys[1]]
    assert [again.claim(key, ()) for key in (keys[2], keys[0])] == [given[keys[2]], given[keys[0]]]
    assert again.claim(nexthop("waiting"), ()) == 9


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.text("ab", max_size=3)), max_size=20),
    st.lists(st.text("ab", max_size=3), max_size=30),
)
def test_restored_numbers_are_given_once(rows: list[tuple[int, str]], names: list[str]) -> None:
    numbers = restored(*((Kind.NEXTHOP, index, name) for index, name in rows))
    given_to = {name: numbers.claim(nexthop(name), ()) for name in names}
    numbers.forget()
    given_to |= {name + "c": numbers.claim(nexthop(name + "c"), ()) for name in names}
    assert len(set(given_to.values())) == len(given_to)
    assert all(index >= 4 for index in given_to.values())
