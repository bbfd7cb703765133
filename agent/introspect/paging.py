"""Tables by the page: 100 rows, and tokens for the other pages and for all of it.

Facts introspect-client.md, "Paging". A token names the table, the first row and the fields of
the request, so that a page is looked up anew: what is in it may have changed since.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from agent.errors import UsageError
from agent.introspect import tokens
from agent.introspect.catalogue import catalogue
from agent.introspect.forms import Form
from agent.introspect.pace import Pace
from agent.introspect.request import Answer, Query, Row, Table
from agent.introspect.written import made, written
from agent.sandesh.schema import schema
from agent.sandesh.xml import Ready
from agent.telemetry import Node

PAGE = 100
"""Rows of a page, and of each message of a whole table."""
REQUEST = "PageReq"
"""The request for another page."""
_ALL = "all"
_MOST = 10**9


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a table: a page from row `first` on; all of it where that is None."""

    table: Table
    query: Query
    first: int | None = 0

    @property
    def token(self) -> str:
        """The token that asks for it."""
        given = [f"{name}={value}" for name, value in self.query.items() if value]
        first = _ALL if self.first is None else self.first
        return tokens.join(self.table.request, first, *given)

    def at(self, first: int | None) -> Part:
        """Another part of the same table."""
        return Part(self.table, self.query, first)


def part_of(token: str) -> Part:
    """The part that a token asks for. UsageError: it is none, or of a table that is none."""
    request, *rest = tokens.split(token)
    table = catalogue().get(request)
    if not isinstance(table, Table) or not rest:
        raise UsageError(f"{token[:80]!r} is no token of a table: take it over as it was given")
    query = dict.fromkeys((field.name for field in schema()[request].fields), "")
    for each in rest[1:]:
        name, _, value = each.partition("=")
        if name not in query:
            raise UsageError(f"{request} has no field {name[:80]!r}")
        query[name] = value
    return Part(table, query, None if rest[0] == _ALL else _first(rest[0]))


def _first(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UsageError(f"{text[:80]!r} is no number of a row")
    return int(text)


async def answers(node: Node, part: Part, form: Form, pace: Pace) -> AsyncIterator[Answer]:
    """The messages of a part of a table, made in slices."""
    if part.first is None:
        async for rows in _whole(node, part, form, pace):
            yield _message(part.table, rows)
        return
    shown, size = await _page(node, part, part.first, form, pace)
    yield _message(part.table, shown)
    if size > PAGE:
        yield _pagination(part, part.first, size)


async def _whole(node: Node, part: Part, form: Form, pace: Pace) -> AsyncIterator[Ready]:
    kind, rows = part.table.struct, Ready()
    told = False
    for row in part.table.answers(node, part.query):
        if len(rows) == PAGE:
            yield rows
            rows, told = Ready(), True
        if row is not None:
            rows.append(await _row(kind, row, form, pace))
        if pace.due:
            await pace.rest()
    if rows or not told:
        yield rows


async def _page(node: Node, part: Part, first: int, form: Form, pace: Pace) -> tuple[Ready, int]:
    """The rows of a page, and how many the table has."""
    kind, rows, size = part.table.struct, Ready(), 0
    for row in part.table.answers(node, part.query):
        if row is not None:
            if first <= size < first + PAGE:
                rows.append(await _row(kind, row, form, pace))
            size += 1
        if pace.due:
            await pace.rest()
    return rows, size


async def _row(kind: str, row: Row, form: Form, pace: Pace) -> Any:
    values = await written(kind, made(row), form, pace)
    return form.held(form.row(kind, values))


def _message(table: Table, rows: Ready) -> Answer:
    return Answer(table.response, {table.field: rows})


def _pagination(part: Part, first: int, size: int) -> Answer:
    last = min(first + PAGE, size) - 1
    before, after = max(first - PAGE, 0), first + PAGE
    data = {
        "prev_page": part.at(before).token if first > 0 else "",
        "next_page": part.at(after).token if after < size else "",
        "first_page": part.at(0).token,
        "all": part.at(None).token,
        "table_size": size,
        "entries": f"{first}-{last}" if last >= first else "",
    }
    return Answer("Pagination", {"req": data})
