"""The host that the golden frames assume: vif 7 is a VMI of VN net1 in VRF 3."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network
from typing import Any
from uuid import UUID

from agent.oper.rows import Fabric, Subnet, Vmi, Vn, Vrf
from agent.pkt import FrameBatch
from agent.services import TrappedPackets
from agent.values import VRRP_MAC, Mac

VM_MAC = Mac.parse("02:11:22:33:44:55")
SUBNET = Subnet(ip_network("10.1.1.0/24"), ip_address("10.1.1.1"), ip_address("10.1.1.2"))
VN = Vn(UUID(int=1), "net1", "net1:net1", 5, (SUBNET,))
VMI = Vmi(
    uuid=UUID(int=2),
    name="tap1",
    vif_index=7,
    os_index=12,
    mac=VM_MAC,
    active=True,
    reason="",
    vm_uuid=UUID(int=3),
    vm_name="vm1",
    vn=VN,
    vrf=Vrf("net1:net1", 3),
    ip=IPv4Address("10.1.1.3"),
    ip6=None,
    subnet=SUBNET,
    subnet6=None,
)
FABRIC = Fabric(
    vif_index=0,
    vhost_vif_index=1,
    pkt0_vif_index=2,
    interface="fabric0",
    mac=Mac.parse("0c:00:00:00:00:01"),
    vhost_mac=VRRP_MAC,
    router_id=IPv4Address("192.168.0.1"),
    prefix=IPv4Network("192.168.0.0/24"),
    gateway=IPv4Address("192.168.0.254"),
)


@dataclass
class World:
    """A view whose rows the test exchanges."""

    vmis: dict[int, Vmi] = field(default_factory=lambda: {7: VMI})
    host: Fabric | None = FABRIC

    def vmi(self, vif_index: int) -> Vmi | None:
        return self.vmis.get(vif_index)

    def fabric(self) -> Fabric | None:
        return self.host

    def change(self, **changes: Any) -> None:
        """Replace members of the VMI's row; those named `subnet_x` of its subnet's."""
        inner = {k[7:]: v for k, v in changes.items() if k.startswith("subnet_")}
        outer = {k: v for k, v in changes.items() if not k.startswith("subnet_")}
        if inner:
            subnet = replace(self.vmis[7].subnet or SUBNET, **inner)
            outer |= {"subnet": subnet, "vn": replace(VN, subnets=(subnet,))}
        self.vmis[7] = replace(self.vmis[7], **outer)


def feed(box: TrappedPackets, *frames: bytes, now: float = 0.0) -> list[bytes]:
    """Hand frames to the services as one batch."""
    batch = FrameBatch(64)
    batch.fill(frames)
    return box.receive(batch, now)
