"""Limits of flows from settings and the global configuration."""

from __future__ import annotations

import pytest

from agent.flow.limits import limits
from agent.settings import Settings, parse


def settings(text: str = "") -> Settings:
    return parse(f"[FLOWS]\n{text}\n")


def test_nothing_said_is_no_limit_but_that_of_link_local() -> None:
    assert limits(settings(), {}, 1000) == {
        "vmi_flows": 0,
        "vm_flows": 0,
        "link_local_flows": 16384,
        "vm_link_local_flows": 16384,
    }


def test_a_percentage_of_the_table() -> None:
    assert limits(settings("max_vm_flows = 25"), {}, 1000)["vm_flows"] == 250
    said = {"max-vm-flows-percent": 10}
    assert limits(settings("max_vm_flows = 25"), said, 1000)["vm_flows"] == 100


@pytest.mark.parametrize("text", ["0", "100", "-3", "many", "nan"])
def test_what_is_no_share_of_the_table_is_no_limit(text: str) -> None:
    assert limits(settings(f"max_vm_flows = {text}"), {}, 1000)["vm_flows"] == 0


def test_the_global_limit_of_a_port() -> None:
    assert limits(settings(), {"global-max-vmi-flows": 500}, 1000)["vmi_flows"] == 500
    assert limits(settings(), {"global-max-vmi-flows": "x"}, 1000)["vmi_flows"] == 0
