"""A port's page: its VM, networks, addresses, routes, policies, flows, counters, and chain."""

from __future__ import annotations

from itertools import islice

from agent.errors import DatapathError, WireError
from agent.introspect.pages import (
    access_lists,
    chain,
    drops,
    flows,
    links,
    plot,
    ports,
    rates,
    vrfs,
    words,
)
from agent.introspect.pages.asked import Asked, NotThere, address
from agent.introspect.pages.shown import (
    Cell,
    Facts,
    Grid,
    Note,
    Part,
    Section,
    Shown,
    Text,
    Tree,
)
from agent.introspect.slices import pause, sliced
from agent.ksync.record import RecordView
from agent.objects import Identity, Kind
from agent.oper.datapath import Transport
from agent.oper.flow_rows import FlowPort
from agent.oper.rows import Vmi
from agent.sandesh.vrouter import SandeshOp, VrInterfaceReq
from agent.telemetry import Node

MOST_RULES = 20
MOST_LISTS = 12
MOST_ROUTES = 50


async def show(node: Node, asked: Asked) -> Shown:
    """The page of the port with a UUID."""
    row = ports.by_uuid(node, asked.path["uuid"])
    if row is None:
        raise NotThere(f"No port {asked.path['uuid']} is plugged here, or it is not configured.")
    flow = node.compiler.flow_port(row.uuid)
    sections = [
        Section("facts", "Port", [_facts(node, row)]),
        Section("counters", "Counters", await _counters(node, row)),
        Section("routes", "Routes that lead to it", [await _routes(node, row)]),
        Section("policy", "Policy", await _policy(node, flow)),
        Section("flows", "Flows", await _flows(node, row, asked)),
        Section("chain", "In the datapath", await _chain(node, row)),
        Section("made", "What made it", await _made(node, row), folded=True),
    ]
    lead = "" if row.active else f"It does not forward: {row.reason or 'no reason known'}"
    title = row.vm_name or row.name
    return Shown(title, sections, what="Port of a VM", state=ports.state(row), lead=lead)


# Properties


def _facts(node: Node, row: Vmi) -> Facts:
    flow = node.compiler.flow_port(row.uuid)
    facts: list[tuple[str, Cell]] = [
        ("VM", (row.vm_name or "no name", Text(str(row.vm_uuid), code=True))),
        ("Port", Text(str(row.uuid), code=True)),
        ("Network", links.network(row.vn)),
        ("VRF", links.vrf(row.vrf)),
        ("Addresses", ports.addresses(row) or "none"),
        ("MAC address", Text(str(row.mac), code=True)),
        ("Device", (Text(row.name, code=True), _link_state(row))),
        ("Vif", _vif(row)),
        ("Forwards", _forwards(row)),
        ("DHCP", _dhcp(row)),
    ]
    if row.pairs:
        pairs = tuple(f"{one.prefix}{f' with {one.mac}' if one.mac else ''}" for one in row.pairs)
        facts.append(("Allowed address pairs", pairs))
    if flow is not None:
        facts += _translations(flow)
    return Facts(facts)


def _link_state(row: Vmi) -> str:
    if row.transport == Transport.PMD:
        role = "server" if row.vhostuser_mode else "client"
        return f"vhost-user socket uvh_vif_{row.name}, of which the datapath is the {role}"
    return f"interface {row.os_index} of the host" if row.os_index else "not on this host"


def _vif(row: Vmi) -> Cell:
    if row.vif_index < 0:
        return "none: the datapath has no room for it"
    return links.identity(Identity(Kind.VIF, row.vif_index))


def _forwards(row: Vmi) -> str:
    families = (("L2", row.l2_active), ("IPv4", row.ip4_active), ("IPv6", row.ip6_active))
    return ", ".join(name for name, active in families if active) or "nothing"


def _dhcp(row: Vmi) -> str:
    if row.dhcp_relay:
        return "relayed to a server on the fabric"
    return "answered here" if row.dhcp_enabled else "off"


def _translations(flow: FlowPort) -> list[tuple[str, Cell]]:
    facts: list[tuple[str, Cell]] = []
    if floating := flow.translations.floating:
        told = tuple(
            f"{one.address} for {one.fixed}, in {links.short(one.vrf.name)}" for one in floating
        )
        facts.append(("Floating IPs", told))
    if aliases := flow.translations.aliases:
        told = tuple(f"{one.address}, in {links.short(one.vrf.name)}" for one in aliases)
        facts.append(("Alias IPs", told))
    if flow.limits.link_local is not None:
        facts.append(("Known to the host as", Text(str(flow.limits.link_local), code=True)))
    return facts


# Counters


