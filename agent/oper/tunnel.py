"""Tunnels to other hosts and the way to them on the fabric."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import NamedTuple

from agent.oper import nexthop
from agent.oper.datapath import Nexthop, NexthopFlag
from agent.oper.fabric import fabric, fabric_vif
from agent.oper.incremental import View
from agent.oper.world import ARP, HOST
from agent.routes import Encapsulation
from agent.values import Mac

_KINDS = {
    Encapsulation.GRE: NexthopFlag.TUNNEL_GRE,
    Encapsulation.UDP: NexthopFlag.TUNNEL_UDP_MPLS,
    Encapsulation.VXLAN: NexthopFlag.TUNNEL_VXLAN,
}


class Tunnel(NamedTuple):
    """Names a tunnel. `rewrite` is the inner destination MAC of one that routes."""

    far: IPv4Address
    encapsulation: Encapsulation
    rewrite: Mac | None = None


def next_hop(view: View, far: IPv4Address) -> IPv4Address | None:
    """Who is asked by ARP on the way to `far`: itself on the fabric's subnet, else the gateway."""
    row = view(fabric)
    if row is None or row.router_id is None or row.prefix is None:
        return None
    if view.read(HOST, None).subnet_hosts_resolvable and far in row.prefix:
        return far
    return row.gateway


def tunnel(view: View, which: Tunnel) -> Nexthop | None:
    """The tunnel's nexthop, valid once ARP has answered; None without a fabric."""
    row = view(fabric)
    if row is None or row.router_id is None:
        return None
    asked = view(next_hop, which.far)
    learned = view.read(ARP, (0, asked)) if asked is not None else None
    mac = learned.mac if learned is not None and learned.vif_index == row.vif_index else None
    kind = _KINDS[which.encapsulation]
    ends = row.router_id, which.far
    return nexthop.tunnel(view, view(fabric_vif), ends, kind, mac, which.rewrite)
