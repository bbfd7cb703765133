"""Nodes and links as a controller sends them, made of Python values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias
from uuid import UUID

from agent.inputs import GraphLink, GraphNode
from agent.topology import uuid_of
from agent.values import Prefix

SYSTEM = "default-global-system-config"
PROJECT = "default-domain:default-project"
GLOBAL_CONFIG = ("global-vrouter-config", f"{SYSTEM}:default-global-vrouter-config")

End: TypeAlias = tuple[str, str]
Parts: TypeAlias = Iterator[GraphNode | GraphLink]


def node(kind: str, name: str, uuid: UUID | None = None, **properties: Any) -> GraphNode:
    """A node with id-perms; `_` in the names of properties stands for `-`."""
    value = (uuid or uuid_of(kind, name)).int
    perms = {
        "uuid": {"uuid-mslong": value >> 64, "uuid-lslong": value & (2**64 - 1)},
        "enable": True,
    }
    members = {key.replace("_", "-"): content for key, content in properties.items()}
    return GraphNode(kind, name, members | {"id-perms": perms})


def link(metadata: str, left: End, right: End) -> GraphLink:
    """A plain link."""
    return GraphLink(metadata, left, right)


def attribute(metadata: str, left: End, right: End, value: Any) -> Parts:
    """A link with content: an attribute node between two links of the same metadata."""
    names = ",".join(name for _, name in sorted((left, right)))
    middle = GraphNode(metadata, f"attr({names})", {"value": value})
    yield middle
    yield link(metadata, left, (metadata, middle.name))
    yield link(metadata, (metadata, middle.name), right)


def network_name(network: str) -> str:
    """The fully qualified name of a network of the topology."""
    return f"{PROJECT}:{network}"


def vrf_name(network: str) -> str:
    """The name of its routing instance."""
    return f"{PROJECT}:{network}:{network}"


def subnet_type(prefix: Prefix) -> dict[str, Any]:
    """A SubnetType."""
    return {"ip-prefix": str(prefix.network_address), "ip-prefix-len": prefix.prefixlen}
