"""Objects of the datapath: how many there are of each kind, lists by kind, and one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from agent.introspect.pages import chain, drops, links, words
from agent.introspect.pages.asked import PAGE, Asked, NotThere, address, whole
from agent.introspect.pages.select import Smallest
from agent.introspect.pages.shown import Cell, Facts, Field, Form, Grid, Section, Shown, Text, Tone
from agent.introspect.slices import made, walk
from agent.ksync import State
from agent.ksync.record import RecordView
from agent.objects import Identity, Kind
from agent.telemetry import Node

LISTED = tuple(kind for kind in Kind if kind not in (Kind.INET_ROUTE, Kind.BRIDGE_ROUTE, Kind.VRF))
"""The kinds that have a list and a page here; routes and VRFs have their own."""
_NAMES = {kind.value: kind for kind in LISTED}
MOST_UNSYNCED = 50


async def show(node: Node, asked: Asked) -> Shown:
    """How the datapath compares to what is wanted."""
    counts: Counter[Kind] = Counter()
    identities = node.session.identities()
    await walk(identities, lambda part: counts.update(at.kind for at in part))
    return Shown(
        "Datapath",
        [
            Section("state", "State", [_session(node)]),
            Section("kinds", "Objects", [_kinds(counts)]),
            Section("wires", "Connections", [_wires(node)]),
            Section("open", "Not in sync", [await _open(node, identities)]),
            Section("drops", "Dropped packets by reason", [drops.of_all(node)]),
        ],
        state=standing(node),
    )


def standing(node: Node) -> Text:
    """The whole datapath in two words."""
    if not node.session.running:
        return Text("not connected", tone=Tone.BAD)
    if node.session.in_sync:
        return Text("in sync", tone=Tone.GOOD)
    return Text("not in sync", tone=Tone.BUSY)


def _session(node: Node) -> Facts:
    counters = node.session.counters
    refused = ", ".join(
        f"{words.error(number)}: {count}" for number, count in counters.nacks.items()
    )
    return Facts(
        (
            ("Connection", standing(node)),
            ("Not yet as wanted", node.session.unsettled),
            ("Written", counters.writes.total()),
            ("Acknowledged", counters.acks),
            ("Refused", refused or "never"),
            ("No answer in time", counters.timeouts),
            ("Read anew after a fault", counters.resyncs),
            ("Taken over from an earlier agent", counters.adopted),
            ("Leftovers removed", counters.swept),
        )
    )


def _wires(node: Node) -> Facts:
    """What is counted below ksync; see `agent.telemetry.wires`."""
    pkt0, netlink, questions = node.wires.pkt0, node.wires.netlink, node.wires.questions
    lost = pkt0.not_connected + pkt0.queue_full + pkt0.send_errors
    return Facts(
        (
            ("pkt0", Text(pkt0.fault, tone=Tone.BAD) if pkt0.fault else "in place"),
            ("Packets from pkt0", f"{pkt0.received:,} in {pkt0.batches:,} batches"),
            ("Packets to pkt0", pkt0.sent),
            ("Lost on the way to pkt0", lost),
            ("Foreign frames on pkt0", pkt0.foreign),
            ("Netlink answers lost for want of room", netlink.overruns),
            ("Netlink requests that waited for room", netlink.waits),
            ("Questions for counters and tables", questions.asked),
            ("Questions without an answer", questions.late + questions.refused),
        )
    )


def _kinds(counts: Counter[Kind]) -> Grid:
    rows: list[list[Cell]] = []
    for kind in Kind:
        place = f"/datapath/{kind.value}" if kind in LISTED else "/vrfs"
        if counts[kind]:
            rows.append([Text(_title(kind), place), f"{counts[kind]:,}"])
    return Grid("Objects by kind", ("Kind", "Objects"), rows, numeric=frozenset((1,)))


def _title(kind: Kind) -> str:
    names = {
        Kind.INET_ROUTE: "inet routes",
        Kind.BRIDGE_ROUTE: "bridge routes",
        Kind.VXLAN: "VNIs",
        Kind.VRF: "VRFs",
        Kind.QOS_MAP: "QoS maps",
        Kind.VRF_ASSIGN: "VRF assignments",
        Kind.FORWARDING_CLASS: "forwarding classes",
    }
    return names.get(kind, f"{kind.value}s")


async def _open(node: Node, identities: Sequence[Identity]) -> Grid:
    """What is not as it should be; looked for only while ksync says that there is something."""
    total, found = node.session.unsettled, list[RecordView]()

    def take(part: Sequence[Identity]) -> None:
        for at in part if len(found) < MOST_UNSYNCED else ():
            view = node.session.look(at)
            if view is not None and view.state is not State.SYNCED:
                found.append(view)

    if total or not node.session.running:
        await walk(identities, take)
    rows = await made(found[:MOST_UNSYNCED], lambda view: chain.line(node, view))
    note = f"{len(rows)} of {total} are shown" if total > len(rows) else ""
    columns = ("Object", "State", "What it does")
    empty = "Everything that is wanted is in the datapath, and nothing else."
    return Grid("Objects that are not as wanted", columns, rows, empty=empty, note=note)


async def listing(node: Node, asked: Asked) -> Shown:
    """The objects of a kind, by number."""
    kind = _kind(asked)
    after, lowest = asked.number("from"), Smallest[Any](PAGE + 1)

    def take(part: Sequence[Identity]) -> None:
        for at in part:
            if at.kind is kind and (number := _first(at)) >= after:
                lowest.offer(number, at)

    await walk(node.session.identities(), take)
    found = [at for _, at in lowest.items()]
    more = None
    if len(found) > PAGE:
        path = f"/datapath/{kind.value}"
        more = Text("Next", address(path, **{"from": _first(found[PAGE])}))
    views = [node.session.look(at) for at in found[:PAGE]]
    known = [view for view in views if view is not None]
    rows = await made(known, lambda view: chain.line(node, view))
    form = Form(f"/datapath/{kind.value}", "Show", (Field("from", "From number", str(after)),))
    table = Grid(_title(kind), ("Object", "State", "What it does"), rows, more=more)
    title = _title(kind)
    return Shown(title[0].upper() + title[1:], [Section("list", "By number", [form, table])])


def _first(at: Identity) -> int:
    number: Any = at.number
    return int(number[0] if isinstance(number, tuple) else number)


async def one(node: Node, asked: Asked) -> Shown:
    """An object's page."""
    at = Identity(_kind(asked), _number(asked))
    view = node.session.look(at)
    if view is None:
        raise NotThere(f"Neither wanted nor in the datapath: {at}.")
    return await page(node, view)


