"""What the agent counts of its own work."""

from __future__ import annotations

from agent.telemetry import Meters


def test_a_long_pause_of_the_loop_is_a_stall() -> None:
    meters = Meters()
    for seconds in (0.001, 0.6, 0.2):
        meters.lagged(seconds)
    assert meters.stalls == 1
    assert meters.loop_lag.count == 3


def test_answers_are_counted_by_surface_and_status_and_not_without_bound() -> None:
    meters = Meters()
    for status in range(1000):
        meters.answered("introspect", status, 0.01)
    meters.answered("introspect", 1, 0.01)
    assert meters.http["introspect", 1] == 2
    assert len(meters.http) == 256
    assert meters.http_time.count == 1001
