"""Pairs of flows: set-up, answers of every kind, retraps, ends (facts pkt0-services.md 12)."""

from __future__ import annotations

import struct
from errno import EBADF, EFAULT, EINVAL, ENOENT, ENOSPC

import pytest

from agent._fast.flow_pairs import FlowPairs
from agent.errors import WireError
from tests.reference.flow_model import DROP, EVICTED, HOLD, PASS, TCP, Entry
from tests.unit.flow.pairs_rig import (
    FABRIC_VIF,
    HELD,
    ICMP,
    ONE,
    REMOTE,
    TUNNEL_NEXTHOP,
    TWO,
    Rig,
    Talk,
    every,
    refusal,
    split,
    world,
)

RFLOW, ACTIVE = 0x1000, 1
LOCAL = Talk(ONE.address, TWO.address)
OUT = Talk(ONE.address, REMOTE, TCP, 5000, 80)
IN = Talk(REMOTE, ONE.address, TCP, 6000, 22)
NOWHERE = Talk(ONE.address, "15.0.66.6")


def counted(rig: Rig) -> dict[str, int]:
    """Counters that are not zero."""
    return {name: count for name, count in rig.pairs.counters.items() if count}


@pytest.mark.parametrize(
    "talk",
    [LOCAL, OUT, IN, Talk(ONE.address6, TWO.address6, TCP), Talk(ONE.address, REMOTE, ICMP, 7, 0)],
    ids=["local", "out", "in", "ipv6", "icmp"],
)
def test_the_reverse_flow_is_made_first_and_the_held_packet_leaves_with_the_forward_one(
    talk: Talk,
) -> None:
    rig = Rig()
    rig.begin(talk)
    (reverse,) = rig.sent
    assert (reverse.fr_index, reverse.fr_rindex, reverse.fr_flags & RFLOW) == (-1, 0, RFLOW)
    rig.serve()
    assert rig.datapath.delivered == 0
    rig.answer()
    rig.take()
    forward = rig.sent[1]
    assert (forward.fr_index, forward.fr_gen_id, forward.fr_rindex) == (0, 1, 1)
    assert rig.pairs.describe(0)["state"] == "setting-up"
    rig.serve()
    rig.answer()
    assert rig.datapath.delivered == 1
    assert len(rig.sent) == 2
    assert rig.flow(talk)["state"] == "installed"
    assert rig.pairs.find(talk.reply.key) == rig.pairs.find(talk.key) == 0
    rig.check()


def test_a_packet_out_of_a_tunnel_is_that_of_its_label() -> None:
    rig = Rig()
    pair = rig.connect(IN)
    forward, reverse = rig.datapath.entries[0], rig.datapath.entries[1]
    assert (forward.action, reverse.action) == (PASS, PASS)
    assert (forward.told.fr_src_nh_index, reverse.told.fr_src_nh_index) == (
        TUNNEL_NEXTHOP,
        ONE.nexthop,
    )
    assert not pair["flags"] & 2, "it came from the fabric"


def test_a_vm_that_pretends_to_be_a_tunnel_is_taken_for_what_it_is() -> None:
    """Its label leads to another VM than the one that the datapath names."""
    rig = Rig()
    frame = bytearray(IN.trap(5, 1))
    struct.pack_into(">H", frame, 14, TWO.vif)
    struct.pack_into(">I", frame, 24, TWO.nexthop)
    rig.deliver([bytes(frame)])
    rig.pairs.turn(rig.now)
    assert rig.pairs.find(IN.key) is None
    (pair,) = every(rig.pairs)
    key = rig.pairs.describe(pair)["forward"]["key"]
    assert key[1:2] == b"\x11"
    assert key[6:8] == (6635).to_bytes(2, "big")


def test_other_traps_are_left_to_others() -> None:
    rig = Rig()
    other = bytearray(LOCAL.trap(1, 1))
    other[18:20] = (7).to_bytes(2, "big")
    assert rig.deliver([bytes(other), LOCAL.trap(1, 1), b"x" * 44, b"", bytes(other)]) == [
        0, 2, 3, 4,
    ]  # fmt: skip
    assert rig.pairs.pending
    assert len(rig.pairs) == 0
    assert counted(rig) == {"traps": 1}