async def page(node: Node, view: RecordView) -> Shown:
    """The page of any object."""
    state = Section("facts", "State", [chain.facts_of(node, view)])
    fields = Section("message", "Its message", [message(view)], folded=True)
    return Shown(
        links.title(view.identity),
        [state, *await chain.sections(node, view), fields],
        what=f"Object of the datapath: {view.identity.kind.value}",
        state=words.state(view, connected=node.session.running),
    )


def message(view: RecordView) -> Grid:
    """The fields of the message that an object is, those that say something."""
    wanted, there = _fields(view.desired), _fields(view.programmed)
    rows = [
        [Text(name, code=True), wanted.get(name, "–"), there.get(name, "–")]
        for name in dict.fromkeys((*wanted, *there))
    ]
    return Grid("Fields that are not zero", ("Field", "Wanted", "In the datapath"), rows)


def _fields(message: Any) -> dict[str, Text]:
    if message is None:
        return {}
    values = {name: getattr(message, name) for name in message.FIELDS if name != "h_op"}
    return {name: Text(_plain(value), code=True) for name, value in values.items() if value}


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return (
            value.hex(":") if len(value) <= 32 else f"{value[:32].hex(':')}… ({len(value)} bytes)"
        )
    if isinstance(value, tuple):
        return ", ".join(map(str, value[:32])) + ("…" if len(value) > 32 else "")
    return str(value)


def _kind(asked: Asked) -> Kind:
    kind = _NAMES.get(asked.path["kind"])
    if kind is None:
        raise NotThere(f"There is no kind {asked.path['kind']!r}: {', '.join(_NAMES)}.")
    return kind


def _number(asked: Asked) -> Any:
    text = asked.path["number"]
    if asked.path["kind"] == Kind.VRF_ASSIGN.value:
        vif, _, tag = text.partition(".")
        return whole(vif, "vif"), whole(tag, "VLAN")
    return whole(text, "number")
