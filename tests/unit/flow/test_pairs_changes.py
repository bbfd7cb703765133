"""Flows follow the world: exactly those that read what changed, a bounded number a turn."""

from __future__ import annotations

import pytest

from agent._fast.flow_pairs import FlowPairs
from agent._fast.flow_scan import FlowScanner
from agent.flow.aging import Timeouts
from agent.sandesh.vrouter import VrNexthopReq
from tests.reference.flow_model import DROP, PASS
from tests.unit.flow.pairs_rig import (
    ONE,
    REMOTE,
    TCP,
    TUNNEL_NEXTHOP,
    TWO,
    UDP,
    VRF,
    Rig,
    Talk,
    drop_route,
    every,
    put_port,
    put_route,
    world,
)

LOCAL = Talk(ONE.address, TWO.address)
OUT = Talk(ONE.address, REMOTE, TCP, 5000, 80)
IN = Talk(REMOTE, ONE.address, TCP, 6000, 22)


def test_a_policy_that_changes_is_told_for_both_directions() -> None:
    rig = Rig()
    rig.connect(LOCAL)
    rig.connect(OUT)
    sent = len(rig.sent)
    put_port(rig.world, TWO, allowed=False)
    rig.settle()
    assert [entry.action for entry in rig.datapath.live().values()] == [DROP, DROP, PASS, PASS]
    assert {(r.fr_index, r.fr_gen_id) for r in rig.sent[sent:]} == {(0, 1), (1, 1)}
    put_port(rig.world, TWO, allowed=True)
    rig.settle()
    assert [entry.action for entry in rig.datapath.live().values()] == [PASS] * 4
    assert len(rig.pairs) == 2
    rig.check()


def test_what_changes_nothing_is_not_told() -> None:
    rig = Rig()
    rig.connect(LOCAL)
    put_port(rig.world, TWO)
    rig.settle()
    assert rig.pairs.counters["pairs_redecided"] == 1
    assert len(rig.sent) == 2


def test_only_flows_that_read_a_route_are_decided_anew() -> None:
    rig = Rig(room=256)
    for port in range(50):
        rig.connect(Talk(ONE.address, TWO.address, sport=port))
    rig.connect(OUT)
    drop_route(rig.world, REMOTE)
    rig.settle()
    assert rig.pairs.counters["pairs_redecided"] == 1
    pair = rig.flow(OUT)
    assert pair["flags"] & 1
    assert [entry.action for entry in rig.datapath.live().values()].count(DROP) == 1
    rig.check()


def test_a_flow_whose_route_comes_back_in_time_goes_on() -> None:
    rig = Rig()
    rig.connect(OUT)
    drop_route(rig.world, REMOTE)
    rig.settle()
    assert rig.pairs.flows_of(ONE.vif) == 0
    put_route(rig.world, REMOTE, TUNNEL_NEXTHOP)
    rig.settle()
    assert rig.pairs.flows_of(ONE.vif) == 2
    assert [entry.action for entry in rig.datapath.live().values()] == [PASS, PASS]
    rig.pass_time(10)
    assert len(rig.pairs) == 1
    rig.check()


def test_a_flow_that_would_have_other_keys_ends() -> None:
    """Its peer moved here: what comes back has another nexthop in its key."""
    rig = Rig()
    rig.connect(OUT)
    put_route(rig.world, REMOTE, TWO.nexthop)
    rig.settle()
    assert not rig.datapath.live()
    (record,) = rig.pairs.take_records()
    assert record.why == "changed"
    assert rig.connect(OUT)["reads"][1] == TWO.vif
    rig.check()


def test_a_change_while_an_answer_is_under_way_is_told_after_it() -> None:
    rig = Rig()
    rig.connect(LOCAL)
    put_port(rig.world, TWO, allowed=False)
    rig.take()
    put_port(rig.world, TWO, allowed=True)
    rig.take()
    assert len(rig.frames) == 1
    rig.settle()
    assert [entry.action for entry in rig.datapath.live().values()] == [PASS, PASS]
    rig.check()


def test_changes_before_the_first_answer_are_not_lost() -> None:
    rig = Rig()
    rig.begin(LOCAL)
    put_port(rig.world, TWO, allowed=False)
    rig.settle()
    assert [entry.action for entry in rig.datapath.live().values()] == [DROP, DROP]
    rig.check()


def test_a_turn_decides_on_a_bounded_number() -> None:
    rig = Rig(room=4096, queue=4096, share=4096, window=4096)
    for start in range(0, 1500, 500):
        for port in range(start, start + 500):
            rig.packet(Talk(ONE.address, TWO.address, sport=port))
        rig.settle()
    assert len(rig.pairs) == 1500
    put_port(rig.world, TWO, allowed=False)
    done = []
    while True:
        before = rig.pairs.counters["pairs_redecided"]
        more = rig.pairs.turn(rig.now)
        done.append(rig.pairs.counters["pairs_redecided"] - before)
        if not more:
            break
    assert sum(done) == 1500
    assert max(done) <= 512
    rig.settle()
    assert all(entry.action == DROP for entry in rig.datapath.live().values())
    rig.check()


