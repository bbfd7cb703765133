"""Reading stacks of threads that work meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from agent.io.stacks import stacks

BUSY = """
import sys, threading
from pathlib import Path
from agent.io.stacks import Stacks

def busy(n):
    return n if n < 2 else busy(n - 1) + busy(n - 2)

told = Stacks(Path(sys.argv[1]), 0.001)
for _ in range(100):  # it is found to stand still again and again
    told.beat()
    sorted(range(1000), key=lambda one: busy(one % 12))
told.close()
print("lives")
"""


def test_a_busy_process_outlives_that_its_stacks_are_read(tmp_path: Path) -> None:
    path = tmp_path / "stacks"
    done = subprocess.run(
        [sys.executable, "-c", BUSY, str(path)],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "lives\n"), done.stderr
    told = path.read_text()
    assert told.count("the loop has stood still for 0.001 s, at") > 20
    assert " in busy\n" in told


def test_stacks_name_functions_and_no_values() -> None:
    def dump(token: str) -> str:
        return stacks() if token else ""

    told = dump("hunt" + "er2")
    assert "Thread MainThread (most recent call first):\n" in told
    assert " in dump\n" in told
    assert "hunter2" not in told
