"""The controllers: their sessions, and the routes that they say."""

from __future__ import annotations

from agent.introspect.pages import links
from agent.introspect.pages.asked import PAGE, Asked, NotThere
from agent.introspect.pages.shown import Cell, Facts, Grid, Section, Shown, Text, Tone
from agent.telemetry import Node
from agent.xmpp import PeerView, State

COLUMNS = ("Controller", "Session", "Gives", "Routes complete", "Attempts", "Lost", "Last fault")


def link(view: PeerView) -> Text:
    """A controller by address and port."""
    return Text(str(view.server), f"/controllers/{view.server}")


def session(view: PeerView) -> Text:
    """How far the session is."""
    tone = Tone.GOOD if view.state is State.ESTABLISHED else Tone.BAD
    return Text(view.state.value, tone=tone)


def grid(node: Node) -> Grid:
    """The controllers in use."""
    rows = [_row(view) for view in node.controllers.views()]
    empty = "None: configuration comes from a topology file, or from nowhere."
    return Grid("Controllers in use", COLUMNS, rows, numeric=frozenset((4, 5)), empty=empty)


def _row(view: PeerView) -> list[Cell]:
    return [
        link(view),
        session(view),
        _gives(view),
        "yes" if view.end_of_rib_received else "no",
        view.attempts,
        view.flaps,
        view.last_fault or "none",
    ]


def _gives(view: PeerView) -> str:
    gives = ["routes"]
    if view.config:
        gives.append("configuration")
    if view.tree_builder:
        gives.append("broadcast trees")
    return ", ".join(gives)


async def show(node: Node, asked: Asked) -> Shown:
    """The list of controllers."""
    return Shown("Controllers", [Section("controllers", "Sessions", [grid(node)])])


async def one(node: Node, asked: Asked) -> Shown:
    """A controller's page."""
    server = asked.path["server"]
    view = next((one for one in node.controllers.views() if str(one.server) == server), None)
    if view is None:
        raise NotThere(f"{server} is not a controller in use.")
    facts: list[tuple[str, Cell]] = [
        ("Session", session(view)),
        ("Gives", _gives(view)),
        ("Slot", view.slot),
        ("Sessions so far", view.sequence),
        ("Attempts", view.attempts),
        ("Lost sessions", view.flaps),
        ("Last fault", view.last_fault or "none"),
        ("It has told all routes", "yes" if view.end_of_rib_received else "no"),
        ("We have told all routes", "yes" if view.end_of_rib_sent else "no"),
    ]
    return Shown(
        server,
        [
            Section("facts", "Session", [Facts(facts)]),
            Section("routes", "Routes that it has told", [_tables(node, server)]),
        ],
        what="Controller",
        state=session(view),
    )


def _tables(node: Node, server: str) -> Grid:
    rows: list[list[Cell]] = [
        [links.short(table.vrf), table.family.name, count, stale]
        for table in node.compiler.rib.tables()
        for peer, count, stale in table.counts()
        if peer == server and count
    ]
    note = f"{PAGE} of {len(rows)} tables are shown" if len(rows) > PAGE else ""
    columns = ("VRF", "Family", "Routes", "Of an earlier session")
    return Grid("Tables", columns, rows[:PAGE], numeric=frozenset((2, 3)), note=note)
