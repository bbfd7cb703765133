"""The inputs as the functions of `oper` read them, and how to read configuration safely."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network
from typing import Any
from uuid import UUID

from agent.errors import ConfigError
from agent.ifmap import Identity, Neighbours, NodeRef
from agent.inputs import (
    ArpResolved,
    ContainerPort,
    DhcpSnooped,
    DropNewFlows,
    GraphNode,
    HostSettings,
    Link,
    LinkTold,
    PluggedPort,
    SimpleGateway,
    TrafficSeen,
)
from agent.oper.incremental import Source, View
from agent.values import Address, Mac, Prefix

NODE: Source[NodeRef, GraphNode | None] = Source("node")
NEIGHBOURS: Source[Neighbours, tuple[NodeRef, ...]] = Source("neighbours")
BY_UUID: Source[Identity, NodeRef | None] = Source("uuid")
PORT: Source[UUID, PluggedPort | None] = Source("port")
PORTS: Source[None, tuple[UUID, ...]] = Source("ports")
CONTAINERS: Source[None, tuple[ContainerPort, ...]] = Source("container ports")
LINK: Source[str, Link | None] = Source("link")
HOST: Source[None, HostSettings] = Source("host")
GATEWAY: Source[str, SimpleGateway | None] = Source("gateway")
GATEWAYS: Source[None, tuple[str, ...]] = Source("gateways")
ARP: Source[tuple[int, IPv4Address], ArpResolved | None] = Source("arp")
ARPS: Source[None, tuple[tuple[int, IPv4Address], ...]] = Source("arps")
SNOOPED: Source[int, DhcpSnooped | None] = Source("snooped")
DROPPING: Source[int, DropNewFlows | None] = Source("dropping")
"""By vif index: whether the datapath drops what would be a new flow."""
TOLD_DOWN: Source[int, LinkTold | None] = Source("told down")
"""By vif index: the datapath says that nothing is behind a vhost-user socket."""
TRAFFIC: Source[tuple[int, Address], TrafficSeen | None] = Source("traffic")


class BadConfig(ConfigError):
    """A configuration node that cannot be used; the text says why, for its inactive row."""


def node(view: View, ref: NodeRef) -> GraphNode | None:
    """The configuration node."""
    return view.read(NODE, ref)


def neighbours(view: View, ref: NodeRef, metadata: str, kind: str) -> list[NodeRef]:
    """The nodes of type `kind` that links of `metadata` join to `ref`, by name."""
    return [end for end in view.read(NEIGHBOURS, Neighbours(ref, metadata)) if end.type == kind]


def attributes(
    view: View, ref: NodeRef, metadata: str, kind: str
) -> list[tuple[GraphNode, NodeRef]]:
    """The attribute nodes of `metadata` at `ref`, each with the node of `kind` behind it."""
    found = []
    for middle in neighbours(view, ref, metadata, metadata):
        attribute = view.read(NODE, middle)
        for end in neighbours(view, middle, metadata, kind):
            if attribute is not None and end != ref:
                found.append((attribute, end))
    return found


def member(value: object, *path: str) -> Any:
    """The content at `path` of nested members; None where something is missing."""
    for name in path:
        if type(value) is not dict and not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def items(value: object, *path: str) -> list[Any]:
    """The list at `path`; empty when missing. BadConfig when it is something else."""
    found = member(value, *path)
    if found is None:
        return []
    if not isinstance(found, list | tuple):
        raise BadConfig(f"{path[-1]}: expected a list, found {found!r}")
    return list(found)


def enabled(properties: Mapping[str, Any]) -> bool:
    """The admin state in id-perms; up when it is not said."""
    return member(properties, "id-perms", "enable") is not False


def address(value: object, place: str) -> Address | None:
    """An address in text; None for a missing, empty or unspecified one. BadConfig otherwise."""
    if value in (None, ""):
        return None
    try:
        found = ip_address(str(value))
    except ValueError:
        raise BadConfig(f"{place}: {value!r} is not an address") from None
    return None if found.is_unspecified else found


def address4(value: object, place: str) -> IPv4Address | None:
    """As `address`; None for an address of the other family."""
    found = address(value, place)
    return found if isinstance(found, IPv4Address) else None


def subnet(value: object, place: str) -> Prefix:
    """A SubnetType {ip-prefix, ip-prefix-len}; BadConfig when malformed."""
    text = f"{member(value, 'ip-prefix')}/{member(value, 'ip-prefix-len')}"
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise BadConfig(f"{place}: {text!r} is not a prefix") from None


def network4(value: object, place: str) -> IPv4Network | None:
    """A prefix in text; None for one of the other family. BadConfig when malformed."""
    try:
        found = ip_network(str(value), strict=False)
    except ValueError:
        raise BadConfig(f"{place}: {value!r} is not a prefix") from None
    return found if isinstance(found, IPv4Network) else None


def mac(value: object, place: str) -> Mac:
    """A MAC address in text; BadConfig when malformed."""
    try:
        return Mac.parse(str(value))
    except ValueError:
        raise BadConfig(f"{place}: {value!r} is not a MAC address") from None


def number(value: object, place: str) -> int:
    """A whole number, 0 when missing; BadConfig when it is something else."""
    if value is None:
        return 0
    if not isinstance(value, int):
        raise BadConfig(f"{place}: {value!r} is not a number")
    return int(value)
