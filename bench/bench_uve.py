"""UVEs of 2,000 ports: making them, and writing them as frames.

The peers of writing build the same documents with tree builders, lxml's and the standard
library's, and serialise them; they get ready values too. The stream to a collector is cut
into frames that are each a document, so nothing can be shared between two of them.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pytest
from conftest import Contest
from telemetry_site import sample, world

from agent.sandesh import xml
from agent.sandesh.schema import Field, arguments, schema
from agent.settings import parse
from agent.telemetry.uve import Hint, Identity, Level, Type, Uve
from agent.telemetry.uve.frames import Header, frame
from agent.telemetry.uve.uves import BATCH, PAUSE
from tests.unit.telemetry.node_world import HOST, NodeWorld

PORTS = 2_000
PORT, STATS = "UveVMInterfaceAgentTrace", "UVEVMIStats"
ME = Identity("host1", 7, address="10.0.0.1")
HEADER = {
    "Timestamp": 1_700_000_000_000_000,
    "Module": "contrail-vrouter-agent",
    "Source": ME.host,
    "Type": 6,
    "Hints": 1,
    "Level": 100,
    "NodeType": "Compute",
    "InstanceId": "0",
    "IPAddress": ME.address,
    "Pid": ME.pid,
}
COLLECTORS = f"{HOST}\n[DEFAULT]\ncollectors = 10.0.0.8\n"


@functools.cache
def site() -> NodeWorld:
    made = world(PORTS)
    for round_ in (1, 2):
        made.node.statistics.sample(sample(made, round_), 30.0 * round_)
    return made


@functools.cache
def uves(message: str) -> list[Uve]:
    """All UVEs of a message as they are now."""
    made = site()
    return list(made.node.uves.refreshed(made.node, message))


# --- Making -------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [PORT, STATS])
def test_make(contest: Contest, message: str) -> None:
    """Fields of every port, and what of them changed: nothing."""
    made = site()
    assert len(uves(message)) == PORTS
    run = contest(f"make {message} of {PORTS} ports", "agent", per=PORTS)
    run(lambda: list(made.node.uves.refreshed(made.node, message)))


def test_interval(contest: Contest) -> None:
    """All of an interval in which every port moved packets, with the frames of it.

    This CPU time in each interval of 30 s is what telling collectors costs.
    """
    made, told = site(), site().node.uves
    told.configure(parse(COLLECTORS), 0.0)
    told.outbox.resume({})
    rounds = 0

    def interval() -> int:
        nonlocal rounds
        rounds += 1
        start, frames = 3600.0 * rounds, 0
        made.node.statistics.sample(sample(made, 2 + rounds), start)
        for second in range(PORTS // BATCH + 1):
            for _ in told.builders:
                told.turn(made.node, start + second * PAUSE)
            while told.outbox.take():
                frames += 1
        return frames

    interval()
    told.configure(parse(f"{COLLECTORS}vmi_vm_vn_uve_interval = 3600\n"), 0.0)
    run = contest(f"an interval of {PORTS} ports", "agent")
    assert run.pedantic(interval, rounds=5) > PORTS


# --- Writing ------------------------------------------------------------------------------

Builder = Callable[[Uve], bytes]


def ours() -> Builder:
    def build(uve: Uve) -> bytes:
        header = Header(1_700_000_000_000_000, uve.sequence, Type.UVE, Level.UVE, Hint.KEY)
        return frame(ME, header, xml.message(uve.message, uve.whole()))

    return build


def by_lxml() -> Builder:
    return _tree(importlib.import_module("lxml.etree"))


def by_elementtree() -> Builder:
    return _tree(importlib.import_module("xml.etree.ElementTree"))


def _tree(library: ModuleType) -> Builder:
    """Header and message as a tree of `library`, serialised."""

    def build(uve: Uve) -> bytes:
        root = library.Element("sandesh", {"length": "0000000000"})
        head = library.SubElement(root, "SandeshHeader")
        _fields(library, head, "SandeshHeader", HEADER | {"SequenceNum": uve.sequence})
        message = library.SubElement(root, uve.message, {"type": "sandesh"})
        _fields(library, message, uve.message, uve.whole())
        return bytes(library.tostring(root))

    return build


@functools.cache
def _plan(name: str) -> tuple[tuple[Field, dict[str, str]], ...]:
    return tuple(
        (field, {"type": _kind(field.type), "identifier": str(field.id), **field.attributes})
        for field in schema()[name].fields
    )


def _kind(type_: str) -> str:
    outer = type_.partition("<")[0]
    return "struct" if outer in schema() else outer


def _fields(library: ModuleType, parent: Any, name: str, values: Mapping[str, Any]) -> None:
    for field, attributes in _plan(name):
        value = values.get(field.name)
        if value is None and field.optional:
            continue
        _value(library, library.SubElement(parent, field.name, attributes), field.type, value)


def _value(library: ModuleType, element: Any, type_: str, value: Any) -> None:
    if type_ in schema():
        _fields(library, library.SubElement(element, type_), type_, value or {})
    elif inner := arguments(type_):
        head = {"type": _kind(inner[0]), "size": str(len(value or ()))}
        rows = library.SubElement(element, "list", head)
        for each in value or ():
            if inner[0] in schema():
                _fields(library, library.SubElement(rows, inner[0]), inner[0], each)
            else:
                library.SubElement(rows, "element").text = str(each)
    elif isinstance(value, bool):
        element.text = "true" if value else "false"
    else:
        element.text = "" if value is None else str(value)


WRITERS = {"agent": ours, "lxml": by_lxml, "xml.etree": by_elementtree}


@pytest.mark.parametrize("message", [PORT, STATS])
@pytest.mark.parametrize("impl", WRITERS)
def test_write(contest: Contest, message: str, impl: str) -> None:
    try:
        write = WRITERS[impl]()
    except ImportError as problem:
        pytest.skip(f"{impl} is not installed: {problem}")
    told = uves(message)[:200]
    assert len(write(told[0])) > 1000
    aims: dict[str, Any] = {"aim_ratio": ("xml.etree", 1.5)} if impl == "agent" else {}
    run = contest(f"write {message}", impl, per=len(told), **aims)
    run(lambda: [write(uve) for uve in told])
