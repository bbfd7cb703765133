"""Limits of ports and VMs, turns of interfaces, floods (facts pkt0-services.md 12, step 5)."""

from __future__ import annotations

from tests.reference.flow_model import DROP
from tests.unit.flow.pairs_rig import ICMP, ONE, REMOTE, TCP, TWO, VRF, Rig, Talk, put_port

LOCAL = Talk(ONE.address, TWO.address)


def flood(count: int, first: int = 0) -> list[Talk]:
    return [Talk(ONE.address, REMOTE, sport=first + i) for i in range(count)]


def packets(rig: Rig, talks: list[Talk]) -> None:
    for talk in talks:
        rig.packet(talk)


def sources(rig: Rig) -> list[str]:
    """Who the new flows in the requests are of, in order."""
    names = {ONE.nexthop: "one", TWO.nexthop: "two"}
    owners = [rig.pairs.owner(r.fr_rindex) for r in rig.sent if r.fr_index == -1]
    pairs = [rig.pairs.describe(owner[0]) for owner in owners if owner]
    return [names[pair["forward"]["key"][8]] for pair in pairs]


def test_a_port_has_no_more_flows_than_it_may() -> None:
    rig = Rig()
    put_port(rig.world, ONE, max_flows=5)
    packets(rig, flood(4))
    rig.settle()
    assert rig.pairs.flows_of(ONE.vif) == 4
    actions = [entry.told.fr_drop_reason for entry in rig.datapath.live().values()]
    assert sorted(actions) == [0, 0, 0, 0, 11, 11]
    assert rig.pairs.counters["pairs_limited"] == 2
    rig.check()


def test_both_ends_of_a_local_flow_count_it() -> None:
    rig = Rig()
    put_port(rig.world, TWO, max_flows=2)
    packets(rig, [LOCAL, Talk(ONE.address, TWO.address, sport=7)])
    rig.settle()
    assert [rig.pairs.flows_of(vm.vif) for vm in (ONE, TWO)] == [2, 2]
    assert rig.pairs.counters["pairs_limited"] == 1


def test_flows_that_end_make_room() -> None:
    rig = Rig()
    put_port(rig.world, ONE, max_flows=2)
    rig.connect(LOCAL)
    rig.pairs.end(0, rig.now)
    rig.settle()
    assert rig.pairs.flows_of(ONE.vif) == 0
    assert rig.connect(Talk(ONE.address, TWO.address, sport=7))["forward"]["action"] != DROP


def test_a_vm_with_all_its_flows_is_told_and_told_again_when_it_has_less_than_nine_tenths() -> None:
    rig = Rig(room=256)
    rig.world.set_limits(vm_flows=20)
    packets(rig, flood(10))
    rig.settle()
    assert rig.pairs.take_signals() == []
    rig.connect(LOCAL)
    assert rig.pairs.take_signals() == [(ONE.number, True)]
    assert rig.pairs.take_signals() == []
    numbers = rig.pairs.pairs()
    rig.pairs.end(numbers[0], rig.now)
    rig.settle()
    assert rig.pairs.take_signals() == [], "18 of 20 are not less than nine tenths"
    rig.pairs.end(numbers[1], rig.now)
    rig.settle()
    assert rig.pairs.take_signals() == [(ONE.number, False)]


def test_a_limit_that_is_raised_ends_the_signal() -> None:
    rig = Rig(room=256)
    rig.world.set_limits(vm_flows=4)
    packets(rig, flood(3))
    rig.settle()
    assert rig.pairs.take_signals() == [(ONE.number, True)]
    rig.world.set_limits(vm_flows=400)
    put_port(rig.world, ONE)
    rig.settle()
    assert rig.pairs.take_signals() == [(ONE.number, False)]


def test_a_signal_that_is_over_before_it_was_taken_is_none() -> None:
    rig = Rig(room=256)
    rig.world.set_limits(vm_flows=2)
    packets(rig, flood(2))
    rig.settle()
    for number in rig.pairs.pairs():
        rig.pairs.end(number, rig.now)
    rig.settle()
    assert rig.pairs.take_signals() == []


def test_limits_do_not_count_what_is_refused() -> None:
    rig = Rig(room=4096, queue=2048, share=2048)
    packets(rig, [Talk(ONE.address, "15.0.66.6", sport=i) for i in range(1500)])
    rig.settle()
    assert rig.pairs.flows_of(ONE.vif) == 0
    assert rig.pairs.counters["pairs_short"] == 1024, "of one port, at the same time"
    assert len(rig.datapath.live()) == 1024, "the others' entries were let go at once"
    assert rig.pairs.counters["entries_refused"] == 476
    rig.check()


