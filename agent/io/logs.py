"""Structured logs on standard error or in a file: quiet by default, one line an event."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path

import structlog

from agent.errors import ConfigError
from agent.settings import Settings

# The reference agent's level names (facts oper-db.md section 7) beside the usual ones.
_LEVELS = {
    "SYS_EMERG": logging.CRITICAL,
    "SYS_ALERT": logging.CRITICAL,
    "SYS_CRIT": logging.CRITICAL,
    "SYS_ERR": logging.ERROR,
    "SYS_WARN": logging.WARNING,
    "SYS_NOTICE": logging.INFO,
    "SYS_INFO": logging.INFO,
    "SYS_DEBUG": logging.DEBUG,
    "CRITICAL": logging.CRITICAL,
    "ERROR": logging.ERROR,
    "WARNING": logging.WARNING,
    "INFO": logging.INFO,
    "DEBUG": logging.DEBUG,
}


def _handler(settings: Settings) -> logging.Handler:
    name = settings.get("DEFAULT", "log_file", str)
    if not name:
        return logging.StreamHandler(sys.stderr)
    try:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        return logging.handlers.RotatingFileHandler(
            name,
            maxBytes=settings.get("DEFAULT", "log_file_size", int) * 1024,
            backupCount=settings.get("DEFAULT", "log_files_count", int),
        )
    except OSError as error:
        raise ConfigError(f"[DEFAULT] log_file = {name}: {error.strerror}") from None


def configure(settings: Settings) -> None:
    """Send every module's log to the configured place at the configured level.

    ConfigError if the level is unknown or the file cannot be opened.
    """
    word = settings.get("DEFAULT", "log_level", str)
    level = _LEVELS.get(word.upper())
    if level is None:
        raise ConfigError(f"[DEFAULT] log_level = {word}: expected one of {', '.join(_LEVELS)}")
    handler = _handler(settings)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "logger", "event"], drop_missing=True
            ),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
