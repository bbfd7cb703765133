"""The host's own side: fabric vif, vhost0, pkt0, their nexthops, routes and neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Network

from agent.inputs import HostSettings
from agent.objects import Key, Kind
from agent.oper import nexthop
from agent.oper.datapath import (
    Family,
    InetFlag,
    Label,
    Nexthop,
    NexthopFlag,
    Output,
    Peer,
    Route,
    Transport,
    Vif,
    VifFlag,
    VifType,
)
from agent.oper.incremental import View
from agent.oper.rows import Fabric, Vrf
from agent.oper.world import ARP, HOST, LINK
from agent.values import VRRP_MAC, Mac, Prefix

FABRIC_VRF = "default-domain:default-project:ip-fabric:__default__"
POLICY_VRF = "default-domain:default-project:ip-fabric:ip-fabric"
UNDERLAY = Vrf(FABRIC_VRF, 0)

FABRIC_VIF, VHOST_VIF, PKT0_VIF = 0, 1, 2
PKT0_MAC = Mac.parse("00:00:00:00:00:01")
_MULTICAST = IPv4Network("224.0.0.0/8")
_MULTICAST6 = IPv6Network("ff00::/8")
_DEFAULT = IPv4Network("0.0.0.0/0")

_POLICY, _MCAST = NexthopFlag.POLICY, NexthopFlag.MCAST
# The five nexthops of a VMI, in the order in which they get their numbers.
VMI_NEXTHOPS = (
    ("l3-policy", Family.INET, _POLICY),
    ("l3", Family.INET, NexthopFlag.NONE),
    ("l3-multicast", Family.INET, _MCAST),
    ("l2", Family.BRIDGE, NexthopFlag.NONE),
    ("l2-policy", Family.BRIDGE, _POLICY),
)


def fabric(view: View) -> Fabric | None:
    """The host's side; None while the fabric interface does not exist."""
    host = view.read(HOST, None)
    mac = _fabric_mac(view, host)
    if mac is None:
        return None
    return Fabric(
        FABRIC_VIF,
        VHOST_VIF,
        PKT0_VIF,
        host.fabric_interface,
        mac,
        VRRP_MAC,
        host.address.ip if host.address else None,
        host.address.network if host.address else None,
        host.gateway,
    )


def _fabric_mac(view: View, host: HostSettings) -> Mac | None:
    """The MAC address of the fabric interface, which vhost0 has too.

    The kernel does not know an interface that DPDK drives.
    """
    if host.fabric_mac is not None:
        return host.fabric_mac
    link = view.read(LINK, host.fabric_interface)
    if link is None and host.interface_transport == Transport.PMD:
        link = view.read(LINK, host.vhost_name)
    return link.mac if link else None


def _fabric_number(view: View, host: HostSettings) -> int:
    """What the datapath knows the fabric interface by: the PCI device, else the kernel's index."""
    link = view.read(LINK, host.fabric_interface)
    return host.fabric_device or (link.index if link else 0)


def output(view: View) -> Output:
    """Everything that is there before any port."""
    row = view(fabric)
    if row is None:
        vif, pair = view(pkt0_vif), view(pkt0_nexthops)
        return Output((nexthop.DISCARD, nexthop.L2_RECEIVE, vif, *pair))
    own = view(fabric_nexthop)
    vhost, vhost_labels = view(vhost_nexthops)
    received = (
        nexthop.receive(view, view(vhost_vif), policy=False),
        nexthop.receive(view, view(vhost_vif), policy=True),
    )
    pkt0 = view(pkt0_nexthops)
    resolved = nexthop.resolve(view)
    vifs = (view(fabric_vif), view(vhost_vif), view(pkt0_vif))
    fixed = (nexthop.DISCARD, nexthop.L2_RECEIVE)
    return Output(
        (*vifs, *fixed, own, *vhost, *received, *pkt0, resolved, *vhost_labels),
        tuple(_routes(view, row, received[0], resolved)),
    )


def _row(view: View) -> Fabric:
    row = view(fabric)
    assert row is not None, "only asked for once the fabric interface is there"
    return row


def fabric_vif(view: View) -> Vif:
    """vif 0, the physical interface."""
    row, host = _row(view), view.read(HOST, None)
    return Vif(
        Key(Kind.VIF, "fabric"),
        FABRIC_VIF,
        row.interface,
        VifType.PHYSICAL,
        VifFlag.L3 | VifFlag.L2 | VifFlag.VHOST_PHYS | VifFlag.ETREE_ROOT,
        row.mac,
        host.interface_transport,
        _fabric_number(view, host),
        vrf=UNDERLAY.index,
        nexthop=view(fabric_nexthop).index,
    )


