"""Link-local addresses: by which the host knows its VMs, and VMs the services of the fabric.

Facts oper-db.md 1.3.3, 4.3.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from agent.oper.datapath import InetFlag, Nexthop, Peer, Route
from agent.oper.fabric import FABRIC_VRF
from agent.oper.rows import Vmi

METADATA = IPv4Address("169.254.0.0")


def metadata_address(vif_index: int) -> IPv4Address:
    """The link-local address by which the host knows a VMI."""
    return METADATA + vif_index


def metadata_route(row: Vmi, via: Nexthop) -> Route:
    """The route of the fabric's VRF to a VMI's metadata address."""
    return Route(
        FABRIC_VRF,
        0,
        IPv4Network(metadata_address(row.vif_index)),
        Peer.LINK_LOCAL,
        via.key,
        via.index,
        InetFlag.ARP_PROXY,
        order=row.vif_index,
    )
