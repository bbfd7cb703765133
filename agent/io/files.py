"""Configuration and topology files, read whole."""

from __future__ import annotations

from pathlib import Path

import yaml

from agent import settings, topology
from agent.errors import ConfigError
from agent.settings import Settings
from agent.topology import Topology

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


def read_settings(path: Path | None) -> Settings:
    """The checked settings of a configuration file; the defaults without one."""
    return settings.parse(read_text(path) if path else "", str(path or "built-in settings"))


def read_topology(path: Path) -> Topology:
    """The checked topology of a YAML file."""
    text = read_text(path)
    try:
        return topology.parse(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
