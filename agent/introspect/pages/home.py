"""The first page: how the agent is, what is plugged, what is wrong, and what goes on."""

from __future__ import annotations

from collections.abc import Callable

from agent.introspect.pages import links, plot, ports, rates, words
from agent.introspect.pages.asked import Asked
from agent.introspect.pages.shown import (
    Card,
    Cards,
    Cell,
    Facts,
    Grid,
    Section,
    Shown,
    Text,
    Tone,
)
from agent.introspect.pages.shown import Part as Shape
from agent.introspect.slices import pause
from agent.telemetry import Node
from agent.telemetry.health import Part, State
from agent.telemetry.watermarks import Level

MOST_PORTS = 20
_DURATIONS = ("lag", "age", "seconds")
MOST_PROBLEMS = 20
_PLACES = {
    "datapath": "/datapath",
    "objects": "/datapath#open",
    "interfaces": "/ports",
    "flows": "/flows",
    "statistics": "/#rates",
    "loop": "/#rates",
}
_LEVELS = {Level.NORMAL: "room", Level.HIGH: "nearly full", Level.FULL: "full"}
_LEVEL_TONES = {Level.NORMAL: Tone.GOOD, Level.HIGH: Tone.BUSY, Level.FULL: Tone.BAD}
_TONES = {State.OK: Tone.GOOD, State.DEGRADED: Tone.BUSY, State.DOWN: Tone.BAD}
_WORDS = {State.OK: "well", State.DEGRADED: "degraded", State.DOWN: "down"}


async def show(node: Node, asked: Asked) -> Shown:
    """The page at `/`."""
    report = node.health.report()
    parts = [part for part in report.parts if part.state is not State.OK or part.name != "table"]
    cards = Cards([_card(part, report.time) for part in parts])
    sections = [Section("state", "State", [cards])]
    for name, title, make in _SECTIONS:
        await pause()
        sections.append(Section(name, title, [make(node)]))
    return Shown(
        node.host,
        sections,
        what="Host",
        state=Text(_WORDS[report.state], tone=_TONES[report.state]),
        lead=report.reason.replace(links.DOMAIN, ""),
    )


def _card(part: Part, now: float) -> Card:
    numbers = [
        (name.replace("_", " "), _number(name, value)) for name, value in part.numbers.items()
    ]
    since = f"{_WORDS[part.state]} for {plot.span(max(0.0, now - part.since))}"
    state = Text(since, tone=_TONES[part.state])
    title = Text(part.title[:1].upper() + part.title[1:], _place(part))
    return Card(title, state, part.reason.replace(links.DOMAIN, ""), numbers)


def _place(part: Part) -> str:
    """Where more is told of a part; "" for nowhere."""
    if part.name == "controller":
        return f"/controllers/{part.instance}"
    return _PLACES.get(part.name, "")


def _number(name: str, value: int | float | str | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        unit = "s" if name.endswith(_DURATIONS) else ""
        return plot.quantity(value, unit)
    return f"{value:,}" if isinstance(value, int) else value


def _ports(node: Node) -> Grid:
    rows = sorted(ports.ordered(node.compiler.vmis()), key=lambda row: row.active)
    strays = [ports.unknown_row(one) for one in ports.unknown(node)[:MOST_PORTS]]
    shown = [*strays, *map(ports.row, rows[: MOST_PORTS - len(strays)])]
    left = len(rows) + len(strays) - len(shown)
    note = f"{len(shown)} of {len(shown) + left} are shown, those not active first" if left else ""
    return Grid(
        "Ports",
        ports.COLUMNS,
        shown,
        empty="No port is plugged.",
        note=note,
        more=Text("All ports", "/ports"),
    )


def _problems(node: Node) -> Grid:
    refused, count = node.session.refused(MOST_PROBLEMS)
    rows: list[list[Cell]] = []
    for view in refused:
        connected = node.session.running
        does = words.leads_to(node, view) if words.is_route(view) else words.describe(node, view)
        why = (words.state(view, connected=connected), does)
        rows.append(["refused by the datapath", links.identity(view.identity), why])
    for place, reason in list(node.compiler.failures().items())[:MOST_PROBLEMS]:
        rows.append(["could not be computed", Text(place, code=True), reason])
    for name, reason in list(node.compiler.policy_problems().items())[:MOST_PROBLEMS]:
        rows.append(["left out of a policy", name, reason])
    note = f"{len(refused)} of {count} refused objects are shown" if count > len(refused) else ""
    return Grid("Problems", ("What", "Where", "Why"), rows, empty="None.", note=note)


def _tables(node: Node) -> Grid:
    """How full tables are; those that are nearly full have a card above, too."""
    rows: list[list[Cell]] = []
    for mark in node.statistics.watermarks.values():
        level = Text(_LEVELS[mark.level], tone=_LEVEL_TONES[mark.level])
        limit = f"{mark.limit:,}" if mark.limit else "not known"
        rows.append([mark.name, f"{mark.count:,}", limit, f"{mark.peak:,}", level])
    columns = ("Table", "Entries", "Room for", "At most so far", "State")
    empty = "Not known yet: the datapath was not asked."
    return Grid("Tables of the datapath", columns, rows, frozenset((1, 2, 3)), empty)


def _totals(node: Node) -> Facts:
    vmis, compiler = node.compiler.vmis(), node.compiler
    active = sum(row.active for row in vmis)
    traffic = [vif.traffic for vif in node.statistics.fabric()]
    return Facts(
        (
            ("Ports", (Text(f"{len(vmis):,}", "/ports"), f"{active:,} active")),
            ("Networks", Text(f"{len(compiler.networks()):,}", "/networks")),
            ("VRFs", Text(f"{len(compiler.vrfs()):,}", "/vrfs")),
            ("Routes", f"{sum(node.session.routes().values()):,}"),
            ("Objects of the datapath", Text(f"{len(node.session.identities()):,}", "/datapath")),
            ("Pairs of flows", Text(f"{len(node.flows.pairs or ()):,}", "/flows")),
            ("From the fabric", plot.quantity(sum(one.in_bytes for one in traffic), "B")),
            ("To the fabric", plot.quantity(sum(one.out_bytes for one in traffic), "B")),
            ("Dropped packets", f"{node.statistics.dropped:,}"),
            ("Agent", f"version {node.version}, process {node.pid}"),
            ("Running for", plot.span(max(0.0, node.wall() - node.started))),
        )
    )


_SECTIONS: tuple[tuple[str, str, Callable[[Node], Shape]], ...] = (
    ("rates", "The last ten minutes", rates.host),
    ("ports", "Plugged ports", _ports),
    ("problems", "Refusals and problems", _problems),
    ("tables", "Tables of the datapath", _tables),
    ("totals", "Totals", _totals),
)