@pytest.mark.parametrize(
    ("spoil", "counter"),
    [
        (lambda frame: frame[:60], "traps_truncated"),
        (lambda frame: frame[:58] + b"\x42" + frame[59:], "traps_malformed"),
        (lambda frame: frame[:56] + b"\x88\xcc" + frame[58:], "traps_not_ip"),
        (lambda frame: frame[:20] + b"\0\xff\0\0" + frame[24:], "traps_bad_index"),
        (lambda frame: frame[:20] + b"\xff\xff\xff\xff" + frame[24:], "traps_bad_index"),
    ],
)
def test_packets_that_are_no_flow_are_counted_by_reason(spoil, counter: str) -> None:
    rig = Rig()
    rig.deliver([spoil(LOCAL.trap(1, 1))])
    rig.settle()
    assert counted(rig) == {"traps": 1, counter: 1}
    assert len(rig.pairs) == 0


def test_a_flow_without_a_way_is_dropped_for_a_while_and_then_forgotten() -> None:
    rig = Rig()
    pair = rig.connect(NOWHERE)
    assert pair["flags"] & 1
    entry = rig.datapath.entries[0]
    assert (entry.action, entry.told.fr_drop_reason, entry.rindex) == (DROP, 5, 0xFFFFFFFF)
    assert list(rig.datapath.live()) == [0], "no reverse flow is made"
    assert rig.packet(NOWHERE) is False
    rig.pass_time(4.9)
    assert len(rig.pairs) == 1
    rig.pass_time(0.2)
    assert len(rig.pairs) == 0
    assert not rig.datapath.live()
    (record,) = rig.pairs.take_records()
    assert (record.why, record.reason, record.forward) == ("short", 5, NOWHERE.key)
    assert record.ended - record.started == pytest.approx(5000, abs=20)


def test_both_directions_trapped_at_once_become_one_pair() -> None:
    rig = Rig()
    rig.packet(LOCAL)
    rig.packet(LOCAL.reply)
    rig.settle()
    assert len(rig.pairs) == 1
    assert rig.datapath.delivered == 2
    assert counted(rig)["entries_adopted"] == 1
    rig.check()


def test_a_reverse_entry_that_a_packet_made_meanwhile_is_adopted() -> None:
    """EEXIST tells which entry it is; its trap comes later or never."""
    rig = Rig()
    rig.begin(LOCAL)
    rig.packet(LOCAL.reply)
    rig.trapped.clear()
    rig.settle()
    assert counted(rig)["nacks_exists"] == 1
    assert rig.datapath.delivered == 2
    rig.check()


def test_a_full_table_leads_to_a_dropped_flow() -> None:
    rig = Rig(room=4)
    rig.datapath.entries[1:] = [Entry(key=b"x", flags=ACTIVE, action=PASS) for _ in range(3)]
    pair = rig.connect(LOCAL)
    assert pair["forward"]["reason"] == 13
    entry = rig.datapath.entries[0]
    assert (entry.action, entry.told.fr_drop_reason) == (DROP, 0)
    assert rig.pairs.flows_of(ONE.vif) == 0
    rig.pass_time(6)
    assert len(rig.pairs) == 0


def test_a_busy_entry_is_asked_again_after_a_moment() -> None:
    rig = Rig()
    rig.datapath.busy.add(0)
    rig.packet(LOCAL)
    rig.settle()
    assert rig.pairs.describe(0)["state"] == "setting-up"
    assert rig.pairs.next_deadline() == pytest.approx(rig.now + 0.02, abs=0.002)
    rig.pass_time(0.05)
    assert counted(rig)["nacks_busy"] == 1
    rig.check()


@pytest.mark.parametrize("code", [-ENOENT, -EBADF, -EFAULT])
def test_a_held_entry_that_is_gone_is_made_anew(code: int) -> None:
    rig = Rig()
    rig.begin(LOCAL)
    rig.serve()
    rig.answer()
    rig.datapath.entries[0] = Entry(gen_id=7)
    rig.take()
    rig.refuse(code)
    rig.settle()
    assert rig.flow(LOCAL)["forward"]["gen_id"] == 8
    assert counted(rig)["nacks_gone"] == 1
    rig.check()


def test_a_pair_whose_both_entries_are_gone_ends() -> None:
    rig = Rig()
    rig.begin(LOCAL)
    rig.datapath.entries[0] = Entry(gen_id=7)
    rig.serve()
    rig.answer()
    rig.settle()
    assert counted(rig)["nacks_invalid"] == 1
    rig.check()


def test_an_answer_for_which_nothing_can_be_done_ends_in_a_dropped_flow() -> None:
    rig = Rig()
    rig.packet(LOCAL)
    rig.arrive()
    for _ in range(40):
        rig.take()
        if rig.frames:
            rig.refuse(-EINVAL)
        rig.now += 0.1
        rig.pairs.tick(rig.now)
    assert len(rig.pairs) == 0
    (record,) = rig.pairs.take_records()
    assert (record.why, record.reason) == ("lost", 13)


