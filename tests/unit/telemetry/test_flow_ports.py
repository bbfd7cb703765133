"""Ports and set-up times of flows as statistics have them."""

from __future__ import annotations

import pytest

from agent.histogram import BOUNDS
from agent.telemetry.flow_ports import FlowPorts, PortBitmaps
from tests.reference.flow_model import TCP
from tests.unit.flow.pairs_rig import ONE, REMOTE, TWO, UDP, Rig, Talk


def walked(ports: FlowPorts, rig: Rig) -> int:
    """How many times others could work meanwhile."""
    return sum(1 for _ in ports.steps(rig.pairs))


def test_ports_of_an_interface_of_several_and_of_all() -> None:
    rig, ports = Rig(), FlowPorts()
    rig.connect(Talk(ONE.address, TWO.address, TCP, 256, 80))
    rig.connect(Talk(TWO.address, REMOTE, UDP, 8192, 53))
    walked(ports, rig)
    assert ports.of(ONE.vif).tcp_sport == (2, 0, 0, 0, 0, 0, 0, 0)
    assert ports.of(ONE.vif).udp_sport == (0,) * 8
    assert ports.of(TWO.vif).udp_sport == (0, 1, 0, 0, 0, 0, 0, 0)
    assert ports.of_all([ONE.vif, TWO.vif]) == ports.of()
    assert ports.of_all([]) == ports.of(99) == ports.of(1 << 20) == PortBitmaps()


def test_set_up_times_are_seconds_in_the_buckets_of_all_histograms() -> None:
    rig, ports = Rig(), FlowPorts()
    rig.begin(Talk(ONE.address, TWO.address, TCP, 256, 80))
    rig.now += 0.03
    rig.settle()
    rig.connect(Talk(ONE.address, TWO.address, TCP, 512, 80))
    walked(ports, rig)
    walked(ports, rig)
    assert ports.setup.count == 2
    assert ports.setup.total == pytest.approx(0.03)
    assert ports.setup.counts[BOUNDS.index(0.05)] == 1


def test_other_pairs_are_walked_over_from_the_beginning() -> None:
    ports = FlowPorts()
    for round_ in (1, 2):
        rig = Rig()
        rig.connect(Talk(ONE.address, TWO.address, TCP, 256 * round_, 80))
        walked(ports, rig)
        assert ports.of().tcp_sport[0] == 1 << round_
        assert ports.setup.count == round_
    assert list(ports.steps(None)) == []
    assert ports.of() == PortBitmaps()
