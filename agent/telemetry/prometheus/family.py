"""Metric families and how their samples are written (Prometheus text format 0.0.4).

A family is written whole before the next one begins. Large ones come in pieces of `SLICE`
lines, so that whoever serves them can let others work in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate

from agent.histogram import BOUNDS, Histogram
from agent.telemetry.node import Node

SLICE = 128
"""Lines of a piece: well below a millisecond."""

Labels = tuple[str, ...]
Samples = Iterable[tuple[Labels, float]]
Histograms = Iterable[tuple[Labels, Histogram]]


class Kind(Enum):
    """The type of a family; the value is that of the format."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """What a family is called, and what it means. `labels`: their names, in order."""

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()

    def head(self) -> str:
        """The lines before the samples."""
        return f"# HELP {self.name} {self.text}\n# TYPE {self.name} {self.kind.value}\n"


@dataclass(frozen=True, slots=True)
class Group:
    """Families that are written together: `pieces(node)` gives their text, in order."""

    families: tuple[Family, ...]
    pieces: Callable[[Node], Iterator[str]]


def counter(
    name: str, text: str, read: Callable[[Node], Samples], labels: Sequence[str] = ()
) -> Group:
    """A family of numbers that only grow."""
    return _numbers(Family(name, Kind.COUNTER, text, tuple(labels)), read)


def gauge(
    name: str, text: str, read: Callable[[Node], Samples], labels: Sequence[str] = ()
) -> Group:
    """A family of numbers that go up and down."""
    return _numbers(Family(name, Kind.GAUGE, text, tuple(labels)), read)


def histogram(
    name: str, text: str, read: Callable[[Node], Histograms], labels: Sequence[str] = ()
) -> Group:
    """A family of histograms of seconds."""
    family = Family(name, Kind.HISTOGRAM, text, tuple(labels))

    def pieces(node: Node) -> Iterator[str]:
        lines = [family.head()]
        for values, found in read(node):
            lines += _histogram(family, values, found)
        yield "".join(lines)

    return Group((family,), pieces)


def one(read: Callable[[Node], float]) -> Callable[[Node], Samples]:
    """The samples of a family without labels."""
    return lambda node: (((), read(node)),)


def _numbers(family: Family, read: Callable[[Node], Samples]) -> Group:
    def pieces(node: Node) -> Iterator[str]:
        lines = [family.head()]
        for values, number in read(node):
            lines.append(f"{family.name}{labelled(family.labels, values)} {number}\n")
            if len(lines) >= SLICE:
                yield "".join(lines)
                lines = []
        yield "".join(lines)

    return Group((family,), pieces)


def _histogram(family: Family, values: Labels, found: Histogram) -> Iterator[str]:
    names = (*family.labels, "le")
    totals = list(accumulate(found.counts))
    for bound, total in zip((*map(str, BOUNDS), "+Inf"), totals, strict=True):
        yield f"{family.name}_bucket{labelled(names, (*values, bound))} {total}\n"
    own = labelled(family.labels, values)
    yield f"{family.name}_sum{own} {found.total}\n{family.name}_count{own} {totals[-1]}\n"


def labelled(names: Sequence[str], values: Sequence[str]) -> str:
    """Labels as they stand behind a name; empty for none."""
    if not names:
        return ""
    pairs = zip(names, values, strict=True)
    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in pairs) + "}"


def escaped(value: str) -> str:
    """A label's value; what is no UTF-8 text becomes `?`."""
    if value.isascii() and '"' not in value and "\\" not in value and "\n" not in value:
        return value
    value = value.encode("utf-8", "replace").decode()
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
