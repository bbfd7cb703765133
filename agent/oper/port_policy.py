"""Which access lists decide on the flows of a port (facts oper-db.md 4.1 and 4.3)."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from agent.ifmap import NodeRef
from agent.oper.acl import ACCESS_LIST, acl_name, is_mirror
from agent.oper.firewall import FirewallPolicies, firewall_policies
from agent.oper.flow_rows import UNNUMBERED, PortPolicy
from agent.oper.incremental import View
from agent.oper.pools import lenders
from agent.oper.ports import plugged
from agent.oper.security_group import GroupLists, attached_groups, group_lists
from agent.oper.tag import tags
from agent.oper.vmi import config
from agent.oper.vn import vn
from agent.oper.vrf_assign import has_vrf_assign, vrf_assign_name
from agent.oper.world import neighbours

CLOSED = PortPolicy(groups=(UNNUMBERED,))
"""The policy of a port of which nothing is known: everything is denied."""


class NetworkLists(NamedTuple):
    """The access lists of a network: the one that decides, and those that only mirror."""

    policy: NodeRef | None = None
    mirror: tuple[NodeRef, ...] = ()


class PortLists(NamedTuple):
    """The lists of a port. `vrf_assign`: it has rules of its own for its VRF."""

    network: NetworkLists = NetworkLists()
    groups: GroupLists = GroupLists()
    firewall: FirewallPolicies = FirewallPolicies()
    vrf_assign: bool = False


def port_policy(view: View, uuid: UUID) -> PortPolicy | None:
    """The policy of a VMI; None while it is not configured."""
    if view(config, uuid) is None:
        return None
    groups, numbers = view(attached_groups, uuid), view(tags, uuid)
    if not view(has_policy, uuid):
        return PortPolicy(enabled=False, groups=groups, tags=numbers)
    lists = view(port_lists, uuid)
    network = lists.network.policy
    return PortPolicy(
        network=acl_name(network) if network else "",
        egress=_names(lists.groups.egress),
        ingress=_names(lists.groups.ingress),
        groups=groups,
        tags=numbers,
        firewall=_names(lists.firewall.firewall),
        fwaas=_names(lists.firewall.fwaas),
        vrf_assign=vrf_assign_name(uuid) if lists.vrf_assign else "",
        mirror=_names(lists.network.mirror),
    )


def _names(refs: tuple[NodeRef, ...]) -> tuple[str, ...]:
    return tuple(acl_name(ref) for ref in refs)


def has_policy(view: View, uuid: UUID) -> bool:
    """Whether lists decide for a VMI at all: not where it is disabled or only bridged."""
    found = view(config, uuid)
    if found is None or not found.policy:
        return False
    network = view(vn, found.network) if found.network else None
    return network is None or network.l3


def port_lists(view: View, uuid: UUID) -> PortLists:
    """The lists that decide for a VMI; none without policy."""
    found = view(config, uuid)
    if found is None or not view(has_policy, uuid):
        return PortLists()
    return PortLists(
        view(network_lists, found.network) if found.network else NetworkLists(),
        view(group_lists, uuid),
        view(firewall_policies, uuid),
        view(has_vrf_assign, uuid),
    )


def network_lists(view: View, ref: NodeRef) -> NetworkLists:
    """The lists of a network; of several that decide the first by name does."""
    found = neighbours(view, ref, f"virtual-network-{ACCESS_LIST}", ACCESS_LIST)
    mirror = tuple(one for one in found if view(is_mirror, one))
    deciding = [one for one in found if one not in mirror]
    return NetworkLists(deciding[0] if deciding else None, mirror)


def lists_in_use(view: View) -> tuple[tuple[NodeRef, ...], tuple[UUID, ...]]:
    """The lists of all plugged ports, each once, and the ports with VRF-assign rules.

    Those of the networks that lend them addresses decide too.
    """
    refs: dict[NodeRef, None] = {}
    own = []
    for uuid in view(plugged):
        lists = view.attempt(port_lists, uuid)
        if not isinstance(lists, PortLists):
            continue
        network, groups, firewall = lists.network, lists.groups, lists.firewall
        decides = (network.policy,) if network.policy else ()
        for part in (decides, network.mirror, *groups, *firewall):
            refs |= dict.fromkeys(part)
        if view(has_policy, uuid):
            lent = (view(network_lists, ref).policy for ref in view(lenders, uuid))
            refs |= dict.fromkeys(ref for ref in lent if ref is not None)
        if lists.vrf_assign:
            own.append(uuid)
    return tuple(refs), tuple(own)