def test_requests_without_an_answer_are_asked_again() -> None:
    rig = Rig()
    rig.begin(LOCAL)
    rig.serve()
    lost, rig.replies = rig.replies, []
    assert rig.pairs.next_deadline() == pytest.approx(rig.now + 2, abs=0.002)
    rig.pass_time(2.1)
    assert counted(rig)["requests_timed_out"] == 1
    assert counted(rig)["nacks_exists"] == 1, "the first one had been executed"
    rig.check()
    rig.replies = lost
    rig.answer()
    assert counted(rig)["answers_late"] == 1
    rig.check()


def test_a_delete_without_an_answer_is_asked_again() -> None:
    rig = Rig()
    rig.connect(LOCAL)
    rig.pairs.end(0, rig.now)
    rig.take()
    rig.serve()
    rig.replies.clear()
    rig.pass_time(2.1)
    assert len(rig.pairs) == 0
    assert not rig.datapath.live()


def test_an_ended_flow_whose_add_was_not_answered_leaves_nothing() -> None:
    """Field problem 75: whether there is an entry is found out before it is forgotten."""
    rig = Rig()
    rig.begin(LOCAL)
    rig.serve()
    rig.replies.clear()
    rig.pairs.end(0, rig.now)
    rig.pass_time(2.1)
    assert not rig.datapath.live()
    assert len(rig.pairs) == 0


def test_another_packet_of_a_held_entry_is_no_other_flow() -> None:
    rig = Rig()
    rig.packet(LOCAL)
    rig.packet(LOCAL)
    rig.settle()
    assert len(rig.sent) == 2
    again = LOCAL.trap(0, 1, HELD)
    rig.deliver([again])
    rig.settle()
    assert len(rig.sent) == 2, "it was under way while the entry was set"
    rig.pass_time(1.1)
    rig.deliver([again])
    rig.settle()
    assert [request.fr_index for request in rig.sent[2:]] == [0], "it is told once more"
    assert counted(rig)["retraps"] == 3
    assert len(rig.pairs) == 1
    rig.check()


def test_a_new_generation_of_an_entry_is_a_new_flow() -> None:
    """The datapath evicted the closed connection; its client uses the port again."""
    rig = Rig()
    first = rig.connect(OUT)
    rig.datapath.evict(0)
    second = rig.connect(OUT)
    assert second["serial"] != first["serial"]
    assert second["forward"]["gen_id"] == 2
    rig.settle()
    rig.check()
    (record,) = rig.pairs.take_records()
    assert record.serial == first["serial"]


def test_an_old_trap_changes_nothing() -> None:
    rig = Rig()
    rig.connect(OUT)
    rig.datapath.evict(0)
    rig.connect(OUT)
    rig.settle()
    rig.deliver([OUT.trap(0, 1)])
    rig.settle()
    assert counted(rig)["traps_stale"] == 1
    rig.check()


def test_a_slot_that_another_flow_got_ends_the_flow_that_had_it() -> None:
    rig = Rig()
    rig.connect(OUT)
    rig.datapath.evict(0)
    rig.connect(LOCAL)
    assert rig.pairs.find(OUT.key) is None
    assert rig.pairs.owner(0) == (rig.pairs.find(LOCAL.key), 0)
    (record,) = rig.pairs.take_records()
    assert (record.why, record.forward) == ("evicted", OUT.key)
    rig.check()


def test_last_counters_come_with_the_trap_of_the_next_owner() -> None:
    rig = Rig()
    rig.connect(OUT)
    rig.datapath.evict(0)
    rig.datapath.packet(LOCAL.key, ONE.vif, 1)
    counters = struct.pack(">III", 0x89ABCDEF, 7, 0x01_4567)
    rig.deliver([LOCAL.trap(0, 2, predecessor=counters)])
    rig.settle()
    (record,) = rig.pairs.take_records()
    assert record.bytes == (0x4567_89ABCDEF, 0)
    assert record.packets == (0x01_0000_0007, 0)


def test_last_counters_come_with_the_answer_to_the_next_owner() -> None:
    rig = Rig()
    rig.connect(OUT)
    for index, octets in ((0, 5), (1, 0x1234_0000_0001)):
        rig.datapath.entries[index].octets = octets
    rig.datapath.evict(0)
    rig.connect(LOCAL)
    (record,) = rig.pairs.take_records()
    assert record.bytes[1] == 0x1234_0000_0001


