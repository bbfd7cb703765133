"""The scanner between a real datapath's table and the pairs: what it tells, and when."""

from __future__ import annotations

import json
import mmap
import struct
from pathlib import Path

import pytest

from agent._fast.flow_pairs import FlowPairs
from agent._fast.flow_scan import FlowScanner
from agent.errors import WireError
from agent.flow.aging import ServiceTimeout, Timeouts
from agent.shm import FlowAction, FlowFlag, FlowKey, FlowTable, TcpFlag
from tests.unit.flow.scan_rig import MAIN, TCP, TOTAL, Rig, packet, world

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "shm-layout.json").read_text())
WRAP = 1 << 48


def kept(rig: Rig, sport: int = 1000, **fields: int) -> tuple[int, int, int]:
    """A pair that the scanner found and that was kept: its number, forward and reverse index."""
    forward, reverse = rig.leave(packet(sport, **fields))  # type: ignore[arg-type]
    rig.advance(rig.scanner.period + 6)
    owner = rig.pairs.owner(forward)
    assert owner is not None
    return owner[0], forward, reverse


def total(rig: Rig, pair: int, side: str = "forward") -> tuple[object, object]:
    described = rig.pairs.describe(pair)[side]
    assert isinstance(described, dict)
    return described["bytes"], described["packets"]


def live(rig: Rig) -> list[int]:
    return [row.index for row in rig.table if not row.evicted]


def test_flows_of_an_earlier_life_are_found_after_the_delay_and_kept() -> None:
    rig = Rig()
    forward, reverse = rig.leave(packet(1000))
    six, _ = rig.leave(packet(1000, six=True))
    rig.step()
    rig.advance(4.5)
    assert rig.pairs.owner(forward) is None
    rig.advance(rig.scanner.period + 1)
    owner = rig.pairs.owner(forward)
    assert owner is not None
    assert rig.pairs.owner(reverse) == (owner[0], 1)
    assert rig.pairs.owner(six) is not None
    assert rig.pairs.describe(owner[0])["state"] == "installed"
    assert rig.scanner.counters["unknown"] == 2
    assert sorted(live(rig)) == sorted([forward, reverse, six, *_partners(rig, six)])


def _partners(rig: Rig, index: int) -> list[int]:
    row = rig.table.entry(index)
    assert row is not None
    assert row.rflow is not None
    return [row.rflow]


def test_nothing_of_nobody_is_told_before_the_world_is_known() -> None:
    rig = Rig()
    forward, _ = rig.leave(packet(1000))
    rig.scanner.auditing = False
    rig.advance(30)
    assert (rig.scanner.counters["unknown"], rig.sent) == (0, [])
    assert rig.scanner.sweep["unowned"] == 2
    rig.scanner.auditing = True
    rig.advance(rig.scanner.period + 6)
    assert rig.pairs.owner(forward) is not None


def test_a_flow_that_was_held_in_vain_is_removed() -> None:
    rig = Rig()
    decision = rig.world.decide(packet(1000))
    index = rig.write(decision, 0, None, 0, None)
    rig.put(index, 92, "<H", FlowAction.HOLD)
    rig.advance(rig.scanner.period + 6)
    assert live(rig) == []
    assert rig.scanner.counters["held"] == 1
    assert [request.fr_index for request in rig.sent] == [index]


def test_half_a_flow_that_nobody_knows_is_removed() -> None:
    rig = Rig()
    rig.write(rig.world.decide(packet(1000)), 1, None, 0, None)
    rig.advance(rig.scanner.period + 6)
    assert live(rig) == []
    assert len(rig.pairs) == 0


def test_counters_fold_into_totals() -> None:
    rig = Rig()
    pair, forward, reverse = kept(rig)
    rig.count(forward, 1000, 10)
    rig.count(reverse, (1 << 40) + 5, (1 << 33) + 1)
    rig.advance(rig.scanner.period)
    assert total(rig, pair) == (1000, 10)
    assert total(rig, pair, "reverse") == ((1 << 40) + 5, (1 << 33) + 1)
    rig.count(forward, WRAP - 1, (1 << 40) - 1)
    rig.advance(rig.scanner.period)
    rig.count(forward, 7, 3)
    rig.advance(rig.scanner.period)
    assert total(rig, pair) == (WRAP + 7, (1 << 40) + 3)


