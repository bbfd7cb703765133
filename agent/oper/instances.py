"""The routing instances that a VMI is linked to: that of plain traffic, and those of services.

A link of a service instance names a tag: what goes to or comes from the VM with it belongs to
that instance (facts xmpp-ifmap.md 10.4).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agent.ifmap import Identity, NodeRef
from agent.oper.incremental import View
from agent.oper.world import BY_UUID, BadConfig, address, attributes, mac, member, number
from agent.values import VRRP_MAC, Address, Mac

_VMI = "virtual-machine-interface"
_LINK = f"{_VMI}-routing-instance"
_ADDRESSES = ("service-chain-address", "ipv6-service-chain-address")
_OF_SERVICES = ("vlan-tag", "protocol", *_ADDRESSES)
_MOST_TAG = 4093


@dataclass(frozen=True, slots=True)
class ServiceLink:
    """A tag of a service VMI as configured: the instance it leads to, and its addresses there.

    `source` is the MAC address from which frames with the tag go to the VM, `destination`
    the one to which, None for the VM's own.
    """

    tag: int
    instance: str
    addresses: tuple[Address, ...] = ()
    source: Mac = VRRP_MAC
    destination: Mac | None = None


def _rules(view: View, ref: NodeRef) -> Iterator[tuple[Any, str]]:
    """The content of each link, with the name of its instance; none without a direction."""
    for attribute, instance in attributes(view, ref, _LINK, "routing-instance"):
        rule = member(attribute.properties, "value")
        if member(rule, "direction"):
            yield rule, instance.name


def is_of_service(rule: object) -> bool:
    """Whether the content of a link ties a service instance, not plain traffic."""
    return any(member(rule, name) for name in _OF_SERVICES)


def plain_instance(view: View, ref: NodeRef) -> str | None:
    """The routing instance of a VMI's plain traffic."""
    for rule, instance in _rules(view, ref):
        if not is_of_service(rule):
            return instance
    return None


def service_links(view: View, uuid: UUID) -> tuple[ServiceLink, ...]:
    """The service instances of a VMI by tag; of one tag the first instance by name.

    Malformed links are left out, and those without a tag.
    """
    ref = view.read(BY_UUID, Identity(_VMI, uuid))
    found: dict[int, ServiceLink] = {}
    for rule, instance in sorted(_rules(view, ref), key=lambda one: one[1]) if ref else ():
        link = _service_link(rule, instance) if is_of_service(rule) else None
        if link is not None:
            found.setdefault(link.tag, link)
    return tuple(found[tag] for tag in sorted(found))


def _service_link(rule: object, instance: str) -> ServiceLink | None:
    try:
        tag = number(member(rule, "vlan-tag"), "vlan-tag")
        listed = [address(member(rule, name), name) for name in _ADDRESSES]
        ends = [_station(rule, name) for name in ("src-mac", "dst-mac")]
    except BadConfig:
        return None
    if not 0 < tag <= _MOST_TAG:
        return None
    own = tuple(one for one in listed if one is not None)
    return ServiceLink(tag, instance, own, ends[0] or VRRP_MAC, ends[1])


def _station(rule: object, name: str) -> Mac | None:
    said = member(rule, name)
    found = mac(said, name) if said else None
    return found if found and any(found) else None
