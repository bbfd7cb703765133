"""VRFs, networks and VMs: `VrfListReq`, `VnListReq`, `VmListReq`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from agent.ifmap import Neighbours, NodeRef
from agent.introspect.query import number, uuid
from agent.introspect.reading import VMI, by_uuid, ends, properties, uuid_text
from agent.introspect.request import Query, Row, Table
from agent.objects import Key, Kind
from agent.oper.datapath import Label, Vif, VifFlag
from agent.oper.fabric import FABRIC_VRF, POLICY_VRF
from agent.oper.port_policy import NetworkLists, network_lists
from agent.oper.rows import Subnet, Vmi, Vn, Vrf
from agent.oper.vmi import vif_key
from agent.oper.vn import vn
from agent.oper.vrf_facts import vrf_facts
from agent.oper.world import member
from agent.telemetry import Node

_NETWORK, _IPAM = "virtual-network", "network-ipam"
_LINK = f"{_NETWORK}-{_IPAM}"
_AGING = 300
_NONE = -1


def vrfs(node: Node, query: Query) -> Iterator[Row]:
    """The VRFs in use whose name has a part."""
    for row in node.compiler.vrfs():
        if query["name"] in row.name:
            yield _vrf(node, row)


def _vrf(node: Node, row: Vrf) -> dict[str, Any]:
    look, index = node.compiler.inspection, row.index
    facts, host = look.result(vrf_facts, row.name), node.compiler.fabric()
    network = facts.network if facts else ""
    label = look.row(Key(Kind.LABEL, ("vrf", row.name)))
    tables = ("ucindex", "mcindex", "l2index", "uc6index", "evpnindex", "brindex", "mplsindex")
    found = look.result(vn, NodeRef(_NETWORK, network)) if network else None
    return dict.fromkeys(tables, index) | {
        "name": row.name,
        "source": "Config" if row.name not in (FABRIC_VRF, POLICY_VRF) else "Fabric",
        "vn": network,
        "table_label": label.label if isinstance(label, Label) else _NONE,
        "vxlan_id": found.vxlan_id if found else 0,
        "RD": f"{host.router_id}:{index}" if host and host.router_id else "",
        "mac_aging_time": _AGING,
        "forwarding_vrf": FABRIC_VRF if row.name == POLICY_VRF else "",
        "hbf_rintf": _NONE,
        "hbf_lintf": _NONE,
    }


def networks(node: Node, query: Query) -> Iterator[Row]:
    """The networks in use."""
    wanted, vni = uuid(query, "uuid"), number(query, "vxlan_id")
    for row in node.compiler.networks():
        fits = query["name"] in row.name and wanted in (None, row.uuid)
        if not fits or vni not in (None, row.vxlan_id):
            continue
        values = _network(node, row)
        ipams = {data["ipam_name"] for data in values["ipam_data"]}
        if not query["ipam_name"] or any(query["ipam_name"] in ipam for ipam in ipams):
            yield values


def _network(node: Node, row: Vn) -> dict[str, Any]:
    ref = NodeRef(_NETWORK, row.name)
    found = properties(node, ref)
    own = member(found, f"{_NETWORK}-properties")
    lists = node.compiler.inspection.result(network_lists, ref) or NetworkLists()
    routers = ends(node, ref, "logical-router-virtual-network", "logical-router")
    logging = ends(node, ref, f"{_NETWORK}-security-logging-object", "security-logging-object")
    groups = ends(node, ref, f"{_NETWORK}-multicast-policy", "multicast-policy")
    return {
        "name": row.name,
        "uuid": str(row.uuid),
        "acl_uuid": uuid_text(node, lists.policy),
        "mirror_acl_uuid": uuid_text(node, next(iter(lists.mirror), None)),
        "logical_router_uuid": uuid_text(node, routers[0]) if routers else "",
        "vrf_name": row.vrf_name or "",
        "ipam_data": [_subnet(node, ref, subnet) for subnet in row.subnets],
        "ipam_host_routes": _host_routes(node, ref, row),
        "layer2_forwarding": row.l2,
        "ipv4_forwarding": row.l3,
        "bridging": row.l2,
        "admin_state": row.active,
        "vxlan_id": row.vxlan_id,
        "config_vxlan_id": _number(member(own, "vxlan-network-identifier")),
        "vn_id": _number(found.get(f"{_NETWORK}-network-id")),
        "enable_rpf": member(own, "rpf") != "disable",
        "flood_unknown_unicast": row.flood_unknown_unicast,
        "pbb_etree_enabled": found.get("pbb-etree-enable") is True,
        "layer2_control_word": found.get("layer2-control-word") is True,
        "slo_list": [{"slo_uuid": uuid_text(node, one)} for one in logging],
        "cfg_igmp_enable": found.get("igmp-enable") is True,
        "max_flows": _number(member(own, "max-flows")),
        "mp_list": [{"mp_uuid": uuid_text(node, one)} for one in groups],
        "mac_ip_learning_enable": found.get("mac-ip-learning-enable") is True,
    }


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _subnet(node: Node, ref: NodeRef, row: Subnet) -> dict[str, Any]:
    return {
        "ip_prefix": str(row.prefix.network_address),
        "prefix_len": row.prefix.prefixlen,
        "gateway": str(row.gateway or ""),
        "ipam_name": _ipam(node, ref, row),
        "dhcp_enable": "true" if row.dhcp_enabled and row.prefix.version == 4 else "false",
        "dhcp_enable_v6": "true" if row.dhcp_enabled and row.prefix.version == 6 else "false",
        "dns_server": str(row.dns_server or ""),
    }


def _ipam(node: Node, ref: NodeRef, row: Subnet) -> str:
    """The IPAM that a subnet is of: the one whose link to the network names it, else the first."""
    graph, wanted = node.compiler.graph, str(row.prefix.network_address)
    names = []
    for end in graph.neighbours(Neighbours(ref, _LINK)):
        inner = graph.neighbours(Neighbours(end, _LINK)) if end.type == _LINK else (end,)
        ipams = [one.name for one in inner if one.type == _IPAM]
        listed = member(properties(node, end), "value", "ipam-subnets")
        subnets = listed if isinstance(listed, list | tuple) else ()
        prefixes = [member(one, "subnet", "ip-prefix") for one in subnets]
        if wanted in prefixes and ipams:
            return ipams[0]
        names += ipams
    return names[0] if names else ""


def _host_routes(node: Node, ref: NodeRef, row: Vn) -> list[dict[str, Any]]:
    routes = [str(route.prefix) for route in row.host_routes]
    ipams = ends(node, ref, _LINK, _IPAM)
    return [{"ipam_name": one.name, "host_routes": routes} for one in ipams if routes]


def vms(node: Node, query: Query) -> Iterator[Row]:
    """The VMs of plugged ports."""
    wanted = uuid(query, "uuid")
    found: dict[UUID, list[Vmi]] = {}
    for row in node.compiler.vmis():
        found.setdefault(row.vm_uuid, []).append(row)
    for vm, rows in found.items():
        if wanted in (None, vm):
            yield _vm(node, vm, rows)


def _vm(node: Node, vm: UUID, rows: list[Vmi]) -> dict[str, Any]:
    groups: dict[str, None] = {}
    drops = False
    for row in rows:
        ref = by_uuid(node, VMI, row.uuid)
        for group in ends(node, ref, f"{VMI}-security-group", "security-group"):
            groups[uuid_text(node, group)] = None
        vif = node.compiler.inspection.row(vif_key(row.uuid, row.name))
        drops |= isinstance(vif, Vif) and bool(vif.flags & VifFlag.DROP_NEW_FLOWS)
    return {
        "uuid": str(vm),
        "sg_uuid_list": [{"sg_uuid": group} for group in groups],
        "drop_new_flows": drops,
    }


SERVED = (
    Table("VrfListReq", "VrfListResp", "vrf_list", vrfs),
    Table("VnListReq", "VnListResp", "vn_list", networks),
    Table("VmListReq", "VmListResp", "vm_list", vms),
)
