"""Desired datapath objects: what `oper` wants and `ksync` makes true.

Both sides share this vocabulary so that neither imports the other.
"""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum
from typing import Any, NamedTuple, Protocol


class Kind(Enum):
    """The kinds of datapath object; the value is the name that users see."""

    VIF = "vif"
    NEXTHOP = "nexthop"
    LABEL = "label"
    VXLAN = "vxlan"
    VRF = "vrf"
    INET_ROUTE = "route"
    BRIDGE_ROUTE = "bridge"
    MIRROR = "mirror"
    VRF_ASSIGN = "vrf-assign"
    QOS_MAP = "qos-map"
    FORWARDING_CLASS = "forwarding-class"

    # Members are single objects; Enum's own hash is Python code, and keys are hashed a lot.
    __hash__ = object.__hash__


class Key(NamedTuple):
    """Names a datapath object by what it is, never by its index.

    `name` is made of strings, bytes, numbers and addresses, e.g.
    Key(Kind.NEXTHOP, ("interface", vmi_uuid, "l3-policy")).
    """

    kind: Kind
    name: Hashable


class Identity(NamedTuple):
    """A slot of the datapath.

    `number` is an int, except for an inet route: (vrf, family, prefix bytes, prefix length),
    a bridge route: (vrf, MAC) and a vrf-assign rule: (vif, vlan).
    """

    kind: Kind
    number: Any


class DatapathMessage(Protocol):
    """The ADD message of an object: a generated Sandesh message, immutable by agreement."""

    def encode(self) -> bytes: ...


class Desired(NamedTuple):
    """One desired object: its key, what must be acknowledged before it, its full ADD message."""

    key: Key
    refs: tuple[Key, ...]
    message: DatapathMessage
