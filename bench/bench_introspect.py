"""Introspect: rows of routes as XML and JSON, and how a table of 100,000 streams.

Peers are given the same rows, ready made, and build trees of them, as one writes XML in Python.
The stream is measured whole: routes are looked up, written and joined into messages, while the
loop has its turns; beside its time stand the longest slice of work between two turns (CPU time
of the thread), how late timers of the loop fired (which other processes make worse), and how much
memory it took.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from agent.ifmap.from_topology import network_name, vrf_name
from agent.introspect.catalogue import catalogue, prepare
from agent.introspect.document import document
from agent.introspect.forms import JSON, XML, Form
from agent.introspect.pace import Pace
from agent.introspect.query import parse
from agent.introspect.request import Table
from agent.io.garbage import NEVER, YOUNG_COLLECTIONS, YOUNG_OBJECTS
from agent.routes import (
    Encapsulation,
    InetKey,
    RouteAttributes,
    RouteBatch,
    RouteFamily,
    RouteNexthop,
    RouteUpdate,
)
from agent.sandesh import xml
from agent.sandesh.schema import Field, arguments, schema
from tests.unit.telemetry.node_world import NodeWorld

ROUTES, ROWS = 100_000, 500
STRUCT, VRF = "RouteUcSandeshData", 2
STREAM = f"introspect: a route of {ROUTES:,}, streamed"
WRITE, WRITE_JSON = "introspect: write a route as XML", "introspect: write a route as JSON"
TICK = 0.001
OFFERED = (Encapsulation.GRE, Encapsulation.UDP)


def attributes(host: int) -> RouteAttributes:
    way = RouteNexthop(IPv4Address(f"10.0.1.{host}"), 20 + host, OFFERED, network_name("red"))
    return RouteAttributes((way,), network_name("red"), security_groups=(8000001,))


@cache
def world() -> NodeWorld:
    """A host with four VMs, and routes of 64 other hosts in the network of two."""
    made = NodeWorld()
    made.plug()
    hosts = [attributes(host) for host in range(2, 66)]
    keys = (InetKey((0x0B000000 + at).to_bytes(4, "big"), 32) for at in range(ROUTES))
    updates = [RouteUpdate(key, hosts[at % len(hosts)]) for at, key in enumerate(keys)]
    compiler = made.node.compiler
    compiler.routes("10.0.0.250:5269", RouteBatch(RouteFamily.INET, vrf_name("red"), updates))
    while compiler.pending:
        compiler.commit()
    prepare((XML, JSON))
    return made


@cache
def rows() -> list[dict[str, Any]]:
    """Some rows, plain values without anything that was kept of them."""
    table = catalogue()["Inet4UcRouteReq"]
    assert isinstance(table, Table)
    found: list[dict[str, Any]] = []
    for row in table.answers(world().node, parse(table.request, f"vrf_index={VRF}")):
        if row is not None and len(found) < ROWS:
            found.append(_copy(row() if callable(row) else row))
    return found


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(held) for name, held in value.items()}
    return [_copy(each) for each in value] if isinstance(value, list) else value


# --- Streams


async def watched(form: Form, slices: list[float], lags: list[float]) -> int:
    """As `stream`; `lags` get how much later than asked for a timer of the loop fired."""

    async def watch() -> None:
        while True:
            asked = time.perf_counter() + TICK
            await asyncio.sleep(TICK)
            lags.append(time.perf_counter() - asked)

    watching = asyncio.create_task(watch())
    size = await stream(form, slices)
    watching.cancel()
    return size


async def stream(form: Form, slices: list[float]) -> int:
    """Bytes of the whole table; `slices` get the CPU seconds between two turns of the loop."""
    begun = time.thread_time()

    async def pause() -> None:
        nonlocal begun
        slices.append(time.thread_time() - begun)
        await asyncio.sleep(0)
        begun = time.thread_time()

    query = parse("PageReq", f"x=Inet4UcRouteReq,all,vrf_index={VRF}")
    made = await document(world().node, "PageReq", query, form, Pace(time.monotonic, pause))
    assert made.rest is not None
    return len(made.first) + sum([len(piece) async for piece in made.rest])


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("form", [XML, JSON], ids=["XML", "JSON"])
def test_stream(contest: Any, form: Form) -> None:
    world()
    slices: list[float] = []
    thresholds = gc.get_threshold()
    gc.set_threshold(YOUNG_OBJECTS, YOUNG_COLLECTIONS, NEVER)  # as in the agent's process
    before = resident()
    lags: list[float] = []
    size = asyncio.run(watched(form, slices, lags))
    grown = resident() - before
    gc.set_threshold(*thresholds)
    assert size > ROUTES * 500
    contest(
        STREAM,
        f"vrouter, {type(form).__name__}",
        per=ROUTES,
        longest_slice_ms=round(max(slices) * 1e3, 2),
        worst_lag_ms=round(max(lags) * 1e3, 2),
        lag_p999_ms=round(sorted(lags)[len(lags) * 999 // 1000] * 1e3, 2),
        grown_mb=round(grown / 1e6, 2),
        document_mb=round(size / 1e6),
    ).pedantic(lambda: asyncio.run(stream(form, [])), rounds=2)


# --- Rows


def tree(library: Any, parent: Any, name: str, values: dict[str, Any]) -> None:
    """A struct with its fields below `parent`, as one builds it with a library of trees."""
    made = library.SubElement(parent, name)
    for field in schema()[name].fields:
        value = values.get(field.name)
        if value is not None or not field.optional:
            branch(library, made, field, value)


def branch(library: Any, parent: Any, field: Field, value: Any) -> None:
    outer = field.type.partition("<")[0]
    kind = "struct" if outer in schema() else outer
    made = library.SubElement(parent, field.name, type=kind, identifier=str(field.id))
    for attribute, text in field.attributes.items():
        made.set(attribute, text)
    if kind == "struct":
        tree(library, made, field.type, value or {})
    elif kind == "list":
        [inner] = arguments(field.type)
        deep = inner in schema()
        listed = library.SubElement(
            made, "list", type="struct" if deep else inner, size=str(len(value or ()))
        )
        for each in value or ():
            if deep:
                tree(library, listed, inner, each)
            else:
                library.SubElement(listed, "element").text = str(each)
    elif kind == "bool":
        made.text = "true" if value else "false"
    else:
        made.text = str(value if value is not None else 0 if kind[0] in "iu" else "")


def written_by(library: Any) -> bytes:
    root = library.Element("list")
    for row in rows():
        tree(library, root, STRUCT, row)
    return bytes(library.tostring(root))


def leaves(document: bytes) -> list[tuple[str, str]]:
    """What a reader finds, in order."""
    found = ElementTree.fromstring(document).iter()
    return [(each.tag, each.text or "") for each in found]


def written() -> bytes:
    return f"<list>{''.join([xml.struct(STRUCT, row) for row in rows()])}</list>".encode()


def test_write(contest: Any) -> None:
    contest(WRITE, "vrouter", per=ROWS)(written)


@pytest.mark.parametrize("name", ["xml.etree.ElementTree", "lxml.etree"])
def test_write_trees(contest: Any, peer: Any, name: str) -> None:
    library: ModuleType = peer(name)
    assert leaves(written_by(library)) == leaves(written())
    contest(WRITE, name, per=ROWS)(written_by, library)


def test_write_json(contest: Any) -> None:
    def write() -> list[bytes]:
        return [msgspec.json.encode(xml.plain(STRUCT, row)) for row in rows()]

    contest(WRITE_JSON, "vrouter", per=ROWS)(write)


def test_write_json_peer(contest: Any) -> None:
    plain = [xml.plain(STRUCT, row) for row in rows()]
    contest(WRITE_JSON, "json, rows made already", per=ROWS)(lambda: [json.dumps(r) for r in plain])
