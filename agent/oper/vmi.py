"""Virtual machine interfaces: configuration, plugged port and device joined into one row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple
from uuid import UUID

from agent.ifmap import Identity, NodeRef, uuid_of
from agent.inputs import GraphNode, Link
from agent.objects import Key, Kind
from agent.oper import ids
from agent.oper.address_pairs import address_pairs
from agent.oper.datapath import Transport
from agent.oper.fabric import FABRIC_VRF
from agent.oper.incremental import View
from agent.oper.instances import plain_instance
from agent.oper.ipam import containing, scope
from agent.oper.ports import Attachment, attachment, node_uuid
from agent.oper.rows import AddressPair, DhcpScope, Vmi, Vn
from agent.oper.vn import vn
from agent.oper.vrf import reserved_macs, vrf
from agent.oper.world import (
    BY_UUID,
    HOST,
    LINK,
    SNOOPED,
    TOLD_DOWN,
    BadConfig,
    address,
    enabled,
    items,
    mac,
    member,
    neighbours,
    node,
)
from agent.values import Address, Mac

_TYPE = "virtual-machine-interface"
_IP = "instance-ip-virtual-machine-interface"
_SECONDARY = ("instance-ip-secondary", "service-instance-ip")
_NO_DHCP = DhcpScope()
NO_VIF = -1


@dataclass(frozen=True, slots=True)
class Config:
    """What configuration says of a VMI; `problem` is why it cannot be used, or ""."""

    name: str
    problem: str = ""
    mac: Mac | None = None
    network: NodeRef | None = None
    vrf_name: str | None = None
    vm_uuid: UUID | None = None
    vm_name: str = ""
    ip: IPv4Address | None = None
    ip6: IPv6Address | None = None
    policy: bool = True
    dhcp: DhcpScope = _NO_DHCP
    others: tuple[Address, ...] = ()
    private: tuple[Address, ...] = ()


def config(view: View, uuid: UUID) -> Config | None:
    """The configuration of a VMI; None while there is none."""
    ref = view.read(BY_UUID, Identity(_TYPE, uuid))
    found = node(view, ref) if ref else None
    if ref is None or found is None:
        return None
    try:
        return _config(view, ref, found)
    except BadConfig as error:
        return Config(ref.name, str(error), network=_first(view, ref, "virtual-network"))


def _config(view: View, ref: NodeRef, found: GraphNode) -> Config:
    properties = found.properties
    macs = items(properties, "virtual-machine-interface-mac-addresses", "mac-address")
    vm = _first(view, ref, "virtual-machine")
    machine = node(view, vm) if vm else None
    addresses = _addresses(view, ref)
    return Config(
        ref.name,
        "" if enabled(properties) else "the port is administratively down",
        mac(macs[0], "virtual-machine-interface-mac-addresses") if macs else None,
        _first(view, ref, "virtual-network"),
        plain_instance(view, ref),
        uuid_of(machine) if machine else None,
        str(member(machine.properties, "display-name") or "") if machine else "",
        addresses.ip,
        addresses.ip6,
        member(properties, "virtual-machine-interface-disable-policy") is not True,
        scope(
            member(properties, "virtual-machine-interface-dhcp-option-list"),
            member(properties, "virtual-machine-interface-host-routes"),
        ),
        addresses.others,
        addresses.private,
    )


def _first(view: View, ref: NodeRef, kind: str) -> NodeRef | None:
    return next(iter(neighbours(view, ref, f"{_TYPE}-{kind}", kind)), None)


class _Addresses(NamedTuple):
    """The primary addresses of a VMI, its other ones, and those that are for this host only."""

    ip: IPv4Address | None
    ip6: IPv6Address | None
    others: tuple[Address, ...]
    private: tuple[Address, ...]


def _addresses(view: View, ref: NodeRef) -> _Addresses:
    """Those of the instance IPs; the smallest that are neither secondary nor a service's lead.

    What health checks come from is none of the VM's.
    """
    found: dict[Address, bool] = {}
    private: set[Address] = set()
    for end in neighbours(view, ref, _IP, "instance-ip"):
        instance = node(view, end)
        properties = instance.properties if instance else {}
        one = address(member(properties, "instance-ip-address"), "instance-ip-address")
        if one is None or member(properties, "service-health-check-ip"):
            continue
        secondary = any(member(properties, name) for name in _SECONDARY)
        found[one] = found.get(one, True) and secondary
        if member(properties, "instance-ip-local-ip"):
            private.add(one)
    candidates = [one for one, secondary in found.items() if not secondary]
    ip = min((one for one in candidates if isinstance(one, IPv4Address)), default=None)
    ip6 = min((one for one in candidates if isinstance(one, IPv6Address)), default=None)
    others = sorted(found.keys() - {ip, ip6}, key=lambda one: (one.version, one))
    return _Addresses(ip, ip6, tuple(others), tuple(one for one in found if one in private))


def vif_key(uuid: UUID, device: str) -> Key:
    """The key of a VMI's vif: another device is another vif."""
    return Key(Kind.VIF, (str(uuid), device))


def device_recognition(device: str) -> tuple[str, str]:
    """A vif: by the name of its device."""
    return "device", device


