"""The ports of this host: a list that can be narrowed, as rows and as a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from agent.inputs import PluggedPort
from agent.introspect.pages import links
from agent.introspect.pages.asked import PAGE, Asked, address
from agent.introspect.pages.shown import (
    Cell,
    Field,
    Form,
    Grid,
    Part,
    Section,
    Shown,
    Text,
    Tone,
)
from agent.introspect.slices import made, sliced
from agent.oper.rows import Vmi
from agent.telemetry import Node

COLUMNS = ("Port", "State", "Network", "Addresses", "MAC address", "Device")
STATES = ("", "active", "not active")


def state(row: Vmi) -> Text:
    """Whether a port forwards."""
    return Text("active", tone=Tone.GOOD) if row.active else Text("not active", tone=Tone.BAD)


def addresses(row: Vmi) -> tuple[Text, ...]:
    """All addresses of a port, also those that are not routed (yet)."""
    own = [one for one in (row.ip, row.ip6) if one is not None and not one.is_unspecified]
    listed = dict.fromkeys((*own, *row.others))
    return tuple(Text(str(one), address("/search", q=one), code=True) for one in listed)


def row(one: Vmi) -> list[Cell]:
    """A port as a row of COLUMNS."""
    standing: Cell = state(one) if one.active else (state(one), one.reason or "no reason known")
    device = (Text(one.name, code=True), f"vif {one.vif_index}" if one.vif_index >= 0 else "no vif")
    return [
        links.port(one),
        standing,
        links.network(one.vn),
        addresses(one) or "none",
        Text(str(one.mac), code=True),
        device,
    ]


def matches(one: Vmi, words: str) -> bool:
    """Whether a text is in what a port is known by: names, UUIDs, addresses, MAC, device."""
    known = (
        one.vm_name,
        one.name,
        one.config_name,
        str(one.uuid),
        str(one.vm_uuid),
        str(one.mac),
        one.vn.name if one.vn else "",
    )
    if any(words in text.lower() for text in known):
        return True
    return any(words == text.text for text in addresses(one)) or words == f"vif {one.vif_index}"


def ordered(rows: Iterable[Vmi]) -> list[Vmi]:
    """By the names of their VMs, those without at the end."""
    return sorted(rows, key=lambda one: (not one.vm_name, one.vm_name, one.name))


def unknown(node: Node) -> list[PluggedPort]:
    """Ports that are plugged but of which configuration says nothing yet."""
    known = {one.uuid for one in node.compiler.vmis()}
    rows = (one for one in node.store.ports() if isinstance(one, PluggedPort))
    return [one for one in rows if one.uuid not in known]


def unknown_row(one: PluggedPort) -> list[Cell]:
    """Such a port as a row of COLUMNS."""
    why = (Text("not active", tone=Tone.BAD), "no configuration of this port has come yet")
    device = Text(one.system_name, code=True)
    own = (one.ip, one.ip6)
    given = tuple(Text(str(ip), code=True) for ip in own if not ip.is_unspecified)
    return [
        one.display_name or str(one.uuid),
        why,
        "",
        given,
        Text(str(one.mac), code=True),
        device,
    ]


async def grid(
    node: Node, rows: Sequence[Vmi], start: int, more: str, caption: str = "Ports"
) -> Grid:
    """A page of ports from `start` on; `more` is the address of the page without a start."""
    part = rows[start : start + PAGE]
    left = len(rows) - start - len(part)
    note = f"{start + 1} to {start + len(part)} of {len(rows)}" if start or left > 0 else ""
    following = Text(f"Next {min(PAGE, left)} ports", more) if left > 0 else None
    shown = await made(part, row)
    return Grid(caption, COLUMNS, shown, note=note, more=following)


async def show(node: Node, asked: Asked) -> Shown:
    """The list of ports."""
    words, wanted, start = asked.text("filter").lower(), asked.text("state"), asked.number("start")
    rows: list[Vmi] = []
    async for one in sliced(node.compiler.vmis()):
        if (not words or matches(one, words)) and wanted in ("", STATES[2 - one.active]):
            rows.append(one)
    more = address("/ports", filter=words, state=wanted, start=start + PAGE)
    form = Form(
        "/ports",
        "Show",
        (
            Field("filter", "Name, UUID, network, MAC or IP address", words),
            Field("state", "State", wanted, choices=STATES),
        ),
    )
    parts: list[Part] = [form, await grid(node, ordered(rows), start, more)]
    sections = [Section("ports", "Plugged ports", parts)]
    strays = unknown(node)
    if strays and not words and not start:
        shown = [unknown_row(one) for one in strays[:PAGE]]
        note = f"{PAGE} of {len(strays)}" if len(strays) > PAGE else ""
        table = Grid("Ports without configuration", COLUMNS, shown, note=note)
        sections.append(Section("unknown", "Plugged, not configured", [table]))
    return Shown("Ports", sections)


def by_uuid(node: Node, text: str) -> Vmi | None:
    """A port by the text of its UUID."""
    try:
        return node.compiler.vmi_by_uuid(UUID(text))
    except ValueError:
        return None
