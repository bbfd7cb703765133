"""Statistics from samples: totals, rates, bandwidth, drops, VRFs, flows, watermarks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.sandesh.vrouter import VrDropStatsReq, VrInterfaceReq, VrVrfStatsReq
from agent.telemetry.bandwidth import SLOTS, Bandwidth
from agent.telemetry.counting import grown
from agent.telemetry.sample import FlowSample, Process, Sample, Use
from agent.telemetry.statistics import Statistics, Traffic, VifStatistics
from agent.telemetry.watermarks import Level


def vif(index: int = 3, name: str = "tap1", **counters: int) -> VrInterfaceReq:
    kind = counters.pop("kind", 3)
    fields = {f"vifr_{key}": value for key, value in counters.items()}
    return VrInterfaceReq(vifr_idx=index, vifr_name=name, vifr_type=kind, **fields)


def only(statistics: Statistics) -> VifStatistics:
    (found,) = statistics.vifs()
    return found


def sampled(*rounds: tuple[float, Sample]) -> Statistics:
    statistics = Statistics()
    for at, sample in rounds:
        statistics.sample(sample, at)
    return statistics


def test_the_first_sample_is_the_total_and_no_rate() -> None:
    row = vif(
        ibytes=1, ipackets=2, ierrors=3, obytes=4, opackets=5, oerrors=6, dpackets=7, speed=100
    )
    found = only(sampled((10.0, Sample([row]))))
    assert found.traffic == Traffic(1, 2, 3, 4, 5, 6, 7)
    assert found.rate == Bandwidth(0, 0)
    assert found.bandwidth(60) == Bandwidth(0, 0)
    assert (found.index, found.name, found.type, found.speed) == (3, "tap1", 3, 100)


def test_rates_are_bits_a_second_of_the_last_interval() -> None:
    statistics = sampled(
        (0.0, Sample([vif(ibytes=0, obytes=1000)])),
        (10.0, Sample([vif(ibytes=1000, obytes=1000)])),
        (20.0, Sample([vif(ibytes=1500, obytes=2000)])),
    )
    assert only(statistics).rate == Bandwidth(400, 800)


def test_bandwidth_is_the_mean_over_the_window_that_was_asked_for() -> None:
    statistics = Statistics()
    octets = 0
    for step in range(61):  # 10 minutes of 100, then 1000 bytes a second for the last one
        statistics.sample(Sample([vif(ibytes=octets)]), step * 10.0)
        octets += 10_000 if step >= 54 else 1_000
    found = only(statistics)
    assert found.bandwidth(60).in_bps == 8_000
    assert found.bandwidth(300).in_bps == (4 * 800 + 8_000) // 5
    assert found.bandwidth(600).in_bps == (9 * 800 + 8_000) // 10


def test_memory_of_a_port_does_not_grow_with_time_or_a_short_interval() -> None:
    statistics = Statistics()
    for step in range(3 * 600):
        statistics.sample(Sample([vif(ibytes=step * 125)]), float(step))
    found = only(statistics)
    assert found.bandwidth(600) == Bandwidth(1000, 0)
    assert len(statistics._rounds._kept) == SLOTS


def test_a_port_that_came_later_is_judged_by_its_own_time() -> None:
    statistics = sampled(*((step * 10.0, Sample([])) for step in range(30)))
    statistics.sample(Sample([vif(ibytes=5_000)]), 301.0)
    statistics.sample(Sample([vif(ibytes=6_000)]), 303.0)
    assert only(statistics).bandwidth(600) == Bandwidth(4000, 0)


def test_totals_go_on_when_the_datapath_begins_anew() -> None:
    statistics = sampled(
        (0.0, Sample([vif(ibytes=5_000)])),
        (10.0, Sample([vif(ibytes=400)])),
        (20.0, Sample([vif(ibytes=500)])),
    )
    found = only(statistics)
    assert found.traffic.in_bytes == 5_500
    assert found.rate.in_bps == 80


def test_another_port_with_the_same_index_begins_at_its_own_counters() -> None:
    statistics = sampled(
        (0.0, Sample([vif(ibytes=5_000)])), (10.0, Sample([vif(name="tap2", ibytes=7_000)]))
    )
    assert only(statistics).traffic.in_bytes == 7_000
    assert only(statistics).rate.in_bps == 0


def test_a_port_that_is_gone_is_forgotten() -> None:
    statistics = sampled((0.0, Sample([vif(), vif(4, "tap2")])), (10.0, Sample([vif(4, "tap2")])))
    assert [found.index for found in statistics.vifs()] == [4]
    assert statistics.vif(3) is None


@settings(deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**48 - 1))
def test_counters_wrap_at_64_bits_signed_or_not(before: int, step: int) -> None:
    after = (before + step) % 2**64
    signed = after - 2**64 if after >= 2**63 else after
    assert grown(before, after) == grown(before, signed) == step


def test_a_counter_that_jumps_back_begins_anew() -> None:
    assert grown(10**15, 10) == 10
    assert grown(10, 9) == 9


def test_fabric_utilization_is_percent_of_the_speed() -> None:
    def fabric(octets: int) -> Sample:
        return Sample([vif(0, "eth0", kind=2, ibytes=octets, speed=10), vif(1, "vhost0", kind=0)])

    statistics = sampled((0.0, fabric(0)), (60.0, fabric(7_500_000)))
    (found,) = statistics.fabric()
    assert found.utilization(60) == (pytest.approx(10.0), 0.0)
    vhost = statistics.vhost()
    assert vhost is not None
    assert vhost.name == "vhost0"
    assert vhost.utilization(60) is None


def test_drops_by_reason_and_by_port_are_totals_without_zeros() -> None:
    statistics = sampled(
        (0.0, Sample([vif()], drops=VrDropStatsReq(vds_discard=5, vds_ttl_exceeded=1))),
        (1.0, Sample([vif()], drops=VrDropStatsReq(vds_discard=2))),
        (2.0, Sample([vif()], vif_drops={3: VrDropStatsReq(vds_invalid_arp=4)})),
    )
    assert statistics.drops == {"discard": 7, "ttl_exceeded": 1}
    assert statistics.dropped == 8
    assert only(statistics).drops == {"invalid_arp": 4}


def test_vrf_counters_by_name() -> None:
    statistics = sampled(
        (0.0, Sample([], vrfs=[VrVrfStatsReq(vsr_vrf=2, vsr_encaps=3)])),
        (1.0, Sample([])),
        (2.0, Sample([], vrfs=[VrVrfStatsReq(vsr_vrf=2, vsr_encaps=8, vsr_diags=1)])),
    )
    found = statistics.vrf(2)
    assert found is not None
    assert {name: count for name, count in found.items() if count} == {"encaps": 8, "diags": 1}
    assert statistics.vrfs() == [2]
    assert statistics.vrf(3) is None


def test_a_large_round_is_taken_in_steps_and_shown_only_as_a_whole() -> None:
    statistics = sampled((0.0, Sample([vif(1)], vrfs=[VrVrfStatsReq(vsr_vrf=1)])))
    rows = [vif(index, f"tap{index}") for index in range(300)]
    vrfs = [VrVrfStatsReq(vsr_vrf=index) for index in range(300)]
    steps = statistics.steps(Sample(rows, vrfs=vrfs), 10.0)
    next(steps)
    assert [found.index for found in statistics.vifs()] == [1]
    assert (statistics.vrfs(), statistics.rounds) == ([1], 1)
    assert sum(1 for _ in steps) >= 7
    assert len(list(statistics.vifs())) == len(statistics.vrfs()) == 300
    assert (statistics.taken, statistics.rounds) == (10.0, 2)


def flows(created: int, ended: int, **more: Any) -> FlowSample:
    return FlowSample(
        created - ended, {"pairs_created": created, "pairs_ended": ended}, {"aged": 3}, **more
    )


def test_flows_are_two_a_pair_and_rates_a_second() -> None:
    statistics = sampled(
        (0.0, Sample([vif()], flows=flows(10, 0))),
        (10.0, Sample([vif()], flows=flows(60, 10, sweep={"held": 7}, by_vif={3: 6}))),
        (20.0, Sample([vif()], flows=flows(70, 70, by_vif={3: 2}))),
    )
    found = statistics.flows
    assert (found.active, found.created, found.ended, found.aged, found.held) == (0, 140, 140, 6, 0)
    assert found.rate == (2.0, 12.0)
    assert found.over(30.0, 20.0) == (120, 10, 2, 140, 12, 2)
    assert only(statistics).flows == 2


def test_flows_of_an_agent_that_lost_its_table_do_not_count_backwards() -> None:
    statistics = sampled((0.0, Sample([], flows=flows(60, 10))), (10.0, Sample([])))
    assert statistics.flows.rate == (0.0, 0.0)


def test_watermarks_keep_their_level_until_well_below_the_mark() -> None:
    statistics = Statistics(high_watermark=80)
    levels = []
    for count in (79, 80, 76, 74, 100, 90, 10):
        statistics.sample(Sample([], used={"vif": Use(count, 100)}), float(count))
        levels.append(statistics.watermarks["vif"].level)
    normal, high, full = Level.NORMAL, Level.HIGH, Level.FULL
    assert levels == [normal, high, high, normal, full, high, normal]
    assert statistics.watermarks["vif"].peak == 100


def test_a_table_without_a_known_limit_is_never_full() -> None:
    statistics = sampled((0.0, Sample([], used={"vif": Use(5, 0)})))
    assert statistics.watermarks["vif"].level is Level.NORMAL


def test_the_agents_share_of_a_processor() -> None:
    statistics = sampled(
        (0.0, Sample([], process=Process(cpu_seconds=5.0))),
        (10.0, Sample([], process=Process(cpu_seconds=6.5))),
    )
    assert statistics.cpu_share == pytest.approx(0.15)


def test_a_round_that_could_not_be_had_changes_nothing_but_the_counters_of_it() -> None:
    statistics = sampled((0.0, Sample([vif(ibytes=9)])))
    statistics.missed("no datapath")
    assert (statistics.rounds, statistics.failed, statistics.problem) == (1, 1, "no datapath")
    assert only(statistics).traffic.in_bytes == 9
    statistics.sample(Sample([vif(ibytes=9)]), 5.0)
    assert statistics.problem == ""