def test_a_port_that_goes_takes_its_flows_along() -> None:
    rig = Rig()
    rig.connect(LOCAL)
    rig.connect(OUT)
    rig.world.drop_port(TWO.vif)
    rig.settle()
    assert rig.pairs.find(LOCAL.key) is None
    assert rig.pairs.find(OUT.key) is not None
    assert [record.why for record in rig.pairs.take_records()] == ["port-gone"]
    rig.check()


def test_a_datapath_that_began_anew_has_no_flows() -> None:
    rig = Rig()
    rig.connect(LOCAL)
    rig.connect(NOWHERE)
    rig.begin(OUT)
    rig.datapath.reset()
    rig.frames.clear()
    rig.pairs.reset(rig.now)
    assert len(rig.pairs) == 0
    assert rig.pairs.next_deadline() is None
    assert rig.pairs.flows_of(ONE.vif) == 0
    assert {record.why for record in rig.pairs.take_records()} == {"reset"}
    rig.settle()
    rig.connect(OUT)
    rig.check()


def test_a_connection_that_comes_back_goes_on_where_it_was() -> None:
    rig = Rig()
    rig.connect(OUT)
    rig.begin(LOCAL)
    rig.serve()
    rig.replies.clear()
    rig.pairs.disconnected(rig.now)
    rig.take()
    assert not rig.frames
    assert rig.pairs.in_flight == 0
    rig.pairs.connected(rig.now)
    rig.settle()
    assert len(rig.pairs) == 2
    rig.check()


def test_a_frame_that_answers_nothing_is_counted() -> None:
    rig = Rig()
    rig.begin(LOCAL)
    rig.pairs.answers(refusal(rig.frames[0], 0).replace(b"vr_response", b"vr_respons?"), 0)
    rig.serve()
    assert counted(rig).get("answers", 0) == 0
    done = struct.pack("=IHHII", 16, 3, 0, 0, 0)
    rig.pairs.answers(done, rig.now)
    rig.answer()
    rig.settle()
    assert counted(rig)["answers"] == 2
    rig.check()


def test_an_error_of_netlink_is_an_answer() -> None:
    rig = Rig()
    rig.begin(LOCAL)
    (seq,) = struct.unpack_from("=I", rig.frames.pop(), 8)
    rig.pairs.answers(struct.pack("=IHHIIi", 20, 2, 0, seq, 0, -ENOSPC), rig.now)
    rig.settle()
    assert rig.flow(LOCAL)["forward"]["reason"] == 13


@pytest.mark.parametrize(
    "stream",
    [
        struct.pack("=IHHII", 23, 24, 0, 0, 0),
        struct.pack("=IHHII", 5000, 24, 0, 0, 0),
        struct.pack("=IHHII", 15, 3, 0, 0, 0),
        struct.pack("=IHHII", 0, 0, 0, 0, 0),
    ],
)
def test_a_stream_out_of_step_is_an_error(stream: bytes) -> None:
    rig = Rig()
    rig.pairs.answers(stream[:7], rig.now)
    with pytest.raises(WireError, match="no frames"):
        rig.pairs.answers(stream[7:], rig.now)


def test_output_is_whole_frames_within_the_room_and_the_window() -> None:
    rig = Rig(room=1024, window=8)
    for port in range(12):
        rig.packet(Talk(ONE.address, TWO.address, sport=port))
    rig.arrive()
    rig.pairs.turn(rig.now)
    assert len(rig.pairs.take_output(299, rig.now)) == 0
    assert len(rig.pairs.take_output(700, rig.now)) == 600
    assert len(split(bytes(rig.pairs.take_output(1 << 20, rig.now)))) == 6
    assert rig.pairs.in_flight == 8
    assert not rig.pairs.take_output(1 << 20, rig.now)


def test_flows_are_deleted_on_request() -> None:
    rig = Rig()
    rig.connect(LOCAL)
    assert rig.pairs.end(0, rig.now) is True
    assert rig.pairs.end(0, rig.now) is False
    assert rig.pairs.end(9, rig.now) is False
    rig.settle()
    assert [(r.fr_index, r.fr_flags) for r in rig.sent[2:]] == [(0, 0), (1, 0)]
    assert rig.pairs.end(0, rig.now) is False
    with pytest.raises(KeyError):
        rig.pairs.describe(0)
    rig.check()


