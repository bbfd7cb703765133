"""Tables of any bytes, changed at any time, under the walk and the readers: nothing is trusted."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.flow.aging import Timeouts
from agent.shm import BridgeTable, FlowFilter, FlowTable, MacAudit
from tests.unit.flow.scan_rig import TOTAL, Rig, packet

TIMEOUTS = Timeouts(common=20, dropped=20, tcp_half_open=20, tcp_closed=4)
NUMBERS = st.one_of(
    st.sampled_from([0, 1, 2, 3, 10, 0x801, 0xFFFF, 0xFFFFFFFF, TOTAL - 1, TOTAL]),
    st.integers(0, 0xFFFFFFFF),
)
OFFSETS = st.sampled_from([8, 12, 16, 20, 24, 25, 28, 32, 36, 68, 69, 70, 84, 88, 90, 92, 104, 112])
WRITES = st.tuples(st.integers(0, 11), OFFSETS, st.sampled_from(["<B", "<H", "<I"]), NUMBERS)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(WRITES, max_size=8), max_size=8), st.integers(0, 3))
def test_entries_of_flows_become_anything(
    rounds: list[list[tuple[int, int, str, int]]], pairs: int
) -> None:
    """The datapath gets no request that names an entry outside its table, and all comes to rest."""
    rig = Rig(TIMEOUTS)
    entries = [0, 3, 500, 1023]  # of the main part: the datapath keeps a list of the others
    for sport in range(pairs):
        entries += rig.leave(packet(1000 + sport))
    rig.advance(8)
    for writes in rounds:
        for which, offset, layout, number in writes:
            size = {"<B": 0xFF, "<H": 0xFFFF, "<I": 0xFFFFFFFF}[layout]
            rig.put(entries[which % len(entries)], offset, layout, number & size)
        rig.scanner.slice(rig.now)
        rig.pairs.tick(rig.now)
        rig.now += 3
    assert sum(rig.table.statistics().actions.values()) <= TOTAL
    assert len(list(rig.table)) <= TOTAL
    frames = bytes(rig.pairs.take_output(1 << 16, rig.now))
    assert len(frames) <= 1 << 16
    assert rig.scanner.counters["entries"] <= (len(rounds) + 8) * TOTAL


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=64, max_size=512), st.integers(0, 255))
def test_readers_survive_any_table(pattern: bytes, salt: int) -> None:
    repeated = pattern * (24 * 256 // len(pattern) + 1)
    flows = FlowTable(bytes(byte ^ salt for byte in repeated[: 24 * 256]), 16)
    rows = list(flows)
    counts = flows.statistics().counts
    assert len(rows) <= 24
    assert counts.active + counts.corrupt + counts.torn <= 24
    assert {row.index for row in flows.select(FlowFilter())} == {row.index for row in rows}
    macs = MacAudit(BridgeTable(repeated[: 24 * 64], 16), delay=0.0)
    macs.slice(1.0)
    assert len(macs.slice(2.0)) <= 24
