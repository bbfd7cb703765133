"""The regression run: each kernel's time as a ratio to its peer's in the same run.

The committed baseline holds for each of our results the fastest peer of its group and the
ratio to it. A ratio that is worse by more than a quarter is measured again, and fails the run
if it stays so; a kernel of the baseline that is measured no more fails it as well.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from results import Run, load

HERE = Path(__file__).parent
ALLOWED = 1.25

Row = dict[str, float | str]
Ratios = dict[str, dict[str, Row]]


def ratios(run: Run) -> Ratios:
    """By group and implementation of ours: the fastest peer and our time over its time."""
    table: Ratios = {}
    for group, members in run.groups():
        peers = [member for member in members if not member.ours]
        for member in members:
            if member.ours and peers:
                ratio = float(f"{member.best / peers[0].best:.4g}")
                table.setdefault(group, {})[member.impl] = {"peer": peers[0].impl, "ratio": ratio}
    return table


def write(run: Run, path: Path) -> None:
    """Make this run the baseline."""
    content = {"machine": run.machine, "date": run.date, "ratios": ratios(run)}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    print(f"{path}: written")


def read_baseline(path: Path) -> Ratios:
    try:
        baseline: Ratios = json.loads(path.read_text())["ratios"]
    except (OSError, ValueError, KeyError) as error:
        raise SystemExit(f"{path}: {error!r}; write one with --write") from None
    return baseline


def verdict(run: Run, group: str, impl: str, row: Row) -> tuple[bool, str]:
    """Whether one line of the baseline holds, and what to print of it."""
    ours, peer = run.find(group, impl), run.find(group, str(row["peer"]))
    if ours is None:
        return False, f"FAIL  {group} | {impl}: in the baseline, but not measured"
    if peer is None:
        return True, f"skip  {group} | {impl}: peer {row['peer']} was not measured"
    ratio, limit = ours.best / peer.best, float(row["ratio"]) * ALLOWED
    return ratio <= limit, (
        f"{'ok  ' if ratio <= limit else 'FAIL'}  {group} | {impl}: {ratio:.3g} of {row['peer']}, "
        f"baseline {row['ratio']:.3g}, limit {limit:.3g}"
    )


def failing(run: Run, baseline: Ratios) -> list[str]:
    """The groups of which a line does not hold."""
    return [
        group
        for group, members in baseline.items()
        if not all(verdict(run, group, impl, row)[0] for impl, row in members.items())
    ]


def measure_again(run: Run, groups: list[str], suites: Path) -> Run:
    """Run the benchmarks of some groups once more and keep the better of both times."""
    nodes = [str(suites / result.node) for result in run.results if result.group in groups]
    if not nodes:
        return run
    print(f"measuring again, since a busy machine may be the cause: {'; '.join(groups)}")
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "again.json"
        command = [sys.executable, "-m", "pytest", "-q", f"--benchmark-json={output}", *nodes]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        return run.merged(load(output))


def compare(run: Run, baseline: Ratios) -> bool:
    """Print every comparison; whether all hold."""
    good = True
    for group, members in baseline.items():
        for impl, row in members.items():
            holds, text = verdict(run, group, impl, row)
            good = good and holds
            print(text)
    for group, members in ratios(run).items():
        for impl in members.keys() - baseline.get(group, {}).keys():
            print(f"new   {group} | {impl}: not in the baseline yet")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="JSON written by --benchmark-json")
    parser.add_argument("--baseline", type=Path, default=HERE / "baseline.json")
    parser.add_argument("--write", action="store_true", help="make this run the baseline")
    parser.add_argument("--suites", type=Path, default=HERE, help="where the suites are")
    parser.add_argument("--retries", type=int, default=2, help="further runs of what fails")
    options = parser.parse_args()
    run = load(options.run)
    if options.write:
        write(run, options.baseline)
        return 0
    baseline = read_baseline(options.baseline)
    for _ in range(options.retries):
        if groups := failing(run, baseline):
            run = measure_again(run, groups, options.suites)
    return 0 if compare(run, baseline) else 1


if __name__ == "__main__":
    sys.exit(main())
