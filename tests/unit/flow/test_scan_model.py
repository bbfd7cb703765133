"""The scanner against a plain model: any growth, silence, eviction and loss, in any order.

And against a datapath that writes while it is read.
"""

from __future__ import annotations

import mmap
import multiprocessing
import struct
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent._fast.flow_scan import FlowScanner
from agent.flow.aging import Timeouts
from agent.shm import FlowFlag, FlowTable
from tests.reference import flow_scan as oracle
from tests.unit.flow.scan_rig import MAIN, TCP, Rig, packet

PERIOD = 2.0
IDLE = 7.5
TIMEOUTS = Timeouts(common=30, dropped=30, tcp_half_open=30, tcp_closed=4)
COUNTERS = st.one_of(
    st.integers(0, 2000), st.integers(0, (1 << 40) - 1), st.sampled_from([0, (1 << 40) - 1])
)


@dataclass
class Expected:
    """What the model knows of a pair: entries, totals of both directions, when they last grew."""

    index: list[int]
    octets: list[int] = field(default_factory=lambda: [0, 0])
    packets: list[int] = field(default_factory=lambda: [0, 0])
    grew: list[float] = field(default_factory=lambda: [0.0, 0.0])


class Scans(RuleBasedStateMachine):
    """Each rule is followed by a whole sweep, so that the model can say what holds then."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig(TIMEOUTS)
        assert self.rig.scanner.period == PERIOD, "IDLE, once it has found nothing"
        self.known: dict[int, Expected] = {}
        self.next_port = 1000

    def sweep(self, seconds: float = PERIOD) -> None:
        self.rig.advance(seconds)

    @precondition(lambda self: len(self.known) < 6)
    @rule()
    def leave_a_flow(self) -> None:
        self.next_port += 1
        index = self.rig.leave(packet(self.next_port, proto=TCP))
        self.sweep((PERIOD if self.known else IDLE) + 5.2)
        owner = self.rig.pairs.owner(index[0])
        assert owner is not None
        assert self.rig.pairs.owner(index[1]) == (owner[0], 1)
        self.known[owner[0]] = Expected(list(index), grew=[self.rig.now, self.rig.now])
        self.forget_silent()

    @precondition(lambda self: self.known)
    @rule(data=st.data(), side=st.integers(0, 1), octets=COUNTERS, packets=COUNTERS)
    def count(self, data: st.DataObject, side: int, octets: int, packets: int) -> None:
        pair = self.known[data.draw(st.sampled_from(sorted(self.known)))]
        self.rig.count(pair.index[side], octets, packets)
        total, others = pair.octets[side], pair.packets[side]
        new = oracle.fold(total, octets, 48), oracle.fold(others, packets, 40)
        stale = new[0] & ((1 << 48) - 1) != octets or new[1] & ((1 << 40) - 1) != packets
        self.sweep()
        if not stale:
            pair.octets[side], pair.packets[side] = new
            if new[0] != total:
                pair.grew[side] = self.rig.now
        else:  # not believed; the entry goes on from what was known
            low = total & ((1 << 48) - 1), others & ((1 << 40) - 1)
            self.rig.count(pair.index[side], *low)
        self.forget_silent()

    @rule(seconds=st.sampled_from([1, 5, 13]))
    def wait(self, seconds: int) -> None:
        self.sweep(seconds)
        self.forget_silent()

    @precondition(lambda self: self.known)
    @rule(data=st.data(), side=st.integers(0, 1))
    def evict(self, data: st.DataObject, side: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.known)))
        index = self.known.pop(number).index[side]
        self.rig.flags(index, FlowFlag.ACTIVE | FlowFlag.EVICTED)
        self.rig.put(index, 68, "<B", 0)
        self.rig.put(index, 20, "<B", 0)
        self.sweep()
        assert self.rig.pairs.owner(index) is None
        self.rig.flags(index, 0)  # what the datapath does in its own time
        self.forget_silent()

    def forget_silent(self) -> None:
        """Old pairs are gone, give or take two sweeps; no young one is."""
        for number, pair in list(self.known.items()):
            silent = self.rig.now - max(pair.grew)
            owned = self.rig.pairs.owner(pair.index[0]) == (number, 0)
            if silent > TIMEOUTS.common + 2 * PERIOD + 1:
                assert not owned
            if silent < TIMEOUTS.common - 2 * PERIOD - 1:
                assert owned
            if not owned:
                del self.known[number]

    @invariant()
    def totals_are_right(self) -> None:
        for number, pair in self.known.items():
            described = self.rig.pairs.describe(number)
            for side, name in enumerate(("forward", "reverse")):
                shown = described[name]
                assert isinstance(shown, dict)
                assert (shown["bytes"], shown["packets"]) == (
                    pair.octets[side],
                    pair.packets[side],
                )

    @invariant()
    def nothing_is_left_behind(self) -> None:
        going = FlowFlag.EVICTED | FlowFlag.DELETE_MARKED
        live = {row.index for row in self.rig.table if not row.flags & going}
        wanted = {index for pair in self.known.values() for index in pair.index}
        assert live == wanted


TestScans = Scans.TestCase
TestScans.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def write_counters(memory: mmap.mmap, index: int, stop: object, sum_at: int) -> None:
    """A datapath that adds 2**31 to a flow's bytes again and again: low word, then high part."""
    low, high = memoryview(memory).cast("I"), memoryview(memory).cast("H")
    low_at, high_at, octets = (index * 256 + 104) // 4, (index * 256 + 112) // 2, 0
    while not stop.is_set():  # type: ignore[attr-defined]
        octets += 1 << 31
        low[low_at] = octets & 0xFFFFFFFF
        high[high_at] = octets >> 32 & 0xFFFF
    struct.pack_into("<Q", memory, sum_at, octets)


def test_totals_never_jump_while_the_datapath_writes() -> None:
    timeouts = Timeouts(common=10**5, dropped=10**5, tcp_half_open=10**5, tcp_closed=4)
    rig = Rig(timeouts)
    forward, _ = rig.leave(packet(1000))
    rig.advance(rig.scanner.period + 6)
    owner = rig.pairs.owner(forward)
    assert owner is not None
    memory = mmap.mmap(-1, len(rig.memory) + 8)
    memory[: len(rig.memory)] = bytes(rig.memory)
    view = memoryview(memory)[: len(rig.memory)]
    scanner = FlowScanner(rig.pairs, FlowTable(view, MAIN), timeouts)
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    writer = context.Process(
        target=write_counters, args=(memory, forward, stop, len(rig.memory)), daemon=True
    )
    writer.start()
    assert writer.is_alive()
    totals = [0]
    now = rig.now
    while len(set(totals)) < 100:
        now += scanner.period
        scanner.slice(now, 1 << 30)
        side = rig.pairs.describe(owner[0])["forward"]
        assert isinstance(side, dict)
        totals.append(side["bytes"])
    stop.set()
    writer.join()
    (written,) = struct.unpack_from("<Q", memory, len(rig.memory))
    assert totals == sorted(totals)
    assert totals[-1] <= written
    assert all(octets % (1 << 31) == 0 for octets in totals)
