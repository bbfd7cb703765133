"""Links to pages: every object that a page names leads to its own."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any
from uuid import UUID

from agent.introspect.pages.asked import address
from agent.introspect.pages.shown import Text
from agent.objects import Identity, Kind
from agent.oper.rows import Vmi, Vn, Vrf

_FAMILY_SIZES = {2: 4, 10: 16}
DOMAIN = "default-domain:default-project:"
"""What the names of most objects of a small installation begin with."""


def short(name: str) -> str:
    """A name without the domain and project that all have."""
    return name.removeprefix(DOMAIN)


def port(row: Vmi) -> Text:
    """A port by the VM that it belongs to."""
    return Text(row.vm_name or str(row.uuid), f"/ports/{row.uuid}")


def port_by(uuid: UUID, name: str) -> Text:
    """A port of which only the UUID is known."""
    return Text(name, f"/ports/{uuid}")


def network(row: Vn | None) -> Text:
    """A virtual network; "none" where there is none."""
    return Text(short(row.name), f"/networks/{row.uuid}") if row else Text("none")


def vrf(row: Vrf | None) -> Text:
    """A VRF by its name."""
    return Text(short(row.name), f"/vrfs/{row.index}") if row else Text("none")


def vrf_by(index: int, name: str) -> Text:
    """A VRF by its index."""
    return Text(short(name) or f"VRF {index}", f"/vrfs/{index}")


def access_list(name: str) -> Text:
    """An access list."""
    return Text(short(name), address("/access-lists/rules", name=name))


def flow(pair: int, text: str = "") -> Text:
    """A pair of flows by its number."""
    return Text(text or f"pair {pair}", f"/flows/{pair}")


def identity(at: Identity, text: str = "") -> Text:
    """An object of the datapath."""
    return Text(text or title(at), place(at))


def place(at: Identity) -> str:
    """The address of an object's page."""
    number: Any = at.number
    if at.kind is Kind.VRF:
        return f"/vrfs/{number}"
    if at.kind is Kind.INET_ROUTE:
        return address(f"/vrfs/{number[0]}/route", prefix=prefix(at))
    if at.kind is Kind.BRIDGE_ROUTE:
        return address(f"/vrfs/{number[0]}/route", mac=number[1].hex(":"))
    if at.kind is Kind.VRF_ASSIGN:
        return f"/datapath/{at.kind.value}/{number[0]}.{number[1]}"
    return f"/datapath/{at.kind.value}/{number}"


def prefix(at: Identity) -> str:
    """The prefix of an inet route."""
    _, family, packed, length = at.number
    return f"{ip_address(packed[: _FAMILY_SIZES.get(family, len(packed))])}/{length}"


def title(at: Identity) -> str:
    """An object as a short name: a route is its destination."""
    if at.kind is Kind.INET_ROUTE:
        return prefix(at)
    if at.kind is Kind.BRIDGE_ROUTE:
        return str(at.number[1].hex(":"))
    return str(at)
