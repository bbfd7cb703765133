"""Write bench/RESULTS.md from the JSON of a run: every group, its peers, the aims beside."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from results import Result, Run, load, time_text

HERE = Path(__file__).parent


def aims(run: Run) -> Iterator[tuple[Result, str, str, bool]]:
    """Each aim that can be judged: the result, the aim, what was reached, whether that is it."""
    for result in run.results:
        if result.aim_ns is not None:
            aim = f"≤ {time_text(result.aim_ns)}"
            yield result, aim, time_text(result.best), result.best <= result.aim_ns
        if result.aim_ratio is not None:
            impl, factor = result.aim_ratio
            peer = run.find(result.group, impl)
            if peer is not None:
                reached = result.best / peer.best
                aim = f"≤ {factor:.3g} × {impl}"
                yield result, aim, f"{reached:.3g} ×", reached <= factor


def summary(run: Run) -> Iterator[str]:
    rows = list(aims(run))
    if not rows:
        return
    met = sum(reached for *_, reached in rows)
    yield f"## Aims: {met} of {len(rows)} reached"
    yield ""
    yield "| group | implementation | aim | reached | |"
    yield "|---|---|---|---|---|"
    for result, aim, figure, reached in sorted(rows, key=lambda row: (row[0].group, row[0].impl)):
        verdict = "yes" if reached else "**no**"
        yield f"| {result.group} | {result.impl} | {aim} | {figure} | {verdict} |"
    yield ""


def notes(result: Result) -> str:
    return ", ".join(f"{name} {value}" for name, value in result.notes.items())


def group_table(group: str, members: list[Result]) -> Iterator[str]:
    yield f"## {group}"
    yield ""
    yield "| implementation | best | median | rounds | times ours | remarks |"
    yield "|---|---|---|---|---|---|"
    base = next((member for member in members if member.ours), None)
    for member in members:
        times = f"{member.best / base.best:.3g}" if base else ""
        name = f"**{member.impl}**" if member.ours else member.impl
        yield (
            f"| {name} | {time_text(member.best)} | {time_text(member.median)} | {member.rounds} "
            f"| {times} | {notes(member)} |"
        )
    yield ""


def report(run: Run, command: str) -> str:
    """The whole page."""
    lines = [
        "# Benchmark results",
        "",
        f"{run.machine}; {run.python}; {run.date}. Command: `{command}`.",
        "",
        "Times are CPU time an item: the best round, by which aims and ratios are judged, and the",
        'median. "Times ours" is how many times the time of our fastest an implementation takes.',
        "Absolute figures move with the machine; the ratios are what `make bench-compare` holds.",
        "",
        *summary(run),
    ]
    for group, members in run.groups():
        lines += group_table(group, members)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="JSON written by --benchmark-json")
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md")
    parser.add_argument("--command", default="make bench", help="how the run was made")
    options = parser.parse_args()
    run = load(options.run)
    options.output.write_text(report(run, options.command))
    print(f"{options.output}: {len(run.results)} results")


if __name__ == "__main__":
    main()