def vhost_vif(view: View) -> Vif:
    """vif 1, the host's own interface."""
    host = view.read(HOST, None)
    link = view.read(LINK, host.vhost_name)
    under = _fabric_number(view, host)
    return Vif(
        Key(Kind.VIF, "vhost"),
        VHOST_VIF,
        host.vhost_name,
        VifType.HOST,
        VifFlag.L3 | VifFlag.DHCP | VifFlag.ETREE_ROOT,
        VRRP_MAC,
        host.interface_transport,
        link.index if link else 0,
        vrf=UNDERLAY.index,
        nexthop=view(vhost_nexthops)[0][0].index,
        ip=host.address.ip if host.address else None,
        cross_connect=_under(host, under),
        refs=(Key(Kind.VIF, "fabric"),),
    )


def _under(host: HostSettings, number: int) -> int | None:
    """What vhost0 lies on. A DPDK datapath takes the vif by its place in the list, not by number.

    So that one is told even where the number is not known, as of a bond.
    """
    return number if number or host.interface_transport == Transport.PMD else None


def pkt0_vif(view: View) -> Vif:
    """vif 2, the channel of trapped packets."""
    host = view.read(HOST, None)
    link = view.read(LINK, host.pkt0_name) if host.pkt0_transport != Transport.SOCKET else None
    return Vif(
        Key(Kind.VIF, "pkt0"),
        PKT0_VIF,
        host.pkt0_name,
        VifType.AGENT,
        VifFlag.L3 | VifFlag.ETREE_ROOT,
        VRRP_MAC,
        host.pkt0_transport,
        link.index if link else 0,
    )


def fabric_nexthop(view: View) -> Nexthop:
    """Out of the fabric interface, to itself: what its vif names as flow key."""
    row = _row(view)
    vif = (Key(Kind.VIF, "fabric"), FABRIC_VIF)
    return nexthop.interface(view, ("fabric",), vif, row.mac, source=row.mac)


def vhost_nexthops(view: View) -> tuple[tuple[Nexthop, ...], tuple[Label, ...]]:
    """The five nexthops of vhost0 with their labels."""
    row = _row(view)
    vif = (Key(Kind.VIF, "vhost"), VHOST_VIF)
    made = tuple(
        nexthop.interface(view, ("vhost", name), vif, row.mac, flags, family=family)
        for name, family, flags in VMI_NEXTHOPS
    )
    return made, tuple(nexthop.label(view, one) for one in made)


def pkt0_nexthops(view: View) -> tuple[Nexthop, Nexthop]:
    """To the agent: without and with policy."""
    vif = (Key(Kind.VIF, "pkt0"), PKT0_VIF)
    return (
        nexthop.interface(view, ("pkt0", "plain"), vif, PKT0_MAC),
        nexthop.interface(view, ("pkt0", "policy"), vif, PKT0_MAC, _POLICY),
    )


def _route(prefix: Prefix, via: Nexthop, preference: int = 200) -> Route:
    # In the fabric VRF only routes with a MAC, to interfaces or composites get the proxy flag.
    none = InetFlag.NONE
    return Route(FABRIC_VRF, 0, prefix, Peer.LOCAL, via.key, via.index, none, preference=preference)


def _routes(view: View, row: Fabric, received: Nexthop, resolved: Nexthop) -> Iterator[Route]:
    if row.router_id is None or row.prefix is None:
        return
    yield _route(IPv4Network(row.router_id), received)
    if row.prefix.prefixlen < 31:
        yield _route(IPv4Network(row.prefix.broadcast_address), received)
    if view.read(HOST, None).subnet_hosts_resolvable and row.prefix.prefixlen < 32:
        yield _route(row.prefix, resolved)
    yield _route(_MULTICAST, received)
    yield _route(_MULTICAST6, received)
    if row.gateway is not None:
        yield _route(_DEFAULT, view(neighbour, row.gateway) or nexthop.DISCARD)


def neighbour(view: View, address: IPv4Address) -> Nexthop | None:
    """The nexthop to a neighbour on the fabric; None while ARP has not resolved it."""
    learned = view.read(ARP, (UNDERLAY.index, address))
    if learned is None or learned.vif_index != FABRIC_VIF or view(fabric) is None:
        return None
    return nexthop.arp(view, view(fabric_vif), address, learned.mac)


def neighbour_output(view: View, address: IPv4Address) -> Output:
    """A resolved neighbour: its nexthop and host route."""
    row, via = view(fabric), view(neighbour, address)
    if row is None or via is None:
        return Output()
    return Output((via,), (_route(IPv4Network(address), via, preference=100),))