def test_interfaces_take_turns() -> None:
    rig = Rig(room=1024, window=1000)
    rig.begin(*flood(100), *(Talk(TWO.address, REMOTE, sport=i) for i in range(3)))
    assert sources(rig)[:7] == ["one", "two", "one", "two", "one", "two", "one"]


def test_a_flood_fills_its_own_queue_only_and_its_entries_are_let_go() -> None:
    rig = Rig(room=1024, queue=16)
    packets(rig, flood(50))
    packets(rig, [Talk(TWO.address, REMOTE)])
    rig.arrive()
    assert (rig.pairs.dropped_of(ONE.vif), rig.pairs.dropped_of(TWO.vif)) == (34, 0)
    rig.settle()
    assert rig.pairs.counters["traps_queue_full"] == 34
    assert len(rig.pairs) == 17
    rig.check()


def test_the_longest_queue_leaves_room_for_others() -> None:
    rig = Rig(room=1 << 15, queue=16384)
    rig.deliver([talk.trap(i, 1) for i, talk in enumerate(flood(12_000))])
    assert rig.pairs.dropped_of(ONE.vif) == 12_000 - 8192, "half of all"
    others = [Talk(TWO.address, REMOTE, sport=i) for i in range(4096)]
    rig.deliver([talk.trap(12_000 + i, 1) for i, talk in enumerate(others)])
    assert (rig.pairs.dropped_of(ONE.vif), rig.pairs.dropped_of(TWO.vif)) == (12_000 - 8192, 0)


def test_an_interface_with_its_share_in_set_up_waits_and_others_do_not() -> None:
    rig = Rig(room=1024, share=4, window=64)
    rig.begin(*flood(20))
    assert len(rig.pairs) == 4
    rig.begin(Talk(TWO.address, REMOTE))
    assert len(rig.pairs) == 5
    assert sources(rig)[-1] == "two"
    rig.serve()
    rig.answer()
    rig.settle()
    assert len(rig.pairs) == 21
    rig.check()


def test_the_window_bounds_what_is_in_set_up() -> None:
    rig = Rig(room=1024, window=8)
    rig.begin(*flood(50))
    assert (len(rig.pairs), rig.pairs.in_flight) == (8, 8)
    assert not rig.pairs.pending
    rig.settle()
    assert len(rig.pairs) == 50
    rig.check()


def test_a_flood_of_held_entries_that_nobody_decides_on_is_bounded() -> None:
    """Without a connection nothing is decided without end; the audit finds the rest."""
    rig = Rig(room=1 << 15, queue=64)
    rig.pairs.disconnected(rig.now)
    frames = [talk.trap(i, 1) for i, talk in enumerate(flood(6000))]
    for start in range(0, len(frames), 1000):
        rig.deliver(frames[start : start + 1000])
        while rig.pairs.turn(rig.now):
            pass
    counters = rig.pairs.counters
    assert len(rig.pairs) == 128
    assert counters["traps_queue_full"] == 6000 - 128 - 64
    assert counters["entries_refused"] == 4096
    assert counters["entries_left_to_audit"] == counters["traps_queue_full"] - 4096


def test_packets_of_the_same_flow_wait_as_one() -> None:
    rig = Rig()
    place = rig.datapath.packet(LOCAL.key, ONE.vif, VRF)
    assert place is not None
    rig.deliver([LOCAL.trap(*place)] * 40)
    rig.settle()
    assert len(rig.pairs) == 1
    assert rig.pairs.counters["decisions"] == 1
    rig.check()


def test_land_and_zero_are_flows_like_others() -> None:
    """Hostile packets: the same end twice, ports of zero, protocols without ports."""
    rig = Rig()
    for talk in (
        Talk(ONE.address, ONE.address, sport=80, dport=80),
        Talk(ONE.address, TWO.address, sport=0, dport=0),
        Talk(ONE.address, TWO.address, proto=TCP, sport=0, dport=0),
        Talk(ONE.address, TWO.address, proto=ICMP, sport=0, dport=0),
    ):
        rig.packet(talk)
    rig.settle()
    reasons = [rig.pairs.describe(number)["forward"]["reason"] for number in rig.pairs.pairs()]
    assert reasons == [17, 0, 0, 0]
    rig.check()
