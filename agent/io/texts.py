"""Text files of users, read whole."""

from __future__ import annotations

from pathlib import Path

from agent.errors import ConfigError

_MAX_FILE = 16 << 20


def read_text(path: Path) -> str:
    """The text of a file; ConfigError with its path if it cannot be read."""
    try:
        if path.stat().st_size > _MAX_FILE:
            raise ConfigError(f"{path}: larger than {_MAX_FILE} bytes")
        return path.read_text()
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
