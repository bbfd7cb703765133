"""Flows: a list that an address narrows, those of a port, and one pair with both directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from agent.flow.words import ACTIONS, FLAGS, REASONS, RESERVED_RULES
from agent.introspect.pages import links, plot
from agent.introspect.pages.asked import Asked, BadRequest, NotThere, address, whole
from agent.introspect.pages.explain import words_of
from agent.introspect.pages.shown import (
    Cell,
    Facts,
    Field,
    Form,
    Grid,
    Note,
    Section,
    Shown,
    Text,
    Tone,
)
from agent.introspect.slices import sliced
from agent.objects import Identity, Kind
from agent.shm import FlowKey
from agent.telemetry import Node
from agent.values import Address

ROWS = 25
MOST_LOOKED_AT = 20_000
"""Pairs that one page looks at; the next page goes on from there."""
COLUMNS = ("Flow", "Protocol", "From", "To", "Action", "Packets", "Bytes")
_PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP"}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which pairs are wanted: of an address, of a key nexthop (a port), or all."""

    address: Address | None = None
    nexthop: int = 0

    def fits(self, forward: FlowKey, reverse: FlowKey) -> bool:
        """Whether one of the two directions is wanted."""
        if self.address is not None and self.address not in (
            forward.source,
            forward.destination,
            reverse.source,
            reverse.destination,
        ):
            return False
        return not self.nexthop or self.nexthop in (forward.nh_id, reverse.nh_id)


@dataclass(frozen=True, slots=True)
class Found:
    """Some pairs; `following` is where to go on, None at the end."""

    rows: list[list[Cell]]
    looked_at: int
    total: int
    following: int | None


def key(side: Mapping[str, Any]) -> FlowKey:
    """The key of a direction as FlowPairs.describe gives it."""
    return FlowKey.unpack(side["key"].ljust(44, b"\0"))


async def find(node: Node, wanted: Filter, start: int = 0, most: int = ROWS) -> Found:
    """Pairs from number `start` on; looks at a bounded number of them."""
    pairs = node.flows.pairs
    if pairs is None:
        return Found([], 0, 0, None)
    rows: list[list[Cell]] = []
    numbers = pairs.pairs(start, MOST_LOOKED_AT)
    seen = 0
    async for number in sliced(numbers):
        if len(rows) >= most:
            return Found(rows, seen, len(pairs), number)
        seen += 1
        try:
            row = _row(node, number, pairs.describe(number), wanted)
        except KeyError:
            continue  # it ended meanwhile
        if row is not None:
            rows.append(row)
    following = numbers[-1] + 1 if len(numbers) == MOST_LOOKED_AT else None
    return Found(rows, seen, len(pairs), following)


def _row(node: Node, number: int, pair: Mapping[str, Any], wanted: Filter) -> list[Cell] | None:
    forward, reverse = pair["forward"], pair["reverse"]
    one, other = key(forward), key(reverse)
    if not wanted.fits(one, other):
        return None
    return [
        links.flow(number),
        protocol(one.proto),
        end(node, one.source, one.sport, one.proto),
        end(node, one.destination, one.dport, one.proto),
        action(forward),
        (f"{forward['packets']:,}", f"{reverse['packets']:,} back"),
        (plot.quantity(forward["bytes"], "B"), f"{plot.quantity(reverse['bytes'], 'B')} back"),
    ]


def protocol(number: int) -> str:
    """An IP protocol by name."""
    return _PROTOCOLS.get(number, f"protocol {number}")


def end(node: Node, at: Address, port: int, proto: int) -> Text:
    """One end of a flow, which leads to what is known of its address."""
    text = f"[{at}]" if at.version == 6 else str(at)
    shown = f"{text}:{port}" if proto in (6, 17, 132) else str(at)
    return Text(shown, address("/search", q=at), code=True)


def action(side: Mapping[str, Any]) -> Text:
    """What happens to packets of a direction."""
    number = int(side["action"])
    text = ACTIONS[number] if number < len(ACTIONS) else str(number)
    if text == "drop":
        reason = int(side["reason"])
        why = REASONS[reason] if reason < len(REASONS) else f"reason {reason}"
        return Text(f"dropped: {why}", tone=Tone.BAD)
    return Text(text, tone=Tone.GOOD if text in ("forward", "NAT") else Tone.BUSY)


