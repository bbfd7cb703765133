"""What all routes of a port have in common that controllers are told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from uuid import UUID

from agent.oper.fabric import fabric
from agent.oper.incremental import View
from agent.oper.marks import etree_leaf, hash_fields
from agent.oper.port_nexthops import nexthops
from agent.oper.preference import PathPreference
from agent.oper.prefixes import PortPrefix, prefixes
from agent.oper.rows import Fabric, Vmi, Vn, Vrf
from agent.oper.security_group import security_groups
from agent.oper.tag import tags
from agent.oper.vmi import vmi
from agent.routes import LoadBalanceField, RouteAttributes, RouteNexthop


@dataclass(frozen=True, slots=True)
class ExportedPort:
    """What all routes of a port have in common."""

    row: Vmi
    vn: Vn
    vrf: Vrf
    fabric: Fabric
    router_id: IPv4Address
    groups: tuple[int, ...]
    tags: tuple[int, ...]
    spread: frozenset[LoadBalanceField]
    leaf: bool

    def attributes(self, way: RouteNexthop, path: PathPreference) -> RouteAttributes:
        """Those of a route of the port that goes this way."""
        return RouteAttributes(
            (way,),
            sequence=path.sequence,
            local_preference=path.preference,
            security_groups=self.groups,
        )


def exported_port(view: View, uuid: UUID) -> ExportedPort | None:
    """What a port's routes have in common; None for a port that has none."""
    row, host, made = view(vmi, uuid), view(fabric), view(nexthops, uuid)
    if row is None or made is None or host is None or host.router_id is None:
        return None
    if row.vn is None or row.vrf is None:
        return None
    return ExportedPort(
        row,
        row.vn,
        row.vrf,
        host,
        host.router_id,
        view(security_groups, uuid),
        view(tags, uuid),
        view(hash_fields, uuid),
        view(etree_leaf, row.vn.name),
    )


def told(view: View, port: ExportedPort) -> Iterator[PortPrefix]:
    """What others may know of the prefixes that lead to a port."""
    return (one for one in view(prefixes, port.row.uuid) if not one.local)
