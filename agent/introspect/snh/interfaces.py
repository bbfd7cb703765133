"""Interfaces: `ItfReq`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

from agent.introspect.query import address, uuid
from agent.introspect.request import Query, Table, Values
from agent.introspect.snh.itf_values import gateway_values, host_values, vmi_values
from agent.telemetry import Node

HOST_VIFS = ("fabric", "vhost", "pkt0")
"""The interfaces of the host itself, by the names of their keys."""


def interfaces(node: Node, query: Query) -> Iterator[Values]:
    """The host's own interfaces, the plugged VMIs, the simple gateways."""
    fits = _filter(query)
    for name in HOST_VIFS:
        values = host_values(node, name)
        if values is not None and fits(values):
            yield values
    for row in node.compiler.vmis():
        values = vmi_values(node, row)
        if fits(values):
            yield values
    for gateway in node.compiler.gateways():
        values = gateway_values(gateway)
        if fits(values):
            yield values


def _filter(query: Query) -> Callable[[Values], bool]:
    """Names and networks by a part of them, the rest as a whole; what is not given fits all."""
    wanted = uuid(query, "uuid"), uuid(query, "parent_uuid")
    parts = {"name": query["name"], "vn_name": query["vn"]}
    whole = {
        "type": query["type"],
        "uuid": _text(wanted[0]),
        "mac_addr": query["mac"].lower(),
        "ip_addr": str(address(query, "ipv4_address") or ""),
        "ip6_addr": str(address(query, "ipv6_address") or ""),
        "parent_interface": _text(wanted[1]),
    }
    starts = {
        "ipv4_active": query["ip_active"],
        "ip6_active": query["ip6_active"],
        "l2_active": query["l2_active"],
    }
    whole = {name: value for name, value in whole.items() if value}
    starts = {name: value for name, value in starts.items() if value}

    def fits(values: Values) -> bool:
        return (
            all(part in str(values.get(name, "")) for name, part in parts.items())
            and all(str(values.get(name, "")) == value for name, value in whole.items())
            and all(str(values.get(name, "")).startswith(part) for name, part in starts.items())
        )

    return fits


def _text(value: UUID | None) -> str:
    return "" if value is None else str(value)


SERVED = (Table("ItfReq", "ItfResp", "itf_list", interfaces),)
