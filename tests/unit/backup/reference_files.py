"""Files as the reference agent writes them, made with the IDL and its file names' hash."""

from __future__ import annotations

from pathlib import Path

from agent.backup.resources import (
    InterfaceIndexResource,
    InterfaceIndexResourceMapSandesh,
    MirrorIndexResource,
    MirrorIndexResourceMapSandesh,
    QosIndexResource,
    QosIndexResourceMapSandesh,
    RouteMplsResource,
    RouteMplsResourceMapSandesh,
    VlanMplsResource,
    VlanMplsResourceMapSandesh,
    VmInterfaceIndexResource,
    VmInterfaceIndexResourceMapSandesh,
    VrfIndexResource,
    VrfIndexResourceMapSandesh,
    VrfMplsResource,
    VrfMplsResourceMapSandesh,
)
from agent.sandesh.runtime import Record

PORT = "5b6a7f5e-2c3a-4f2b-9d9a-111111111111"
VRF = "default-domain:p1:net1:net1"
MAC = "02:a7:7f:d8:87:a5"
PAIR = "02:00:00:00:00:99"


def hash_range(content: bytes) -> int:
    """The hash of boost 1.53 over signed bytes, written down plainly."""
    total = 0
    for byte in content:
        value = byte if byte < 128 else byte - 256
        total = (total ^ (value + 0x9E3779B9 + (total << 6) + (total >> 2))) % 2**64
    return total


def labels() -> InterfaceIndexResourceMapSandesh:
    """Those of a port: its five, and one of an allowed address pair; one of vhost0."""
    kinds = ((True, 1), (False, 1), (False, 5), (False, 2), (True, 2))
    found = {
        23 + at: InterfaceIndexResource(
            type="vm", uuid=PORT, name="tap1", policy=policy, flags=flags, mac=MAC
        )
        for at, (policy, flags) in enumerate(kinds)
    }
    found[31] = InterfaceIndexResource(
        type="vm", uuid=PORT, name="tap1", policy=True, flags=1, mac=PAIR
    )
    nobody = "00000000-0000-0000-0000-000000000000"
    found[16] = InterfaceIndexResource(uuid=nobody, name="vhost0", policy=True, flags=1, mac=MAC)
    return InterfaceIndexResourceMapSandesh(index_map=found, time_stamp=1)


def records() -> dict[str, Record]:
    """All that matter, by what their files' names begin with."""
    return {
        "contrail_interface_resource": labels(),
        "contrail_vrf_resource": VrfMplsResourceMapSandesh(
            index_map={21: VrfMplsResource(name=VRF, bridge_nh=True)}
        ),
        "contrail_vlan_resource": VlanMplsResourceMapSandesh(
            index_map={40: VlanMplsResource(uuid=PORT, tag=7)}
        ),
        "contrail_route_resource": RouteMplsResourceMapSandesh(
            index_map={
                22: RouteMplsResource(vrf_name=VRF, route_prefix="0-ff:ff:ff:ff:ff:ff-0.0.0.0/32"),
                41: RouteMplsResource(vrf_name=VRF, route_prefix="15.0.0.9/32"),
                42: RouteMplsResource(vrf_name=VRF, route_prefix="something"),
            }
        ),
        "contrail_vm_interface_index": VmInterfaceIndexResourceMapSandesh(
            index_map={3: VmInterfaceIndexResource(uuid=PORT, interface_name="tap1")}
        ),
        "contrail_vrf_index": VrfIndexResourceMapSandesh(
            index_map={0: VrfIndexResource(vrf_name="fabric"), 2: VrfIndexResource(vrf_name=VRF)}
        ),
        "contrail_qos_index": QosIndexResourceMapSandesh(
            index_map={1: QosIndexResource(uuid=PORT)}
        ),
        "contrail_mirror_index": MirrorIndexResourceMapSandesh(
            index_map={0: MirrorIndexResource(analyzer_name="spy")}
        ),
    }


def write(folder: Path) -> None:
    """Into a directory."""
    for name, record in records().items():
        content = record.encode()
        (folder / f"{name}-{hash_range(content)}").write_bytes(content)
