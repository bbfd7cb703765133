"""Timeouts of flows from the settings file and the global configuration."""

from __future__ import annotations

from typing import Any

import pytest

from agent import settings
from agent.flow.aging import ServiceTimeout, Timeouts, service_timeouts, timeouts


def test_without_options_dropped_flows_have_the_common_timeout() -> None:
    assert timeouts(settings.parse("", "file")) == Timeouts(180, 180, 60, 10, ())


def test_options_and_services() -> None:
    text = (
        "[DEFAULT]\nflow_cache_timeout = 300\n"
        "[FLOWS]\ndropped_timeout = 20\ntcp_closed_timeout = 0\n"
    )
    services = [ServiceTimeout(17, 53, 9), ServiceTimeout(6, 0, 7200), ServiceTimeout(17, 53, 5)]
    assert timeouts(settings.parse(text, "file"), services) == Timeouts(
        common=300,
        dropped=20,
        tcp_half_open=60,
        tcp_closed=300,
        services=(ServiceTimeout(17, 53, 5), ServiceTimeout(6, 0, 7200)),
    )


def test_more_services_than_there_is_room_for_are_left_out() -> None:
    services = [ServiceTimeout(6, port, 5) for port in range(300)]
    assert timeouts(settings.parse("", "file"), services).services == tuple(services[:256])


def row(protocol: Any, port: Any = 0, seconds: Any = 30) -> dict[str, Any]:
    return {"protocol": protocol, "port": port, "timeout-in-seconds": seconds}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([row("tcp", 80, 99)], [ServiceTimeout(6, 80, 99)]),
        ([row("UDP"), row("47")], [ServiceTimeout(17, 0, 30), ServiceTimeout(47, 0, 30)]),
        ([row("icmp6", None)], [ServiceTimeout(58, 0, 30)]),
        ([row("tcp", 80, 0), row("tcp", 81, None), row("tcp", 82, -1)], []),
        ([row("nonsense"), row("256"), row(None), row("tcp", 65536), row("tcp", -1)], []),
        ([row("sctp", 1, 10**12)], [ServiceTimeout(132, 1, 604800)]),
    ],
)
def test_services_of_the_global_configuration(
    rows: list[dict[str, Any]], expected: list[ServiceTimeout]
) -> None:
    properties = {"flow-aging-timeout-list": {"flow-aging-timeout": rows}}
    assert service_timeouts(properties) == tuple(expected)


def test_a_configuration_without_services() -> None:
    assert service_timeouts({}) == ()
