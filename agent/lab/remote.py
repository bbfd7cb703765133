"""Whether a host's datapath knows the VMs of the other hosts: read from the datapath itself."""

from __future__ import annotations

from pathlib import Path

from agent.cli.datapath_client import DatapathClient
from agent.errors import AgentError
from agent.sandesh.vrouter import SandeshOp, VrInterfaceReq, VrNexthopReq, VrRouteReq
from agent.topology import Topology, Vm

INET, BRIDGE = 2, 7
HOST_LENGTH = 32
TUNNEL = 3


def missing_routes(run_dir: Path, topology: Topology, host: str) -> list[str]:
    """The VMs on other hosts to whose networks `host` belongs and which it cannot reach yet."""
    local = {vm.network: vm for vm in topology.on_host(host)}
    remote = [vm for vm in topology.vms.values() if vm.host != host and vm.network in local]
    with DatapathClient.connect(run_dir) as client:
        vrfs = _vrfs(client)
        return [
            vm.name
            for vm in remote
            if not _reaches(client, vrfs.get(local[vm.network].tap, -1), vm, topology)
        ]


def _vrfs(client: DatapathClient) -> dict[str, int]:
    """The VRF of each vif, by the vif's name."""

    def request(last: VrInterfaceReq | None) -> bytes:
        marker = -1 if last is None else last.vifr_idx
        return VrInterfaceReq(h_op=SandeshOp.DUMP, vifr_marker=marker).encode()

    return {vif.vifr_name: vif.vifr_vrf for vif in client.dump(request, VrInterfaceReq)}


def _reaches(client: DatapathClient, vrf: int, vm: Vm, topology: Topology) -> bool:
    """Whether the VRF has a tunnel for the address, and for the MAC where the network bridges."""
    address = VrRouteReq(
        h_op=SandeshOp.GET,
        rtr_vrf_id=vrf,
        rtr_family=INET,
        rtr_prefix=vm.address.packed,
        rtr_prefix_len=HOST_LENGTH,
    )
    mac = VrRouteReq(
        h_op=SandeshOp.GET, rtr_vrf_id=vrf, rtr_family=BRIDGE, rtr_mac=vm.mac, rtr_index=-1
    )
    mode = topology.networks[vm.network].forwarding_mode
    wanted = ([address] if "l3" in mode else []) + ([mac] if "l2" in mode else [])
    return all(_tunnels(client, route) for route in wanted)


def _tunnels(client: DatapathClient, asked: VrRouteReq) -> bool:
    try:
        route = client.get(asked.encode(), VrRouteReq)
        nexthop = client.get(
            VrNexthopReq(h_op=SandeshOp.GET, nhr_id=route.rtr_nh_id).encode(), VrNexthopReq
        )
    except AgentError:
        return False  # no such VRF or MAC yet
    return nexthop.nhr_type == TUNNEL