@pytest.mark.parametrize("vector", VECTORS["stats_combine_vectors"], ids=lambda v: v["kind"])
def test_totals_are_combined_as_in_the_golden_vectors(vector: dict[str, int | str]) -> None:
    bits = 48 if vector["kind"] == "bytes" else 40
    old, low, high = (int(vector[name]) for name in ("old_total", "k_low32", "k_oflow"))
    full = (1 << bits) - 1
    rig = Rig(Timeouts(common=10**6, dropped=10**6, tcp_half_open=10**6, tcp_closed=4))
    pair, forward, _ = kept(rig)

    def counted(value: int) -> object:
        rig.count(forward, value if bits == 48 else 0, value if bits == 40 else 0)
        rig.advance(rig.scanner.period)
        return total(rig, pair)[bits == 40]

    for _ in range(old >> bits):
        counted(full)
        counted(0)
    assert counted(old & full) == old
    value = high << 32 | low
    behind = (old & full) - value
    expected = old if 0 < behind <= 0xFFFFFFFF else int(vector["new_total"])
    assert counted(value) == expected  # a small step back is a half-stored carry, not a wrap


def test_a_pair_is_silent_when_both_directions_are() -> None:
    rig = Rig()
    _, forward, reverse = kept(rig)
    for tick in range(10):
        rig.count(reverse, 100 + tick, 1 + tick)
        rig.advance(50)
    assert sorted(live(rig)) == sorted([forward, reverse])
    rig.advance(120)
    assert len(live(rig)) == 2
    rig.advance(20 + rig.scanner.period)
    assert live(rig) == []
    assert len(rig.pairs) == 0
    assert rig.scanner.counters["aged"] == 1
    (record,) = rig.pairs.take_records()
    assert (record.why, record.bytes) == ("aged", (0, 109))


@pytest.mark.parametrize(
    ("forward_flags", "reverse_flags", "seconds", "why"),
    [
        (TcpFlag.DEAD, TcpFlag.DEAD, 10, "closed"),
        (TcpFlag.FIN | TcpFlag.FIN_R, 0, 10, "closed"),
        (TcpFlag.FIN, TcpFlag.FIN_R, 10, "closed"),
        (TcpFlag.SYN, 0, 60, "aged"),
        (TcpFlag.SYN | TcpFlag.SYN_R, TcpFlag.SYN, 60, "aged"),
        (TcpFlag.SYN | TcpFlag.ESTABLISHED, TcpFlag.SYN_R, 180, "aged"),
        (TcpFlag.RST | TcpFlag.ESTABLISHED, 0, 180, "aged"),
        (TcpFlag.FIN | TcpFlag.ESTABLISHED, 0, 180, "aged"),
        (0, 0, 180, "aged"),
    ],
)
def test_tcp_has_timeouts_of_its_states(
    forward_flags: int, reverse_flags: int, seconds: int, why: str
) -> None:
    rig = Rig()
    _, forward, reverse = kept(rig, proto=TCP, dport=80)
    rig.put(forward, 70, "<H", forward_flags)
    rig.put(reverse, 70, "<H", reverse_flags)
    rig.count(forward, 1, 1)
    rig.advance(rig.scanner.period)
    rig.advance(seconds - rig.scanner.period - 1)
    assert len(live(rig)) == 2
    rig.advance(2 + 2 * rig.scanner.period)
    assert live(rig) == []
    assert [record.why for record in rig.pairs.take_records()] == [why]


@pytest.mark.parametrize(
    ("proto", "sport", "dport", "seconds"),
    [(17, 1000, 53, 20), (17, 53, 1000, 20), (17, 1000, 54, 40), (6, 1000, 53, 180)],
)
def test_services_have_timeouts(proto: int, sport: int, dport: int, seconds: int) -> None:
    services = (ServiceTimeout(17, 53, 20), ServiceTimeout(17, 0, 40))
    rig = Rig(Timeouts(services=services))
    kept(rig, sport, proto=proto, dport=dport)
    began = rig.now
    while live(rig):
        rig.advance(1)
        assert rig.now - began < seconds + 10
    assert rig.now - began > seconds - 2 * rig.scanner.period - 6


def test_timeouts_can_be_changed() -> None:
    rig = Rig()
    kept(rig)
    rig.scanner.set_timeouts(Timeouts(common=8))
    assert rig.scanner.period == 2.0
    rig.advance(12)
    assert live(rig) == []


def test_an_evicted_entry_ends_its_pair_with_its_last_counters() -> None:
    rig = Rig()
    pair, forward, _ = kept(rig, proto=TCP, dport=80)
    rig.count(forward, 12345, 67)
    rig.flags(forward, FlowFlag.ACTIVE | FlowFlag.EVICTED)
    rig.put(forward, 68, "<B", 0)
    rig.put(forward, 20, "<B", 0)
    rig.advance(rig.scanner.period)
    assert rig.pairs.owner(forward) is None
    assert rig.scanner.counters["evicted"] == 1
    (record,) = rig.pairs.take_records()
    assert (record.why, record.bytes[0], record.packets[0]) == ("evicted", 12345, 67)
    assert live(rig) == []
    assert pair not in rig.pairs.pairs()