def test_records_are_a_ring_that_counts_what_it_lost() -> None:
    rig = Rig(records=2)
    for port in range(3):
        talk = Talk(ONE.address, TWO.address, sport=port)
        rig.connect(talk)
        rig.pairs.end(rig.pairs.find(talk.key), rig.now)
        rig.settle()
    assert [record.serial for record in rig.pairs.take_records(1)] == [2]
    assert [record.serial for record in rig.pairs.take_records()] == [3]
    assert counted(rig)["records_lost"] == 1
    assert rig.pairs.take_records() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"table_entries": 3},
        {"table_entries": 1 << 25},
        {"window": 0},
        {"share": 0},
        {"queue": 0},
        {"timeout": 0},
        {"short_time": -1},
        {"records": 1 << 21},
    ],
)
def test_numbers_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"entries|window|times"):
        FlowPairs(world(), **{"table_entries": 64, **wrong})


def test_questions_that_cannot_be_are_refused() -> None:
    pairs = Rig().pairs
    with pytest.raises(ValueError, match="20 or 44"):
        pairs.find(b"short")
    with pytest.raises(ValueError, match="no interface"):
        pairs.flows_of(1 << 16)
    with pytest.raises(ValueError, match="size"):
        pairs.take_output(-1, 1.0)
    with pytest.raises(ValueError, match="at once"):
        pairs.take_records(0)
    with pytest.raises(ValueError, match="no time"):
        pairs.turn(-1.0)
    assert pairs.find(LOCAL.key) is None
    assert pairs.owner(1 << 31) is None


def test_two_hundred_bytes_a_flow_are_enough() -> None:
    """Pairs, keys and indices, with a table as full as that of a busy node."""
    made = world()
    for vif in range(100, 260):
        made.put_port(vif, vrf=1, key_nexthop=ONE.nexthop, bridged=False, policy=False)
    pairs = FlowPairs(made, table_entries=40960, share=65536, queue=16384, window=65536)
    rig = Rig()
    rig.pairs, rig.world = pairs, made
    count = 16384
    for start in range(0, count, 1024):
        rig.deliver(
            [
                Talk(ONE.address, TWO.address, sport=port % 65536).trap(port, 1)
                for port in range(start, start + 1024)
            ]
        )
        while pairs.turn(rig.now):
            pass
    assert len(pairs) == count
    assert pairs.memory / (2 * count) <= 200


def test_the_fabric_is_a_port_without_limits() -> None:
    rig = Rig()
    rig.connect(IN)
    assert rig.pairs.flows_of(ONE.vif) == 2
    assert rig.pairs.flows_of(FABRIC_VIF) == 0


def test_entries_that_are_held_have_no_traffic_lost_when_set_twice() -> None:
    """What was decided is written once for each side, whatever order the answers have."""
    rig = Rig()
    for port in range(20):
        rig.packet(Talk(ONE.address, TWO.address, sport=port))
    rig.settle()
    assert len(rig.sent) == 40
    assert rig.datapath.delivered == 20
    assert not any(entry.action == HOLD for entry in rig.datapath.live().values())


def test_the_last_counters_are_looked_up_when_a_flow_is_deleted() -> None:
    rig = Rig()
    rig.pairs.watch(rig.datapath.memory)
    rig.connect(LOCAL)
    for index, octets in ((0, 1 << 40), (1, 7)):
        rig.datapath.entries[index].octets = octets
        rig.datapath.store(index)
    rig.pairs.end(0, rig.now)
    rig.settle()
    (record,) = rig.pairs.take_records()
    assert record.bytes == (1 << 40, 7)


def test_a_later_fragment_is_of_the_flow_that_the_datapath_holds_it_for() -> None:
    """It has no ports itself; the key of its entry has those of the first fragment."""
    rig = Rig()
    rig.pairs.watch(rig.datapath.memory)
    place = rig.datapath.packet(LOCAL.key, ONE.vif, 1)
    assert place is not None
    frame = bytearray(LOCAL.trap(*place))
    struct.pack_into(">H", frame, 58 + 6, 0x00B9)
    rig.deliver([bytes(frame)])
    rig.settle()
    assert rig.pairs.find(LOCAL.key) == 0
    rig.check()
    rig.pairs.watch(None)
    rig.deliver([bytes(frame)])
    with pytest.raises(ValueError, match="255 bytes"):
        rig.pairs.watch(bytes(255))


def test_a_slot_of_one_direction_that_the_other_gets_is_the_others() -> None:
    """The held entry was given up meanwhile: the reverse flow finds its slot free."""
    rig = Rig()
    rig.begin(OUT)
    rig.datapath.entries[0].flags = ACTIVE | EVICTED
    rig.settle()
    assert rig.flow(OUT)["reverse"]["index"] == 0
    assert rig.flow(OUT)["forward"]["index"] == 1
    rig.check()
