"""What `ItfReq` tells of one interface."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from agent.introspect.reading import VMI, by_uuid, ends, properties, uuid_text
from agent.introspect.request import Values
from agent.objects import Key, Kind
from agent.oper.alias_ip import alias_ips
from agent.oper.analyzers import port_analyzer
from agent.oper.datapath import Vif, VifFlag
from agent.oper.fat_flows import fat_flows
from agent.oper.floating_ip import floating_ips
from agent.oper.flow_rows import FatFlow, FloatingIp
from agent.oper.instances import service_links
from agent.oper.link_local import metadata_address
from agent.oper.port_nexthops import Bound, VmiNexthops, nexthops
from agent.oper.preference import LOW, path_preference
from agent.oper.prefixes import static_routes
from agent.oper.qos import qos_config
from agent.oper.rows import AddressPair, Gateway, Vmi
from agent.oper.tag import Tag, port_tags
from agent.oper.vmi import vif_key
from agent.telemetry import Node
from agent.values import Prefix

_NO_VLAN = -1
_DROP_NEW_FLOWS = VifFlag.DROP_NEW_FLOWS
_NAMES = {"fabric": ("eth", ""), "vhost": ("vhost", "VHOST"), "pkt0": ("pkt", "")}
_TRANSPORTS = {1: "Ethernet", 2: "PMD", 3: "Socket"}


def active(flag: bool, reason: str = "") -> str:
    """`Active`, or `Inactive` with the reason."""
    if flag:
        return "Active"
    return f"Inactive < {reason} >" if reason else "Inactive"


def enabled(flag: bool) -> str:
    """`Enable` or `Disable`."""
    return "Enable" if flag else "Disable"


def host_values(node: Node, name: str) -> Values | None:
    """One of the host's own interfaces, by the name of its key; None while it is not there."""
    vif = node.compiler.inspection.row(Key(Kind.VIF, name))
    if not isinstance(vif, Vif):
        return None
    kind, vmi_type = _NAMES[name]
    fabric = node.compiler.fabric()
    own = fabric.mac if fabric is not None and name != "pkt0" else vif.mac
    return {
        "index": vif.index,
        "name": vif.name,
        "uuid": str(UUID(int=0)),
        "vrf_name": _vrf_name(node, vif),
        "active": active(True),
        "ipv4_active": active(True),
        "l2_active": active(True),
        "dhcp_service": enabled(False),
        "dhcp_service_v6": enabled(False),
        "dns_service": enabled(False),
        "type": kind,
        "vmi_type": vmi_type,
        "ip_addr": str(vif.ip or ""),
        "mac_addr": str(own),
        "policy": enabled(False),
        "os_ifindex": vif.os_index,
        "admin_state": "Enabled",
        "flow_key_idx": vif.nexthop,
        "transport": _TRANSPORTS.get(vif.transport, ""),
        "fabric_port": "FabricPort" if name == "fabric" else "NotFabricPort",
        "tx_vlan_id": _NO_VLAN,
        "rx_vlan_id": _NO_VLAN,
    }


def _vrf_name(node: Node, vif: Vif) -> str:
    return next((row.name for row in node.compiler.vrfs() if row.index == vif.vrf), "")


def gateway_values(row: Gateway) -> Values:
    """A simple gateway."""
    return {
        "index": row.vif_index,
        "name": row.name,
        "uuid": str(UUID(int=0)),
        "vrf_name": row.vrf.name if row.vrf else "",
        "active": active(row.active, row.reason),
        "ipv4_active": active(row.active, row.reason),
        "l2_active": active(row.active, row.reason),
        "type": "gateway",
        "mac_addr": str(row.mac),
        "policy": enabled(False),
        "os_ifindex": row.os_index,
        "admin_state": "Enabled",
        "transport": "Ethernet",
        "tx_vlan_id": _NO_VLAN,
        "rx_vlan_id": _NO_VLAN,
    }


def vmi_values(node: Node, row: Vmi) -> Values:
    """A plugged VMI."""
    return _state(row) | _numbers(node, row) | _addresses(node, row) | _policy(node, row)


