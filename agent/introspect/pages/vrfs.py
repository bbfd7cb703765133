"""VRFs: the list, and a VRF's page with its routes in order, which a filter narrows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

from agent.introspect.pages import chain, datapath, links, words
from agent.introspect.pages.asked import PAGE, Asked, BadRequest, NotThere, address, whole
from agent.introspect.pages.select import Smallest
from agent.introspect.pages.shown import Cell, Facts, Field, Form, Grid, Note, Section, Shown, Text
from agent.introspect.slices import made, pause, sliced, walk
from agent.ksync.record import RecordView
from agent.objects import Identity, Kind
from agent.oper.datapath import Family, InetFlag, inet_key
from agent.oper.rows import Vrf
from agent.rib import Table
from agent.routes import EvpnKey, RouteAttributes, RouteFamily
from agent.telemetry import Node
from agent.values import Address, Mac, Prefix

INET, BRIDGE = "inet", "bridge"
TABLES = (INET, BRIDGE)
COLUMNS = ("Destination", "Leads to", "State")
_FLAGS = (
    (InetFlag.ARP_PROXY, "ARP is answered here"),
    (InetFlag.ARP_FLOOD, "ARP is flooded"),
    (InetFlag.ARP_TRAP, "ARP goes to the agent"),
)


class Wanted(NamedTuple):
    """Which routes of a VRF are asked for: those for which `fits` holds."""

    kind: Kind
    fits: Callable[[Any], bool]


async def show(node: Node, asked: Asked) -> Shown:
    """The VRFs of this host."""
    vrfs, start = sorted(all_vrfs(node), key=lambda row: row.index), asked.number("start")
    counts = node.session.routes()
    rows: list[list[Cell]] = [
        [links.vrf(row), row.index, counts.get(row.index, 0)] for row in vrfs[start : start + PAGE]
    ]
    left = len(vrfs) - start - len(rows)
    more = Text("Next VRFs", address("/vrfs", start=start + PAGE)) if left > 0 else None
    columns = ("VRF", "Index", "Routes")
    table = Grid("VRFs", columns, rows, numeric=frozenset((1, 2)), more=more)
    return Shown("VRFs", [Section("vrfs", "VRFs of this host", [table])])


def all_vrfs(node: Node) -> list[Vrf]:
    """The VRFs of networks and of the host itself."""
    rows = {row.index: row for row in node.compiler.vrfs()}
    for index, key in node.compiler.numbers(Kind.VRF).items():
        rows.setdefault(index, Vrf(str(key.name), index))
    for index in (0, 1):
        view = node.session.look(Identity(Kind.VRF, index))
        if view is not None and view.key is not None:
            rows.setdefault(index, Vrf(str(view.key.name), index))
    return list(rows.values())


def by_index(node: Node, index: int) -> Vrf:
    """A VRF; NotThere."""
    found = next((row for row in all_vrfs(node) if row.index == index), None)
    if found is None:
        raise NotThere(f"There is no VRF {index} on this host.")
    return found


async def one(node: Node, asked: Asked) -> Shown:
    """A VRF's page."""
    row = by_index(node, whole(asked.path["index"], "VRF"))
    table, text = asked.text("table") or INET, asked.text("filter")
    wanted = _wanted(table, text)
    rows, more = await _page(node, row, wanted, asked)
    following = None
    if more:
        query = address(f"/vrfs/{row.index}", table=table, filter=text, after=more)
        following = Text("Next routes", query)
    form = Form(
        f"/vrfs/{row.index}",
        "Show",
        (
            Field("filter", "Address, prefix or MAC address", text, hint="e.g. 10.1.1.0/24"),
            Field("table", "Table", table, choices=TABLES),
        ),
    )
    caption = "Bridge routes" if wanted.kind is Kind.BRIDGE_ROUTE else "Inet routes"
    grid = Grid(caption, COLUMNS, rows, empty="No such route.", more=following)
    await pause()
    view = node.session.look(Identity(Kind.VRF, row.index))
    return Shown(
        links.short(row.name),
        [
            Section("routes", "Routes", [form, grid]),
            Section("facts", "Properties", [_facts(node, row)]),
            Section("counters", "Packets", [_counters(node, row)]),
            *((await chain.sections(node, view))[1:] if view else ()),
        ],
        what="VRF",
        state=words.state(view, connected=node.session.running) if view else None,
    )


