"""No flow is ever forgotten on either side, in whatever order things happen (field problem 75).

Traps, requests and answers are lost, repeated and reordered; entries are evicted, busy or vanish;
routes, policy and ports change; either side begins anew. After quiet time the datapath has just
the entries that the agent has pairs for; without traffic there is nothing left on either side.
"""

from __future__ import annotations

from errno import EBUSY, EINVAL, ENOSPC

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from agent._fast.flow_pairs import FlowPairs
from agent._fast.flow_scan import FlowScanner
from agent.flow.aging import Timeouts
from tests.reference.flow_model import HOLD, TCP, Entry
from tests.unit.flow.pairs_rig import (
    ICMP,
    ONE,
    REMOTE,
    TUNNEL_NEXTHOP,
    TWO,
    UDP,
    Rig,
    Talk,
    Vm,
    drop_route,
    every,
    put_port,
    put_route,
    refusal,
)

LONG, IDLE = 100.0, 20.0
QUIET = 60.0
STEP = 0.5
TALKS = [
    *(Talk(ONE.address, TWO.address, proto, port, 80) for proto in (TCP, UDP) for port in (1, 2)),
    *(Talk(ONE.address, REMOTE, proto, port, 80) for proto in (TCP, UDP) for port in (1, 2)),
    *(Talk(REMOTE, ONE.address, TCP, port, 22) for port in (3, 4)),
    Talk(ONE.address, TWO.address, ICMP, 7, 0),
    Talk(ONE.address6, TWO.address6, TCP, 1, 80),
    Talk(ONE.address, "15.0.66.6", UDP, 9, 9),  # no route leads there
]
number = st.integers(0, 63)


