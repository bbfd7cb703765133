"""A world with one of each: tags, a floating IP, an access list, counters of everything."""

from __future__ import annotations

from agent import topology
from agent.sandesh.vrouter import VrDropStatsReq, VrInterfaceReq, VrVrfStatsReq
from agent.telemetry.sample import FlowSample, Machine, Process, Sample, Use
from tests.unit.telemetry.node_world import HOST, NodeWorld

_SITE = {
    "hosts": {"host1": {"fabric": "10.0.0.1/24"}},
    "networks": {
        "red": {"subnet": "10.1.1.0/24", "tags": ["tier=web"], "policies": ["web"]},
        "public": {"subnet": "15.0.1.0/24"},
    },
    "policies": {"web": [{"from": "red", "to": "public", "service": "tcp/80"}]},
    "vms": {
        "web1": {
            "network": "red",
            "address": "10.1.1.3",
            "mac": "02:00:00:00:01:03",
            "tags": ["application=shop", "label=blue", "label=gold"],
        },
        "web2": {"network": "red", "address": "10.1.1.4", "mac": "02:00:00:00:01:04"},
    },
    "floating_ips": {"front": {"network": "public", "address": "15.0.1.100", "vms": ["web1"]}},
}


def uve_world(more: str = "") -> NodeWorld:
    """The world at the time 60, with two rounds of statistics, at 0 and at 60."""
    world = NodeWorld(HOST + more, topology.parse(_SITE))
    world.plug()
    for time, count in ((0.0, 1), (60.0, 4)):
        world.now = time
        world.node.statistics.sample(_sample(world, count), time)
    return world


def _sample(world: NodeWorld, count: int) -> Sample:
    """Ports carry `count` packets in and twice as many out, of 100 bytes; one is dropped."""
    ports = world.node.compiler.vmis()
    rows = [_vif(row.vif_index, row.name, 3, count) for row in ports]
    rows.append(_vif(0, "fabric0", 2, 10 * count, speed=1000, duplex=1))
    rows.append(_vif(1, "vhost0", 0, count))
    drops = VrDropStatsReq(vds_discard=count, vds_leaf_to_leaf=1)
    vrf = next(row.vrf.index for row in ports if row.vrf)
    return Sample(
        rows,
        vif_drops={row.vif_index: drops for row in ports},
        drops=drops,
        vrfs=[VrVrfStatsReq(vsr_vrf=vrf, vsr_encaps=count, vsr_vxlan_tunnels=2)],
        flows=FlowSample(
            pairs=count,
            counters={"pairs_created": count, "pairs_ended": 0},
            scan={"aged": 0},
            by_vif={ports[0].vif_index: 2 * count},
        ),
        used={"vif": Use(4, 100), "label": Use(100, 100)},
        process=Process(10.0 * count, 8 << 20, 9 << 20, 2 << 20),
        machine=Machine(2, (0.5, 0.25, 0.125), 100 << 20, 40 << 20, 1 << 20, 3 << 20),
    )


def _vif(
    index: int, name: str, kind: int, count: int, *, speed: int = 0, duplex: int = 0
) -> VrInterfaceReq:
    return VrInterfaceReq(
        vifr_idx=index,
        vifr_name=name,
        vifr_type=kind,
        vifr_speed=speed,
        vifr_duplex=duplex,
        vifr_ipackets=count,
        vifr_ibytes=100 * count,
        vifr_opackets=2 * count,
        vifr_obytes=200 * count,
    )
