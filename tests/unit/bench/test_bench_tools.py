"""The report and the regression comparison, run as `make bench` and `make bench-compare` do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[3] / "bench"
GROUP = "lpm: lookup"


def row(impl: str, seconds: float, group: str = GROUP, **extra: Any) -> dict[str, Any]:
    return {
        "group": group,
        "fullname": f"bench_x.py::test_{impl}",
        "extra_info": {"impl": impl, "per": 1, "aim_ns": None, "aim_ratio": None, "notes": {}}
        | extra,
        "stats": {"min": seconds, "median": 2 * seconds, "rounds": 7},
    }


def run_file(directory: Path, *rows: dict[str, Any]) -> Path:
    path = directory / "run.json"
    content = {
        "machine_info": {
            "machine": "x86_64", "system": "Linux", "release": "6.1",
            "python_implementation": "CPython", "python_version": "3.11.7",
            "cpu": {"brand_raw": "Some Processor", "count": 2},
        },
        "datetime": "2026-11-21T11:00:00+00:00",
        "benchmarks": list(rows),
    }  # fmt: skip
    path.write_text(json.dumps(content))
    return path


def tool(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCH / name), *map(str, arguments)]
    # A benchmark measures nothing where it believes to run beside others.
    alone = {key: value for key, value in os.environ.items() if "XDIST" not in key}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=alone)


def report(directory: Path, *rows: dict[str, Any]) -> str:
    output = directory / "RESULTS.md"
    done = tool("report.py", run_file(directory, *rows), "--output", output)
    assert done.returncode == 0, done.stderr
    return output.read_text()


def test_report_shows_ours_first_with_ratios_and_remarks(tmp_path: Path) -> None:
    text = report(
        tmp_path,
        row("slow", 8e-6, per=2),
        row("quick", 1e-6),
        row("vrouter", 2e-5, per=100, notes={"memory_mb": 71.2}),
    )
    assert "Some Processor, 2 processors, Linux 6.1; CPython 3.11.7; 2026-11-21" in text
    table = text[text.index(f"## {GROUP}") :].splitlines()[4:7]
    assert table == [
        "| **vrouter** | 200 ns | 400 ns | 7 | 1 | memory_mb 71.2 |",
        "| quick | 1 µs | 2 µs | 7 | 5 |  |",
        "| slow | 4 µs | 8 µs | 7 | 20 |  |",
    ]


def test_report_judges_aims(tmp_path: Path) -> None:
    text = report(
        tmp_path,
        row("vrouter", 1e-7, aim_ns=150),
        row("vrouter, batch", 3e-7, aim_ns=200),
        row("c-loop", 1e-7, "scan"),
        row("vrouter", 1.2e-7, "scan", aim_ratio=["c-loop", 1.25]),
        row("vrouter", 1e-7, "alone", aim_ratio=["absent", 1.25]),
    )
    assert "## Aims: 2 of 3 reached" in text
    assert f"| {GROUP} | vrouter | ≤ 150 ns | 100 ns | yes |" in text
    assert f"| {GROUP} | vrouter, batch | ≤ 200 ns | 300 ns | **no** |" in text
    assert "| scan | vrouter | ≤ 1.25 × c-loop | 1.2 × | yes |" in text


def test_report_of_peers_alone(tmp_path: Path) -> None:
    assert "| peer | 1 µs | 2 µs | 7 |  |  |" in report(tmp_path, row("peer", 1e-6))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("a", 1.0), row("a", 2.0)], "two benchmarks are 'a' in group"),
        ([row("a", 0.0)], "was measured in no time"),
        ([row("a", 1.0) | {"extra_info": {}}], "does not use the `contest` fixture"),
    ],
)
def test_a_run_against_the_convention_is_refused(
    tmp_path: Path, rows: list[dict[str, Any]], said: str
) -> None:
    done = tool("report.py", run_file(tmp_path, *rows), "--output", tmp_path / "out")
    assert done.returncode != 0
    assert said in done.stderr


def test_a_run_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = tool("compare.py", tmp_path / "none.json")
    assert done.returncode != 0
    assert "make it with `make bench`" in done.stderr


class TestCompare:
    @staticmethod
    def baseline(directory: Path, *rows: dict[str, Any]) -> Path:
        path = directory / "baseline.json"
        run = run_file(directory, *rows)
        assert tool("compare.py", "--write", "--baseline", path, run).returncode == 0
        return path

    @staticmethod
    def check(directory: Path, baseline: Path, *rows: dict[str, Any]) -> tuple[int, str]:
        run = run_file(directory, *rows)
        done = tool("compare.py", "--retries=0", "--baseline", baseline, run)
        return done.returncode, done.stdout

    def test_the_fastest_peer_is_the_measure(self, tmp_path: Path) -> None:
        path = self.baseline(tmp_path, row("slow", 9.0), row("quick", 4.0), row("vrouter", 1.0))
        assert json.loads(path.read_text())["ratios"] == {
            GROUP: {"vrouter": {"peer": "quick", "ratio": 0.25}}
        }

    def test_a_slower_machine_is_no_regression(self, tmp_path: Path) -> None:
        path = self.baseline(tmp_path, row("quick", 4.0), row("vrouter", 1.0))
        assert self.check(tmp_path, path, row("quick", 40.0), row("vrouter", 10.0))[0] == 0

    @pytest.mark.parametrize(("seconds", "code"), [(1.2, 0), (1.25, 0), (1.26, 1), (5.0, 1)])
    def test_worse_by_more_than_a_quarter_fails(
        self, tmp_path: Path, seconds: float, code: int
    ) -> None:
        path = self.baseline(tmp_path, row("quick", 4.0), row("vrouter", 1.0))
        result, text = self.check(tmp_path, path, row("quick", 4.0), row("vrouter", seconds))
        assert result == code
        assert text.startswith("FAIL" if code else "ok")

    def test_a_kernel_that_is_measured_no_more_fails(self, tmp_path: Path) -> None:
        path = self.baseline(tmp_path, row("quick", 4.0), row("vrouter", 1.0))
        code, text = self.check(tmp_path, path, row("quick", 4.0))
        assert code == 1
        assert "in the baseline, but not measured" in text

    def test_an_absent_peer_and_a_new_kernel_are_said(self, tmp_path: Path) -> None:
        path = self.baseline(tmp_path, row("quick", 4.0), row("vrouter", 1.0))
        code, text = self.check(
            tmp_path, path, row("vrouter", 9.0), row("p", 2.0, "new"), row("vrouter", 1.0, "new")
        )
        assert code == 0
        assert "skip" in text
        assert "new   new | vrouter: not in the baseline yet" in text

    def test_what_fails_is_measured_again(self, tmp_path: Path) -> None:
        for name in ("conftest.py", "pytest.ini"):
            shutil.copy(BENCH / name, tmp_path)
        (tmp_path / "bench_tiny.py").write_text(
            "def test_vrouter(contest):\n    contest('g', 'vrouter')(lambda: None)\n"
            "def test_peer(contest):\n    contest('g', 'peer')(sum, range(100_000))\n"
        )
        path = self.baseline(tmp_path, row("vrouter", 1.0, "g"), row("peer", 2.0, "g"))
        run = run_file(
            tmp_path,
            row("vrouter", 9.0, "g") | {"fullname": "bench_tiny.py::test_vrouter"},
            row("peer", 2.0, "g") | {"fullname": "bench_tiny.py::test_peer"},
        )
        done = tool("compare.py", "--suites", tmp_path, "--baseline", path, run)
        assert "measuring again" in done.stdout, done.stderr
        assert done.returncode == 0
        assert "ok    g | vrouter" in done.stdout

    def test_a_missing_baseline_is_said(self, tmp_path: Path) -> None:
        done = tool("compare.py", "--baseline", tmp_path / "none", run_file(tmp_path))
        assert done.returncode != 0
        assert "write one with --write" in done.stderr


def test_the_committed_baseline_has_its_form() -> None:
    ratios = json.loads((BENCH / "baseline.json").read_text())["ratios"]
    assert ratios
    for members in ratios.values():
        for row_ in members.values():
            assert row_["ratio"] > 0
            assert not row_["peer"].startswith("vrouter")
