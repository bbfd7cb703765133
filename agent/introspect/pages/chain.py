"""The chain behind an object: what it was made from, what it needs, and what needs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from agent.ifmap import Identity as ConfigIdentity
from agent.ifmap import Neighbours, NodeRef
from agent.introspect.pages import links, words
from agent.introspect.pages.shown import (
    Branch,
    Cell,
    Facts,
    Grid,
    Note,
    Part,
    Section,
    Text,
    Tree,
    run,
)
from agent.introspect.slices import made, pause
from agent.ksync.record import RecordView
from agent.objects import Identity, Key, Kind
from agent.oper.incremental import Call, InputRead
from agent.telemetry import Node

MOST_USERS = 50
MOST_BRANCHES = 150
MOST_INPUTS = 60
DEPTH = 4
_OWN_BOOKS = frozenset(("index", "allocator", "freed", "tree labels"))
"""Inputs that are no one's wish: which numbers are free."""
_COLUMNS = ("Object", "State", "What it does")


def line(node: Node, view: RecordView) -> list[Cell]:
    """An object as a row: name, state, what it does."""
    connected = node.session.running
    kind = view.identity.kind
    name: Cell = links.identity(view.identity)
    if kind in (Kind.INET_ROUTE, Kind.BRIDGE_ROUTE):
        vrf = view.identity.number[0]
        name = run(links.identity(view.identity), links.vrf_by(vrf, f"of VRF {vrf}"))
    return [name, words.state(view, connected=connected), words.describe(node, view)]


async def sections(node: Node, view: RecordView) -> list[Section]:
    """What needs an object, what it needs, and what it was made from."""
    users, count = node.session.above(view.identity, MOST_USERS)
    needs = node.session.beneath(view.identity)
    note = f"{len(users)} of {count} are shown" if count > len(users) else ""
    above = Grid(
        "Objects that use this one",
        _COLUMNS,
        await made(users, lambda one: line(node, one)),
        empty="Nothing uses it.",
        note=note,
    )
    below = Grid(
        "Objects that must be in the datapath before it",
        _COLUMNS,
        await made(needs, lambda one: line(node, one)),
        empty="It needs nothing.",
    )
    await pause()
    return [
        Section("users", "What depends on it", [above]),
        Section("needs", "What it needs", [below]),
        Section("made", "What made it", reasons(node, view.key), folded=True),
    ]


def upwards(node: Node, at: Identity | Key, depth: int = 3) -> list[Branch]:
    """What uses an object, and what uses that: vif, nexthops, labels, routes."""
    left = [MOST_BRANCHES]
    return list(_users(node, at, depth, left))


def _users(node: Node, at: Identity | Key, depth: int, left: list[int]) -> Iterator[Branch]:
    users, count = node.session.above(at, MOST_USERS)
    for view in users:
        if left[0] <= 0:
            yield Branch("… and more")
            return
        left[0] -= 1
        below = tuple(_users(node, view.identity, depth - 1, left)) if depth > 1 else ()
        yield Branch(_branch_line(node, view), below)
    if count > len(users):
        yield Branch(f"… and {count - len(users)} more")


def _branch_line(node: Node, view: RecordView) -> Cell:
    return run(*line(node, view))


def reasons(node: Node, key: Key | None) -> list[Part]:
    """What an object was made from: the inputs that were read, and the way to them."""
    if key is None:
        return [Note("Nobody wants it: an earlier agent left it, or something else made it.")]
    reads = node.compiler.why(key)
    if not reads:
        return [Note("It is not wanted any more.")]
    inputs: dict[str, Text] = {}
    tree = tuple(_reads(node, reads, DEPTH, [MOST_BRANCHES], inputs))
    kinds: dict[str, list[Text]] = {}
    for text, cell in list(inputs.items())[:MOST_INPUTS]:
        kinds.setdefault(text.partition("\0")[0], []).append(cell)
    rows: list[list[Cell]] = [[kind, tuple(cells)] for kind, cells in kinds.items()]
    note = f"{MOST_INPUTS} of {len(inputs)} are shown" if len(inputs) > MOST_INPUTS else ""
    table = Grid("Inputs that were read", ("Kind", "Input"), rows, note=note)
    return [table, Tree(tree)]


def _reads(
    node: Node,
    reads: list[Call | InputRead],
    depth: int,
    left: list[int],
    inputs: dict[str, Text],
) -> Iterator[Branch]:
    for read in reads:
        if left[0] <= 0:
            return
        if isinstance(read, InputRead):
            if read.source not in _OWN_BOOKS:
                kind, cell = input_words(read)
                inputs[f"{kind}\0{cell.text}"] = cell
            continue
        left[0] -= 1
        below = node.compiler.reads(read) if depth > 1 else []
        yield Branch(_call(node, read), tuple(_reads(node, below, depth - 1, left, inputs)))


def _call(node: Node, call: Call) -> Cell:
    """A result: which function, and of what."""
    function: Any = call.function
    name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"
    return run(Text(name, code=True), *(_argument(node, one) for one in call.args))


def _argument(node: Node, value: object) -> Text:
    if isinstance(value, UUID):
        row = node.compiler.vmi_by_uuid(value)
        return links.port(row) if row else Text(str(value), code=True)
    if isinstance(value, NodeRef):
        return Text(f"{value.type} {links.short(value.name)}")
    return Text(links.short(str(value)))


def input_words(read: InputRead) -> tuple[str, Text]:
    """What was read, for people: the kind of input, and which one."""
    key = read.key
    if isinstance(key, NodeRef):
        return "configuration", Text(f"{key.type} {links.short(key.name)}")
    if isinstance(key, Neighbours):
        link = f"{key.metadata} links of {key.ref.type} {links.short(key.ref.name)}"
        return "configuration", Text(link)
    if isinstance(key, ConfigIdentity):
        return "configuration", Text(f"the {key.type} with UUID {key.uuid}")
    if read.source == "port" and isinstance(key, UUID):
        return "plugged port", links.port_by(key, str(key))
    if key is None:
        return "agent", Text(_WHOLE.get(read.source, read.source))
    text = " ".join(map(str, key)) if isinstance(key, tuple) else str(key)
    return _SOURCES.get(read.source, read.source), Text(links.short(text))


_SOURCES = {
    "link": "network interface of the host",
    "arp": "neighbour (ARP)",
    "traffic": "heard of an address",
    "sequence": "known of an address",
    "snooped": "lease seen at a vif",
    "dropping": "limit of flows at a vif",
    "local label": "label of this host",
    "route": "route of a controller",
    "gateway": "simple gateway",
    "holders": "address of several ports",
    "group": "broadcast group of a VRF",
}
_WHOLE = {"host": "settings of the configuration file", "ports": "the set of plugged ports"}


def facts_of(node: Node, view: RecordView) -> Facts:
    """How an object stands: its state, refusals, and what it does."""
    message: Any = view.desired or view.programmed
    rows: list[tuple[str, Cell]] = [
        ("State", words.state(view, connected=node.session.running)),
        ("What it does", words.describe(node, view)),
        ("Wanted", "yes" if view.desired is not None else "no"),
        ("In the datapath", "yes" if view.programmed is not None else "no"),
    ]
    if view.refusals:
        rows.append(("Refused so far", view.refusals))
    if named := words.flags(message):
        rows.append(("Flags", named))
    if view.key is not None:
        rows.append(("Named by", Text(str(view.key), code=True)))
    return Facts(rows)
