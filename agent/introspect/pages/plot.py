"""Line plots as SVG: from times and values to points, axes and words for who cannot see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

WIDTH, HEIGHT = 320, 120
LEFT, RIGHT, TOP, BOTTOM = 44, 6, 8, 18
_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_SMALL = ((1, ""), (1e-3, "m"), (1e-6, "µ"))
_LEAST = 1e-9
"""What is smaller is drawn as nothing."""
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot: values in its unit, one for each time; None where none is known."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Tick:
    """A line of the grid: where it is, and its label."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot as the template draws it; `paths` are (name, points as SVG path, last value)."""

    id: str
    title: str
    unit: str
    summary: str
    paths: Sequence[tuple[str, str, str]]
    ticks: Sequence[Tick]
    times: Sequence[Tick]
    nothing: str = ""
    """What stands in the place of lines while there are none."""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def plot(id: str, title: str, unit: str, times: Sequence[float], lines: Sequence[Line]) -> Plot:
    """A plot of lines over `times` (seconds, the last is now)."""
    known = [value for line in lines for value in _known(line.values)]
    top = nice(max(known, default=0.0))
    first, last = (times[0], times[-1]) if times else (0.0, 0.0)
    across = (last - first) or 1.0

    def point(time: float, value: float) -> str:
        x = LEFT + (time - first) / across * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)
        return f"{x:.1f} {y:.1f}"

    paths = []
    for line in lines:
        at = zip(times, line.values, strict=True)
        shown = [point(time, value) for time, value in at if value is not None]
        path = "M" + "L".join(shown) if len(shown) > 1 else ""
        paths.append((line.name, path, quantity(next(reversed(_known(line.values)), None), unit)))
    summary = _summary(lines, unit, across if known else 0.0)
    return Plot(
        id,
        title,
        unit,
        summary,
        paths,
        [
            Tick(
                HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM),
                quantity(part * top, unit if unit == "s" else ""),
            )
            for part in (0, 0.5, 1)
        ],
        [Tick(LEFT, f"{span(across)} ago"), Tick(WIDTH - RIGHT, "now")] if known else [],
        "" if known else summary,
    )


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _summary(lines: Sequence[Line], unit: str, across: float) -> str:
    if not across:
        return "No samples yet."
    told = []
    for line in lines:
        if known := _known(line.values):
            now, most = quantity(known[-1], unit), quantity(max(known), unit)
            told.append(f"{line.name} {now} now, at most {most}")
    return f"In the last {span(across)}: {'; '.join(told)}."


def nice(most: float) -> float:
    """The end of an axis that has room for `most`: a round number above 0."""
    if most < _LEAST:
        return 1.0
    power: float = 10 ** floor(log10(most))
    return next(step * power for step in _STEPS if step * power >= most * 0.9999)


def quantity(value: float | None, unit: str) -> str:
    """A number as people read it, such as `1.2 Mbit/s`; three digits are enough."""
    if value is None:
        return "–"
    if value == 0:
        return f"0 {unit}".strip()
    size = abs(value)
    scales = _UNITS if size >= 999.5 else _SMALL if unit == "s" and size < 1 else ((1, ""),)
    scale, prefix = next(
        ((scale, prefix) for scale, prefix in scales if size >= scale * 0.9995), scales[-1]
    )
    number = value / scale
    digits = max(0, 2 - floor(log10(abs(number)) + 1e-9)) if number else 0
    text = f"{number:.{min(digits, 2)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} {prefix}{unit}".strip()


def span(seconds: float) -> str:
    """A length of time in the one unit that fits."""
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = round(seconds / size)
            return f"{count} {name}{'' if count == 1 else 's'}"
    count = ceil(seconds)
    return f"{count} second{'' if count == 1 else 's'}"
