"""Random graphs, changes, refusals and lost connections: the datapath ends as desired.

The fake datapath writes down every request that came before what it refers to, every delete
of an object in use, and shows a wrong replacement of a deleted route for ever.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from agent.ksync import Released
from agent.objects import Desired, Key, Kind
from agent.sandesh.vrouter import SandeshOp
from tests.fake.datapath import FakeDatapath
from tests.unit.ksync import world as w

VIFS = (1, 2, 3)
LEAVES = ("a", "b", "c", "d")
COMPOSITES = ("x", "y")
PREFIXES = (
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.1.0/24",
    "10.1.1.0/31",
    "10.1.1.0/32",
    "10.1.1.1/32",
)
MACS = (b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02")
NAMES = ("vr_interface_req", "vr_nexthop_req", "vr_mpls_req", "vr_route_req", "vr_mirror_req")


class Owner:
    """Desired objects with consistent indexes, made from choices that are easy to shrink."""

    def __init__(self) -> None:
        self.ids = {name: 5 + i for i, name in enumerate(LEAVES + COMPOSITES)}
        self.chosen: dict[Key, dict[str, Any]] = {}

    def build(self, key: Key) -> Desired:
        return getattr(self, "_" + key.kind.name.lower())(key.name, **self.chosen[key])

    def _vif(self, index: int, flavour: int, mirrored: bool) -> Desired:
        changes: dict[str, Any] = {"vifr_name": f"tap{index}-{flavour // 2}"}
        changes["vifr_vrf"] = flavour
        if mirrored and index == 1:
            changes |= {"vifr_flags": 0x2001C9, "vifr_mir_id": 1}
        return w.vif(index, **changes)

    def _nexthop(self, name: str, **choice: Any) -> Desired:
        if name in COMPOSITES:
            return self._composite(name, **choice)
        return self._leaf(name, **choice)

    def _leaf(self, name: str, on: int, flavour: int) -> Desired:
        if flavour == 0:
            return w.discard(self.ids[name], name=name)
        if name == "d":
            on = 2  # the mirror's nexthop never leaves by the mirrored vif: no cycles
        size = w.ENCAP_BYTES if flavour < 3 else w.ENCAP_BYTES + b"\x81\0\0\0"
        return w.encap(self.ids[name], on, name=name, nhr_vrf=flavour, nhr_encap=size)

    def _composite(self, name: str, members: tuple[str, ...]) -> Desired:
        ids = [self.ids[member] for member in members]
        made = w.composite(self.ids[name], *ids)
        refs = tuple(w.nexthop_key(member) for member in members)
        return Desired(w.nexthop_key(name), refs, made.message)

    def _label(self, index: int, nexthop: str) -> Desired:
        return w.label(index, nexthop, nh_id=self.ids[nexthop])

    def _mirror(self, index: int, nexthop: str) -> Desired:
        made = w.mirror(index, self.ids[nexthop])
        return Desired(made.key, (w.nexthop_key(nexthop),), made.message)

    def _bridge_route(self, name: tuple[int, bytes], nexthop: str) -> Desired:
        made = w.bridge(name[1], self.ids[nexthop])
        return Desired(made.key, (w.nexthop_key(nexthop),), made.message)

    def _inet_route(self, name: tuple[int, str], nexthop: str, mac: bytes | None) -> Desired:
        stitched = mac if mac and name[1].endswith("/32") else b""
        return w.route(name[1], nexthop, nh_id=self.ids[nexthop], mac=stitched, flags=2)


leaves = st.sampled_from(LEAVES)
nexthops = st.sampled_from(LEAVES + COMPOSITES)
choices = st.one_of(
    st.tuples(
        st.builds(Key, st.just(Kind.VIF), st.sampled_from(VIFS)),
        st.fixed_dictionaries({"flavour": st.integers(0, 3), "mirrored": st.booleans()}),
    ),
    st.tuples(
        st.builds(Key, st.just(Kind.NEXTHOP), leaves),
        st.fixed_dictionaries({"on": st.sampled_from(VIFS), "flavour": st.integers(0, 4)}),
    ),
    st.tuples(
        st.builds(Key, st.just(Kind.NEXTHOP), st.sampled_from(COMPOSITES)),
        st.fixed_dictionaries({"members": st.lists(leaves, max_size=3, unique=True).map(tuple)}),
    ),
    st.tuples(
        st.builds(Key, st.just(Kind.LABEL), st.sampled_from((16, 17))),
        st.fixed_dictionaries({"nexthop": nexthops}),
    ),
    st.tuples(st.just(w.mirror_key(1)), st.fixed_dictionaries({"nexthop": st.just("d")})),
    st.tuples(
        st.builds(w.bridge_key, st.sampled_from(MACS)),
        st.fixed_dictionaries({"nexthop": nexthops}),
    ),
    st.tuples(
        st.builds(w.route_key, st.sampled_from(PREFIXES)),
        st.fixed_dictionaries({"nexthop": nexthops, "mac": st.none() | st.sampled_from(MACS)}),
    ),
)


class KsyncMachine(RuleBasedStateMachine):
    """Owner, session and datapath under a hostile schedule."""

    @initialize(per_frame=st.integers(1, 4), window=st.integers(1, 3), page=st.integers(1, 5))
    def begin(self, per_frame: int, window: int, page: int) -> None:
        self.options = {
            "messages_per_frame": per_frame,
            "window": window,
            "reply_timeout": 20.0,
        }
        self.datapath = FakeDatapath(page=page)
        self.world = w.World(self.datapath, **self.options)
        self.owner = Owner()
        self.apply([])

    # ---- the owner

    def apply(self, keys: Iterable[Key], removed: Iterable[Key] = ()) -> None:
        changes = [self.owner.build(key) for key in dict.fromkeys(keys) if key in self.owner.chosen]
        changes.append(w.vrf(2))
        self.world.apply(*changes, removed=removed)

    @rule(changes=st.lists(choices, min_size=1, max_size=6))
    def want(self, changes: list[tuple[Key, dict[str, Any]]]) -> None:
        self.owner.chosen |= dict(changes)
        self.apply(key for key, _ in changes)

    @rule(data=st.data())
    @precondition(lambda self: self.owner.chosen)
    def unwant(self, data: st.DataObject) -> None:
        keys = data.draw(st.lists(st.sampled_from(sorted(self.owner.chosen, key=str)), max_size=5))
        for key in set(keys):
            del self.owner.chosen[key]
        self.apply((), set(keys))

    @rule(one=nexthops, other=nexthops, at_once=st.booleans())
    def renumber(self, one: str, other: str, at_once: bool) -> None:
        ids = self.owner.ids
        ids[one], ids[other] = ids[other], ids[one]
        concerned = [k for k in self.owner.chosen if k.kind is not Kind.VIF]
        self.apply(concerned if at_once else reversed(concerned))

    @rule(fresh=st.integers(20, 24), name=nexthops)
    def move(self, fresh: int, name: str) -> None:
        if fresh not in self.owner.ids.values():
            self.owner.ids[name] = fresh
            self.apply(k for k in self.owner.chosen if k.kind is not Kind.VIF)

    @rule()
    def complete(self) -> None:
        self.world.complete()

    # ---- the world

    @rule(steps=st.integers(1, 6))
    def carry(self, steps: int) -> None:
        for _ in range(steps):
            self.world.step()

    @rule()
    def connect(self) -> None:
        if self.world.link is None:
            self.world.connect()

    @rule()
    def run(self) -> None:
        self.connect()
        self.world.run()

    @rule()
    def cut(self) -> None:
        self.world.cut()

    @rule()
    def datapath_restarts(self) -> None:
        self.datapath.restart()

    @rule()
    def agent_restarts(self) -> None:
        self.world.cut()
        self.world = w.World(self.datapath, **self.options)
        self.apply(list(self.owner.chosen))

    @rule(
        name=st.sampled_from(NAMES),
        code=st.sampled_from((errno.ENOMEM, errno.ENOSPC, errno.EBUSY)),
        op=st.sampled_from((SandeshOp.ADD, SandeshOp.DEL)),
        count=st.integers(1, 3),
    )
    def refuse(self, name: str, code: int, op: SandeshOp, count: int) -> None:
        self.datapath.fail(name, code, count, op)

    @rule(how=st.sampled_from(("missing", "extra", "sequence", "garbage", "length")))
    def corrupt(self, how: str) -> None:
        self.datapath.corrupt(how)

    @rule()
    def lose_a_reply(self) -> None:
        self.datapath.lose_replies(1)

    @rule()
    def hold(self) -> None:
        self.datapath.hold()

    @rule()
    def release(self) -> None:
        self.datapath.release()

    @rule(seconds=st.sampled_from((0.1, 1.0, 30.0)))
    def wait(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    # ---- what must hold

    @invariant()
    def nothing_out_of_order(self) -> None:
        if hasattr(self, "datapath"):
            assert self.datapath.violations == []

    @invariant()
    def what_is_released_is_gone(self) -> None:
        if hasattr(self, "world"):
            tables = {Kind.VIF: "vif", Kind.NEXTHOP: "nexthop", Kind.LABEL: "label"}
            for event in self.world.events:
                if isinstance(event, Released) and event.identity.kind in tables:
                    table = self.datapath.objects[tables[event.identity.kind]]
                    assert event.identity.number not in table or self.reused(event)
            self.world.events.clear()

    def reused(self, event: Released) -> bool:
        """The index was given to another object after the release."""
        held = self.world.session.snapshot()
        return any(view.identity == event.identity for view in held)

    def teardown(self) -> None:
        if not hasattr(self, "datapath"):
            return
        self.datapath.stop_failing()
        self.datapath.release()
        self.drop_dangling()
        self.world.complete()
        self.world.settle()
        self.world.assert_equal()
        self.check_idle_restart()

    def drop_dangling(self) -> None:
        while True:
            known = set(self.owner.chosen)
            bad = [k for k in known if not set(self.owner.build(k).refs) <= known]
            if not bad:
                return
            for key in bad:
                del self.owner.chosen[key]
            self.apply((), bad)

    def check_idle_restart(self) -> None:
        """A new agent that wants the same writes nothing (but what a dump cannot show)."""
        self.world.cut()
        again = w.World(self.datapath, **self.options)
        self.world = again
        before = self.datapath.writes.total()
        again.start()
        self.apply(list(self.owner.chosen))
        again.complete()
        again.settle()
        again.assert_equal()
        both_halves = {w.route_key("10.1.1.0/32"), w.route_key("10.1.1.1/32")}
        hidden = int(
            both_halves <= set(self.owner.chosen)
            and w.route_key("10.1.1.0/31") in self.owner.chosen
        )
        assert self.datapath.writes.total() - before <= hidden


KsyncMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestKsyncMachine = KsyncMachine.TestCase