def grid(found: Found, more: str, caption: str = "Flows") -> Grid:
    """The table of what was found; `more` is the address of the page, without a start."""
    note = f"{found.looked_at:,} of {found.total:,} pairs were looked at" if found.total else ""
    following = Text("Go on", more) if found.following is not None else None
    empty = "No flow of this kind." if found.total else "There are no flows."
    return Grid(caption, COLUMNS, found.rows, frozenset((5, 6)), empty, note, following)


async def show(node: Node, asked: Asked) -> Shown:
    """The list of flows."""
    text = asked.text("address")
    try:
        wanted = Filter(ip_address(text)) if text else Filter()
    except ValueError:
        raise BadRequest(f"address: {text!r} is not an IP address") from None
    found = await find(node, wanted, asked.number("start"))
    more = address("/flows", address=text, start=found.following)
    form = Form("/flows", "Show", (Field("address", "Address of either end", text),))
    return Shown(
        "Flows",
        [
            Section("flows", "Pairs of flows", [form, grid(found, more)]),
            Section("counters", "Counters", [_counters(node)]),
        ],
    )


def _counters(node: Node) -> Facts:
    pairs = node.flows.pairs
    if pairs is None:
        return Facts((("Flow table", "not there: the datapath is not connected"),))
    told = (
        (name.replace("_", " "), f"{count:,}") for name, count in pairs.counters.items() if count
    )
    own = (("Pairs now", f"{len(pairs):,}"), ("Requests without answer", pairs.in_flight))
    return Facts((*own, *told))


async def one(node: Node, asked: Asked) -> Shown:
    """A pair of flows."""
    number, pairs = whole(asked.path["pair"], "pair"), node.flows.pairs
    try:
        pair: Mapping[str, Any] = pairs.describe(number) if pairs is not None else {}
    except KeyError:
        pair = {}
    if not pair:
        raise NotThere(f"There is no pair {number}: it has ended, or never was.")
    forward, reverse = key(pair["forward"]), key(pair["reverse"])
    row = node.compiler.vmi(int(pair["vif"]))
    facts: list[tuple[str, Cell]] = [
        ("State", str(pair["state"])),
        ("Entered by", links.port(row) if row else f"vif {pair['vif']}"),
        ("VRF", links.vrf_by(int(pair["vrf"]), node.flows.feed.vrf_name(int(pair["vrf"])))),
        ("Began", f"{plot.span(max(0.0, node.clock() - float(pair['created'])))} ago"),
    ]
    return Shown(
        f"{protocol(forward.proto)} {forward.source} to {forward.destination}",
        [
            Section("facts", "Pair", [Facts(facts)]),
            Section("forward", "Forward", [_side(node, pair["forward"], forward)]),
            Section("reverse", "Back", [_side(node, pair["reverse"], reverse)]),
            Section("why", "Why", [_why(forward)]),
        ],
        what="Pair of flows",
        state=action(pair["forward"]),
    )


def _flags(flags: int) -> str:
    return ", ".join(name for bit, name in FLAGS if flags & bit) or "nothing"


def _side(node: Node, side: Mapping[str, Any], one: FlowKey) -> Facts:
    return Facts(
        (
            ("From", end(node, one.source, one.sport, one.proto)),
            ("To", end(node, one.destination, one.dport, one.proto)),
            ("Action", action(side)),
            ("Packets", f"{side['packets']:,}"),
            ("Bytes", f"{side['bytes']:,}"),
            ("Key nexthop", links.identity(Identity(Kind.NEXTHOP, one.nh_id))),
            ("Translation", _flags(int(side["flags"]))),
            ("Entry of the table", "none yet" if side["index"] is None else side["index"]),
            ("Rules", tuple(_rule(node, rule) for rule in side["rules"])),
        )
    )


def _rule(node: Node, number: int) -> Text:
    if number < len(RESERVED_RULES):
        return Text(RESERVED_RULES[number])
    uuid = node.flows.world.classifier.rule_uuid(number)
    return Text("a rule that is no more" if uuid is None else f"rule {uuid}")


def _why(one: FlowKey) -> Note:
    return Note(Text("Explain how this flow is decided on", address("/explain", **words_of(one))))