def test_an_entry_that_has_vanished_is_made_again() -> None:
    rig = Rig()
    pair, forward, reverse = kept(rig)
    gone = rig.entry(forward)
    rig.flags(forward, 0)
    rig.put(forward, 20, "<B", 0)
    rig.put(forward, 68, "<B", 0)
    rig.advance(rig.scanner.period + 6)
    assert rig.scanner.counters["missing"] == 1
    row = next(row for row in rig.table if row.index != reverse)
    assert row.key.pack() == gone[24:44]
    assert rig.pairs.owner(row.index) == (pair, 0)
    assert row.rflow == reverse


def test_an_entry_that_is_another_flows_now_is_told_apart_by_generation_or_key() -> None:
    rig = Rig()
    pair, forward, _ = kept(rig)
    rig.put(forward, 69, "<B", rig.entry(forward)[69] + 1)
    rig.advance(rig.scanner.period + 6)
    assert rig.scanner.counters["missing"] == 1
    other = Rig()
    pair, forward, _ = kept(other)
    other.put(forward, 28, "<H", 4711)
    other.advance(10 * other.scanner.period + 6)
    assert other.scanner.counters["missing"] == 1
    assert other.pairs.owner(forward) != (pair, 0)


@pytest.mark.parametrize(("at", "value"), [(92, 0), (84, 77)], ids=["action", "partner"])
def test_what_somebody_else_changed_is_put_right(at: int, value: int) -> None:
    rig = Rig()
    pair, forward, reverse = kept(rig)
    rig.put(forward, at, "<H", value)
    rig.advance(10 * rig.scanner.period + 6)
    row = rig.table.entry(forward)
    assert row is not None
    assert (row.action, row.rflow) == (FlowAction.FORWARD, reverse)
    assert rig.pairs.owner(forward) == (pair, 0)
    assert rig.scanner.counters["missing"] == 1
    rig.advance(20 * rig.scanner.period)
    assert rig.scanner.counters["missing"] == 1


def test_what_was_explained_meanwhile_is_left_alone() -> None:
    rig = Rig()
    pair, forward, _ = kept(rig)
    gen = rig.entry(forward)[69]
    rig.put(forward, 69, "<B", gen + 1)
    rig.advance(rig.scanner.period)
    assert rig.scanner.suspects == 1
    rig.put(forward, 69, "<B", gen)
    rig.advance(6)
    assert rig.scanner.counters["missing"] == 0
    assert rig.scanner.counters["cleared"] >= 1
    assert rig.pairs.owner(forward) == (pair, 0)


@pytest.mark.parametrize(
    ("at", "layout", "value"),
    [(8, "<I", 77), (24, "<B", 3), (68, "<B", 21), (92, "<H", 9), (84, "<I", TOTAL)],
    ids=["own index", "family", "key length", "action", "reverse"],
)
def test_corrupt_entries_are_counted_and_never_told(at: int, layout: str, value: int) -> None:
    rig = Rig()
    index = rig.write(rig.world.decide(packet(1000)), 0, None, 0, None)
    rig.put(index, at, layout, value)
    rig.advance(rig.scanner.period + 6)
    assert rig.scanner.counters["corrupt"] >= 1
    assert (rig.scanner.counters["unknown"], rig.sent, len(rig.pairs)) == (0, [], 0)


def test_any_bytes_in_the_table_are_survived() -> None:
    rig = Rig()
    pair, forward, reverse = kept(rig)
    for index in range(TOTAL):
        if index not in (forward, reverse):
            rig.memory[index * 256 : (index + 1) * 256] = bytes(
                (index * 7 + at * 13) & 0xFF for at in range(256)
            )
    rig.scanner.slice(rig.now + 60, 1 << 30)
    rig.scanner.slice(rig.now + 120, 1 << 30)
    assert rig.scanner.counters["corrupt"] > 0
    assert rig.pairs.owner(forward) == (pair, 0)


def test_more_suspects_than_there_is_room_for_wait_for_another_sweep() -> None:
    rig = Rig()
    rig.scanner = FlowScanner(rig.pairs, rig.table, Timeouts(), suspects=3)
    for sport in range(5):
        rig.leave(packet(1000 + sport))
    rig.advance(rig.scanner.period)
    assert rig.scanner.suspects == 3
    assert rig.scanner.counters["postponed"] >= 1
    rig.advance(20 * rig.scanner.period)
    assert len(rig.pairs) == 5


