"""What a request is: its name, and what answers it.

Each module of `agent.introspect.snh` has a tuple `SERVED` of them; `catalogue.py` joins these.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from agent.sandesh.schema import arguments, schema
from agent.telemetry import Node

Query: TypeAlias = Mapping[str, str]
"""A request's fields as text; every field of its struct is there, "" when it was not given."""

Values: TypeAlias = Mapping[str, Any]
"""The fields of a struct, as `agent.sandesh.xml` takes them.

The structs of a list may be what makes them: of a long one each is made when it is written.
"""

Row: TypeAlias = Values | Callable[[], Values] | None
"""A row, or what makes it when it is shown: of a long table only some rows are.

None is no row: it only lets others work while the next one is looked for.
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """One message of an answer: the name of a response, and its fields."""

    name: str
    values: Values


@dataclass(frozen=True, slots=True)
class Table:
    """A request for rows, which come by the page or as a stream.

    `answers(node, query)` gives the rows one by one, each soon: whoever asks stops in between
    and lets others work, so a row must bear that what was read before it has changed since.
    They are the structs in the list `field` of the message `response`. UsageError: a field
    of the request makes no sense.
    """

    request: str
    response: str
    field: str
    answers: Callable[[Node, Query], Iterator[Row]]

    @property
    def struct(self) -> str:
        """The struct that a row is."""
        return arguments(schema()[self.response].field(self.field).type)[0]


@dataclass(frozen=True, slots=True)
class Request:
    """A request with an answer of a few messages, which may have to be waited for.

    None among them is no message: it only lets others work. `changes`: asking for it changes
    something, which not everybody who may look may do.
    """

    request: str
    answers: Callable[[Node, Query], AsyncIterator[Answer | None]]
    changes: bool = False


Served: TypeAlias = Table | Request
