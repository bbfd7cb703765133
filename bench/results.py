"""What a run of the suites measured: pytest-benchmark's JSON by the convention of README.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

OURS = "vrouter"


@dataclass(frozen=True)
class Result:
    """One implementation in one group; times are nanoseconds an item, `node` is its test."""

    group: str
    impl: str
    node: str
    best: float
    median: float
    rounds: int
    aim_ns: float | None = None
    aim_ratio: tuple[str, float] | None = None
    notes: dict[str, float | str] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        return self.impl == OURS or self.impl.startswith(f"{OURS},")


@dataclass(frozen=True)
class Run:
    """All results, and where and when they were measured."""

    machine: str
    python: str
    date: str
    results: tuple[Result, ...]

    def groups(self) -> Iterator[tuple[str, list[Result]]]:
        """Results by group, groups by name; in a group ours first, then peers by their time."""
        for group in sorted({result.group for result in self.results}):
            members = [result for result in self.results if result.group == group]
            yield group, sorted(members, key=lambda result: (not result.ours, result.best))

    def find(self, group: str, impl: str) -> Result | None:
        """One result; None when that implementation was not measured."""
        for result in self.results:
            if (result.group, result.impl) == (group, impl):
                return result
        return None

    def merged(self, again: Run) -> Run:
        """These results, with those that a second run measured better."""
        better = {(result.group, result.impl): result for result in again.results}

        def pick(result: Result) -> Result:
            other = better.get((result.group, result.impl), result)
            return min(result, other, key=lambda either: either.best)

        return replace(self, results=tuple(pick(result) for result in self.results))


def _result(row: dict[str, Any]) -> Result:
    extra = row["extra_info"]
    missing = {"impl", "per"} - extra.keys()
    if missing:
        raise SystemExit(f"{row['fullname']} does not use the `contest` fixture (bench/README.md)")
    if row["stats"]["min"] <= 0:
        raise SystemExit(f"{row['fullname']} was measured in no time: its rounds are too short")
    scale = 1e9 / extra["per"]
    aim_ratio = extra.get("aim_ratio")
    return Result(
        group=row["group"],
        impl=extra["impl"],
        node=row["fullname"],
        best=row["stats"]["min"] * scale,
        median=row["stats"]["median"] * scale,
        rounds=row["stats"]["rounds"],
        aim_ns=extra.get("aim_ns"),
        aim_ratio=(aim_ratio[0], aim_ratio[1]) if aim_ratio else None,
        notes=extra.get("notes") or {},
    )


def load(path: Path) -> Run:
    """Read the JSON of a run; SystemExit says what is wrong with it."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path}: {error}; make it with `make bench`") from None
    info = content["machine_info"]
    cpu = info.get("cpu", {})
    machine = (
        f"{cpu.get('brand_raw', info['machine'])}, {cpu.get('count', '?')} processors, "
        f"{info['system']} {info['release']}"
    )
    results = tuple(_result(row) for row in content["benchmarks"])
    seen: set[tuple[str, str]] = set()
    for result in results:
        if (result.group, result.impl) in seen:
            raise SystemExit(f"two benchmarks are {result.impl!r} in group {result.group!r}")
        seen.add((result.group, result.impl))
    python = f"{info['python_implementation']} {info['python_version']}"
    return Run(machine, python, content["datetime"][:10], results)


def time_text(nanoseconds: float) -> str:
    """A time with three significant digits and its unit."""
    for unit, size in (("ns", 1.0), ("µs", 1e3), ("ms", 1e6)):
        if nanoseconds < 1000 * size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds / 1e9:.3g} s"