class Flows(RuleBasedStateMachine):
    """The rig with faults at every place where there can be one."""

    audited = True
    queue = 8

    @initialize(room=st.sampled_from([10, 16, 40]), share=st.sampled_from([1, 3, 64]))
    def begin(self, room: int, share: int) -> None:
        self.rig = Rig(room, share=share, queue=self.queue, window=4)
        self.scanner = self.scan(LONG)
        self.online = True

    def scan(self, common: float) -> FlowScanner:
        times = Timeouts(common, common, common, common)
        scanner = FlowScanner(self.rig.pairs, self.rig.datapath.mapping, times, delay=1.0)
        scanner.auditing = self.audited
        return scanner

    def pick(self, sequence: list[int], which: int) -> int | None:
        return sequence[which % len(sequence)] if sequence else None

    # Packets and traps

    @rule(talks=st.lists(st.sampled_from(TALKS), min_size=1, max_size=4), back=st.booleans())
    def packets(self, talks: list[Talk], back: bool) -> None:
        for talk in talks:
            self.rig.packet(talk.reply if back and talk.destination != "15.0.66.6" else talk)

    @rule(talks=st.lists(st.sampled_from(TALKS), min_size=1, max_size=6))
    def flows_are_set_up(self, talks: list[Talk]) -> None:
        for talk in talks:
            self.rig.packet(talk)
        if self.online:
            self.rig.settle()

    @rule(count=st.integers(1, 4))
    def traps_arrive(self, count: int) -> None:
        arrived, self.rig.trapped = self.rig.trapped[:count], self.rig.trapped[count:]
        if arrived:
            assert self.rig.deliver(arrived) == []

    @rule(which=number)
    def trap_is_lost(self, which: int) -> None:
        if self.rig.trapped:
            self.rig.trapped.pop(which % len(self.rig.trapped))

    @rule(which=number)
    def trap_is_repeated(self, which: int) -> None:
        if self.rig.trapped:
            self.rig.trapped.append(self.rig.trapped[which % len(self.rig.trapped)])

    # Requests and answers

    @rule(most=st.integers(1, 4))
    def requests_leave(self, most: int) -> None:
        self.rig.take(most * 300)

    @rule(count=st.integers(1, 4))
    def requests_are_served(self, count: int) -> None:
        self.rig.serve(count)

    @rule(code=st.sampled_from([-EBUSY, -EINVAL, -ENOSPC, -1]))
    def request_is_refused(self, code: int) -> None:
        if self.rig.frames:
            self.rig.replies.append(refusal(self.rig.frames.pop(0), code))

    @rule(which=number, cut=number)
    def answer_arrives(self, which: int, cut: int) -> None:
        if not self.rig.replies or not self.online:
            return
        reply = self.rig.replies.pop(which % len(self.rig.replies))
        self.rig.pairs.answers(reply[:cut], self.rig.now)
        self.rig.pairs.answers(reply[cut:], self.rig.now)

    @rule()
    def answers_arrive(self) -> None:
        if self.online:
            self.rig.answer()

    @rule(which=number)
    def answer_is_lost(self, which: int) -> None:
        if self.rig.replies:
            self.rig.replies.pop(which % len(self.rig.replies))

    @rule(talk=st.sampled_from(TALKS), served=st.booleans())
    def flow_ends_and_its_answer_is_lost(self, talk: Talk, served: bool) -> None:
        """Whether there is an entry is not known then."""
        if not self.rig.packet(talk) or not self.online:
            return
        self.rig.deliver([self.rig.trapped.pop()])
        self.rig.take()
        self.rig.serve()
        if not served:
            self.rig.replies.clear()
        pair = self.rig.pairs.find(talk.key)
        if pair is not None:
            self.rig.pairs.end(pair, self.rig.now)

    @rule(which=number)
    def answer_is_repeated(self, which: int) -> None:
        if self.rig.replies:
            self.rig.replies.append(self.rig.replies[which % len(self.rig.replies)])

    @rule()
    def everything_arrives(self) -> None:
        if self.online:
            self.rig.settle()

    # The datapath by itself

    @rule(which=number)
    def closed_connection_is_evicted(self, which: int) -> None:
        live = [i for i, entry in self.rig.datapath.live().items() if entry.key[1] == TCP]
        index = self.pick(live, which)
        if index is not None:
            self.rig.datapath.evict(index)

    @rule(which=number)
    def entry_is_busy(self, which: int) -> None:
        self.rig.datapath.busy.add(which % self.rig.datapath.room)

    @rule(which=number)
    def entry_vanishes(self, which: int) -> None:
        model = self.rig.datapath
        index = self.pick(list(model.live()), which)
        if index is not None:
            model.entries[index] = Entry(gen_id=model.entries[index].gen_id)
            model.store(index)

    def datapath_begins_anew(self) -> None:
        self.leave(served=0)
        self.rig.trapped.clear()
        self.rig.datapath.reset()
        self.rig.pairs.reset(self.rig.now)

    # The world

    @rule(allowed=st.booleans(), vm=st.sampled_from([ONE, TWO]))
    def policy_changes(self, allowed: bool, vm: Vm) -> None:
        put_port(self.rig.world, vm, allowed=allowed)

    @rule(there=st.booleans())
    def route_changes(self, there: bool) -> None:
        if there:
            put_route(self.rig.world, REMOTE, TUNNEL_NEXTHOP)
        else:
            drop_route(self.rig.world, REMOTE)

    @rule(vm=st.sampled_from([ONE, TWO]))
    def vm_moves_in_here(self, vm: Vm) -> None:
        put_route(self.rig.world, REMOTE, vm.nexthop)

    @rule(vm=st.sampled_from([ONE, TWO]))
    def port_goes(self, vm: Vm) -> None:
        self.rig.world.drop_port(vm.vif)

    @rule(vm=st.sampled_from([ONE, TWO]), most=st.sampled_from([0, 2, 4]))
    def limit_changes(self, vm: Vm, most: int) -> None:
        put_port(self.rig.world, vm, max_flows=most)

    # The agent

    @rule(which=number)
    def flow_is_ended_on_request(self, which: int) -> None:
        pair = self.pick(every(self.rig.pairs), which)
        if pair is not None:
            self.rig.pairs.end(pair, self.rig.now)

    @rule()
    def connection_comes_back(self) -> None:
        self.enter()

    def agent_begins_anew(self, served: int) -> None:
        self.leave(served)
        self.rig.trapped.clear()
        self.rig.pairs = FlowPairs(self.rig.world, **self.rig.options)
        self.scanner = self.scan(LONG)

    @rule(what=st.sampled_from(["agent", "datapath", "link", *[""] * 6]), served=st.integers(0, 8))
    def something_rare_happens(self, what: str, served: int) -> None:
        if what == "link":
            self.leave(served)
        elif what == "agent":
            self.agent_begins_anew(served)
        elif what == "datapath":
            self.datapath_begins_anew()

    def leave(self, served: int) -> None:
        """The connection goes; the datapath may have got some of what was sent."""
        self.rig.serve(served)
        self.rig.frames.clear()
        self.rig.replies.clear()
        if self.online:
            self.rig.pairs.disconnected(self.rig.now)
        self.online = False

    def enter(self) -> None:
        if not self.online:
            self.rig.pairs.connected(self.rig.now)
        self.online = True

    @rule(seconds=st.sampled_from([0.02, 0.1, 1.0, 2.5, 6.0]))
    def time_passes(self, seconds: float) -> None:
        self.rig.now += seconds
        self.scanner.slice(self.rig.now)
        self.rig.pairs.tick(self.rig.now)

    # What holds

    @invariant()
    def every_index_has_one_owner(self) -> None:
        if not hasattr(self, "rig"):
            return
        pairs = self.rig.pairs
        for number_ in every(pairs):
            pair = pairs.describe(number_)
            for side, name in enumerate(("forward", "reverse")):
                index = pair[name]["index"]
                assert index is None or pairs.owner(index) == (number_, side)

    def quiet(self, seconds: float, traffic: bool) -> None:
        """Nothing goes wrong any more, and time passes."""
        rig = self.rig
        rig.datapath.busy.clear()
        self.enter()
        for _ in range(int(seconds / STEP)):
            rig.settle()
            rig.now += STEP
            if traffic:
                for entry in rig.datapath.live().values():
                    entry.octets += entry.action != HOLD
                rig.datapath.store_all()
            self.scanner.slice(rig.now)
            rig.pairs.tick(rig.now)
        rig.settle()

    def teardown(self) -> None:
        if not hasattr(self, "rig"):
            return
        rig = self.rig
        rig.frames.clear()
        self.quiet(QUIET, traffic=True)
        if not self.audited and rig.pairs.counters["pairs_given_up"]:
            return  # the datapath refused one thing seven times
        rig.check()
        assert rig.pairs.in_flight == 0
        assert not any(entry.action == HOLD for entry in rig.datapath.live().values())
        self.scanner = self.scan(IDLE)
        self.quiet(QUIET, traffic=False)
        assert rig.datapath.live() == {}
        assert len(rig.pairs) == 0
        assert [rig.pairs.flows_of(vif) for vif in (0, 1, 3, 4)] == [0] * 4
        assert rig.pairs.next_deadline() is None
        assert not rig.pairs.pending


class Unaudited(Flows):
    """Nothing looks for entries of nobody: the pairs alone must not forget any.

    So nothing may happen that only an audit can find: lost traps, entries that vanish, an agent
    that begins anew.
    """

    audited = False
    queue = 16384

    def trap_is_lost(self, which: int) -> None:
        """Not here."""

    def entry_vanishes(self, which: int) -> None:
        """Not here."""

    def agent_begins_anew(self, served: int) -> None:
        self.leave(served)


SETTINGS = settings(
    max_examples=50,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("machine", [Flows, Unaudited], ids=["audited", "unaudited"])
def test_no_flow_is_forgotten_on_either_side(machine: type[Flows]) -> None:
    run_state_machine_as_test(machine, settings=SETTINGS)
