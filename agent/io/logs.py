"""Structured logs on standard error, in a file or in syslog: quiet by default, one line an event.

Logging is the process's own, so there is one state of it: `LEVELS` tells what is logged and may
be changed while the agent runs. An event that is repeated too often is counted instead.
"""

from __future__ import annotations

import importlib.util
import logging
import logging.handlers
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from agent.errors import ConfigError, UsageError
from agent.io.log_limit import RateLimit
from agent.io.syslog import FACILITIES, SyslogHandler
from agent.settings import Settings
from agent.telemetry.log_levels import LEVELS as NUMBERS
from agent.telemetry.log_levels import LogLevels

SYSLOG = "/dev/log"
_TAG = "contrail-vrouter-agent"
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What others say is logged too: nothing of it may move a terminal's cursor or end a line."""


def known(name: str) -> bool:
    """Whether there is such a module."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _follow(levels: LogLevels) -> None:
    """Have the loggers do what `levels` says; modules that are not named follow those above."""
    for name in _own - levels.modules.keys():
        logging.getLogger(name).setLevel(logging.NOTSET)
    _own.clear()
    for name, word in levels.modules.items():
        logging.getLogger(name).setLevel(NUMBERS[word])
        _own.add(name)
    logging.getLogger().setLevel(NUMBERS[levels.level])


_own: set[str] = set()
"""Modules with a level of their own."""
LEVELS = LogLevels(_follow, known)
"""What this process logs."""
_limit: RateLimit | None = None


class _Category(logging.Filter):
    """Lets pass what `LEVELS` has not switched off by category or altogether."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            return True
        category = LEVELS.category
        inside = not category or record.name == category or record.name.startswith(f"{category}.")
        return LEVELS.enabled and inside


def configure(settings: Settings) -> None:
    """Send every module's log to the configured places; also after the file was read again.

    What was changed at run time is as the file says again. ConfigError if a level, module or
    facility is unknown or the file cannot be opened; then all stays as it was.
    """
    global _limit
    word = settings.get("DEFAULT", "log_level", str)
    category = settings.get("DEFAULT", "log_category", str)
    handlers = _handlers(settings)
    try:
        LEVELS.begin(word, settings.get("DEFAULT", "log_levels", dict), category)
    except UsageError as error:
        places = f"log_level = {word}, log_levels or log_category"
        raise ConfigError(f"[DEFAULT] {places}: {error}") from None
    _limit = RateLimit(settings.get("DEFAULT", "log_rate", int), time.monotonic)
    for handler in handlers:
        handler.addFilter(_Category())
        handler.addFilter(_limit)
    logging.basicConfig(level=NUMBERS[LEVELS.level], handlers=handlers, force=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    if settings.get("DEFAULT", "log_property_file", str):
        structlog.get_logger(__name__).warning(
            "log_property_file is not read", hint="use log_level, log_levels and log_format"
        )


def flush() -> None:
    """Say how many lines were left out, for events that ceased. For a call each second or so."""
    if _limit is None:
        return
    for name, number, text in _limit.summaries():
        logging.getLogger(name).log(number, text, extra={"rated": True})


def _handlers(settings: Settings) -> list[logging.Handler]:
    made: list[logging.Handler] = []
    name = settings.get("DEFAULT", "log_file", str)
    if name:
        made.append(_file(name, settings))
    if settings.get("DEFAULT", "use_syslog", bool):
        made.append(_syslog(settings))
    if not made:
        made.append(logging.StreamHandler(sys.stderr))
    render = _renderer(settings.get("DEFAULT", "log_format", str))
    for handler in made:
        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=_shared(),
                processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
            )
        )
    return made


def _file(name: str, settings: Settings) -> logging.Handler:
    try:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        return logging.handlers.RotatingFileHandler(
            name,
            maxBytes=settings.get("DEFAULT", "log_file_size", int) * 1024,
            backupCount=settings.get("DEFAULT", "log_files_count", int),
        )
    except OSError as error:
        raise ConfigError(f"[DEFAULT] log_file = {name}: {error.strerror}") from None


def _syslog(settings: Settings) -> logging.Handler:
    word = settings.get("DEFAULT", "syslog_facility", str)
    facility = FACILITIES.get(word.lower().removeprefix("log_"))
    if facility is None:
        known = ", ".join(f"LOG_{name.upper()}" for name in FACILITIES)
        raise ConfigError(f"[DEFAULT] syslog_facility = {word}: expected one of {known}")
    try:
        return SyslogHandler(SYSLOG, facility, _TAG)
    except OSError as error:
        raise ConfigError(f"[DEFAULT] use_syslog: {SYSLOG}: {error.strerror}") from None


def _shared() -> list[structlog.types.Processor]:
    """What is known of every event, ours or a library's."""
    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]


def _renderer(form: str) -> Callable[..., str]:
    render: Callable[..., str | bytes] = structlog.processors.LogfmtRenderer(
        key_order=["timestamp", "level", "logger", "event"], drop_missing=True
    )
    if form == "json":
        render = structlog.processors.JSONRenderer(default=str, ensure_ascii=False)

    def plain(*event: object) -> str:
        return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", str(render(*event)))

    return plain
