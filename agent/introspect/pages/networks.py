"""Virtual networks: the list, and a network's page with its subnets and ports."""

from __future__ import annotations

from agent.introspect.pages import links, ports
from agent.introspect.pages.asked import PAGE, Asked, NotThere, address
from agent.introspect.pages.shown import Cell, Facts, Grid, Section, Shown, Text, Tone
from agent.oper.rows import Subnet, Vn
from agent.telemetry import Node


def state(row: Vn) -> Text:
    """Whether a network can be used."""
    return Text("active", tone=Tone.GOOD) if row.active else Text("not active", tone=Tone.BAD)


def forwarding(row: Vn) -> str:
    """Which layers a network forwards."""
    if row.l2 and row.l3:
        return "L2 and L3"
    return "L3 only" if row.l3 else "L2 only"


def vrf_of(node: Node, row: Vn) -> Text:
    """The VRF of a network."""
    found = next((one for one in node.compiler.vrfs() if one.name == row.vrf_name), None)
    return links.vrf(found)


def row(node: Node, one: Vn, count: int) -> list[Cell]:
    """A network as a row of the list."""
    standing: Cell = state(one) if one.active else (state(one), one.reason)
    subnets = tuple(Text(str(subnet.prefix), code=True) for subnet in one.subnets)
    return [
        links.network(one),
        standing,
        subnets or "none",
        vrf_of(node, one),
        one.vxlan_id,
        count,
    ]


def grid(node: Node, rows: list[Vn], caption: str = "Networks") -> Grid:
    """Networks with how many ports of this host they have."""
    counts: dict[object, int] = {}
    for port in node.compiler.vmis():
        if port.vn is not None:
            counts[port.vn.uuid] = counts.get(port.vn.uuid, 0) + 1
    shown = [row(node, one, counts.get(one.uuid, 0)) for one in rows[:PAGE]]
    columns = ("Network", "State", "Subnets", "VRF", "VNI", "Ports here")
    return Grid(caption, columns, shown, numeric=frozenset((4, 5)))


async def show(node: Node, asked: Asked) -> Shown:
    """The list of networks in use on this host."""
    start = asked.number("start")
    rows = sorted(node.compiler.networks(), key=lambda one: one.name)
    table = grid(node, rows[start : start + PAGE], "Networks in use on this host")
    if len(rows) > start + PAGE:
        more = Text("Next networks", address("/networks", start=start + PAGE))
        table = Grid(table.caption, table.columns, table.rows, table.numeric, more=more)
    return Shown("Networks", [Section("networks", "Networks in use", [table])])


async def one(node: Node, asked: Asked) -> Shown:
    """A network's page."""
    found = [each for each in node.compiler.networks() if str(each.uuid) == asked.path["uuid"]]
    if not found:
        raise NotThere(f"No port of this host is in a network {asked.path['uuid']}.")
    network, start = found[0], asked.number("start")
    rows = ports.ordered(
        port for port in node.compiler.vmis() if port.vn and port.vn.uuid == network.uuid
    )
    more = address(f"/networks/{network.uuid}", start=start + PAGE)
    return Shown(
        links.short(network.name),
        [
            Section("facts", "Properties", [_facts(node, network)]),
            Section("subnets", "Subnets", [_subnets(network)]),
            Section("ports", "Ports on this host", [await ports.grid(node, rows, start, more)]),
        ],
        what="Virtual network",
        state=state(network),
        lead="" if network.active else network.reason,
    )


def _facts(node: Node, network: Vn) -> Facts:
    return Facts(
        (
            ("Name", network.name),
            ("UUID", Text(str(network.uuid), code=True)),
            ("VRF", vrf_of(node, network)),
            ("VXLAN identifier", network.vxlan_id),
            ("Forwarding", forwarding(network)),
            ("Unknown unicast", "flooded" if network.flood_unknown_unicast else "dropped"),
            (
                "Routes for guests",
                tuple(f"{one.prefix} by {one.gateway}" for one in network.host_routes) or "none",
            ),
        )
    )


def _subnets(network: Vn) -> Grid:
    rows = [_subnet(one) for one in network.subnets]
    return Grid("Subnets", ("Prefix", "Gateway", "DNS server", "DHCP"), rows)


def _subnet(one: Subnet) -> list[Cell]:
    return [
        Text(str(one.prefix), code=True),
        Text(str(one.gateway or "none"), code=True),
        Text(str(one.dns_server or "none"), code=True),
        "on" if one.dhcp_enabled else "off",
    ]
