"""What is demanded of the engine, in the order in which numbers are given on an empty host."""

from __future__ import annotations

from agent.oper import (
    analyzers,
    demand,
    export,
    fabric,
    mirror,
    qos,
    shared,
    vgw,
    vmi_objects,
    vn_objects,
    vrf,
    world,
)
from agent.oper.acl import acl
from agent.oper.flow_port import flow_port
from agent.oper.incremental import Call, View
from agent.oper.link_local import link_local_services
from agent.oper.port_policy import lists_in_use
from agent.oper.ports import plugged
from agent.oper.session_port import session_port
from agent.oper.vrf_assign import vrf_assign
from agent.oper.vrf_facts import vrf_facts

EXPORTED = (
    export.port_routes,
    export.shared_routes,
    export.network_routes,
    vgw.published,
)
"""The functions whose results are routes for controllers."""


def host(_: View) -> tuple[Call, ...]:
    """The host's own side."""
    return Call(fabric.output, ()), Call(fabric.fabric, ()), Call(demand.wanted_arp, ())


def vrfs(view: View) -> tuple[Call, ...]:
    """The VRFs in use."""
    return tuple(Call(vrf.output, (name,)) for name in view(vn_objects.vrfs))


def networks(view: View) -> tuple[Call, ...]:
    """The networks in use."""
    return tuple(Call(vn_objects.output, (ref,)) for ref in view(vn_objects.networks))


def vmis(view: View) -> tuple[Call, ...]:
    """The plugged VMIs."""
    return tuple(Call(vmi_objects.output, (uuid,)) for uuid in view(plugged))


def shared_addresses(view: View) -> tuple[Call, ...]:
    """Which addresses several ports have, and what is made for each."""
    made = (Call(shared.output, (place,)) for place in view.read(shared.SHARED, None))
    return (Call(shared.groups, ()), *made)


def gateways(view: View) -> tuple[Call, ...]:
    """The simple gateways."""
    return tuple(Call(vgw.output, (name,)) for name in view.read(world.GATEWAYS, None))


def neighbours(view: View) -> tuple[Call, ...]:
    """The neighbours on the fabric that were resolved."""
    known = view.read(world.ARPS, None)
    return tuple(Call(fabric.neighbour_output, (ip,)) for vrf_index, ip in known if not vrf_index)


def facts(view: View) -> tuple[Call, ...]:
    """What remote routes must know of each VRF."""
    return tuple(Call(vrf_facts, (name,)) for name in view(vn_objects.vrfs))


def directions(view: View) -> tuple[Call, ...]:
    """Where the remote routes in use lead."""
    return tuple(Call(demand.direction_output, (spec,)) for spec in view.read(demand.SPECS, None))


def tunnels(view: View) -> tuple[Call, ...]:
    """The tunnels in use."""
    return tuple(Call(demand.tunnel_output, (which,)) for which in view(demand.tunnels))


def mirrors(view: View) -> tuple[Call, ...]:
    """Where packets are copied to."""
    ways = (Call(mirror.way_output, (one,)) for one in view(analyzers.targets))
    entries = (Call(mirror.output, (one,)) for one in view(analyzers.analyzers))
    return (*ways, *entries)


def qualities(view: View) -> tuple[Call, ...]:
    """Forwarding classes and the QoS maps in use."""
    maps = (Call(qos.map_output, (ref,)) for ref in view(qos.qos_configs))
    return (Call(qos.classes_output, ()), *maps)


def exports(view: View) -> tuple[Call, ...]:
    """What controllers are told."""
    ports = (Call(export.port_routes, (uuid,)) for uuid in view(plugged))
    both = (Call(export.shared_routes, (place,)) for place in view.read(shared.SHARED, None))
    groups = (Call(export.network_routes, (ref,)) for ref in view(vn_objects.networks))
    gates = (Call(vgw.published, (name,)) for name in view.read(world.GATEWAYS, None))
    return (*ports, *both, *groups, *gates)


def access_lists(view: View) -> tuple[Call, ...]:
    """The access lists that decide on flows of this host's ports."""
    shared_ones, own = view(lists_in_use)
    rules = (Call(vrf_assign, (uuid,)) for uuid in own)
    return (*(Call(acl, (ref,)) for ref in shared_ones), *rules)


def services(_: View) -> tuple[Call, ...]:
    """The link-local services."""
    return (Call(link_local_services, ()),)


def flow_ports(view: View) -> tuple[Call, ...]:
    """What ports say of their flows."""
    return tuple(Call(flow_port, (uuid,)) for uuid in view(plugged))


def session_ports(view: View) -> tuple[Call, ...]:
    """What is told of the sessions of ports."""
    return tuple(Call(session_port, (uuid,)) for uuid in view(plugged))


ENUMERATIONS = (
    host,
    vrfs,
    networks,
    vmis,
    shared_addresses,
    gateways,
    neighbours,
    facts,
    directions,
    tunnels,
    mirrors,
    qualities,
    exports,
    access_lists,
    flow_ports,
    services,
    session_ports,
)
