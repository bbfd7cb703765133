"""Link-local addresses: by which the host knows its VMs, and VMs the services of the fabric.

Facts oper-db.md 1.3.3, 4.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from agent.oper import nexthop
from agent.oper.datapath import InetFlag, Nexthop, Peer, Route
from agent.oper.fabric import FABRIC_VRF, fabric, vhost_vif
from agent.oper.flow_rows import LinkLocalService
from agent.oper.incremental import View
from agent.oper.rows import Vmi, Vrf
from agent.oper.vn import global_vrouter
from agent.oper.world import HOST, BadConfig, address, items, member, number
from agent.values import prefix

METADATA = IPv4Address("169.254.0.0")
_ENTRY = "linklocal-service"
_ENTRIES = f"{_ENTRY}s"
_OWN = "metadata"
"""The service that the agent itself gives."""
_MOST_PORT = 65535


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


def link_local_services(view: View) -> tuple[LinkLocalService, ...]:
    """The configured services, of one address and port the first; malformed ones are left out."""
    try:
        listed = items(view(global_vrouter).properties, _ENTRIES, f"{_ENTRY}-entry")
    except BadConfig:
        return ()
    found: dict[object, LinkLocalService] = {}
    for entry in listed:
        one = _service(view, entry)
        if one is not None:
            found.setdefault((one.address, one.port), one)
    return tuple(found.values())


def _service(view: View, entry: object) -> LinkLocalService | None:
    name = str(member(entry, f"{_ENTRY}-name") or "")
    fabric_name = str(member(entry, "ip-fabric-DNS-service-name") or "")
    try:
        own = address(member(entry, f"{_ENTRY}-ip"), f"{_ENTRY}-ip")
        port = _port(entry, f"{_ENTRY}-port")
        if own is None:
            return None
        if name == _OWN:
            return _metadata(view, LinkLocalService(name, own, port))
        listed = items(entry, "ip-fabric-service-ip")
        servers = (address(one, "ip-fabric-service-ip") for one in listed)
        there = tuple(one for one in servers if one is not None)
        server_port = _port(entry, "ip-fabric-service-port")
    except BadConfig:
        return None
    if not there and not fabric_name:
        return None
    return LinkLocalService(name, own, port, there, "" if there else fabric_name, server_port)


def _port(entry: object, name: str) -> int:
    found = number(member(entry, name), name)
    if not 0 < found <= _MOST_PORT:
        raise BadConfig(f"{name}: {found} is not a port")
    return found


def _metadata(view: View, one: LinkLocalService) -> LinkLocalService | None:
    """The agent's own proxy serves it, on this host's address."""
    host = view.read(HOST, None)
    if host.address is None:
        return None
    servers = (host.address.ip,)
    return replace(one, servers=servers, server_port=host.metadata_port)


def service_routes(view: View, instance: Vrf) -> Iterator[Route]:
    """The routes of a network's VRF to the services: into the host, through policy and its NAT."""
    if view(fabric) is None:
        return
    addresses = dict.fromkeys(one.address for one in view(link_local_services))
    for one in addresses:
        via = nexthop.receive(view, view(vhost_vif), policy=True)
        own = (instance.name, instance.index, prefix(str(one)), Peer.LINK_LOCAL)
        yield Route(*own, via.key, via.index, InetFlag.ARP_PROXY)
