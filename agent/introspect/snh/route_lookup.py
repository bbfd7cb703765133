"""How requests for routes find them: the VRF that is asked for, keys, and all paths of one.

A table may have 10^5 routes, so it lists keys first and looks each route up when its row is
made; one that went meanwhile has no path.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from agent.errors import UsageError
from agent.introspect.query import flag, number
from agent.introspect.request import Query, Values
from agent.introspect.snh.nh_values import vrf_name
from agent.introspect.snh.paths import Said, Shown, local_path, remote_path
from agent.objects import DatapathMessage, Key, Kind
from agent.oper.datapath import Route
from agent.oper.vrf_facts import VrfFacts, vrf_facts
from agent.routes import RouteFamily, RouteKey
from agent.telemetry import Node

_BGP = 2
"""The place of controllers among the peers (facts oper-db.md 3.1)."""
FEW = 256
"""So many keys are looked at before others may work."""


class Asked(NamedTuple):
    """What is asked of the routes of a VRF; `stale`: only those that nobody has told again."""

    node: Node
    vrf: str
    facts: VrfFacts | None
    stale: bool
    shown: Shown


def asked_of(node: Node, query: Query) -> Asked:
    index = number(query, "vrf_index", 0, (1 << 31) - 1) or 0
    vrf = vrf_name(node, index)
    if not vrf:
        raise UsageError(f"vrf_index: there is no VRF {index}; VrfListReq lists them")
    return of_vrf(node, vrf, stale=flag(query, "stale"))


def of_vrf(node: Node, vrf: str, *, stale: bool = False) -> Asked:
    facts = node.compiler.inspection.result(vrf_facts, vrf)
    return Asked(node, vrf, facts, stale, Shown(node))


def told_of(asked: Asked, family: RouteFamily, key: RouteKey) -> list[Said]:
    """What controllers say of a route, the best first."""
    table = asked.node.compiler.rib.table(asked.vrf, family)
    if table is None:
        return []
    best, paths = table.best(key), table.paths(key)
    paths.sort(key=lambda path: path[1] is not best)
    return paths


def listed_of(asked: Asked, family: RouteFamily) -> list[list[Any]]:
    table = asked.node.compiler.rib.table(asked.vrf, family)
    return list(table.listed()) if table is not None else []


def own_keys(asked: Asked, kind: Kind, found: list[Any]) -> Iterator[None]:
    """Put the destinations of the host's own routes of the VRF into `found`, in steps."""
    for at, key in enumerate(asked.node.compiler.inspection.route_keys()):
        if at % FEW == 0:
            yield None
        name: Any = key.name
        if key.kind is kind and name[0] == asked.vrf:
            found.append(name[1])


class Found(NamedTuple):
    """What there is of a route: controllers' paths and the host's own ones, both best first.

    `made` is what the datapath gets of the controllers' best, None where the host's is in force.
    """

    told: Sequence[Said]
    local: Sequence[Route]
    made: DatapathMessage | None


def find(asked: Asked, key: Key, told: Sequence[Said]) -> Found:
    look = asked.node.compiler.inspection
    return Found(told, look.offers(key), look.remote(key))


def paths_of(asked: Asked, found: Found) -> list[Values]:
    """All paths of a route, the one in force first, the others by their peers' precedence."""
    paths: list[tuple[tuple[bool, int], Values]] = []
    for at, one in enumerate(found.told):
        made = None if at else found.made
        values = remote_path(asked.node, asked.shown, one, made)
        paths.append(((made is None, _BGP), values))
    for at, row in enumerate(found.local):
        chosen = found.made is None and at == 0
        values = local_path(asked.node, asked.shown, asked.facts, row)
        paths.append(((not chosen, int(row.peer)), values))
    if len(paths) > 1:
        paths.sort(key=_precedence)
    return [values for _, values in paths]


def _precedence(path: tuple[tuple[bool, int], Values]) -> tuple[bool, int]:
    return path[0]
