"""Path preference: which of the hosts that know an address has it (facts xmpp-ifmap.md 13).

A port waits until traffic was seen from its VM; then it takes the address, with a sequence
number above all that were heard. Who hears of a higher one from elsewhere waits again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import UUID

from agent.ifmap import Identity
from agent.oper.address_pairs import shared_pairs
from agent.oper.incremental import Source, View
from agent.oper.vmi import vmi
from agent.oper.world import (
    BY_UUID,
    TRAFFIC,
    BadConfig,
    address,
    member,
    neighbours,
    node,
    number,
)
from agent.values import Address

LOW, HIGH = 100, 200

SEQUENCE: Source[tuple[int, Address], int | None] = Source("sequence")
"""(vif index, address) -> the sequence number with which the port last took the address."""


class PathPreference(NamedTuple):
    """How a port's path compares to those of others; `waits`: traffic was not yet seen."""

    preference: int
    sequence: int
    waits: bool


def path_preference(view: View, uuid: UUID, address: Address) -> PathPreference:
    """The path preference of an address that a plugged VMI has, or of a pair's first one."""
    static = view(static_preference, uuid)
    if static or address in view(active_active, uuid):
        return PathPreference(static or HIGH, 0, waits=False)
    row = view(vmi, uuid)
    if row is None:
        return PathPreference(LOW, 0, waits=True)
    seen = view.read(TRAFFIC, (row.vif_index, address))
    sequence = view.read(SEQUENCE, (row.vif_index, address)) or 0
    waits = seen is None or seen.mac not in row.macs_of(address)
    return PathPreference(LOW if waits else HIGH, sequence, waits)


def active_active(view: View, uuid: UUID) -> frozenset[Address]:
    """The addresses of a VMI that it has together with others: nobody gives way to another."""
    found = instance_ips(view, uuid)
    own = (one for one, said in found if member(said, "instance-ip-mode") == "active-active")
    return frozenset(own) | shared_pairs(view, uuid)


def instance_ips(view: View, uuid: UUID) -> Iterator[tuple[Address, Mapping[str, Any]]]:
    """The instance IPs of a VMI with what is said of each; malformed ones are left out."""
    ref = view.read(BY_UUID, Identity("virtual-machine-interface", uuid))
    metadata = "instance-ip-virtual-machine-interface"
    for end in neighbours(view, ref, metadata, "instance-ip") if ref else ():
        instance = node(view, end)
        with suppress(BadConfig):
            said = instance.properties if instance else {}
            found = address(member(said, "instance-ip-address"), "instance-ip-address")
            if found is not None:
                yield found, said


def static_preference(view: View, uuid: UUID) -> int:
    """The preference that configuration gives to a VMI; 0 for none."""
    ref = view.read(BY_UUID, Identity("virtual-machine-interface", uuid))
    found = node(view, ref) if ref else None
    if found is None:
        return 0
    place = "virtual-machine-interface-properties"
    try:
        return number(member(found.properties, place, "local-preference"), "local-preference")
    except BadConfig:
        return 0
