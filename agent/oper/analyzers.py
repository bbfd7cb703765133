"""Analyzers: where copies of packets go, as VMIs and the rules of access lists name them.

Facts ifmap-schema.json (MirrorActionType), oper-db.md 1.2, sandesh-ksync.md 4.3, 4.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any
from uuid import UUID

from agent.ifmap import Identity, NodeRef
from agent.oper.acl import ACCESS_LIST
from agent.oper.fabric import FABRIC_VRF, POLICY_VRF
from agent.oper.incremental import Failure, View
from agent.oper.port_policy import lists_in_use
from agent.oper.ports import plugged
from agent.oper.world import (
    BY_UUID,
    BadConfig,
    address4,
    attributes,
    items,
    mac,
    member,
    node,
    number,
)
from agent.values import Mac

_VMI = "virtual-machine-interface"
_FIREWALL = "firewall-policy-firewall-rule"
_DEFAULT_PORT = 8099
_MOST_VLAN, _MOST_VNI, _MOST_PORT = 4094, 0xFFFFFF, 65535


@dataclass(frozen=True, slots=True)
class Target:
    """Where copies go: over UDP to `address` in the VRF `instance`, "" for the fabric's.

    Or, with `vni`, in a VXLAN tunnel to `address`, to `mac` there. Equal ones are one nexthop.
    """

    address: IPv4Address
    port: int = 0
    instance: str = ""
    vni: int = 0
    mac: Mac | None = None


@dataclass(frozen=True, slots=True)
class Analyzer:
    """An analyzer. With a `vlan` the NIC mirrors, and there is no target.

    `header`: copies begin with what is known of the packet.
    """

    name: str
    target: Target | None
    header: bool = True
    vlan: int | None = None


def analyzer(value: object) -> Analyzer | None:
    """What a MirrorActionType says; None for one that cannot be used."""
    name = str(member(value, "analyzer-name") or "")
    try:
        if not name:
            return None
        if member(value, "nic-assisted-mirroring") is True:
            vlan = number(member(value, "nic-assisted-mirroring-vlan"), "vlan")
            return Analyzer(name, None, False, vlan) if 0 < vlan <= _MOST_VLAN else None
        if member(value, "nh-mode") == "static":
            target = _static(member(value, "static-nh-header"))
            return Analyzer(name, target, False) if target else None
        target = _dynamic(value)
        header = member(value, "juniper-header") is not False
        return Analyzer(name, target, header) if target else None
    except BadConfig:
        return None


def _dynamic(value: object) -> Target | None:
    to = address4(member(value, "analyzer-ip-address"), "analyzer-ip-address")
    port = number(member(value, "udp-port"), "udp-port") or _DEFAULT_PORT
    instance = str(member(value, "routing-instance") or "")
    if to is None or not 0 < port <= _MOST_PORT:
        return None
    return Target(to, port, "" if instance in (FABRIC_VRF, POLICY_VRF) else instance)


def _static(value: object) -> Target | None:
    far = address4(member(value, "vtep-dst-ip-address"), "vtep-dst-ip-address")
    vni = number(member(value, "vni"), "vni")
    station = member(value, "vtep-dst-mac-address")
    if far is None or not 0 < vni <= _MOST_VNI:
        return None
    return Target(far, vni=vni, mac=mac(station, "vtep-dst-mac-address") if station else None)


def port_analyzer(view: View, uuid: UUID) -> tuple[Analyzer, str] | None:
    """The analyzer of all packets of a VMI, with ingress, egress or both; None without one."""
    ref = view.read(BY_UUID, Identity(_VMI, uuid))
    found = node(view, ref) if ref else None
    said = member(found and found.properties, f"{_VMI}-properties", "interface-mirror")
    to = analyzer(member(said, "mirror-to")) if said else None
    if to is None:
        return None
    direction = str(member(said, "traffic-direction") or "")
    return to, direction if direction in ("ingress", "egress") else "both"


def list_analyzers(view: View, ref: NodeRef) -> tuple[Analyzer, ...]:
    """Those that the rules of an access list or firewall policy name."""
    found = (analyzer(member(one, "mirror-to")) for one in _actions(view, ref))
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _actions(view: View, ref: NodeRef) -> Iterator[Any]:
    """The action lists of a list's rules."""
    if ref.type == ACCESS_LIST:
        found = node(view, ref)
        try:
            rules = items(found and found.properties, "access-control-list-entries", "acl-rule")
        except BadConfig:
            return
        yield from (member(rule, "action-list") for rule in rules)
        return
    for _, rule in attributes(view, ref, _FIREWALL, "firewall-rule"):
        found = node(view, rule)
        yield member(found and found.properties, "action-list")


def analyzers(view: View) -> tuple[Analyzer, ...]:
    """All in use: those of plugged VMIs and of access lists, by name.

    Of one name there should be one; else it is always the same one of them.
    """
    found: set[Analyzer] = set()
    for uuid in view(plugged):
        one = view.attempt(port_analyzer, uuid)
        if one is not None and not isinstance(one, Failure):
            found.add(one[0])
    lists, _ = view(lists_in_use)
    for ref in lists:
        named = view.attempt(list_analyzers, ref)
        found.update(() if isinstance(named, Failure) else named)
    chosen = {one.name: one for one in sorted(found, key=str, reverse=True)}
    return tuple(chosen[name] for name in sorted(chosen))


def targets(view: View) -> tuple[Target, ...]:
    """Where copies go, each once."""
    found = (one.target for one in view(analyzers))
    return tuple(dict.fromkeys(one for one in found if one is not None))
