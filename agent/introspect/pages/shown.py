"""What a page is made of, before it is HTML: titles, facts, tables, trees, plots.

Every part has a `kind`, by which the templates know it. All text is plain: the templates
escape it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, TypeAlias

from agent.introspect.pages.drawing import Box, Stroke
from agent.introspect.pages.plot import Plot


class Tone(Enum):
    """How a state is coloured; its text says the same."""

    GOOD = "good"
    BUSY = "busy"
    BAD = "bad"
    IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text; `href` makes it a link, `tone` a badge; `code`: a name for machines."""

    text: str
    href: str = ""
    tone: Tone | None = None
    code: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """Pieces on one line."""

    pieces: tuple[str | int | Text, ...]


Piece: TypeAlias = "str | int | Text | Run"
Cell: TypeAlias = "Piece | tuple[Piece, ...]"
"""What stands in one place; the members of a tuple stand one below the other."""


def run(*cells: Cell) -> Run:
    """All pieces of some cells on one line, without those that say nothing."""
    return Run(tuple(piece for cell in cells for piece in _pieces(cell) if piece != ""))


def _pieces(cell: Cell) -> tuple[str | int | Text, ...]:
    if isinstance(cell, tuple):
        return tuple(piece for part in cell for piece in _pieces(part))
    return cell.pieces if isinstance(cell, Run) else (cell,)


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values."""

    kind: ClassVar[str] = "facts"
    rows: Sequence[tuple[str, Cell]]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. `numeric`: the columns, from 0, whose cells are numbers.

    `more` leads to the next page, `note` says what is not shown; `empty` stands for no rows.
    """

    kind: ClassVar[str] = "grid"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numeric: frozenset[int] = frozenset()
    empty: str = "None."
    note: str = ""
    more: Text | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """One line of a tree, and what is below it."""

    line: Cell
    branches: tuple[Branch, ...] = ()


@dataclass(frozen=True, slots=True)
class Tree:
    """What leads to what."""

    kind: ClassVar[str] = "tree"
    branches: Sequence[Branch]
    empty: str = "Nothing."


@dataclass(frozen=True, slots=True)
class Steps:
    """What happens one after the other: a topic and what is found at each."""

    kind: ClassVar[str] = "steps"
    steps: Sequence[tuple[str, Cell]]


@dataclass(frozen=True, slots=True)
class Card:
    """A part of the agent: its name, how it is, and what there is to say of that."""

    title: Text
    state: Text
    detail: str = ""
    numbers: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Cards:
    """Cards side by side."""

    kind: ClassVar[str] = "cards"
    cards: Sequence[Card]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture of boxes and lines with words for who cannot see it; see drawing.py."""

    kind: ClassVar[str] = "drawing"
    title: str
    summary: str
    width: int
    height: int
    boxes: Sequence[Box]
    lines: Sequence[Stroke]


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence."""

    kind: ClassVar[str] = "note"
    text: Cell


@dataclass(frozen=True, slots=True)
class Field:
    """One input of a form; `choices` makes it a list to choose from."""

    name: str
    label: str
    value: str = ""
    hint: str = ""
    type: str = "text"
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """A question to the server, answered by the page at `action`."""

    kind: ClassVar[str] = "form"
    action: str
    button: str
    fields: Sequence[Field]


@dataclass(frozen=True, slots=True)
class Plots:
    """Plots side by side; `data` is where the script finds newer numbers."""

    kind: ClassVar[str] = "plots"
    plots: Sequence[Plot]
    data: str = ""


Part: TypeAlias = "Facts | Grid | Tree | Steps | Cards | Drawing | Note | Form | Plots"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what is below it; `id` is where links lead. `folded`: shown on request."""

    id: str
    title: str
    parts: Sequence[Part]
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """A whole page. `what` is the kind of thing that `title` names, `state` its badge."""

    title: str
    sections: Sequence[Section] = ()
    what: str = ""
    state: Text | None = None
    lead: Cell = ""
    template: str = "page.html"
    status: str = "200 OK"
    values: Mapping[str, Any] = field(default_factory=dict)
    """What a template of its own needs beside."""