def _facts(node: Node, row: Vrf) -> Facts:
    network = next((one for one in node.compiler.networks() if one.vrf_name == row.name), None)
    ports = [one for one in node.compiler.vmis() if one.vrf and one.vrf.index == row.index]
    counted = [
        (f"{table.family.name} routes of {peer}", f"{count:,}")
        for table in node.compiler.rib.tables()
        if table.vrf == row.name
        for peer, count, _ in table.counts()
    ]
    return Facts(
        (
            ("Name", row.name),
            ("Index in the datapath", row.index),
            ("Network", links.network(network)),
            ("Ports here", len(ports)),
            *counted,
        )
    )


def _counters(node: Node, row: Vrf) -> Facts | Note:
    counted = node.statistics.vrf(row.index) or {}
    told = [(name.replace("_", " "), f"{count:,}") for name, count in counted.items() if count]
    return Facts(told) if told else Note("The datapath has counted none so far.")


def _wanted(table: str, text: str) -> Wanted:
    """BadRequest for a filter that is neither address, prefix nor MAC address."""
    if table not in TABLES:
        raise BadRequest(f"table: {table!r} is neither {' nor '.join(TABLES)}")
    if table == BRIDGE:
        start = text.lower().replace("-", ":")
        return Wanted(Kind.BRIDGE_ROUTE, lambda number: number[1].hex(":").startswith(start))
    if not text:
        return Wanted(Kind.INET_ROUTE, lambda _: True)
    try:
        around = None if "/" in text else ip_address(text)
        within = ip_network(text, strict=False)
    except ValueError:
        raise BadRequest(f"filter: {text!r} is neither an address nor a prefix") from None
    return Wanted(Kind.INET_ROUTE, _covering(around) if around else _inside(within))


def _inside(within: Prefix) -> Callable[[Any], bool]:
    base, length = int(within.network_address), within.prefixlen
    size, shift = len(within.network_address.packed), within.max_prefixlen - length

    def fits(number: Any) -> bool:
        _, _, packed, own = number
        if len(packed) != size or own < length:
            return False
        return bool(int.from_bytes(packed, "big") >> shift == base >> shift)

    return fits


def _covering(around: Address) -> Callable[[Any], bool]:
    value, bits = int(around), around.max_prefixlen

    def fits(number: Any) -> bool:
        _, _, packed, length = number
        shift = bits - length
        return 8 * len(packed) == bits and int.from_bytes(packed, "big") >> shift == value >> shift

    return fits


def _order(at: Identity) -> tuple[int, bytes, int]:
    number: Any = at.number
    if at.kind is Kind.BRIDGE_ROUTE:
        return 0, bytes(number[1]), 0
    return len(number[2]), number[2], number[3]


async def _page(node: Node, row: Vrf, wanted: Wanted, asked: Asked) -> tuple[list[list[Cell]], str]:
    """The next routes in order, and after which the page that follows begins."""
    after = _after(asked.text("after"), wanted.kind)
    found = Smallest[Identity](PAGE + 1)

    def take(part: Sequence[Identity]) -> None:
        for at in part:
            if at.kind is wanted.kind and at.number[0] == row.index and wanted.fits(at.number):
                order = _order(at)
                if after is None or order > after:
                    found.offer(order, at)

    await walk(node.session.identities(), take)
    shown = [at for _, at in found.items()]
    views = [node.session.look(at) for at in shown[:PAGE]]
    known = [view for view in views if view is not None]
    rows = await made(known, lambda view: route_row(node, view))
    return rows, links.title(shown[PAGE - 1]) if len(shown) > PAGE else ""


def _after(text: str, kind: Kind) -> tuple[int, bytes, int] | None:
    if not text:
        return None
    try:
        if kind is Kind.BRIDGE_ROUTE:
            return 0, bytes(Mac.parse(text)), 0
        prefix = ip_network(text)
    except ValueError:
        raise BadRequest(f"after: {text!r} is no route") from None
    return len(prefix.network_address.packed), prefix.network_address.packed, prefix.prefixlen


def route_row(node: Node, view: RecordView) -> list[Cell]:
    """A route as a row of COLUMNS."""
    name = links.identity(view.identity)
    state = words.state(view, connected=node.session.running)
    return [Text(name.text, name.href, code=True), words.leads_to(node, view), state]


