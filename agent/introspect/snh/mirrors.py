"""Mirrors: analyzers in use, the ports that are mirrored, the rules that mirror."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.ifmap import NodeRef
from agent.introspect.reading import uuid_text
from agent.introspect.request import Query, Row, Table
from agent.introspect.snh.nh_values import nexthop_values
from agent.objects import Key, Kind
from agent.oper.analyzers import Analyzer, analyzers, port_analyzer
from agent.oper.datapath import Mirror
from agent.oper.flow_rows import Acl, Rule
from agent.oper.port_policy import NetworkLists, network_lists
from agent.telemetry import Node


def _all(node: Node) -> dict[str, Analyzer]:
    return {one.name: one for one in node.compiler.inspection.result(analyzers) or ()}


def entries(node: Node, query: Query) -> Iterator[Row]:
    """Where packets are copied to."""
    for one in _all(node).values():
        if query["analyzer_name"] in one.name:
            yield _entry(node, one)


def _entry(node: Node, one: Analyzer) -> dict[str, Any]:
    look = node.compiler.inspection
    key = Key(Kind.MIRROR, one.name)
    row = look.row(key)
    via = look.nexthop(row.nexthop) if isinstance(row, Mirror) and one.target else None
    host = node.compiler.fabric()
    values: dict[str, Any] = {
        "ref_count": node.session.above(key, 0)[1],
        "analyzer_name": one.name,
        "sip": str(host.router_id or "") if host is not None else "",
        "nh": nexthop_values(node, via) if via is not None else {},
    }
    if one.target is not None:
        values |= {"dip": str(one.target.address), "vrf": one.target.instance}
        values["dport"] = one.target.port
        values["sport"] = via.ports[0] if via is not None and via.ports else 0
    return values


def ports(node: Node, query: Query) -> Iterator[Row]:
    """The ports of which all packets are copied."""
    for port in node.compiler.vmis():
        found = node.compiler.inspection.result(port_analyzer, port.uuid)
        if found is None or query["handle"] not in found[0].name:
            continue
        values = {"handle": found[0].name, "intf_uuid": str(port.uuid), "intf_name": port.name}
        yield values | _target(found[0])


def _target(one: Analyzer | None) -> dict[str, Any]:
    if one is None or one.target is None:
        return {}
    found = {"ip": str(one.target.address), "udp_port": one.target.port}
    return found | {"mirror_vrf": one.target.instance}


def rules(node: Node, query: Query) -> Iterator[Row]:
    """The rules of access lists that copy packets."""
    known = _all(node)
    for acl in node.compiler.acls().values():
        for rule in acl.rules:
            if rule.mirror and query["handle"] in rule.mirror:
                yield _rule(acl, rule) | _target(known.get(rule.mirror))


def _rule(acl: Acl, rule: Rule) -> dict[str, Any]:
    service = rule.services[0]
    sources, destinations = service.source_ports, service.destination_ports
    values: dict[str, Any] = {
        "handle": rule.mirror,
        "apply_vn": acl.name,
        "src_vn": rule.source.network,
        "dst_vn": rule.destination.network,
        "start_src_port": sources[0],
        "end_src_port": sources[1],
        "start_dst_port": destinations[0],
        "end_dst_port": destinations[1],
        "protocol": service.protocols[0],
    }
    for side, end in (("src", rule.source), ("dst", rule.destination)):
        for one in end.prefixes[:1]:
            values[f"{side}_ip_prefix"] = str(one.network_address)
            values[f"{side}_ip_prefix_len"] = one.prefixlen
    return values


def networks(node: Node, query: Query) -> Iterator[Row]:
    """The networks with access lists that only copy packets."""
    acls = node.compiler.acls()
    for network in node.compiler.networks():
        if query["vn_name"] not in network.name:
            continue
        ref = NodeRef("virtual-network", network.name)
        lists = node.compiler.inspection.result(network_lists, ref) or NetworkLists()
        for one in lists.mirror:
            acl = acls.get(one.name)
            yield {
                "vn_name": network.name,
                "vn_uuid": str(network.uuid),
                "dyn_acl_uuid": uuid_text(node, one),
                "num_of_entries": len(acl.rules) if acl is not None else 0,
            }


SERVED = (
    Table("MirrorEntryReq", "MirrorEntryResp", "mirror_entry_list", entries),
    Table("MirrorCfgDisplayReq", "MirrorCfgDisplayResp", "mcfg_l", rules),
    Table("MirrorCfgVnInfoReq", "MirrorCfgVnInfoResp", "vn_acl_info_l", networks),
    Table("IntfMirrorCfgDisplayReq", "IntfMirrorCfgDisplayResp", "imcfg_l", ports),
)