def test_a_slice_is_bounded_and_says_that_more_is_due() -> None:
    rig = Rig()
    rig.scanner.slice(rig.now, 100)
    assert rig.scanner.counters["entries"] == 100
    assert rig.scanner.deadline == rig.now
    for _ in range(TOTAL // 100 + 1):
        rig.scanner.slice(rig.now, 100)
    assert rig.scanner.counters["entries"] <= TOTAL
    rig.scanner.slice(rig.now, 1 << 20)
    assert rig.scanner.deadline > rig.now


@pytest.mark.parametrize(
    ("now", "budget"), [(1.0, 0), (1.0, -1), (-1.0, 10), (float("nan"), 10), (1e30, 10)]
)
def test_slices_that_cannot_be_are_refused(now: float, budget: int) -> None:
    rig = Rig()
    with pytest.raises(ValueError, match="a slice at"):
        rig.scanner.slice(now, budget)
    assert rig.scanner.counters["entries"] == 0


def test_sweeps_take_their_period() -> None:
    rig = Rig()
    rig.leave(packet(1000))
    rig.advance(10 * rig.scanner.period)
    assert rig.scanner.counters["sweeps"] in (10, 11)
    assert rig.scanner.counters["entries"] in (10 * TOTAL, 11 * TOTAL)


def test_sweeps_take_a_quarter_of_the_age_where_there_are_no_flows() -> None:
    """An entry that is met makes them as quick as before."""
    rig = Rig(Timeouts(common=180, tcp_closed=10))
    assert rig.scanner.period == 5.0
    rig.advance(6.0)
    assert rig.scanner.period == 45.0
    done = rig.scanner.counters["sweeps"]
    rig.advance(10 * 45.0)
    assert rig.scanner.counters["sweeps"] - done in (10, 11)
    index = rig.leave(packet(1000))
    rig.advance(45.0 + 5.0 + 5.2)
    assert rig.pairs.owner(index[0]) is not None
    assert rig.scanner.period == 5.0


def test_after_a_pause_one_sweep_is_due_not_many() -> None:
    rig = Rig()
    rig.step()
    rig.now += 10000
    for _ in range(20):
        rig.scanner.slice(rig.now, 1 << 30)
    assert rig.scanner.counters["sweeps"] <= 3


@pytest.mark.parametrize(
    "timeouts",
    [
        Timeouts(common=0),
        Timeouts(dropped=-1),
        Timeouts(tcp_closed=float("nan")),
        Timeouts(tcp_half_open=float("inf")),
        Timeouts(services=(ServiceTimeout(17, 0, 0),)),
        Timeouts(services=(ServiceTimeout(6, 1, 1),) * 257),
    ],
)
def test_timeouts_that_cannot_be_are_refused(timeouts: Timeouts) -> None:
    rig = Rig()
    with pytest.raises(ValueError, match="timeout"):
        rig.scanner.set_timeouts(timeouts)
    rig.advance(1)


def test_a_table_that_shrinks_is_an_error_and_not_the_end(tmp_path: Path) -> None:
    rig = Rig()
    path = tmp_path / "flow.shmem"
    path.write_bytes(rig.memory)
    with FlowTable.open(path, MAIN) as table:
        scanner = FlowScanner(rig.pairs, table, Timeouts())
        scanner.slice(1.0)
        path.write_bytes(bytes(256))
        with pytest.raises(WireError, match="shrunk"):
            scanner.slice(2.0)
        scanner.close()
        with pytest.raises(ValueError, match="closed"):
            scanner.slice(3.0)


def test_a_table_of_eight_million_entries() -> None:
    entries = 8 << 20
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # what is only read takes no memory
    with mmap.mmap(-1, entries * 256, flags=private) as memory:
        made = world()
        pairs = FlowPairs(made, table_entries=entries)
        table = FlowTable(memory, entries - (1 << 20))
        last = entries - 1
        key = made.decide(packet(1000)).forward.key[:20]
        memory[last * 256 + 24 : last * 256 + 44] = key
        struct.pack_into("<I", memory, last * 256 + 8, last)
        struct.pack_into("<BB", memory, last * 256 + 68, 20, 7)
        struct.pack_into("<iHHH", memory, last * 256 + 84, -1, FlowFlag.ACTIVE, 0, 0)
        scanner = FlowScanner(pairs, table, Timeouts(), delay=0.0)
        now, slices = 1000.0, 0
        while scanner.counters["sweeps"] == 0:
            scanner.slice(now)
            now, slices = max(scanner.deadline, now + 0.001), slices + 1
        assert slices >= entries // 32768
        assert now - 1000.0 < scanner.period + 1
        scanner.slice(now)
        assert (scanner.sweep["unowned"], scanner.counters["unknown"]) == (1, 1)
        assert pairs.counters["entries_audited"] == 1
        scanner.close()
        assert table.index_of(FlowKey.unpack(key.ljust(44, b"\0"))) is None
        table.close()
