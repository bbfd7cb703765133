"""The introspect port on a real socket: long answers, slow clients, turns of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from xml.etree import ElementTree as ET

import pytest

from agent.introspect import Query, Table
from agent.introspect import catalogue as catalogue_module
from agent.introspect.document import document
from agent.introspect.forms import XML
from agent.introspect.pace import SLICE, Pace
from agent.introspect.query import parse
from agent.io import introspect_api
from agent.io.doors import Door
from agent.io.http import Limits
from agent.io.introspect_api import IntrospectApi
from agent.telemetry import Meters, Node
from tests.unit.telemetry.node_world import NodeWorld

ROWS = 5_000
ALL = "x=VnListReq,all"
TIMEOUT = 20


def _rows(node: Node, query: Query) -> Iterator[dict[str, object]]:
    return ({"name": f"vn{at}", "vn_id": at} for at in range(ROWS))


@pytest.fixture(autouse=True)
def long_table(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """VnListReq is a table that no socket holds at once."""
    table = Table("VnListReq", "VnListResp", "vn_list", _rows)
    monkeypatch.setattr("agent.introspect.catalogue.modules", lambda: {"test": (table,)})
    monkeypatch.setattr(introspect_api, "_LIMITS", Limits(unread=0.3))
    catalogue_module.catalogue.cache_clear()
    yield
    catalogue_module.catalogue.cache_clear()


@pytest.fixture
async def api() -> AsyncIterator[IntrospectApi]:
    made = IntrospectApi(Door(), Meters())
    made.show(NodeWorld().node)
    await made.start()
    yield made
    await made.stop()


async def ask(api: IntrospectApi, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port, limit=1 << 16)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    return reader, writer


async def get(api: IntrospectApi, path: str) -> tuple[dict[str, str], bytes]:
    """The headers and the body of an answer, whole."""
    reader, writer = await ask(api, path)
    async with asyncio.timeout(TIMEOUT):
        data = await reader.read()
    writer.close()
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0].startswith("HTTP/1.1 200")
    return dict(line.lower().split(": ", 1) for line in lines[1:]), body


def unchunked(body: bytes) -> bytes:
    found, at = bytearray(), 0
    while at < len(body):
        start = body.index(b"\r\n", at) + 2
        end = start + int(body[at : start - 2], 16)
        found += body[start:end]
        at = end + 2
    return bytes(found)


async def test_a_long_answer_is_chunked(api: IntrospectApi) -> None:
    headers, body = await get(api, f"/Snh_PageReq?{ALL}")
    assert headers["transfer-encoding"] == "chunked"
    assert "content-length" not in headers
    document = ET.fromstring(unchunked(body))
    assert len(list(document.iter("VnSandeshData"))) == ROWS


async def test_the_loop_has_its_turns_meanwhile(api: IntrospectApi) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    _, body = await get(api, f"/Snh_PageReq?{ALL}")
    counting.cancel()
    assert len(unchunked(body)) > ROWS * 1000
    assert turns > ROWS / 100  # at least one a message


async def test_slices_are_as_long_as_they_may_be() -> None:
    times = iter(range(10**9))
    pauses = 0

    async def pause() -> None:
        nonlocal pauses
        pauses += 1

    pace = Pace(lambda: next(times) * SLICE / 10, pause)
    query = parse("PageReq", ALL)
    made = await document(NodeWorld().node, "PageReq", query, XML, pace)
    assert made.rest is not None
    async for _ in made.rest:
        pass
    assert ROWS / 11 <= pauses <= ROWS / 9  # each row looks once at the clock


async def test_several_clients_at_once(api: IntrospectApi) -> None:
    answers = await asyncio.gather(*(get(api, f"/Snh_PageReq?{ALL}") for _ in range(4)))
    assert len({body for _, body in answers}) == 1


async def test_a_client_that_reads_nothing_is_left(api: IntrospectApi) -> None:
    _, writer = await ask(api, f"/Snh_PageReq?{ALL}")
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    async with asyncio.timeout(TIMEOUT):
        while not writer.transport.is_closing():
            await asyncio.sleep(0.05)
            writer.write(b"\r\n")  # a closed peer answers this with a reset
    writer.close()
    headers, _ = await get(api, "/healthz")
    assert headers["content-type"].startswith("text/plain")


async def test_closing_ends_answers_that_nobody_reads(api: IntrospectApi) -> None:
    _, writer = await ask(api, f"/Snh_PageReq?{ALL}")
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    async with asyncio.timeout(TIMEOUT):
        await api.stop()
    writer.close()
