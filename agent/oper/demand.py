"""What the routes in use ask for: tunnels, and neighbours that must be resolved by ARP."""

from __future__ import annotations

from ipaddress import IPv4Address

from agent.oper.analyzers import targets
from agent.oper.datapath import Output
from agent.oper.direction import Direction, Spec, direction
from agent.oper.fabric import UNDERLAY, fabric
from agent.oper.incremental import Failure, Source, View
from agent.oper.mirror import tunnel_of
from agent.oper.multicast import GROUPS, ways
from agent.oper.tunnel import Tunnel, next_hop, tunnel

SPECS: Source[None, tuple[Spec, ...]] = Source("directions in use")


def tunnels(view: View) -> tuple[Tunnel, ...]:
    """The tunnels in use, each once."""
    found: dict[Tunnel, None] = {}
    for spec in view.read(SPECS, None):
        one = view.attempt(direction, spec)
        if isinstance(one, Direction):
            found |= dict.fromkeys(one.tunnels)
    for name in view.read(GROUPS, None):
        both = view.attempt(ways, name)
        if not isinstance(both, Failure):
            found |= dict.fromkeys(which for part in both for which, _ in part)
    copies = (tunnel_of(one) for one in view(targets))
    found |= dict.fromkeys(which for which in copies if which is not None)
    return tuple(found)


def tunnel_output(view: View, which: Tunnel) -> Output:
    """A tunnel's nexthop."""
    made = view(tunnel, which)
    return Output() if made is None else Output((made,))


def direction_output(view: View, spec: Spec) -> tuple[Direction, Output]:
    """A direction, and the composite that is its own."""
    found = view(direction, spec)
    made = (found.nexthop,) if found.composite and found.nexthop else ()
    return found, Output(made)


def wanted_arp(view: View) -> tuple[tuple[int, IPv4Address], ...]:
    """Which addresses of which VRF must be resolved for the datapath to be complete."""
    row = view(fabric)
    if row is None or row.router_id is None:
        return ()
    asked: dict[IPv4Address | None, None] = {row.gateway: None}
    for which in view(tunnels):
        asked[view(next_hop, which.far)] = None
    for spec in view.read(SPECS, None):
        one = view.attempt(direction, spec)
        if isinstance(one, Direction):
            asked |= dict.fromkeys(one.asked)
    for target in view(targets):
        if not target.instance and not target.vni:
            asked[view(next_hop, target.address)] = None
    return tuple((UNDERLAY.index, address) for address in asked if address is not None)
