"""Nexthops, labels, VNIs: `NhListReq`, `MplsReq`, `VxLanReq` and what is near them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.introspect.query import number
from agent.introspect.request import Query, Row, Table
from agent.introspect.snh.nh_values import nexthop_type, nexthop_values, vrf_name
from agent.objects import Key, Kind
from agent.oper.datapath import Label, Nexthop, NexthopFlag, VxlanId
from agent.oper.rows import Vn
from agent.telemetry import Node

_FIXED = (1, 3)
"""The discard and the L2 receive nexthop, which nobody owns."""


def nexthop_rows(node: Node) -> Iterator[Nexthop]:
    """All nexthops by number; some may be gone when it comes to them."""
    look = node.compiler.inspection
    for at in sorted({*_FIXED, *node.compiler.numbers(Kind.NEXTHOP)}):
        row = look.nexthop(at)
        if row is not None:
            yield row


def nexthops(node: Node, query: Query) -> Iterator[Row]:
    """The nexthops of a type, number and policy."""
    wanted = number(query, "nh_index")
    policy = query["policy_enabled"].strip().lower()
    for row in nexthop_rows(node):
        flag = bool(row.flags & NexthopFlag.POLICY)
        fits = wanted in (None, row.index) and _policy_fits(policy, flag)
        if fits and query["type"].lower() in nexthop_type(row).lower():
            yield lambda row=row: nexthop_values(node, row)  # type: ignore[misc]
        else:
            yield None


def _policy_fits(wanted: str, flag: bool) -> bool:
    return not wanted or (wanted in ("1", "true", "enabled", "enable")) is flag


def unresolved(node: Node, query: Query) -> Iterator[Row]:
    """The nexthops that lead nowhere yet."""
    for row in nexthop_rows(node):
        yield None if row.flags & NexthopFlag.VALID else nexthop_values(node, row)


def labels(node: Node, query: Query) -> Iterator[Row]:
    """The labels of this host, each with its nexthop."""
    wanted, look = number(query, "label"), node.compiler.inspection
    for at, owner in sorted(node.compiler.numbers(Kind.LABEL).items()):
        row = look.row(owner)
        via = look.nexthop(row.nexthop) if isinstance(row, Label) else None
        fits = via is not None and query["type"].lower() in nexthop_type(via).lower()
        if via is not None and fits and wanted in (None, at):
            yield _label(node, at, via)
        else:
            yield None


def _label(node: Node, label: int, via: Nexthop) -> dict[str, Any]:
    return {"label": label, "type": nexthop_type(via), "nh": nexthop_values(node, via)}


def vnis(node: Node, query: Query) -> Iterator[Row]:
    """The VNIs that the datapath is to know, each with its nexthop."""
    wanted = number(query, "vxlan_id")
    for network in node.compiler.networks():
        via = _behind(node, network)
        if via is None or wanted not in (None, network.vxlan_id):
            continue
        yield {
            "vxlan_id": network.vxlan_id,
            "nh": nexthop_values(node, via),
            "vrf_name": network.vrf_name,
        }


def _behind(node: Node, network: Vn) -> Nexthop | None:
    """The nexthop behind the VNI of a network; None where another network has the VNI."""
    look = node.compiler.inspection
    row = look.row(Key(Kind.VXLAN, network.vxlan_id)) if network.vxlan_id else None
    via = look.nexthop(row.nexthop) if isinstance(row, VxlanId) else None
    return via if via is not None and vrf_name(node, via.vrf) == network.vrf_name else None


def vni_claims(node: Node, query: Query) -> Iterator[Row]:
    """The networks with a VNI; of several that claim one, one has it."""
    wanted, active = number(query, "vxlan_id"), query["active"].strip().lower()
    for network in node.compiler.networks():
        if not network.vxlan_id or (wanted and wanted != network.vxlan_id):
            continue
        has = _behind(node, network) is not None
        named = query["vn"] in network.name or query["vn"] == str(network.uuid)
        if not named or (active and (active in ("true", "1")) is not has):
            continue
        yield {
            "vxlan_id": network.vxlan_id,
            "vn_uuid": str(network.uuid),
            "vrf": network.vrf_name or "",
            "flood_unknown_unicast": network.flood_unknown_unicast,
            "active": has,
        }


SERVED = (
    Table("NhListReq", "NhListResp", "nh_list", nexthops),
    Table("UnresolvedNH", "UnresolvedNHResp", "nh_list", unresolved),
    Table("MplsReq", "MplsResp", "mpls_list", labels),
    Table("VxLanReq", "VxLanResp", "vxlan_list", vnis),
    Table("VxLanConfigReq", "VxLanConfigResp", "vxlan_config_entries", vni_claims),
)