def _state(row: Vmi) -> dict[str, object]:
    return {
        "name": row.name,
        "uuid": str(row.uuid),
        "config_name": row.config_name,
        "type": "vport",
        "vmi_type": "Virtual Machine",
        "transport": _TRANSPORTS.get(row.transport, ""),
        "fabric_port": "NotFabricPort",
        "active": active(row.active, row.reason),
        "ipv4_active": active(row.ip4_active, row.reason),
        "ip6_active": active(row.ip6_active, row.reason),
        "l2_active": active(row.l2_active, row.reason),
        "metadata_ip_active": active(row.ip4_active),
        "health_check_active": active(True),
        "admin_state": "Disabled" if "administratively down" in row.reason else "Enabled",
        "dhcp_service": enabled(row.dhcp_enabled),
        "dhcp_service_v6": enabled(row.dhcp_enabled and row.ip6 is not None),
        "dns_service": enabled(True),
        "policy": enabled(row.policy),
        "vrf_name": row.vrf.name if row.vrf else "",
        "vn_name": row.vn.name if row.vn else "",
        "vm_uuid": str(row.vm_uuid),
        "vm_name": row.vm_name,
        "mac_addr": str(row.mac),
        "os_ifindex": row.os_index,
        "index": row.vif_index,
        "flood_unknown_unicast": row.vn is not None and row.vn.flood_unknown_unicast,
        "vxlan_id": row.vn.vxlan_id if row.vn else 0,
    }


def _numbers(node: Node, row: Vmi) -> dict[str, object]:
    """Labels and nexthops, and what plugging said."""
    made = node.compiler.inspection.result(nexthops, row.uuid) or VmiNexthops()
    port = node.store.port(row.uuid)
    return {
        "label": _label(made.routed(policy=row.policy)),
        "l2_label": _label(made.bridged(policy=row.policy)),
        "flow_key_idx": made.flow_key.index if made.flow_key else 0,
        "tx_vlan_id": _NO_VLAN if row.tx_vlan_id is None else row.tx_vlan_id,
        "rx_vlan_id": port.rx_vlan_id if port and port.rx_vlan_id != 0xFFFF else _NO_VLAN,
        "vhostuser_mode": port.vhostuser_mode if port else 0,
        "vm_project_uuid": str(port.project_uuid) if port else "",
    }


def _label(bound: Bound | None) -> int:
    return bound.label.label if bound else -1


def _addresses(node: Node, row: Vmi) -> dict[str, object]:
    """Its own addresses, those that others lend it, and what is behind it."""
    look = node.compiler.inspection
    vrf = row.vrf.name if row.vrf else ""
    own = [one for one in (row.ip, row.ip6, *row.others) if one is not None]
    preference = look.result(path_preference, row.uuid, row.ip) if row.ip else None
    routes = look.result(static_routes, row.uuid) or ()
    return {
        "ip_addr": str(row.ip or "0.0.0.0"),
        "ip6_addr": str(row.ip6 or "::"),
        "fixed_ip4_list": [str(one) for one in own if one.version == 4],
        "fixed_ip6_list": [str(one) for one in own if one.version == 6],
        "mdata_ip_addr": str(metadata_address(row.vif_index)) if row.ip4_active else "0.0.0.0",
        "subnet": str(row.subnet.prefix) if row.subnet else "",
        "local_preference": preference.preference if preference else LOW,
        "fip_list": [_floating(one) for one in look.result(floating_ips, row.uuid) or ()],
        "alias_ip_list": [
            {"ip_addr": str(one.address), "vrf_name": one.vrf.name, "installed": "Y"}
            for one in look.result(alias_ips, row.uuid) or ()
        ],
        "static_route_list": [
            _static(vrf, route.prefix, communities=route.communities) for route in routes
        ],
        "allowed_address_pair_list": [_pair(vrf, row, pair) for pair in row.pairs],
        "service_vlan_list": _service_vlans(node, row),
    }


