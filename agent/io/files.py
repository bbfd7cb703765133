"""Configuration and topology files, read whole."""

from __future__ import annotations

from pathlib import Path

import yaml

from agent import topology
from agent.errors import ConfigError
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


def parse_topology(text: str, source: str) -> Topology:
    """The checked topology of a YAML text; ConfigError names `source`."""
    try:
        return topology.parse(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: {' '.join(str(error).split())}") from None
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None


def read_topology(path: Path) -> Topology:
    """The checked topology of a YAML file."""
    return parse_topology(read_text(path), str(path))
