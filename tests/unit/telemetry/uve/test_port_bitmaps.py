"""Which ports flows use, as UVEs of a port, its network and the host tell it."""

from __future__ import annotations

from typing import Any

from tests.reference.flow_model import TCP
from tests.unit.flow.pairs_rig import ONE, TWO, Rig, Talk
from tests.unit.telemetry.node_world import NodeWorld
from tests.unit.telemetry.uve.uve_world import uve_world

NOTHING = [0] * 8


def told(world: NodeWorld, message: str, key: str = "") -> dict[str, Any]:
    uve, *_ = world.node.uves.refreshed(world.node, message, key)
    return dict(uve.whole()["data"])


def test_ports_are_told_by_port_by_network_and_of_the_host() -> None:
    world = uve_world()
    row = world.node.compiler.vmis()[0]
    assert row.vif_index == ONE.vif
    assert row.vn is not None
    assert "port_bucket_bmap" not in told(world, "UVEVMIStats", row.config_name)
    rig = Rig()
    rig.connect(Talk(ONE.address, TWO.address, TCP, 256, 65_535))
    for _ in world.node.statistics.ports.steps(rig.pairs):
        pass
    bitmaps = {
        "tcp_sport_bitmap": [2, 0, 0, 0, 0, 0, 0, 0],
        "tcp_dport_bitmap": [0, 0, 0, 0, 0, 0, 0, 1 << 31],
        "udp_sport_bitmap": NOTHING,
        "udp_dport_bitmap": NOTHING,
    }
    world.node.uves.cache.delete("UVEVMIStats", row.config_name)
    port = told(world, "UVEVMIStats", row.config_name)["port_bucket_bmap"]
    network = told(world, "UveVirtualNetworkAgentTrace", row.vn.name)
    host = told(world, "VrouterStats")
    for name, words in bitmaps.items():
        assert list(port[name]) == list(network[name]) == list(host[name]) == words, name
