"""UVEs of networks and of VMs: what of them is on this host."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from agent.oper.rows import Vmi
from agent.telemetry.uve.builders.counters import port_bitmaps
from agent.telemetry.uve.cache import Values
from agent.telemetry.uve.world import Builder, World, uuid_text

_NO_UUID = UUID(int=0)


def _networks(world: World) -> Collection[str]:
    return world.networks.keys()


def _network(world: World, key: str) -> Values | None:
    """UveVirtualNetworkAgent. Bandwidth is that of its ports here, in bits a second."""
    rows = world.networks.get(key)
    if rows is None:
        return None
    machines = {uuid_text(row.vm_uuid) for row in rows if row.vm_uuid != _NO_UUID}
    return (
        {
            "interface_list": sorted(row.config_name for row in rows),
            "virtualmachine_list": sorted(machines),
            "associated_fip_count": sum(_floating(world, row) for row in rows),
        }
        | _policy(world, rows)
        | _traffic(world, rows)
        | _vrf_stats(world, rows)
    )


def _floating(world: World, row: Vmi) -> int:
    flows = world.node.compiler.flow_port(row.uuid)
    return len(flows.translations.floating) if flows else 0


def _policy(world: World, rows: list[Vmi]) -> dict[str, Any]:
    """The network's own access list, as its ports have it, and how many rules that has."""
    for row in rows:
        flows = world.node.compiler.flow_port(row.uuid)
        if flows is not None:
            own = world.acls.get(flows.policy.network)
            mirror = world.acls.get(next(iter(flows.policy.mirror), ""))
            return {
                "acl": str(own.uuid) if own else "",
                "mirror_acl": str(mirror.uuid) if mirror else "",
                "total_acl_rules": len(own.rules) if own else 0,
            }
    return {}


def _traffic(world: World, rows: list[Vmi]) -> dict[str, Any]:
    statistics = world.node.statistics
    vifs = [vif for row in rows if (vif := statistics.vif(row.vif_index)) is not None]
    used = [vif.bandwidth() for vif in vifs]
    return {
        "flow_count": sum(vif.flows for vif in vifs),
        "in_bandwidth_usage": sum(one.in_bps for one in used),
        "out_bandwidth_usage": sum(one.out_bps for one in used),
    } | port_bitmaps(statistics, [vif.index for vif in vifs])


def _vrf_stats(world: World, rows: list[Vmi]) -> dict[str, Any]:
    """What the datapath counts of the network's VRFs."""
    vrfs = {row.vrf.index: row.vrf.name for row in rows if row.vrf is not None}
    found = []
    for index, name in vrfs.items():
        counts = world.node.statistics.vrf(index)
        if counts is not None:
            found.append({"name": name} | vrf_counts(counts))
    return {"vrf_stats_list": found}


def vrf_counts(counts: dict[str, int]) -> dict[str, Any]:
    """UveVrfStats but for its name."""
    vm_arp = {
        "proxies": counts["arp_virtual_proxy"],
        "stitches": counts["arp_virtual_stitch"],
        "floods": counts["arp_virtual_flood"],
    }
    fabric_arp = {
        "proxies": counts["arp_tor_proxy"],
        "stitches": counts["arp_physical_stitch"],
        "floods": counts["arp_physical_flood"],
    }
    return {
        "diag_packet_count": counts["diags"],
        "unknown_unicast_floods": counts["uuc_floods"],
        "arp_packet_counts": {
            "from_vm_interface": {"stats": vm_arp},
            "from_physical_interface": {"stats": fabric_arp},
        },
        "offload_packet_counts": {"gro": counts["gros"]},
        "nh_packet_counts": _nexthop_counts(counts),
    }


def _nexthop_counts(counts: dict[str, int]) -> Values:
    """UveNhStats."""
    return {
        "discards": counts["discards"],
        "resolves": counts["resolves"],
        "l3_receives": counts["receives"],
        "l2_receives": counts["l2_receives"],
        "local_vm_l3_forwards": counts["encaps"],
        "local_vm_l2_forwards": counts["l2_encaps"],
        "vrf_translates": counts["vrf_translates"],
        "ecmp_forwards": counts["ecmp_composites"],
        "tunnel_nh_stats": {
            "udp_encaps": counts["udp_tunnels"],
            "mpls_over_udp_encaps": counts["udp_mpls_tunnels"],
            "mpls_over_gre_encaps": counts["gre_mpls_tunnels"],
            "vxlan_encaps": counts["vxlan_tunnels"],
        },
        "comp_nh_stats": {
            "source_replication_forwards": counts["evpn_composites"],
            "edge_replication_forwards": counts["fabric_composites"],
            "local_vm_l3_forwards": counts["encap_composites"],
            "total_multicast_forwards": counts["l2_mcast_composites"],
        },
    }


def _machines(world: World) -> Collection[str]:
    return world.machines.keys()


def _machine(world: World, key: str) -> Values | None:
    """UveVirtualMachineAgent."""
    rows = world.machines.get(key)
    if rows is None:
        return None
    return {
        "uuid": key,
        "vm_name": next((row.vm_name for row in rows if row.vm_name), ""),
        "vrouter": world.node.host,
        "interface_list": sorted(row.config_name for row in rows),
    }


NETWORK = Builder("UveVirtualNetworkAgentTrace", _networks, _network, sampled=True)
MACHINE = Builder("UveVirtualMachineAgentTrace", _machines, _machine)
