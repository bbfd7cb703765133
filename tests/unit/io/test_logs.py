"""Logs: one structured line an event, at the configured level, to the configured place."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from agent.errors import ConfigError, UsageError
from agent.io import logs
from agent.io.logs import LEVELS, configure, flush
from agent.io.syslog import SyslogHandler
from agent.settings import parse


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    LEVELS.begin("SYS_NOTICE", {}, "")
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
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


@pytest.mark.parametrize("form", ["keyvalue", "json"])
def test_what_others_say_moves_no_cursor_and_begins_no_line(tmp_path: Path, form: str) -> None:
    said = "a\nb\r\x1b]0;title\x07\x7f\x9b\u2028\u202e\udcff\0 é"
    file = tmp_path / "agent.log"
    configure(parse(f"[DEFAULT]\nlog_file = {file}\nlog_format = {form}\n"))
    structlog.get_logger("agent.test").warning(said, reason=said)
    (line,) = file.read_text().splitlines()
    assert line.count("é") == 2
    assert line.isprintable()
    if form == "json":
        assert json.loads(line)["reason"] == said


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ConfigError, match="log_level = LOUD"):
        configure(parse("[DEFAULT]\nlog_level = LOUD\n"))


def test_a_file_that_cannot_be_opened_is_refused() -> None:
    with pytest.raises(ConfigError, match="log_file = /dev/null/x"):
        configure(parse("[DEFAULT]\nlog_file = /dev/null/x\n"))


class Logged:
    """A log file under a configuration; `lines` are what it says of the loggers here."""

    def __init__(self, file: Path, more: str = "") -> None:
        self.file = file
        self.configure(more)

    def configure(self, more: str) -> None:
        configure(parse(f"[DEFAULT]\nlog_file = {self.file}\n{more}"))

    def log(self, name: str, level: str, event: str = "event", **values: object) -> None:
        getattr(structlog.get_logger(name), level)(event, **values)

    @property
    def events(self) -> list[str]:
        return [line.partition("logger=")[2] for line in self.file.read_text().splitlines()]


@pytest.fixture
def logged(tmp_path: Path) -> Logged:
    return Logged(tmp_path / "agent.log")


def test_modules_have_levels_of_their_own(tmp_path: Path) -> None:
    levels = "log_levels = xmpp=SYS_DEBUG agent.flow=SYS_ERR\n"
    logged = Logged(tmp_path / "agent.log", levels)
    for name in ("agent.xmpp.session", "agent.flow.engine", "agent.oper"):
        logged.log(name, "debug")
        logged.log(name, "warning")
    assert logged.events == [
        "agent.xmpp.session event=event",
        "agent.xmpp.session event=event",
        "agent.oper event=event",
    ]


def test_levels_change_while_it_runs_and_are_the_files_after_it_is_read_again(
    logged: Logged,
) -> None:
    logged.log("agent.xmpp", "debug", "before")
    LEVELS.set("xmpp", "SYS_DEBUG")
    logged.log("agent.xmpp", "debug", "then")
    LEVELS.unset("xmpp")
    LEVELS.set("", "SYS_ERR")
    logged.log("agent.xmpp", "warning", "silent")
    logged.configure("")
    logged.log("agent.xmpp", "warning", "again")
    assert logged.events == ["agent.xmpp event=then", "agent.xmpp event=again"]
    assert LEVELS.record() == {
        "enabled": True, "level": "SYS_NOTICE", "category": "", "modules": {},
    }  # fmt: skip


def test_a_category_hides_others_but_for_their_errors(logged: Logged) -> None:
    LEVELS.only("io.xmpp")
    for name in ("agent.io.xmpp", "agent.io.ksync"):
        logged.log(name, "warning")
        logged.log(name, "error")
    LEVELS.only("")
    LEVELS.enable(False)
    logged.log("agent.io.xmpp", "warning", "silent")
    assert logged.events == [
        "agent.io.xmpp event=event", "agent.io.xmpp event=event", "agent.io.ksync event=event",
    ]  # fmt: skip


@pytest.mark.parametrize("words", [("nonsense", "DEBUG"), ("xmpp", "LOUD")])
def test_what_makes_no_sense_changes_nothing(words: tuple[str, str]) -> None:
    with pytest.raises(UsageError):
        LEVELS.set(*words)
    assert LEVELS.modules == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("log_levels = nonsense=DEBUG", "nonsense: there is no such module"),
        ("log_levels = xmpp", "log_levels = xmpp: expected NAME=VALUE"),
        ("log_category = nonsense", "nonsense: there is no such module"),
        ("use_syslog = true\nsyslog_facility = LOG_X", "syslog_facility = LOG_X: expected one of"),
        ("log_format = xml", "expected one of keyvalue, json"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as told:
        configure(parse(f"[DEFAULT]\n{text}\n"))
    assert words in str(told.value)


def test_json_lines(tmp_path: Path) -> None:
    logged = Logged(tmp_path / "agent.log", "log_format = json\n")
    logged.log("agent.x", "warning", "lost", reason="é", where=Path("/run"))
    logging.getLogger("uvicorn").warning("%s of a library", "a line")
    ours, theirs = map(json.loads, logged.file.read_text().splitlines())
    assert ours.pop("timestamp").endswith("Z")
    assert ours == {
        "event": "lost", "level": "warning", "logger": "agent.x", "reason": "é", "where": "/run",
    }  # fmt: skip
    assert (theirs["event"], theirs["logger"]) == ("a line of a library", "uvicorn")


def test_a_flood_of_one_event_is_counted(logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    logged.configure("log_rate = 3\n")
    now = [100.0]
    assert logs._limit is not None
    monkeypatch.setattr(logs._limit, "_clock", lambda: now[0])
    for at in range(126):
        logged.log("agent.x", "warning", "lost", at=at)
    logged.log("agent.x", "warning", "another")
    flush()
    now[0] += 10.5
    flush()
    logged.log("agent.x", "warning", "lost", at=200)
    assert logged.events == [
        "agent.x event=lost at=0",
        "agent.x event=lost at=1",
        "agent.x event=lost at=2",
        "agent.x event=another",
        'agent.x event="… 123 more like this: lost"',
        "agent.x event=lost at=200",
    ]


def test_files_are_rotated(tmp_path: Path) -> None:
    logged = Logged(tmp_path / "agent.log", "log_file_size = 1\nlog_files_count = 2\nlog_rate = 0")
    for _ in range(100):
        logged.log("agent.x", "warning", "x" * 100)
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ["agent.log", "agent.log.1", "agent.log.2"]
    assert all(path.stat().st_size <= 1024 for path in tmp_path.iterdir())


class TestSyslog:
    """A datagram socket stands in for syslog."""

    def test_lines_arrive_with_facility_and_severity(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place = str(tmp_path / "log")
        monkeypatch.setattr(logs, "SYSLOG", place)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
            syslog.bind(place)
            configure(parse("[DEFAULT]\nuse_syslog = true\nsyslog_facility = LOG_LOCAL3\n"))
            structlog.get_logger("agent.x").warning("lost")
            syslog.settimeout(5)
            told = syslog.recv(4096).decode()
        assert told.startswith(f"<{19 << 3 | 4}>contrail-vrouter-agent[")
        assert told.endswith("level=warning logger=agent.x event=lost")

    def test_no_syslog_is_told_at_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(logs, "SYSLOG", "/nonexistent")
        with pytest.raises(ConfigError, match="use_syslog: /nonexistent: No such file"):
            configure(parse("[DEFAULT]\nuse_syslog = true\n"))

    def test_it_neither_waits_nor_fails_and_finds_syslog_again(self, tmp_path: Path) -> None:
        place = tmp_path / "log"
        record = logging.LogRecord("x", logging.ERROR, "", 0, "words", (), None)
        syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        syslog.bind(str(place))
        handler = SyslogHandler(str(place), 16, "t")
        for _ in range(2000):  # more than it has room for
            handler.emit(record)
        full = handler.lost
        syslog.close()
        place.unlink()
        handler.emit(record)
        assert handler.lost == full + 1 > 1
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as another:
            another.bind(str(place))
            handler.emit(record)
            assert b"words" in another.recv(4096)
        handler.close()