def inet_identity(vrf: int, prefix: Prefix) -> Identity:
    """The slot of an inet route."""
    family = Family.INET if prefix.version == 4 else Family.INET6
    key = prefix.network_address.packed
    return Identity(Kind.INET_ROUTE, (vrf, int(family), key, prefix.prefixlen))


def host_route(vrf: int, to: Address) -> Identity:
    """The slot of the route to one address."""
    return inet_identity(vrf, ip_network(to))


def prefixes_around(to: Address) -> list[tuple[int, bytes, int]]:
    """(family, packed, length) of every prefix that holds an address, the longest first."""
    family = int(Family.INET if to.version == 4 else Family.INET6)
    nets = (ip_network((to, length), strict=False) for length in range(to.max_prefixlen, -1, -1))
    return [(family, net.network_address.packed, net.prefixlen) for net in nets]


def longest(node: Node, vrf: int, around: Sequence[tuple[int, bytes, int]]) -> RecordView | None:
    """The route of a VRF that packets to the address with these prefixes take."""
    for slot in around:
        view = node.session.look(Identity(Kind.INET_ROUTE, (vrf, *slot)))
        if view is not None:
            return view
    return None


async def route(node: Node, asked: Asked) -> Shown:
    """A route's page."""
    row = by_index(node, whole(asked.path["index"], "VRF"))
    at = _route_identity(row, asked)
    view = node.session.look(at)
    if view is None:
        raise NotThere(f"VRF {links.short(row.name)} has no route {links.title(at)}.")
    page = await datapath.page(node, view)
    facts = Facts((("VRF", links.vrf(row)), *_flags(view)))
    paths = Section("paths", "What controllers say", [await _paths(node, row, at)])
    first, *others = page.sections
    first = Section(first.id, first.title, [facts, *first.parts])
    return Shown(page.title, [first, paths, *others], what="Route", state=page.state)


def _flags(view: RecordView) -> list[tuple[str, Cell]]:
    message: Any = view.desired or view.programmed
    if view.identity.kind is Kind.BRIDGE_ROUTE:
        return []
    named = [text for bit, text in _FLAGS if message.rtr_label_flags & bit]
    return [("ARP", ", ".join(named) or "not answered")]


def _route_identity(row: Vrf, asked: Asked) -> Identity:
    mac, prefix = asked.text("mac"), asked.text("prefix")
    try:
        if mac:
            return Identity(Kind.BRIDGE_ROUTE, (row.index, bytes(Mac.parse(mac))))
        return inet_identity(row.index, ip_network(prefix))
    except ValueError:
        raise BadRequest(f"{mac or prefix!r} is neither a prefix nor a MAC address") from None


async def _paths(node: Node, row: Vrf, at: Identity) -> Grid:
    rows: list[list[Cell]] = []
    for table, key in await _keys(node, row, at):
        for peer, path, stale in table.paths(key):
            rows.append([peer, *_path(path), "stale" if stale else "fresh"])
    columns = ("Controller", "Next hops", "Preference", "Sequence", "Network", "Age")
    empty = "Nothing: this host made the route itself."
    return Grid("Paths", columns, rows, numeric=frozenset((2, 3)), empty=empty)


async def _keys(node: Node, row: Vrf, at: Identity) -> list[tuple[Table, Any]]:
    number: Any = at.number
    rib = node.compiler.rib
    if at.kind is Kind.INET_ROUTE:
        prefix = ip_network((number[2], number[3]))
        family = RouteFamily.INET if prefix.version == 4 else RouteFamily.INET6
        table = rib.table(row.name, family)
        return [(table, inet_key(prefix))] if table else []
    table = rib.table(row.name, RouteFamily.EVPN)
    if table is None:
        return []
    found: list[tuple[Table, Any]] = []
    async for key, _ in sliced(table):
        if isinstance(key, EvpnKey) and bytes(key.mac) == number[1] and len(found) < PAGE:
            found.append((table, key))
    return found


def _path(path: RouteAttributes) -> tuple[Cell, ...]:
    ways: tuple[str | int | Text, ...] = tuple(
        f"{one.address}, label {one.label}"
        + (
            f" ({', '.join(each.value for each in one.encapsulations)})"
            if one.encapsulations
            else ""
        )
        for one in path.nexthops[:PAGE]
    )
    return ways or "none", path.local_preference, path.sequence, links.short(path.virtual_network)
