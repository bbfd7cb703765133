"""From JSON values to rows: the checks of facts rest-api.md 3, 6 and 7, in their order."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address
from typing import Any
from uuid import UUID

from agent.inputs import ContainerPort, PluggedPort, SimpleGateway
from agent.rest.body import Members, Rejected, decode, echo
from agent.values import Mac

NIL = UUID(int=0)
VM_PORT, NAMESPACE_PORT, REMOTE_PORT = 0, 1, 2
NO_VLAN = 0xFFFF

# The only value that the reference agent's check for "rx set but tx unset" ever meets.
_TX_VLAN_UNSET = 0xFFFE
_UUID = re.compile(r"\s*([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})")
_NAME_BYTES = 255

Exists = Callable[[str], bool]
"""Tells whether the host has a network interface of that name."""


def parse_uuid(text: str) -> UUID:
    """A dashed UUID at the start of `text`, after blanks; nil for anything else."""
    match = _UUID.match(text)
    return UUID(match[1]) if match else NIL


def _ip4(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except AddressValueError:
        return IPv4Address(0)


def _ip6(text: str) -> IPv6Address:
    try:
        return IPv6Address(int(IPv6Address(text)))  # without the scope, which a port cannot have
    except AddressValueError:
        return IPv6Address(0)


def _mac(text: str) -> Mac:
    try:
        mac = Mac.parse(text)
    except ValueError:
        mac = Mac(bytes(6))
    if not any(mac):
        raise Rejected("Invalid MAC, Use xx:xx:xx:xx:xx:xx format")
    return mac


def _vlans(members: Members) -> tuple[int, int]:
    rx, tx = (members.number(f"{way}-vlan-id") & 0xFFFF for way in ("rx", "tx"))
    if tx == _TX_VLAN_UNSET and rx != NO_VLAN:
        raise Rejected("Invalid request. RX (isolated) vlan set, but TX vlan not set")
    return rx, tx


def _named_interface(members: Members, name: str, exists: Exists | None) -> str:
    interface = members.text(name)
    if exists is not None and not exists(interface):
        raise Rejected("Interface does not exist in OS")
    return interface


def plugged_port(content: dict[str, Any], exists: Exists | None = None) -> PluggedPort:
    """The port of a POST /port object. Rejected with the text of the first failing check.

    `exists` is given when stored files are replayed: their interface must be there.
    """
    members = Members(content)
    uuid = parse_uuid(members.text("id", "data"))
    if uuid == NIL:
        raise Rejected("Invalid or missing data for <id>")
    instance, vn, project = (
        parse_uuid(members.text(name, "data")) for name in ("instance-id", "vn-id", "vm-project-id")
    )
    display_name = members.text("display-name")
    ip, ip6 = _ip4(members.text("ip-address")), _ip6(members.text("ip6-address"))
    port_type = members.number("type")
    if port_type not in (NAMESPACE_PORT, REMOTE_PORT):
        port_type = VM_PORT
    if port_type == VM_PORT and vn == NIL:
        raise Rejected("Invalid VN uuid")
    system_name = _named_interface(
        members, "system-name", None if port_type == REMOTE_PORT else exists
    )
    mac = _mac(members.text("mac-address"))
    rx_vlan, tx_vlan = _vlans(members)
    link_state = members.optional_number("link-state")
    return PluggedPort(
        uuid=uuid,
        instance_uuid=instance,
        vn_uuid=vn,
        project_uuid=project,
        display_name=display_name,
        system_name=system_name,
        mac=mac,
        ip=ip,
        ip6=ip6,
        port_type=port_type,
        rx_vlan_id=rx_vlan,
        tx_vlan_id=tx_vlan,
        vhostuser_mode=(members.optional_number("vhostuser-mode") or 0) & 0xFF,
        link_state=port_type != REMOTE_PORT if link_state is None else bool(link_state),
    )


def plugged_ports(body: bytes) -> list[PluggedPort]:
    """The ports of a POST /port body: an object, or an array of them (all valid, or Rejected)."""
    content = decode(body)
    if isinstance(content, dict):
        return [plugged_port(content)]
    if not isinstance(content, list):
        raise Rejected(f"Unexpected Json string ==> {echo(body)}")
    if not all(isinstance(element, dict) for element in content):
        raise Rejected(f"Json Array has invalid element ==> {echo(body)}")
    return [plugged_port(element) for element in content]


def _directory_name(members: Members, name: str) -> str:
    text = members.text(name)
    bad = text in ("", ".", "..") or "/" in text or "\0" in text
    if bad or len(text.encode()) > _NAME_BYTES:
        raise Rejected(f"Invalid or missing field for <{name}>")
    return text


def container_port(body: bytes, exists: Exists | None = None) -> ContainerPort:
    """The port of a POST /vm body. Rejected with the text of the first failing check.

    `vm-name` names a directory, so it must be usable as one.
    """
    content = decode(body)
    if not isinstance(content, dict):
        raise Rejected(f"Unexpected Json string ==> {echo(body)}")
    members = Members(content)
    vm_uuid = parse_uuid(members.text("vm-uuid", "data"))
    host_ifname = _named_interface(members, "host-ifname", exists)
    return ContainerPort(
        vm_uuid=vm_uuid,
        host_ifname=host_ifname,
        vm_name=_directory_name(members, "vm-name"),
        vm_id=members.optional_text("vm-id"),
        vm_ifname=members.optional_text("vm-ifname"),
        vm_namespace=members.optional_text("vm-namespace"),
        vn_uuid=parse_uuid(members.text("vn-uuid", "data")),
        vmi_uuid=parse_uuid(members.text("vmi-uuid", "data")),
    )


def stored_port(text: bytes, exists: Exists | None) -> PluggedPort:
    """The port of a file directly in the port directory; Rejected says why it is skipped."""
    content = decode(text)
    if not isinstance(content, dict):
        raise Rejected(f"Unexpected Json string ==> {echo(text)}")
    return plugged_port(content, exists)


class _GatewayReader:
    """One array of gateways, with the error texts that quote the whole body."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        content = decode(body)
        if not isinstance(content, list):
            raise Rejected(f"Unexpected Json string (not an array) ==> {echo(body)}")
        if not all(isinstance(element, dict) for element in content):
            raise Rejected(f"Json Array has invalid element ==> {echo(body)}")
        self.elements = [Members(element) for element in content]

    def missing(self, name: str) -> Rejected:
        return Rejected(
            "Json string does not have all required members, "
            f"{name} is missing ==> {echo(self._body)}"
        )

    def text(self, members: Members, name: str) -> str:
        try:
            return members.text(name)
        except Rejected:
            raise self.missing(name) from None

    def prefixes(self, members: Members, name: str) -> tuple[IPv4Network, ...]:
        array = members.array(name)
        if array is None:
            raise self.missing(name)
        return tuple(self._prefix(element, name) for element in array)

    def _prefix(self, element: object, name: str) -> IPv4Network:
        try:
            members = Members(element if isinstance(element, dict) else {})
            address = IPv4Address(members.text("ip-address"))
            return IPv4Network((address, members.number("prefix-len")), strict=False)
        except (Rejected, ValueError):
            raise self.missing(f"{name} value") from None

    def gateway(self, members: Members) -> SimpleGateway:
        return SimpleGateway(
            interface=self.text(members, "interface"),
            routing_instance=self.text(members, "routing-instance"),
            subnets=self.prefixes(members, "subnets"),
            routes=self.prefixes(members, "routes"),
        )


def gateways(body: bytes) -> list[SimpleGateway]:
    """The simple gateways of a POST /gateway body."""
    reader = _GatewayReader(body)
    return [reader.gateway(members) for members in reader.elements]


def gateway_names(body: bytes) -> list[str]:
    """The interfaces of a DELETE /gateway body."""
    reader = _GatewayReader(body)
    return [reader.text(members, "interface") for members in reader.elements]
