"""Long lists inside of a row or a message, written in slices before the rest is."""

from __future__ import annotations

import functools

from agent.introspect.forms import Form
from agent.introspect.pace import Pace
from agent.introspect.request import Row, Values
from agent.sandesh.schema import arguments, schema
from agent.sandesh.xml import Ready

_FEW = 8
"""So many structs of a list are written at once."""


@functools.cache
def _lists(name: str) -> tuple[tuple[str, str], ...]:
    """(field, struct) of the lists of structs that a struct has."""
    found = []
    for field in schema()[name].fields:
        inner = arguments(field.type)
        if field.type.startswith("list<") and inner[0] in schema():
            found.append((field.name, inner[0]))
    return tuple(found)


def made(row: Row) -> Values:
    """A row that may have to be made."""
    return row() if callable(row) else row or {}


async def written(name: str, values: Values, form: Form, pace: Pace) -> Values:
    """The fields of a struct or message, with its long lists written already."""
    ready: dict[str, Ready] = {}
    for field, kind in _lists(name):
        rows = values.get(field)
        if not rows or isinstance(rows, Ready):
            continue
        if len(rows) > _FEW or callable(next(iter(rows))):
            ready[field] = held = Ready()
            for row in rows:
                held.append(form.held(form.row(kind, made(row))))
                if pace.due:
                    await pace.rest()
    return {**values, **ready} if ready else values