def vmi(view: View, uuid: UUID) -> Vmi | None:
    """The row of a plugged VMI; None when it is not plugged."""
    attached = view(attachment, uuid)
    if attached is None:
        return None
    device = attached.device
    # A vhost-user socket is none of the kernel's interfaces, whatever has its name.
    link = view.read(LINK, device) if attached.transport != Transport.PMD else None
    found = view(config, uuid)
    try:
        number = ids.index(view, vif_key(uuid, device), lambda: [device_recognition(device)])
    except ids.ExhaustedError as error:
        return _unconfigured(attached, NO_VIF, link, str(error))
    if found is None:
        return _unconfigured(attached, number, link, "no configuration for this port yet")
    relay = view.read(HOST, None).dhcp_relay and found.vrf_name == FABRIC_VRF and not found.ip
    if relay:
        found = replace(found, ip=_snooped(view, number, found.mac or attached.mac))
    network = view(vn, found.network) if found.network else None
    reason = _reason(view, attached, found, network, link, number)
    row = _joined(view, attached, found, network, reason, number, link)
    return replace(row, dhcp_relay=True) if relay else row


def _snooped(view: View, vif_index: int, own: Mac | None) -> IPv4Address | None:
    """The address that a server of the fabric gave to the VM."""
    lease = view.read(SNOOPED, vif_index)
    return lease.ip if lease is not None and lease.mac == own else None


def _unconfigured(attached: Attachment, number: int, link: Link | None, reason: str) -> Vmi:
    return Vmi(
        attached.uuid,
        attached.device,
        number,
        link.index if link else 0,
        attached.mac or Mac(bytes(6)),
        False,
        reason,
        attached.vm_uuid,
        attached.vm_name,
        None,
        None,
        attached.ip,
        attached.ip6,
        None,
        None,
        tx_vlan_id=attached.tx_vlan_id,
        transport=attached.transport,
        vhostuser_mode=attached.vhostuser_mode,
    )


def _reason(
    view: View,
    attached: Attachment,
    found: Config,
    network: Vn | None,
    link: Link | None,
    number: int,
) -> str:
    """The first condition of facts oper-db.md 1.3.1 that does not hold, or ""."""
    if found.problem:
        return found.problem
    if network is None:
        return "no virtual network"
    if not network.active:
        return f"virtual network {network.name}: {network.reason}"
    if found.vrf_name is None:
        return "no routing instance"
    own = found.mac or attached.mac
    if own is None:
        return "no MAC address"
    if own in view(reserved_macs):
        return f"MAC address {own} is the vRouter's own"
    if attached.transport == Transport.PMD and view.read(TOLD_DOWN, number) is not None:
        return "the datapath says that the vhost-user socket is not connected"
    return _device_reason(attached, link) or _address_reason(found, network)


def _device_reason(attached: Attachment, link: Link | None) -> str:
    if not attached.link_state:
        return "the port's link is disabled"
    if attached.needs_device and link is None:
        return f"interface {attached.device} not found on this host"
    if attached.needs_device and link is not None and not link.up:
        return f"interface {attached.device} is down"
    return ""


def _address_reason(found: Config, network: Vn) -> str:
    if not network.l2 and found.ip is None and found.ip6 is None:
        return "no address in a network without bridging"
    return ""


def _joined(
    view: View,
    attached: Attachment,
    found: Config,
    network: Vn | None,
    reason: str,
    number: int,
    link: Link | None,
) -> Vmi:
    active = not reason
    rows = network.subnets if network else ()
    subnet, subnet6 = containing(rows, found.ip), containing(rows, found.ip6)
    services = [row.dhcp_enabled for row in (subnet, subnet6) if row]
    l3 = active and network is not None and network.l3
    return Vmi(
        attached.uuid,
        attached.device,
        number,
        link.index if link else 0,
        found.mac or attached.mac or Mac(bytes(6)),
        active,
        reason,
        found.vm_uuid or attached.vm_uuid,
        found.vm_name or attached.vm_name,
        network,
        view(vrf, found.vrf_name) if found.vrf_name else None,
        found.ip,
        found.ip6,
        subnet,
        subnet6,
        any(services) if services else True,
        found.policy,
        found.dhcp,
        attached.tx_vlan_id,
        l2_active=active and network is not None and network.l2,
        ip4_active=l3 and found.ip is not None,
        ip6_active=l3 and found.ip6 is not None,
        config_name=found.name,
        others=tuple(one for one in found.others if l3 and _has_primary(found, one.version)),
        private=found.private,
        pairs=_pairs(view, attached.uuid, found, found.mac or attached.mac) if l3 else (),
        transport=attached.transport,
        vhostuser_mode=attached.vhostuser_mode,
    )


def _pairs(view: View, uuid: UUID, found: Config, own: Mac | None) -> tuple[AddressPair, ...]:
    """The pairs of the families that the port forwards; none may use the vRouter's own MACs."""
    taken = view(reserved_macs)
    usable = [
        replace(pair, mac=None) if pair.mac == own else pair
        for pair in view(address_pairs, uuid)
        if _has_primary(found, pair.prefix.version) and pair.mac not in taken
    ]
    return tuple(dict.fromkeys(usable))


def _has_primary(found: Config, version: int) -> bool:
    return (found.ip if version == 4 else found.ip6) is not None


class Placement(NamedTuple):
    """Where a VMI is."""

    network: NodeRef | None
    vrf_name: str | None


def placement(view: View, uuid: UUID) -> Placement:
    """The network and the VRF of a VMI, as far as configured."""
    row = view(vmi, uuid)
    network = NodeRef("virtual-network", row.vn.name) if row and row.vn else None
    return Placement(network, row.vrf.name if row and row.vrf else None)


def plugged_in(view: View, network: NodeRef) -> list[UUID]:
    """The VMIs of a network that are plugged, by their configuration's name."""
    metadata = f"{_TYPE}-virtual-network"
    refs = neighbours(view, network, metadata, _TYPE)
    uuids = [node_uuid(view, ref) for ref in refs]
    return [uuid for uuid in uuids if uuid is not None and view(attachment, uuid) is not None]
