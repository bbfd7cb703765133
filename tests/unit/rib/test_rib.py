"""The rib against a plain model: any history ends as its last facts say."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.rib import Rib
from agent.routes import (
    GroupKey,
    InetKey,
    RouteAttributes,
    RouteBatch,
    RouteFamily,
    RouteKey,
    RouteNexthop,
    RouteUpdate,
)

RED = "default-domain:p:red:red"
INET = RouteFamily.INET
ONE, TWO = "10.0.0.250", "10.0.0.251"
ALL = 10**9


def key(number: int) -> InetKey:
    return InetKey(number.to_bytes(4, "big"), 32)


def via(host: int, **more: Any) -> RouteAttributes:
    return RouteAttributes((RouteNexthop(IPv4Address(f"10.0.0.{host}"), 25),), **more)


def batch(*updates: tuple[RouteKey, RouteAttributes | None], vrf: str = RED) -> RouteBatch:
    family = RouteFamily.ERMVPN if isinstance(updates[0][0], GroupKey) else INET
    return RouteBatch(family, vrf, [RouteUpdate(*update) for update in updates])


def drained(rib: Rib, most: int = ALL) -> dict[Any, RouteAttributes | None]:
    return {key: best for table in rib.changes(most) for key, best in table.routes}


def test_a_route_comes_changes_and_goes() -> None:
    rib = Rib()
    rib.apply(ONE, batch((key(1), via(2))))
    assert [*rib.changes(ALL)] == [(RED, INET, [(key(1), via(2))])]
    rib.apply(ONE, batch((key(1), via(2))))
    assert drained(rib) == {}, "the same again"
    rib.apply(ONE, batch((key(1), via(3)), (key(1), via(4))))
    assert drained(rib) == {key(1): via(4)}, "the last word of a message counts"
    rib.apply(ONE, batch((key(1), None), (key(2), None)))
    assert drained(rib) == {key(1): None}
    assert rib.tables() == []


def test_what_comes_and_goes_between_two_drains_was_never_there() -> None:
    rib = Rib()
    rib.apply(ONE, batch((key(1), via(2))))
    rib.apply(ONE, batch((key(1), None)))
    assert drained(rib) == {}


def test_the_second_controller_changes_nothing_and_carries_on_alone() -> None:
    rib = Rib()
    rib.apply(TWO, batch((key(1), via(2))))
    assert drained(rib) == {key(1): via(2)}
    rib.apply(ONE, batch((key(1), via(2))))
    assert drained(rib) == {}
    rib.remove_peer(TWO)
    assert drained(rib) == {}
    assert rib.best(RED, INET, key(1)) == via(2)
    rib.remove_peer(ONE)
    assert drained(rib) == {key(1): None}


def test_of_equal_paths_the_lower_address_wins_whoever_came_first() -> None:
    for peers in ((ONE, TWO), (TWO, ONE)):
        rib = Rib()
        for peer in peers:
            rib.apply(peer, batch((key(1), via(2 if peer == ONE else 3))))
        assert drained(rib) == {key(1): via(2)}
    rib = Rib()
    rib.apply("10.0.0.9", batch((key(1), via(9))))
    rib.apply("10.0.0.10", batch((key(1), via(10))))
    assert drained(rib) == {key(1): via(9)}, "as numbers, not as text"
    rib = Rib()
    for peer, way in (("10.0.0.9:5269", 5), ("10.0.0.9:999", 9), ("10.0.0.10:1", 1), ("x", 2)):
        rib.apply(peer, batch((key(1), via(way))))
    assert drained(rib) == {key(1): via(9)}, "the lower port of the lower address"


def test_preference_then_sequence_decide_before_the_peer() -> None:
    rib = Rib()
    rib.apply(ONE, batch((key(1), via(2, local_preference=100)), (key(2), via(2, sequence=3))))
    better = via(3, local_preference=200), via(3, sequence=4)
    rib.apply(TWO, batch((key(1), better[0]), (key(2), better[1])))
    assert drained(rib) == {key(1): better[0], key(2): better[1]}
    unset = via(4, local_preference=0)
    rib.apply(ONE, batch((key(3), unset)))
    rib.apply(TWO, batch((key(3), via(5, local_preference=99))))
    assert drained(rib)[key(3)] == unset, "0 means 100"


def test_an_address_that_moves_follows_the_sequence_number() -> None:
    """One controller has heard of the move, the other not yet."""
    rib = Rib()
    before, after = (
        via(2, sequence=1, local_preference=200),
        via(3, sequence=2, local_preference=200),
    )
    for peer in (ONE, TWO):
        rib.apply(peer, batch((key(1), before)))
    drained(rib)
    rib.apply(TWO, batch((key(1), after)))
    assert drained(rib) == {key(1): after}
    rib.apply(ONE, batch((key(1), after)))
    assert drained(rib) == {}


def test_stale_paths_forward_until_they_are_swept() -> None:
    rib = Rib()
    rib.begin(ONE, 1)
    rib.apply(ONE, batch((key(1), via(2)), (key(2), via(2)), (key(3), via(2))))
    drained(rib)
    rib.begin(ONE, 2)
    assert drained(rib) == {}
    rib.apply(ONE, batch((key(1), via(2)), (key(2), via(3))))
    assert drained(rib) == {key(2): via(3)}
    rib.sweep(ONE, 1)
    assert drained(rib) == {}, "the end of an older session"
    assert rib.counters.late == {ONE: 1}
    rib.sweep(ONE, 2)
    assert drained(rib) == {key(3): None}
    rib.sweep(ONE, 2)
    assert drained(rib) == {}


def test_a_stale_path_gives_way_to_an_equal_fresh_one() -> None:
    rib = Rib()
    rib.apply(ONE, batch((key(1), via(2))))
    rib.apply(TWO, batch((key(1), via(3))))
    drained(rib)
    rib.begin(ONE, 2)
    assert drained(rib) == {key(1): via(3)}
    rib.apply(ONE, batch((key(1), via(2))))
    assert drained(rib) == {key(1): via(2)}


def test_a_retract_takes_the_stale_path_too() -> None:
    rib = Rib()
    rib.apply(ONE, batch((key(1), via(2))))
    rib.begin(ONE, 2)
    rib.apply(ONE, batch((key(1), None)))
    assert drained(rib) == {}
    assert rib.best(RED, INET, key(1)) is None


def test_two_restarts_in_a_row_keep_what_was_never_swept() -> None:
    rib = Rib()
    rib.begin(ONE, 1)
    rib.apply(ONE, batch((key(1), via(2)), (key(2), via(2))))
    rib.begin(ONE, 2)
    rib.apply(ONE, batch((key(1), via(3))))
    rib.begin(ONE, 3)
    assert drained(rib) == {key(1): via(3), key(2): via(2)}
    rib.sweep(ONE, 3)
    assert drained(rib) == {key(1): None, key(2): None}


def test_drains_are_bounded() -> None:
    rib = Rib()
    for vrf in (RED, "default-domain:p:blue:blue"):
        rib.apply(ONE, batch(*((key(n), via(2)) for n in range(100)), vrf=vrf))
    seen = []
    while rib.pending:
        some = [(each.vrf, key) for each in rib.changes(70) for key, _ in each.routes]
        assert len(some) <= 70
        seen += some
    assert len(set(seen)) == len(seen) == 200


def test_a_dropped_vrf_is_silent() -> None:
    rib = Rib()
    rib.apply(ONE, batch((key(1), via(2))))
    rib.drop_vrf(RED)
    assert not rib.pending
    assert len(rib) == 0
    rib.sweep(ONE, 0)
    assert not rib.pending


def test_only_the_builder_builds_trees() -> None:
    rib = Rib()
    group = GroupKey(IPv4Address("255.255.255.255"), IPv4Address("0.0.0.0"))
    for peer, label in ((ONE, 4100), (TWO, 8200)):
        rib.apply(peer, batch((group, RouteAttributes(source_label=label))))
    assert drained(rib)[group] == RouteAttributes(source_label=4100)
    rib.build_trees(TWO)
    assert drained(rib)[group] == RouteAttributes(source_label=8200)
    rib.remove_peer(TWO)
    assert drained(rib)[group] is None
    rib.build_trees(ONE)
    assert drained(rib)[group] == RouteAttributes(source_label=4100)


class Model:
    """Every path with its age in a flat dict; the best is found by sorting."""

    def __init__(self) -> None:
        self.paths: dict[tuple[str, InetKey], tuple[RouteAttributes, bool]] = {}

    def apply(self, peer: str, key: InetKey, attributes: RouteAttributes | None) -> None:
        self.paths.pop((peer, key), None)
        if attributes is not None:
            self.paths[peer, key] = attributes, False

    def age(self, peer: str) -> None:
        self.paths = {
            name: (path, stale or name[0] == peer) for name, (path, stale) in self.paths.items()
        }

    def best(self) -> dict[InetKey, RouteAttributes]:
        def order(name: tuple[str, InetKey]) -> Any:
            path, stale = self.paths[name]
            return -(path.local_preference or 100), -path.sequence, stale, name[0]

        found: dict[InetKey, RouteAttributes] = {}
        for name in sorted(self.paths, key=order):
            found.setdefault(name[1], self.paths[name][0])
        return found


PEERS = st.sampled_from([ONE, TWO, "10.0.0.252"])
ATTRIBUTES = st.none() | st.builds(
    lambda host, sequence, preference: replace(
        via(host), sequence=sequence, local_preference=preference
    ),
    st.integers(2, 3),
    st.integers(0, 1),
    st.sampled_from([0, 100, 200]),
)
UPDATES = st.lists(st.tuples(st.integers(0, 4).map(key), ATTRIBUTES), min_size=1, max_size=4)
STEPS = st.lists(
    st.tuples(st.just("apply"), PEERS, UPDATES)
    | st.tuples(st.sampled_from(["begin", "sweep", "remove", "drain"]), PEERS, st.none()),
    max_size=25,
)


@settings(deadline=None)
@given(STEPS)
def test_any_history_is_the_model(steps: Any) -> None:
    rib, model = Rib(), Model()
    told: dict[Any, RouteAttributes | None] = {}
    for step, peer, updates in steps:
        if step == "apply":
            rib.apply(peer, batch(*updates))
            for update in updates:
                model.apply(peer, *update)
        elif step == "begin":
            rib.begin(peer, 1)
            model.age(peer)
        elif step == "sweep":
            rib.sweep(peer, 1)
            model.paths = {n: p for n, p in model.paths.items() if n[0] != peer or not p[1]}
        elif step == "remove":
            rib.remove_peer(peer)
            model.paths = {n: p for n, p in model.paths.items() if n[0] != peer}
        else:
            told = told | drained(rib, 2)
    told = told | drained(rib)
    assert {name: best for name, best in told.items() if best is not None} == model.best()
    table = rib.table(RED, INET)
    assert dict(table or ()) == model.best()
    assert len(table or ()) == len(model.best())
