"""What the log and the stacks tell of a failure: where it was, not what was worked on."""

from __future__ import annotations

import faulthandler
from pathlib import Path

import pytest
import structlog

from agent.io.logs import configure, flush
from agent.settings import parse


def failing(token: str) -> None:
    held = {"token": token}
    raise KeyError(len(held))


@pytest.mark.parametrize("form", ["keyvalue", "json"])
def test_tracebacks_hold_no_values(tmp_path: Path, form: str) -> None:
    path = tmp_path / "agent.log"
    configure(parse(f"[DEFAULT]\nlog_file = {path}\nlog_format = {form}\n"))
    try:
        failing("hunt" + "er2")
    except KeyError as error:
        structlog.get_logger("agent.test").error("request failed", exc_info=error)
    flush()
    configure(parse(""))
    told = path.read_text()
    assert "in failing" in told
    assert "hunter2" not in told


def test_stacks_hold_no_values(tmp_path: Path) -> None:
    def dump(token: str) -> None:
        with (tmp_path / "stacks").open("w") as file:
            faulthandler.dump_traceback(file)

    dump("hunt" + "er2")
    told = (tmp_path / "stacks").read_text()
    assert "in dump" in told
    assert "hunter2" not in told
