"""What the log tells of a failure: where it was, not what was worked on."""

from __future__ import annotations

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
