"""Floating IPs: addresses of another network that stand for an address of the VM.

Facts oper-db.md 4.3, xmpp-ifmap.md 10.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from agent.oper.flow_rows import FloatingIp, PortMapping, Side
from agent.oper.incremental import View
from agent.oper.lending import order, place
from agent.oper.pools import lent
from agent.oper.rows import Vmi
from agent.oper.vmi import vmi
from agent.oper.world import BadConfig, address, items, member, number
from agent.values import Address

_ADDRESS, _FIXED = "floating-ip-address", "floating-ip-fixed-ip-address"
_SIDE, _MAPPINGS = "floating-ip-traffic-direction", "floating-ip-port-mappings"
_PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
_MOST_PORT = 65535


def floating_ips(view: View, uuid: UUID) -> tuple[FloatingIp, ...]:
    """The floating IPs of a VMI that forwards, by VRF name and address.

    Malformed ones are left out, and those whose family the VMI does not forward.
    """
    row = view(vmi, uuid)
    if row is None or not (row.ip4_active or row.ip6_active):
        return ()
    found: dict[tuple[str, Address], FloatingIp] = {}
    for one in lent(view, uuid, "floating-ip"):
        where = view(place, one.network)
        try:
            ends = _ends(row, one.node.properties)
            mappings = _mappings(one.node.properties)
        except BadConfig:
            continue
        if where is None or ends is None:
            continue
        own = FloatingIp(*ends, where.vrf, where.network.name, _side(one.node.properties), mappings)
        found.setdefault((where.vrf.name, own.address), own)
    return tuple(found[known] for known in sorted(found, key=order))


def _ends(row: Vmi, said: Mapping[str, Any]) -> tuple[Address, Address] | None:
    """The floating address and the one that it stands for: the VM's primary, if none is said."""
    public = address(member(said, _ADDRESS), _ADDRESS)
    primary = row.primary(public.version) if public else None
    fixed = address(member(said, _FIXED), _FIXED) or primary
    if public is None or primary is None or fixed is None or fixed.version != public.version:
        return None
    return public, fixed


def _side(said: Mapping[str, Any]) -> Side:
    text = str(member(said, _SIDE) or "").lower()
    return next((side for side in Side if side.value == text), Side.BOTH)


def _mappings(said: Mapping[str, Any]) -> tuple[PortMapping, ...] | None:
    """The mapped ports; None when all ports are as they are. Malformed ones are left out."""
    if member(said, f"{_MAPPINGS}-enable") is not True:
        return None
    found = (_mapping(one) for one in items(said, _MAPPINGS, "port-mappings"))
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _mapping(value: object) -> PortMapping | None:
    text = str(member(value, "protocol") or "").lower()
    protocol = _PROTOCOLS.get(text, int(text) if text.isdecimal() and len(text) < 4 else 0)
    try:
        ports = [number(member(value, name), name) for name in ("src-port", "dst-port")]
    except BadConfig:
        return None
    if not 0 < protocol < 256 or not all(0 < port <= _MOST_PORT for port in ports):
        return None
    return PortMapping(protocol, *ports)
