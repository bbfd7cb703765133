"""From a request to the bytes of its answer: made in slices, one message held at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from agent.introspect import paging
from agent.introspect.catalogue import catalogue
from agent.introspect.forms import Form
from agent.introspect.pace import Pace
from agent.introspect.request import Answer, Query, Table
from agent.introspect.written import written
from agent.telemetry import Node


@dataclass(frozen=True, slots=True)
class Document:
    """An answer: all of its bytes, or (`rest`) more that come after the first."""

    first: bytes
    rest: AsyncIterator[bytes] | None = None


def is_served(request: str) -> bool:
    """Whether there is such a request."""
    return request == paging.REQUEST or request in catalogue()


async def document(node: Node, request: str, query: Query, form: Form, pace: Pace) -> Document:
    """The answer to a request that is served. UsageError, WireError, DatapathError."""
    answers = _answers(node, request, query, form, pace)
    first = await anext(answers)
    second = await anext(answers, None)
    if second is None:
        return Document(single(form, first))
    opening = form.opening(first.name, several=True) + _message(form, first, more=True)
    return Document(opening.encode(), _rest(form, first.name, second, answers))


def single(form: Form, answer: Answer) -> bytes:
    """A document of one message."""
    name = answer.name
    parts = form.opening(name, several=False), form.closing(name, several=False)
    return _message(form, answer, more=False).join(parts).encode()


async def _rest(
    form: Form, name: str, held: Answer, answers: AsyncIterator[Answer]
) -> AsyncIterator[bytes]:
    async for answer in answers:
        yield (form.separator + _message(form, held, more=True)).encode()
        held = answer
    last = form.separator + _message(form, held, more=False)
    yield (last + form.closing(name, several=True)).encode()


def _message(form: Form, answer: Answer, *, more: bool) -> str:
    return form.message(answer.name, answer.values, more=more)


async def _answers(
    node: Node, request: str, query: Query, form: Form, pace: Pace
) -> AsyncIterator[Answer]:
    served = None if request == paging.REQUEST else catalogue()[request]
    if served is None or isinstance(served, Table):
        part = paging.Part(served, query) if served else paging.part_of(query["key"])
        async for answer in paging.answers(node, part, form, pace):
            yield answer
        return
    async for told in served.answers(node, query):
        if told is not None:
            values = await written(told.name, told.values, form, pace)
            yield Answer(told.name, values)
        if pace.due:
            await pace.rest()
        if pace.due:
            await pace.rest()
