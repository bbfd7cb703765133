"""The nexthops of a VMI with their labels: its five, those of its pairs, those of its services."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from agent.oper import ids, nexthop
from agent.oper.datapath import Family, Label, Nexthop
from agent.oper.fabric import VMI_NEXTHOPS
from agent.oper.incremental import Failure, View
from agent.oper.instances import ServiceLink, service_links
from agent.oper.marks import etree_leaf
from agent.oper.prefixes import PortPrefix
from agent.oper.rows import Vmi, Vn, Vrf
from agent.oper.vmi import vif_key, vmi
from agent.oper.vrf import vrf
from agent.values import Mac


@dataclass(frozen=True, slots=True)
class Bound:
    """A nexthop with its label."""

    nexthop: Nexthop
    label: Label


@dataclass(frozen=True, slots=True)
class VmiNexthops:
    """The nexthops of an active VMI: those of a layer that the network has not are missing.

    `pairs` are those of its allowed address pairs that have a MAC address of their own,
    `services` those of its service instances by tag. `reason` says why there are none at all
    for a VMI that should forward.
    """

    l3_policy: Bound | None = None
    l3: Bound | None = None
    l3_multicast: Bound | None = None
    l2: Bound | None = None
    l2_policy: Bound | None = None
    pairs: tuple[tuple[Mac, VmiNexthops], ...] = ()
    services: tuple[tuple[int, Bound], ...] = ()
    reason: str = ""

    @property
    def flow_key(self) -> Nexthop | None:
        """The nexthop that names the VMI in flow keys: with policy, of layer 3 if there is."""
        bound = self.l3_policy or self.l2_policy
        return bound.nexthop if bound else None

    def routed(self, *, policy: bool) -> Bound | None:
        """What routes of layer 3 lead to."""
        return self.l3_policy if policy else self.l3

    def bridged(self, *, policy: bool) -> Bound | None:
        """What routes of layer 2 lead to."""
        return self.l2_policy if policy else self.l2

    def of(self, mac: Mac | None) -> VmiNexthops:
        """Those of a pair's MAC address; the VMI's own for None."""
        return self if mac is None else dict(self.pairs).get(mac, VmiNexthops())

    def towards(self, to: PortPrefix, *, policy: bool) -> Bound | None:
        """What the route to a prefix leads to."""
        if to.tag:
            return dict(self.services).get(to.tag)
        return self.of(to.mac).routed(policy=policy)

    def __iter__(self) -> Iterator[Bound]:
        five = (self.l3_policy, self.l3, self.l3_multicast, self.l2, self.l2_policy)
        yield from (bound for bound in five if bound is not None)
        for _, one in self.pairs:
            yield from one
        yield from (bound for _, bound in self.services)


def nexthops(view: View, uuid: UUID) -> VmiNexthops | None:
    """The nexthops of a VMI; None while it is not active."""
    row = view(vmi, uuid)
    if row is None or not row.active or row.vn is None or row.vrf is None:
        return None
    try:
        return _make(view, row, row.vn, row.vrf)
    except ids.ExhaustedError as error:
        return VmiNexthops(reason=str(error))


def _make(view: View, row: Vmi, network: Vn, vrf: Vrf) -> VmiNexthops:
    made = _interface(view, row, network, vrf, None)
    macs = dict.fromkeys(pair.mac for pair in row.pairs if pair.mac is not None)
    return VmiNexthops(
        made.get("l3-policy"),
        made.get("l3"),
        made.get("l3-multicast"),
        made.get("l2"),
        made.get("l2-policy"),
        tuple((mac, _pair(view, row, network, vrf, mac)) for mac in macs),
        tuple(_services(view, row)) if network.l3 else (),
    )


def _pair(view: View, row: Vmi, network: Vn, vrf: Vrf, mac: Mac) -> VmiNexthops:
    made = _interface(view, row, network, vrf, mac)
    return VmiNexthops(
        l3_policy=made.get("l3-policy"),
        l3=made.get("l3"),
        l2=made.get("l2"),
        l2_policy=made.get("l2-policy"),
    )


def _interface(view: View, row: Vmi, network: Vn, vrf: Vrf, pair: Mac | None) -> dict[str, Bound]:
    """Those to the VM's own MAC address, or to that of a pair, which gets no multicast."""
    vif = (vif_key(row.uuid, row.name), row.vif_index)
    leaf = view(etree_leaf, network.name)
    made: dict[str, Bound] = {}
    for name, family, flags in VMI_NEXTHOPS:
        wanted = network.l2 if family is Family.BRIDGE else network.l3
        if not wanted or (pair is not None and name == "l3-multicast"):
            continue
        owner = (str(row.uuid), row.name, name, *([bytes(pair)] if pair else []))
        one = nexthop.interface(
            view,
            owner,
            vif,
            pair or row.mac,
            flags,
            family=family,
            vrf=vrf,
            leaf=leaf,
            other=pair is not None,
        )
        made[name] = Bound(one, nexthop.label(view, one))
    return made


def _services(view: View, row: Vmi) -> Iterator[tuple[int, Bound]]:
    for link in view(service_links, row.uuid):
        instance = view.attempt(vrf, link.instance)
        if not isinstance(instance, Failure):
            yield link.tag, _service(view, row, link, instance)


def _service(view: View, row: Vmi, link: ServiceLink, instance: Vrf) -> Bound:
    vif = (vif_key(row.uuid, row.name), row.vif_index)
    owner = (str(row.uuid), row.name, link.tag)
    ends = (link.destination or row.mac, link.source)
    one = nexthop.service(view, owner, vif, ends, link.tag, instance, policy=row.policy)
    return Bound(one, nexthop.label(view, one))
