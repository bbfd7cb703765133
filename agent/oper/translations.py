"""Addresses that stand for a port in other networks, and those that it may use beside its own."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from agent.ifmap import NodeRef
from agent.oper.acl import acl_name
from agent.oper.alias_ip import alias_ips
from agent.oper.floating_ip import floating_ips
from agent.oper.flow_rows import PortTranslations
from agent.oper.incremental import View
from agent.oper.pools import lenders
from agent.oper.port_policy import has_policy, network_lists
from agent.oper.vmi import vmi


def port_translations(view: View, uuid: UUID) -> PortTranslations:
    """The translations of a plugged VMI, with the lists of the networks that lend the addresses.

    None while it does not forward.
    """
    row = view(vmi, uuid)
    if row is None or not view(lenders, uuid):
        return PortTranslations(pairs=row.pairs if row else ())
    return PortTranslations(
        tuple(
            replace(one, acl=_decides(view, uuid, one.network)) for one in view(floating_ips, uuid)
        ),
        tuple(replace(one, acl=_decides(view, uuid, one.network)) for one in view(alias_ips, uuid)),
        row.pairs,
    )


def _decides(view: View, uuid: UUID, network: str) -> str:
    """The list of a network by name; "" for none, and where the port has no policy."""
    if not view(has_policy, uuid):
        return ""
    ref = view(network_lists, NodeRef("virtual-network", network)).policy
    return acl_name(ref) if ref else ""
