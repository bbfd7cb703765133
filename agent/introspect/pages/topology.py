"""The drawn topology: this host, its ports by network, tunnels to other hosts, controllers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.introspect.pages import controllers, links, words
from agent.introspect.pages.asked import Asked, address
from agent.introspect.pages.drawing import (
    MARGIN,
    Content,
    Item,
    column,
    stacked,
    stroke,
)
from agent.introspect.pages.shown import Cell, Drawing, Grid, Section, Shown, Text, Tone
from agent.introspect.slices import pause, sliced, walk
from agent.ksync import State
from agent.ksync.record import RecordView
from agent.objects import Identity, Kind
from agent.oper.datapath import NexthopType
from agent.oper.rows import Vmi
from agent.telemetry import Node
from agent.values import ip4_from_loaded
from agent.xmpp import State as SessionState

MOST_NETWORKS, MOST_PORTS, MOST_TUNNELS = 12, 6, 16
WIDTHS = (248, 220, 248)
SPACE = 76


@dataclass(frozen=True, slots=True)
class Group:
    """A network and its ports on this host."""

    name: str
    href: str
    ports: Sequence[Vmi]

    @property
    def active(self) -> int:
        """How many of its ports forward."""
        return sum(port.active for port in self.ports)


@dataclass(frozen=True, slots=True)
class Far:
    """A tunnel to another host."""

    address: str
    view: RecordView
    users: int


async def show(node: Node, asked: Asked) -> Shown:
    """The page."""
    groups, tunnels = await _groups(node), await _tunnels(node)
    await pause()
    return Shown(
        "Topology",
        [
            Section("drawing", "This host and what it reaches", [_draw(node, groups, tunnels)]),
            Section("networks", "Networks", [_network_grid(groups)]),
            Section("tunnels", "Tunnels to other hosts", [_tunnel_grid(node, tunnels)]),
            Section("controllers", "Controllers", [controllers.grid(node)]),
        ],
    )


async def _groups(node: Node) -> list[Group]:
    found: dict[str, list[Vmi]] = {}
    hrefs: dict[str, str] = {}
    async for row in sliced(node.compiler.vmis()):
        link = links.network(row.vn)
        name = link.text if row.vn else "no network"
        found.setdefault(name, []).append(row)
        hrefs[name] = link.href
    groups = [Group(name, hrefs[name], rows) for name, rows in found.items()]
    return sorted(groups, key=lambda one: (-len(one.ports), one.name))


async def _tunnels(node: Node) -> list[Far]:
    found: list[Far] = []

    def take(part: Sequence[Identity]) -> None:
        for at in part:
            view = node.session.look(at) if at.kind is Kind.NEXTHOP else None
            message: Any = view.desired or view.programmed if view else None
            if view is not None and message.nhr_type == NexthopType.TUNNEL:
                _, users = node.session.above(at, 0)
                found.append(Far(str(ip4_from_loaded(message.nhr_tun_dip)), view, users))

    await walk(node.session.identities(), take)
    return sorted(found, key=lambda far: (-far.users, far.address))


def _draw(node: Node, groups: Sequence[Group], tunnels: Sequence[Far]) -> Drawing:
    left = [*_controllers(node), *_networks(groups)]
    right = _far_hosts(tunnels)
    middle = [_host(node)]
    height = 2 * MARGIN + max(map(stacked, (left, middle, right)))
    x2 = MARGIN + WIDTHS[0] + SPACE
    x3 = x2 + WIDTHS[1] + SPACE
    boxes_left = column(left, MARGIN, WIDTHS[0], height)
    host = column(middle, x2, WIDTHS[1], height)[0]
    boxes_right = column(right, x3, WIDTHS[2], height)
    lines = [stroke(box, host, one.tone) for box, one in zip(boxes_left, left, strict=True)]
    lines += [stroke(host, box, one.tone) for box, one in zip(boxes_right, right, strict=True)]
    return Drawing(
        "Topology",
        _summary(node, groups, tunnels),
        x3 + WIDTHS[2] + MARGIN,
        height,
        [*boxes_left, host, *boxes_right],
        lines,
    )


def _summary(node: Node, groups: Sequence[Group], tunnels: Sequence[Far]) -> str:
    ports = sum(len(group.ports) for group in groups)
    up = sum(view.state is SessionState.ESTABLISHED for view in node.controllers.views())
    return (
        f"Host {node.host}: {_count(ports, 'port')} in {_count(len(groups), 'network')}, "
        f"{_count(len(tunnels), 'tunnel')} to other hosts, {_count(up, 'controller')} connected. "
        "The tables below say the same."
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _host(node: Node) -> Content:
    fabric = node.compiler.fabric()
    items = [Item("no fabric interface yet", tone=Tone.BAD.value)]
    if fabric is not None:
        own = str(fabric.router_id) if fabric.router_id else "no address"
        items = [Item(f"{own} on {fabric.interface}"), Item(str(fabric.mac))]
        if fabric.gateway is not None:
            items.append(Item(f"gateway {fabric.gateway}"))
    return Content(node.host, "/", _tone(node.session.in_sync), items)


def _tone(good: bool) -> str:
    return Tone.GOOD.value if good else Tone.BAD.value


def _controllers(node: Node) -> list[Content]:
    return [
        Content(
            f"Controller {view.server.address}",
            controllers.link(view).href,
            _tone(view.state is SessionState.ESTABLISHED),
            [Item(view.state.value)],
        )
        for view in node.controllers.views()
    ]


def _networks(groups: Sequence[Group]) -> list[Content]:
    contents = [_network(group) for group in groups[:MOST_NETWORKS]]
    if left := groups[MOST_NETWORKS:]:
        ports = sum(len(group.ports) for group in left)
        more = Item(f"with {ports} ports, in the table below", "#networks")
        contents.append(Content(f"{len(left)} more networks", "/networks", items=[more]))
    return contents


def _network(group: Group) -> Content:
    ordered = sorted(group.ports, key=lambda row: (row.active, row.vm_name))
    shown = ordered if len(ordered) <= MOST_PORTS else ordered[: MOST_PORTS - 1]
    items = [_port(row) for row in shown]
    if left := len(ordered) - len(shown):
        items.append(Item(f"and {left} more", address("/ports", filter=group.name)))
    tone = _tone(group.active == len(group.ports))
    return Content(f"{group.name} ({len(group.ports)})", group.href, tone, items)


def _port(row: Vmi) -> Item:
    own = row.ip or row.ip6
    mark = "" if row.active else " (not active)"
    return Item(
        f"{row.vm_name or row.name} {own or ''}{mark}".strip(),
        links.port(row).href,
        "" if row.active else Tone.BAD.value,
    )


def _far_hosts(tunnels: Sequence[Far]) -> list[Content]:
    contents = []
    for far in tunnels[:MOST_TUNNELS]:
        kind = words.tunnel(far.view)
        item = Item(f"{kind}, {far.users} routes", links.place(far.view.identity))
        tone = _tone(far.view.state is State.SYNCED)
        contents.append(Content(f"Host {far.address}", "", tone, [item]))
    left = len(tunnels) - MOST_TUNNELS
    if left > 0:
        contents.append(Content(f"{left} more tunnels", "#tunnels"))
    return contents


def _network_grid(groups: Sequence[Group]) -> Grid:
    rows: list[list[Cell]] = [
        [Text(group.name, group.href), len(group.ports), group.active, _names(group)]
        for group in groups[:200]
    ]
    note = f"200 of {len(groups)} networks are shown" if len(groups) > 200 else ""
    columns = ("Network", "Ports", "Active", "VMs")
    return Grid("Networks with ports here", columns, rows, frozenset((1, 2)), note=note)


def _names(group: Group) -> tuple[Text, ...]:
    shown = [links.port(row) for row in group.ports[:MOST_PORTS]]
    if left := len(group.ports) - len(shown):
        shown.append(Text(f"and {left} more", address("/ports", filter=group.name)))
    return tuple(shown)


def _tunnel_grid(node: Node, tunnels: Sequence[Far]) -> Grid:
    connected = node.session.running
    rows: list[list[Cell]] = [
        [
            Text(far.address, address("/search", q=far.address), code=True),
            links.identity(far.view.identity),
            words.tunnel(far.view),
            far.users,
            words.state(far.view, connected=connected),
        ]
        for far in tunnels[:200]
    ]
    note = f"200 of {len(tunnels)} tunnels are shown" if len(tunnels) > 200 else ""
    columns = ("Host", "Nexthop", "Kind", "Used by", "State")
    empty = "None: no route leads to another host."
    return Grid("Tunnels", columns, rows, numeric=frozenset((3,)), empty=empty, note=note)