async def _counters(node: Node, row: Vmi) -> list[Part]:
    if row.vif_index < 0:
        return [Note("It has no vif, so nothing is counted.")]
    request = VrInterfaceReq(h_op=SandeshOp.GET, vifr_idx=row.vif_index)
    try:
        vif = await node.datapath.get(request, VrInterfaceReq)
    except (WireError, DatapathError) as error:
        return [Note(f"The datapath does not tell: {error}")]
    rows: list[list[Cell]] = [
        [
            "from the VM",
            f"{vif.vifr_ipackets:,}",
            plot.quantity(vif.vifr_ibytes, "B"),
            f"{vif.vifr_ierrors:,}",
        ],
        [
            "to the VM",
            f"{vif.vifr_opackets:,}",
            plot.quantity(vif.vifr_obytes, "B"),
            f"{vif.vifr_oerrors:,}",
        ],
    ]
    columns = ("Direction", "Packets", "Bytes", "Errors")
    note = f"{vif.vifr_dpackets:,} packets were dropped"
    table = Grid("Counters of its vif", columns, rows, frozenset((1, 2, 3)), note=note)
    plotted = rates.port(node, row.vif_index, row.uuid)
    return [table, drops.of_port(node, row.vif_index), plotted]


# Routes


async def _routes(node: Node, row: Vmi) -> Grid:
    rows: list[list[Cell]] = []
    async for vrf, view in sliced(_own_routes(node, row)):
        rows.append([links.vrf_by(vrf, _vrf_name(node, vrf)), *vrfs.route_row(node, view)])
    columns = ("VRF", *vrfs.COLUMNS)
    empty = "None: nothing finds its way to it."
    note = f"The first {MOST_ROUTES} are shown" if len(rows) == MOST_ROUTES else ""
    return Grid("Routes", columns, rows, empty=empty, note=note)


def _own_routes(node: Node, row: Vmi) -> list[tuple[int, RecordView]]:
    """The routes to its addresses in its VRF, and all that use one of its nexthops."""
    found: dict[Identity, RecordView] = {}
    if row.vrf is not None:
        for one in row.addresses:
            view = node.session.look(vrfs.host_route(row.vrf.index, one))
            if view is not None:
                found[view.identity] = view
    for nexthop in _nexthops(node, row):
        users, _ = node.session.above(nexthop.identity, MOST_ROUTES)
        found.update((one.identity, one) for one in users if words.is_route(one))
    chosen = islice(found.values(), MOST_ROUTES)
    return [(view.identity.number[0], view) for view in chosen]


def _nexthops(node: Node, row: Vmi) -> list[RecordView]:
    if row.vif_index < 0:
        return []
    users, _ = node.session.above(Identity(Kind.VIF, row.vif_index), MOST_ROUTES)
    return [one for one in users if one.identity.kind is Kind.NEXTHOP]


def _vrf_name(node: Node, index: int) -> str:
    view = node.session.look(Identity(Kind.VRF, index))
    return str(view.key.name) if view and view.key else ""


# Policy and flows


async def _policy(node: Node, flow: FlowPort | None) -> list[Part]:
    if flow is None:
        return [Note("Configuration says nothing of its flows yet.")]
    policy, lists = flow.policy, node.compiler.acls()
    named = access_lists.roles(flow)
    facts = Facts(
        (
            ("Policy", "on" if policy.enabled else "off: only translation is applied"),
            ("Security groups", ", ".join(map(str, policy.groups)) or "none"),
            ("Tags", ", ".join(f"{tag:#x}" for tag in policy.tags) or "none"),
            ("Most flows", flow.limits.max_flows or "not limited"),
            ("Access lists", tuple(links.access_list(name) for name, _ in named) or "none"),
        )
    )
    parts: list[Part] = [facts]
    async for name, role in sliced(named[:MOST_LISTS]):
        acl = lists.get(name)
        if acl is None:
            parts.append(Note((links.access_list(name), "is not there: everything is denied")))
            continue
        more = links.access_list(name)
        all_of_them = Text("All rules", more.href) if len(acl.rules) > MOST_RULES else None
        table = access_lists.rules(acl, 0, all_of_them, MOST_RULES)
        caption = f"{links.short(name)}: {role}"
        parts.append(Grid(caption, table.columns, table.rows, table.numeric, more=table.more))
    return parts


async def _flows(node: Node, row: Vmi, asked: Asked) -> list[Part]:
    nexthop = node.flows.feed.key_nexthop(row.vif_index) if row.vif_index >= 0 else 0
    if not nexthop:
        return [Note("It has none: it has no vif with a key nexthop.")]
    found = await flows.find(node, flows.Filter(nexthop=nexthop), asked.number("flow"))
    more = address(f"/ports/{row.uuid}", flow=found.following) + "#flows"
    return [flows.grid(found, more, "Flows of this port")]


# Chain


async def _chain(node: Node, row: Vmi) -> list[Part]:
    if row.vif_index < 0:
        return [Note("Nothing: it has no vif.")]
    vif = Identity(Kind.VIF, row.vif_index)
    view = node.session.look(vif)
    if view is None:
        return [Note("Nothing: its vif is not wanted.")]
    connected = node.session.running
    await pause()
    facts = Facts((("Vif", (links.identity(vif), words.state(view, connected=connected))),))
    hint = "What needs its vif, and what needs that: nexthops, labels, routes."
    return [facts, Note(hint), Tree(chain.upwards(node, vif))]


async def _made(node: Node, row: Vmi) -> list[Part]:
    view = node.session.look(Identity(Kind.VIF, row.vif_index))
    if view is None:
        return [Note("Nothing yet.")]
    await pause()
    return chain.reasons(node, view.key)
