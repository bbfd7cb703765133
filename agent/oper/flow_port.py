"""All that configuration says of a plugged port's flows, in one row."""

from __future__ import annotations

from uuid import UUID

from agent.oper.flow_rows import FlowPort, PortLimits, PortPolicy, PortTranslations
from agent.oper.incremental import Failure, View
from agent.oper.port_limits import port_limits
from agent.oper.port_policy import CLOSED, port_policy
from agent.oper.translations import port_translations


def flow_port(view: View, uuid: UUID) -> FlowPort | None:
    """The row of a VMI; None while it is not configured.

    Where its policy could not be computed everything is denied; where only another part could
    not, that part is empty.
    """
    policy: PortPolicy | Failure | None = view.attempt(port_policy, uuid)
    if policy is None:
        return None
    translations = view.attempt(port_translations, uuid)
    limits = view.attempt(port_limits, uuid)
    return FlowPort(
        CLOSED if isinstance(policy, Failure) else policy,
        PortTranslations() if isinstance(translations, Failure) else translations,
        PortLimits() if isinstance(limits, Failure) else limits,
    )
