"""What remote routes must know of their VRF."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

from agent.ifmap import NodeRef
from agent.oper.datapath import inet_key
from agent.oper.fabric import FABRIC_VRF, POLICY_VRF, fabric
from agent.oper.incremental import View
from agent.oper.logical_router import is_internal
from agent.oper.rows import Subnet, Vn
from agent.oper.vn import networks_of, vn
from agent.oper.vrf import vrf
from agent.routes import InetKey

_DEFAULT = IPv4Network("0.0.0.0/0")


@dataclass(frozen=True, slots=True)
class VrfFacts:
    """A VRF as its routes see it.

    `network` is the name of its network, "" for none. `subnets` are (bytes of an address,
    bits that are not the prefix's, the prefix as a number without them). A `routing` VRF
    takes its prefixes from EVPN. Routes to `reserved` prefixes are not the controllers' business.
    """

    name: str
    index: int
    network: str = ""
    l2: bool = False
    l3: bool = True
    subnets: tuple[tuple[int, int, int], ...] = ()
    fabric: bool = False
    routing: bool = False
    reserved: frozenset[InetKey] = frozenset()

    def floods(self, to: InetKey) -> bool:
        """Whether `to` is one of the subnets, or a host of one: ARP for it is flooded."""
        prefix, length = to
        size = len(prefix)
        number = int.from_bytes(prefix, "big")
        is_host = length == 8 * size
        for own, bits, top in self.subnets:
            if size == own and number >> bits == top and (is_host or bits == 8 * size - length):
                return True
        return False


def vrf_facts(view: View, name: str) -> VrfFacts:
    """The facts of a VRF in use."""
    index = view(vrf, name).index
    if name in (FABRIC_VRF, POLICY_VRF):
        reserved = _reserved(view) if name == POLICY_VRF else frozenset()
        return VrfFacts(name, index, fabric=True, reserved=reserved)
    for ref in networks_of(view, NodeRef("routing-instance", name)):
        row = view.attempt(vn, ref)
        if isinstance(row, Vn) and row.active and row.vrf_name == name:
            subnets = tuple(_subnet(one) for one in row.subnets)
            routing = view(is_internal, ref)
            return VrfFacts(name, index, row.name, row.l2, row.l3, subnets, routing=routing)
    return VrfFacts(name, index)


def _reserved(view: View) -> frozenset[InetKey]:
    """The default route, the host's own address and subnet (facts xmpp-ifmap.md 12, rule 8)."""
    row = view(fabric)
    if row is None or row.router_id is None or row.prefix is None:
        return frozenset()
    return frozenset(map(inet_key, (_DEFAULT, IPv4Network(row.router_id), row.prefix)))


def _subnet(row: Subnet) -> tuple[int, int, int]:
    packed = row.prefix.network_address.packed
    bits = 8 * len(packed) - row.prefix.prefixlen
    return len(packed), bits, int.from_bytes(packed, "big") >> bits
