"""Alias IPs: addresses of another network that a VM has beside its own, without translation."""

from __future__ import annotations

from uuid import UUID

from agent.oper.flow_rows import AliasIp
from agent.oper.incremental import View
from agent.oper.lending import order, place
from agent.oper.pools import lent
from agent.oper.vmi import vmi
from agent.oper.world import BadConfig, address, member
from agent.values import Address

_ADDRESS = "alias-ip-address"


def alias_ips(view: View, uuid: UUID) -> tuple[AliasIp, ...]:
    """The alias IPs of a VMI that forwards their family, by VRF name and address."""
    row = view(vmi, uuid)
    if row is None or not (row.ip4_active or row.ip6_active):
        return ()
    found: dict[tuple[str, Address], AliasIp] = {}
    for one in lent(view, uuid, "alias-ip"):
        where = view(place, one.network)
        try:
            own = address(member(one.node.properties, _ADDRESS), _ADDRESS)
        except BadConfig:
            continue
        if where is not None and own is not None and row.primary(own.version) is not None:
            found.setdefault((where.vrf.name, own), AliasIp(own, where.vrf, where.network.name))
    return tuple(found[known] for known in sorted(found, key=order))
