"""UVEs of ports: what they are, what they carry, their tags."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from agent.ifmap import Neighbours, NodeRef, uuid_of
from agent.oper.flow_rows import FloatingIp
from agent.oper.port_nexthops import VmiNexthops, nexthops
from agent.oper.rows import Vmi
from agent.oper.tag import port_tags
from agent.telemetry.uve.builders.counters import drops, port_bitmaps
from agent.telemetry.uve.cache import Values
from agent.telemetry.uve.world import Builder, World, uuid_text
from agent.values import Address

_VMI = "virtual-machine-interface"
_NO_VLAN = 0xFFFF
_TAGS = ("app", "tier", "site", "deployment")
_KINDS = {"application": "app", "tier": "tier", "site": "site", "deployment": "deployment"}


def _keys(world: World) -> Collection[str]:
    return world.ports.keys()


def _port(world: World, key: str) -> Values | None:
    """UveVMInterfaceAgent."""
    row = world.ports.get(key)
    if row is None:
        return None
    return _state(world, row) | _addresses(world, row) | _plugging(world, row)


def _state(world: World, row: Vmi) -> dict[str, Any]:
    made = world.node.compiler.inspection.result(nexthops, row.uuid) or VmiNexthops()
    bound = made.routed(policy=row.policy) or made.bridged(policy=row.policy)
    flows = world.node.compiler.flow_port(row.uuid)
    return {
        "virtual_network": row.vn.name if row.vn else "",
        "vn_uuid": uuid_text(row.vn.uuid) if row.vn else "",
        "vm_name": row.vm_name,
        "vm_uuid": uuid_text(row.vm_uuid),
        "uuid": uuid_text(row.uuid),
        "mac_address": str(row.mac),
        "label": bound.label.label if bound else 0,
        "active": row.active,
        "l2_active": row.l2_active,
        "ip4_active": row.ip4_active,
        "ip6_active": row.ip6_active,
        "admin_state": _enabled(world, row),
        "is_health_check_active": True,
        "health_check_instance_list": [],
        "port_mirror_enabled": bool(flows and flows.policy.mirror),
    }


def _enabled(world: World, row: Vmi) -> bool:
    node = world.node.compiler.graph.node(NodeRef(_VMI, row.config_name))
    permissions = node.properties.get("id-perms") if node else None
    return not (isinstance(permissions, dict) and permissions.get("enable") is False)


def _addresses(world: World, row: Vmi) -> dict[str, Any]:
    flows = world.node.compiler.flow_port(row.uuid)
    floating = flows.translations.floating if flows else ()
    own = [one for one in (row.ip, row.ip6, *row.others) if one is not None]
    return {
        "ip_address": str(row.ip or "0.0.0.0"),
        "ip6_address": str(row.ip6 or "::"),
        "gateway": _text(row.subnet.gateway if row.subnet else None),
        "fixed_ip4_list": [str(one) for one in own if one.version == 4],
        "fixed_ip6_list": [str(one) for one in own if one.version == 6],
        "floating_ips": [_floating(one) for one in floating],
    }


def _floating(one: FloatingIp) -> Values:
    return {"virtual_network": one.network, "ip_address": str(one.address)}


def _text(address: Address | None) -> str:
    return "" if address is None else str(address)


def _plugging(world: World, row: Vmi) -> dict[str, Any]:
    """What it was plugged with. A port without VLAN has the number that stands for none."""
    port = world.node.store.port(row.uuid)
    return {
        "tx_vlan": _NO_VLAN if row.tx_vlan_id is None else row.tx_vlan_id,
        "rx_vlan": port.rx_vlan_id & _NO_VLAN if port else _NO_VLAN,
        "vhostuser_mode": port.vhostuser_mode if port else 0,
        "parent_interface": _parent(world, row),
        "hbf_intf_type": "",
    }


def _parent(world: World, row: Vmi) -> str:
    """The UUID of the port that this one is a VLAN of."""
    if row.tx_vlan_id is None:
        return ""
    graph = world.node.compiler.graph
    ref = NodeRef(_VMI, row.config_name)
    for end in graph.neighbours(Neighbours(ref, f"{_VMI}-sub-interface")):
        node = graph.node(end) if end.type == _VMI else None
        uuid = uuid_of(node) if node else None
        if uuid is not None:
            return str(uuid)
    return ""


def _stats(world: World, key: str) -> Values | None:
    """VMIStats. Bandwidth in bits a second over the last minute."""
    row = world.ports.get(key)
    if row is None:
        return None
    values: dict[str, Any] = {
        "vm_name": row.vm_name,
        "vm_uuid": uuid_text(row.vm_uuid),
        "virtual_network": row.vn.name if row.vn else "",
    }
    vif = world.node.statistics.vif(row.vif_index)
    if vif is None or vif.name != row.name:
        return values
    traffic, used = vif.traffic, vif.bandwidth()
    values["raw_if_stats"] = {
        "in_pkts": traffic.in_packets,
        "in_bytes": traffic.in_bytes,
        "out_pkts": traffic.out_packets,
        "out_bytes": traffic.out_bytes,
    }
    values["in_bw_usage"], values["out_bw_usage"] = used.in_bps, used.out_bps
    values["flow_rate"] = {"active_flows": vif.flows}
    if bitmaps := port_bitmaps(world.node.statistics, [row.vif_index]):
        values["port_bucket_bmap"] = bitmaps
    if vif.drops is not None:
        values["raw_drop_stats"] = drops(vif.drops)
    return values


def _tags(world: World, key: str) -> Values | None:
    """VMITags: the names of its tags by type."""
    row = world.ports.get(key)
    if row is None:
        return None
    values: dict[str, Any] = dict.fromkeys(_TAGS, "")
    labels, others = [], []
    for tag in world.node.compiler.inspection.result(port_tags, row.uuid) or ():
        if tag.kind in _KINDS:
            values[_KINDS[tag.kind]] = tag.ref.name
        elif tag.kind == "label":
            labels.append(tag.ref.name)
        else:
            others.append(tag.ref.name)
    return values | {"labels": labels, "custom_tags": others}


PORT = Builder("UveVMInterfaceAgentTrace", _keys, _port)
STATS = Builder("UVEVMIStats", _keys, _stats, sampled=True)
TAGS = Builder("UVEVMITags", _keys, _tags)
