"""One agent at a time owns a run directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.io.rundir import RunDir


def test_a_second_owner_is_refused_by_name_and_the_next_one_taken(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run"
    first = RunDir(path)
    with pytest.raises(ConfigError, match=f"process {os.getpid()}.*--run-dir"):
        RunDir(path)
    first.close()
    RunDir(path).close()


def test_an_impossible_directory_is_refused() -> None:
    with pytest.raises(ConfigError, match="run directory /dev/null/run"):
        RunDir(Path("/dev/null/run"))
