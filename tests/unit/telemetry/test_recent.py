"""The last ten minutes as series of rates."""

from __future__ import annotations

import pytest

from agent.sandesh.vrouter import VrInterfaceReq
from agent.telemetry.meters import Meters
from agent.telemetry.recent import SPAN, Recent
from agent.telemetry.sample import FlowSample, Sample
from agent.telemetry.statistics import Statistics


class Host:
    """A host with one port and a fabric interface, sampled when told."""

    def __init__(self) -> None:
        self.statistics, self.meters, self.recent = Statistics(), Meters(), Recent()

    def sample(self, now: float, packets: int, pairs: int = 0) -> None:
        vif = VrInterfaceReq(
            vifr_idx=3, vifr_type=3, vifr_name="tap1", vifr_ipackets=packets,
            vifr_ibytes=100 * packets,
        )  # fmt: skip
        fabric = vif.replace(vifr_idx=0, vifr_type=2, vifr_name="eth0", vifr_ipackets=2 * packets)
        flows = FlowSample(counters={"pairs_created": pairs})
        self.statistics.sample(Sample([fabric, vif], flows=flows), now)
        self.recent.take(self.statistics, self.meters, now)


def test_rates_are_means_between_rounds() -> None:
    host = Host()
    host.sample(100.0, 0)
    host.sample(110.0, 50, pairs=10)
    host.meters.lagged(0.015)
    host.sample(120.0, 150, pairs=10)
    series = host.recent.series(120.0)
    assert series.times == [110.0, 120.0]
    assert series.vm_packets == [5.0, 10.0]
    assert series.vm_bits == [4000.0, 8000.0]
    assert series.fabric_packets == [10.0, 20.0]
    assert series.flows_created == [2.0, 0.0]
    assert series.lag == [0.0, 0.02]


def test_counters_that_fall_give_no_negative_rate() -> None:
    host = Host()
    host.sample(100.0, 10)
    host.statistics.sample(Sample([]), 105.0)
    host.recent.take(host.statistics, host.meters, 105.0)
    assert host.recent.series(105.0).vm_packets == [0.0]


@pytest.mark.parametrize("count", [0, 1])
def test_one_moment_is_no_series(count: int) -> None:
    host = Host()
    for at in range(count):
        host.sample(float(at), at)
    assert host.recent.series(1.0).times == []


def test_what_is_kept_is_bounded_in_number_and_age() -> None:
    host = Host()
    for at in range(2000):
        host.sample(at / 2, at)
    times = host.recent.series(1000.0).times
    assert len(times) <= SPAN
    assert times[0] >= 1000.0 - SPAN


def test_a_port_has_a_series_of_its_own() -> None:
    host = Host()
    for at in range(4):
        host.sample(10.0 * at, 10 * at)
    vif = host.statistics.vif(3)
    assert vif is not None
    assert [(at, rate.in_bps, rate.out_bps) for at, rate in vif.series()] == [
        (10.0, 800, 0),
        (20.0, 800, 0),
        (30.0, 800, 0),
    ]
