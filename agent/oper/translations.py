"""Addresses of other networks that stand for a port, and those that its VM may use beside."""

from __future__ import annotations

from uuid import UUID

from agent.oper.flow_rows import PortTranslations
from agent.oper.incremental import View
from agent.oper.vmi import vmi


def port_translations(view: View, uuid: UUID) -> PortTranslations:
    """The translations of a VMI; none while it is not plugged."""
    row = view(vmi, uuid)
    return PortTranslations(pairs=row.pairs) if row else PortTranslations()
