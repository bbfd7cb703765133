"""Boxes in columns and the lines between them: the geometry of the drawn topology."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MARGIN, GAP = 12, 12
LINE, PAD = 17, 10
LONGEST = 30
"""Characters of a line of text that fit in a box."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line in a box; `tone` is the name of a Tone or ""."""

    text: str
    href: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """What a box says: a title and lines below it."""

    title: str
    href: str = ""
    tone: str = ""
    items: Sequence[Item] = ()

    @property
    def height(self) -> int:
        """Pixels that it needs."""
        return 2 * PAD + LINE * (1 + len(self.items))


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text where it is drawn: `y` is its base line."""

    item: Item
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Box:
    """A box where it is drawn."""

    x: int
    y: int
    width: int
    height: int
    title: Line
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line between two boxes, as an SVG path."""

    path: str
    tone: str


def cut(text: str, longest: int = LONGEST) -> str:
    """A text that fits in a box."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def column(contents: Sequence[Content], x: int, width: int, height: int) -> list[Box]:
    """Boxes one below the other, in the middle of `height`."""
    y = MARGIN + max(0, (height - 2 * MARGIN - stacked(contents)) // 2)
    boxes = []
    for content in contents:
        boxes.append(_box(content, x, y, width))
        y += content.height + GAP
    return boxes


def stacked(contents: Sequence[Content]) -> int:
    """The height of boxes one below the other."""
    return sum(content.height + GAP for content in contents) - GAP if contents else 0


def _box(content: Content, x: int, y: int, width: int) -> Box:
    title = Line(Item(cut(content.title), content.href, content.tone), x + PAD, y + PAD + LINE - 5)
    lines = tuple(
        Line(Item(cut(item.text), item.href, item.tone), x + PAD, title.y + LINE * at)
        for at, item in enumerate(content.items, 1)
    )
    return Box(x, y, width, content.height, title, lines)


def stroke(left: Box, right: Box, tone: str) -> Stroke:
    """A line from the right side of a box to the left side of another."""
    x1, y1 = left.x + left.width, left.y + left.height // 2
    x2, y2 = right.x, right.y + right.height // 2
    middle = (x1 + x2) // 2
    return Stroke(f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}", tone)
