"""Logs: one structured line an event, at the configured level, to the configured place."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from agent.errors import ConfigError
from agent.io.logs import configure
from agent.settings import parse


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def test_one_line_an_event_at_the_level(tmp_path: Path) -> None:
    file = tmp_path / "log" / "agent.log"
    configure(parse(f"[DEFAULT]\nlog_file = {file}\nlog_level = SYS_WARN\n"))
    log = structlog.get_logger("agent.test")
    log.info("quiet")
    log.warning("lost", reason="no answer", port=9091)
    (line,) = file.read_text().splitlines()
    for word in (
        "level=warning",
        "logger=agent.test",
        "event=lost",
        'reason="no answer"',
        "port=9091",
    ):
        assert word in line


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ConfigError, match="log_level = LOUD"):
        configure(parse("[DEFAULT]\nlog_level = LOUD\n"))


def test_a_file_that_cannot_be_opened_is_refused() -> None:
    with pytest.raises(ConfigError, match="log_file = /dev/null/x"):
        configure(parse("[DEFAULT]\nlog_file = /dev/null/x\n"))