def test_new_flows_go_before_changes_in_the_output() -> None:
    rig = Rig(room=4096, queue=4096, share=4096, window=64)
    for port in range(1000):
        rig.packet(Talk(ONE.address, TWO.address, sport=port))
    rig.settle()
    put_port(rig.world, TWO, allowed=False)
    while rig.pairs.turn(rig.now):
        pass
    sent = len(rig.sent)
    rig.begin(Talk(ONE.address, REMOTE, UDP, 9, 9))
    assert any(request.fr_index == -1 for request in rig.sent[sent : sent + 2])
    rig.settle()
    rig.check()


def test_too_many_touches_touch_everything() -> None:
    rig = Rig()
    rig.connect(LOCAL)
    rig.connect(OUT)
    put_port(rig.world, TWO, allowed=False)
    for i in range(9000):
        put_route(rig.world, f"15.1.{i // 250}.{i % 250}", TUNNEL_NEXTHOP)
    rig.settle()
    assert [entry.action for entry in rig.datapath.live().values()] == [DROP, DROP, PASS, PASS]
    assert rig.pairs.counters["pairs_redecided"] >= 1
    rig.check()


def test_a_tunnel_that_leads_elsewhere_is_checked_against_its_new_source() -> None:
    """A reverse flow's source nexthop is that of the route back."""
    rig = Rig()
    rig.connect(OUT)
    rig.world.add(
        VrNexthopReq(
            nhr_id=23, nhr_type=3, nhr_family=2, nhr_flags=0x41, nhr_tun_dip=0x0A000003,
            nhr_encap_oif_id=(0,),
        )
    )  # fmt: skip
    put_route(rig.world, REMOTE, 23)
    rig.settle()
    assert rig.datapath.entries[1].told.fr_src_nh_index == 23
    rig.check()


# An earlier life of the agent


def start_again(rig: Rig) -> FlowScanner:
    """Another agent with the same world and the datapath's table as it is."""
    rig.pairs = FlowPairs(rig.world, **rig.options)
    rig.pairs.connected(rig.now)
    return FlowScanner(rig.pairs, rig.datapath.mapping, Timeouts(100.0, 100.0, 100.0, 100.0))


def scan(rig: Rig, scanner: FlowScanner, seconds: float = 60) -> None:
    for _ in range(int(seconds / 0.5)):
        rig.now += 0.5
        scanner.slice(rig.now)
        rig.pass_time(0)


@pytest.mark.parametrize("talk", [LOCAL, OUT, IN], ids=["local", "out", "in"])
def test_flows_of_an_earlier_life_go_on_without_a_gap(talk: Talk) -> None:
    rig = Rig()
    rig.connect(talk)
    rig.packet(talk.reply)  # each entry knows where its packets come from
    rig.packet(talk)
    before = {index: entry.gen_id for index, entry in rig.datapath.live().items()}
    scan(rig, start_again(rig))
    pair = rig.flow(talk)
    if pair["forward"]["key"] != talk.key:
        pair["forward"], pair["reverse"] = pair["reverse"], pair["forward"]
    assert {index: entry.gen_id for index, entry in rig.datapath.live().items()} == before
    assert [entry.action for entry in rig.datapath.live().values()] == [PASS, PASS]
    assert (pair["forward"]["packets"], pair["reverse"]["packets"]) == (2, 1)
    assert rig.pairs.counters["entries_kept"] == 2
    rig.check()


def test_a_flow_of_an_earlier_life_that_is_forbidden_now_goes() -> None:
    rig = Rig()
    rig.connect(LOCAL)
    put_port(rig.world, TWO, allowed=False)
    scan(rig, start_again(rig))
    assert not rig.datapath.live()
    assert rig.pairs.counters["entries_audited"] >= 2
    assert every(rig.pairs) == []


def test_a_flow_of_an_earlier_life_into_a_closed_port_of_the_sender_is_kept_the_other_way() -> None:
    """Only one direction may begin it, and the entries do not say which one did."""
    rig = Rig()
    made = world()
    rig.world = made
    rig.pairs = FlowPairs(made, **rig.options)
    rig.pairs.connected(rig.now)
    rig.connect(IN)
    rig.packet(IN.reply)
    rig.packet(IN)
    scan(rig, start_again(rig))
    assert len(rig.datapath.live()) == 2
    rig.check()


def test_the_same_vrf_of_a_kept_flow_is_told() -> None:
    rig = Rig()
    rig.connect(OUT)
    scan(rig, start_again(rig))
    assert [entry.told.fr_flow_vrf for entry in rig.datapath.live().values()] == [VRF, VRF]
    rig.check()
