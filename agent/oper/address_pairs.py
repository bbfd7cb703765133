"""Allowed address pairs: what a VMI may use beside its own addresses (facts oper-db.md 4.3)."""

from __future__ import annotations

from uuid import UUID

from agent.ifmap import Identity
from agent.oper.incremental import View
from agent.oper.rows import AddressPair
from agent.oper.world import BY_UUID, HOST, BadConfig, items, mac, member, node, subnet
from agent.values import Address

_VMI = "virtual-machine-interface"
_PAIRS = f"{_VMI}-allowed-address-pairs"
_BITS = 32
_ZERO = "00:00:00:00:00:00"


def address_pairs(view: View, uuid: UUID) -> tuple[AddressPair, ...]:
    """The pairs of a configured VMI, each prefix and MAC once.

    Unusable ones are left out: malformed, without an address, or with more addresses than
    the configuration file's `min_aap_prefix_len` lets one port have.
    """
    ref = view.read(BY_UUID, Identity(_VMI, uuid))
    found = node(view, ref) if ref else None
    try:
        listed = items(found and found.properties, _PAIRS, "allowed-address-pair")
    except BadConfig:
        return ()
    most = _BITS - view.read(HOST, None).least_pair_length
    pairs: dict[object, AddressPair] = {}
    for one in listed:
        pair = _pair(one)
        if pair is not None and pair.prefix.max_prefixlen - pair.prefix.prefixlen <= most:
            pairs.setdefault((pair.prefix, pair.mac), pair)
    return tuple(pairs.values())


def _pair(value: object) -> AddressPair | None:
    own = member(value, "mac")
    try:
        prefix = subnet(member(value, "ip"), "ip")
        station = mac(own, "mac") if own and own != _ZERO else None
    except BadConfig:
        return None
    if prefix.network_address.is_unspecified or (station and station[0] & 1):
        return None
    return AddressPair(prefix, station, member(value, "address-mode") == "active-active")


def shared_pairs(view: View, uuid: UUID) -> frozenset[Address]:
    """The addresses of the pairs that a VMI has together with others."""
    return frozenset(pair.prefix.network_address for pair in view(address_pairs, uuid) if pair.ecmp)
