"""Addresses that stand for a port in other networks, and those that it may use beside its own."""

from __future__ import annotations

from uuid import UUID

from agent.oper.alias_ip import alias_ips
from agent.oper.floating_ip import floating_ips
from agent.oper.flow_rows import PortTranslations
from agent.oper.incremental import View
from agent.oper.vmi import vmi


def port_translations(view: View, uuid: UUID) -> PortTranslations:
    """The translations of a plugged VMI; none while it does not forward."""
    row = view(vmi, uuid)
    return PortTranslations(
        view(floating_ips, uuid), view(alias_ips, uuid), row.pairs if row else ()
    )