def _floating(one: FloatingIp) -> dict[str, object]:
    return {
        "ip_addr": str(one.address),
        "vrf_name": one.vrf.name,
        "installed": "Y",
        "fixed_ip": str(one.fixed),
        "direction": one.side.value,
        "port_map_enabled": one.mappings is not None,
        "port_map": [
            {"protocol": each.protocol, "port": each.public, "nat_port": each.private}
            for each in one.mappings or ()
        ],
    }


def _static(vrf: str, to: Prefix, *, communities: Sequence[str] = ()) -> dict[str, object]:
    return {
        "vrf_name": vrf,
        "ip_addr": str(to.network_address),
        "prefix": to.prefixlen,
        "communities": list(communities),
    }


def _pair(vrf: str, row: Vmi, pair: AddressPair) -> dict[str, object]:
    return _static(vrf, pair.prefix) | {"mac_addr": str(pair.mac or row.mac)}


def _service_vlans(node: Node, row: Vmi) -> list[dict[str, object]]:
    look = node.compiler.inspection
    made = dict((look.result(nexthops, row.uuid) or VmiNexthops()).services)
    return [
        {
            "tag": link.tag,
            "vrf_name": link.instance,
            "ip_addr": next((str(one) for one in link.addresses if one.version == 4), ""),
            "ip6_addr": next((str(one) for one in link.addresses if one.version == 6), ""),
            "label": _label(made.get(link.tag)),
            "installed": "Y" if link.tag in made else "N",
        }
        for link in look.result(service_links, row.uuid) or ()
    ]


def _policy(node: Node, row: Vmi) -> dict[str, object]:
    """What decides on its flows, and what shapes them."""
    look, ref = node.compiler.inspection, by_uuid(node, VMI, row.uuid)
    flows = node.compiler.flow_port(row.uuid)
    vif = look.row(vif_key(row.uuid, row.name))
    qos = look.result(qos_config, row.uuid)
    mirrored = look.result(port_analyzer, row.uuid)
    groups = ends(node, ref, f"{VMI}-security-group", "security-group")
    logging = f"{VMI}-security-logging-object", "security-logging-object"
    rules = flows.policy.vrf_assign if flows else ""
    return {
        "sg_uuid_list": [{"sg_uuid": uuid_text(node, one)} for one in groups],
        "vmi_tag_list": [_tag(node, one) for one in look.result(port_tags, row.uuid) or ()],
        "policy_set_acl_list": list(flows.policy.firewall) if flows else [],
        "policy_set_fwaas_list": list(flows.policy.fwaas) if flows else [],
        "slo_list": [{"slo_uuid": uuid_text(node, one)} for one in ends(node, ref, *logging)],
        "max_flows": flows.limits.max_flows if flows else 0,
        "drop_new_flows": isinstance(vif, Vif) and bool(vif.flags & _DROP_NEW_FLOWS),
        "fat_flow_list": [_fat_flow(one) for one in look.result(fat_flows, row.uuid) or ()],
        "vrf_assign_acl_uuid": str(row.uuid) if rules else "",
        "qos_config": uuid_text(node, qos),
        "analyzer_name": mirrored[0].name if mirrored else "",
        "cfg_igmp_enable": properties(node, ref).get("igmp-enable") is True,
        "bridge_domain_list": [
            {"bridge_domain_uuid": uuid_text(node, one)}
            for one in ends(node, ref, f"{VMI}-bridge-domain", "bridge-domain")
        ],
        "parent_interface": ", ".join(
            uuid_text(node, one) for one in ends(node, ref, f"{VMI}-sub-interface", VMI)
        ),
    }


def _tag(node: Node, one: Tag) -> dict[str, object]:
    sets = ends(node, one.ref, "application-policy-set-tag", "application-policy-set")
    return {
        "name": one.ref.name,
        "id": one.number or 0,
        "application_policy_set_list": [
            {"application_policy_set": uuid_text(node, each)} for each in sets
        ],
    }


def _fat_flow(one: FatFlow) -> str:
    parts = [f"{one.protocol}:{one.port}"]
    parts += [f"ignore {one.ignore}"] if one.ignore else []
    parts += [f"source {one.source} to /{one.source_length}"] if one.source else []
    if one.destination:
        parts.append(f"destination {one.destination} to /{one.destination_length}")
    return " ".join(parts)
