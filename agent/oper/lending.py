"""Where the addresses that a network lends are known: its VRF on this host."""

from __future__ import annotations

from typing import NamedTuple

from agent.ifmap import NodeRef
from agent.oper.incremental import Failure, View
from agent.oper.pools import instance_of
from agent.oper.rows import Vn, Vrf
from agent.oper.vn import vn
from agent.oper.vrf import vrf
from agent.values import Address


class Place(NamedTuple):
    """A network that lends addresses, with the VRF where they are known."""

    network: Vn
    vrf: Vrf


def place(view: View, network: NodeRef) -> Place | None:
    """Where the lent addresses of a network are; None while it cannot be used."""
    row, name = view(vn, network), view(instance_of, network)
    if row is None or not row.active or not row.l3 or name is None:
        return None
    instance = view.attempt(vrf, name)
    return None if isinstance(instance, Failure) else Place(row, instance)


def order(known: tuple[str, Address]) -> tuple[str, int, int]:
    """Where a lent address comes in a list, by the VRF's name and the address."""
    name, address = known
    return name, address.version, int(address)
