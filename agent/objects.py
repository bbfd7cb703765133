"""Desired datapath objects: what `oper` wants and `ksync` makes true.

Both sides share this vocabulary so that neither imports the other.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from enum import Enum
from ipaddress import ip_address
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

    def __str__(self) -> str:
        """As users see it: `nexthop interface tap1 l3`."""
        return f"{self.kind.value} {_words(self.name)}"

    @property
    def text(self) -> str:
        """The name as JSON: the same for equal keys in every process, another for others."""
        return json.dumps(_plain(self.name), separators=(",", ":"))


def _words(name: Hashable) -> str:
    """A name of parts, with blanks between; what has members of its own stays in one piece."""
    return " ".join(map(_words, name)) if type(name) is tuple else str(name)


def _plain(name: Hashable) -> object:
    if isinstance(name, tuple):
        return [_plain(part) for part in name]
    if isinstance(name, bytes):
        return {"bytes": name.hex()}
    return name if isinstance(name, str | int) else {type(name).__name__: str(name)}


class Numbered(NamedTuple):
    """A number (index or label) and the `text` of the key that it belongs to."""

    kind: Kind
    number: int
    text: str


class Identity(NamedTuple):
    """A slot of the datapath.

    `number` is an int, except for an inet route: (vrf, family, prefix bytes, prefix length),
    a bridge route: (vrf, MAC) and a vrf-assign rule: (vif, vlan).
    """

    kind: Kind
    number: Any

    def __str__(self) -> str:
        """As users see it: `nexthop 5`, `route 10.1.0.0/16 of VRF 2`."""
        if self.kind is Kind.INET_ROUTE:
            vrf, _, prefix, length = self.number
            return f"{self.kind.value} {ip_address(prefix)}/{length} of VRF {vrf}"
        if self.kind is Kind.BRIDGE_ROUTE:
            vrf, mac = self.number
            return f"{self.kind.value} {mac.hex(':')} of VRF {vrf}"
        if self.kind is Kind.VRF_ASSIGN:
            vif, vlan = self.number
            return f"{self.kind.value} VLAN {vlan} of vif {vif}"
        return f"{self.kind.value} {self.number}"


class DatapathMessage(Protocol):
    """The ADD message of an object: a generated Sandesh message, immutable by agreement."""

    def encode(self) -> bytes: ...


class Desired(NamedTuple):
    """One desired object: its key, what must be acknowledged before it, its full ADD message."""

    key: Key
    refs: tuple[Key, ...]
    message: DatapathMessage
