"""How many flows there may be: from the settings and the global configuration to numbers.

Facts pkt0-services.md 12 (order of set-up, step 5), ifmap-schema.json (global-vrouter-config).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from agent.oper.world import BadConfig, member, number
from agent.settings import Settings

_MOST_LINK_LOCAL = 65535


class Limits(TypedDict):
    """Flows, two a pair; 0 for the first two: not limited."""

    vmi_flows: int
    vm_flows: int
    link_local_flows: int
    vm_link_local_flows: int


def limits(settings: Settings, properties: Mapping[str, Any], entries: int) -> Limits:
    """The limits that hold for all; those of a VM are a percentage of a table of `entries`."""
    percent = _percentage(properties, settings)
    return Limits(
        vmi_flows=_count(properties, "global-max-vmi-flows"),
        vm_flows=int(entries * percent / 100) if 0 < percent < 100 else 0,
        link_local_flows=_link_local(settings, "max_system_linklocal_flows"),
        vm_link_local_flows=_link_local(settings, "max_vm_linklocal_flows"),
    )


def _percentage(properties: Mapping[str, Any], settings: Settings) -> float:
    configured = _count(properties, "max-vm-flows-percent")
    if configured:
        return configured
    try:
        return float(settings.get("FLOWS", "max_vm_flows", str) or 0)
    except ValueError:
        return 0.0


def _count(properties: Mapping[str, Any], name: str) -> int:
    try:
        return max(number(member(properties, name), name), 0)
    except BadConfig:
        return 0


def _link_local(settings: Settings, option: str) -> int:
    return min(settings.get("FLOWS", option, int), _MOST_LINK_LOCAL)
