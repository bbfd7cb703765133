"""One box for everything: ports, networks, VRFs, routes, nexthops, labels, flows, controllers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address

from agent.introspect.pages import (
    chain,
    controllers,
    flows,
    links,
    networks,
    ports,
    vrfs,
)
from agent.introspect.pages.asked import Asked, address
from agent.introspect.pages.shown import Cell, Grid, Note, Part, Section, Shown, Text
from agent.introspect.slices import sliced
from agent.objects import Identity, Kind
from agent.oper.rows import Vmi
from agent.telemetry import Node
from agent.values import Address

MOST = 20
"""Results of each kind."""
_NUMBERED = {
    "vif": Kind.VIF,
    "nexthop": Kind.NEXTHOP,
    "nh": Kind.NEXTHOP,
    "label": Kind.LABEL,
    "vni": Kind.VXLAN,
    "vxlan": Kind.VXLAN,
    "mirror": Kind.MIRROR,
}
_NUMBER = re.compile(r"(?:([a-z-]+) ?)?([0-9]{1,10})")


async def show(node: Node, asked: Asked) -> Shown:
    """What a text finds."""
    text = asked.text("q")
    if not text:
        hint = "A VM, port, network or VRF by name or UUID; a MAC or IP address; a label number."
        return Shown("Search", [Section("hint", "What can be found", [Note(hint)])])
    to = _address(text)
    grids = [
        await _ports(node, text),
        await _networks(node, text),
        await _vrfs(node, text),
        *_numbered(node, text),
        _controllers(node, text),
        _lists(node, text),
    ]
    if to is not None:
        grids.append(await _routes(node, to))
        grids.append(await _flows(node, to))
    sections = [
        Section(grid.caption.lower().replace(" ", "-"), grid.caption, [grid])
        for grid in grids
        if grid.rows
    ]
    if not sections:
        sections = [Section("nothing", "Nothing found", _nothing(text))]
    return Shown(f"Search: {text}", sections)


def _nothing(text: str) -> list[Part]:
    told = f"No port, network, VRF, route, object, flow or controller of this host fits “{text}”."
    return [Note(told), Note((Text("All ports", "/ports"), Text("All VRFs", "/vrfs")))]


def _address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


async def _ports(node: Node, text: str) -> Grid:
    words = text.lower().replace("-", ":") if _looks_like_mac(text) else text.lower()
    found: list[Vmi] = [
        row async for row in sliced(node.compiler.vmis()) if ports.matches(row, words)
    ]
    rows = [ports.row(row) for row in ports.ordered(found)[:MOST]]
    return _grid("Ports", ports.COLUMNS, rows, len(found), address("/ports", filter=words))


def _looks_like_mac(text: str) -> bool:
    return re.fullmatch(r"[0-9A-Fa-f]{2}(-[0-9A-Fa-f]{2}){1,5}", text) is not None


async def _networks(node: Node, text: str) -> Grid:
    words = text.lower()
    found = [
        row
        async for row in sliced(node.compiler.networks())
        if words in row.name.lower() or words == str(row.uuid)
    ]
    table = networks.grid(node, found[:MOST])
    return _grid("Networks", table.columns, table.rows, len(found), "/networks")


async def _vrfs(node: Node, text: str) -> Grid:
    words = text.lower()
    rows: list[list[Cell]] = []
    async for row in sliced(vrfs.all_vrfs(node)):
        if words in row.name.lower():
            rows.append([links.vrf(row), row.index])
    return _grid("VRFs", ("VRF", "Index"), rows[:MOST], len(rows), "/vrfs")


def _numbered(node: Node, text: str) -> list[Grid]:
    """Objects with a number: of the kind that is named, or of every kind."""
    found = _NUMBER.fullmatch(text.lower())
    if found is None or int(found[2]) >= 1 << 32:
        return []
    kinds = [_NUMBERED[found[1]]] if found[1] in _NUMBERED else []
    if not found[1]:
        kinds = [Kind.VIF, Kind.NEXTHOP, Kind.LABEL, Kind.VXLAN]
    views = [node.session.look(Identity(kind, int(found[2]))) for kind in kinds]
    rows = [chain.line(node, view) for view in views if view is not None]
    return [Grid("Objects of the datapath", ("Object", "State", "What it does"), rows)]


def _controllers(node: Node, text: str) -> Grid:
    views = [view for view in node.controllers.views() if text in str(view.server)]
    rows: list[list[Cell]] = [[controllers.link(view), controllers.session(view)] for view in views]
    return Grid("Controllers", ("Controller", "Session"), rows)


def _lists(node: Node, text: str) -> Grid:
    words = text.lower()
    found = [acl for acl in node.compiler.acls().values() if words in acl.name.lower()]
    rows: list[list[Cell]] = [[links.access_list(acl.name), len(acl.rules)] for acl in found[:MOST]]
    more = address("/access-lists", filter=words)
    return _grid("Access lists", ("Access list", "Rules"), rows, len(found), more)


async def _routes(node: Node, to: Address) -> Grid:
    """The route to an address in each VRF that has one."""
    rows: list[list[Cell]] = []
    found = 0
    around = vrfs.prefixes_around(to)
    async for row in sliced(vrfs.all_vrfs(node)):
        view = vrfs.longest(node, row.index, around)
        found += view is not None
        if view is not None and len(rows) < MOST:
            rows.append([links.vrf(row), *vrfs.route_row(node, view)])
    columns = ("VRF", *vrfs.COLUMNS)
    return _grid(f"Routes to {to}", columns, rows, found, "/vrfs")


async def _flows(node: Node, to: Address) -> Grid:
    found = await flows.find(node, flows.Filter(to), most=MOST)
    return flows.grid(found, address("/flows", address=to), "Flows")


def _grid(
    caption: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], count: int, more: str
) -> Grid:
    note = f"{len(rows)} of {count} are shown" if count > len(rows) else ""
    return Grid(caption, columns, rows, note=note, more=Text("Show all", more) if note else None)
