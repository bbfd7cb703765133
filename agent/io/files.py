"""Topology files, read and checked whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from agent import topology
from agent.errors import ConfigError
from agent.io.texts import read_text
from agent.oper.rows import DhcpOption
from agent.services.dhcp4_options import encoded
from agent.topology import Topology, TopologyError


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping: plain YAML lets the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value!r} stands there twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _line(text: str, place: tuple[str, ...]) -> int | None:
    """The line of the last key of `place` that is in the text, from 1."""
    node, line = yaml.compose(text, Loader=yaml.SafeLoader), None
    for name in place:
        found = next((pair for at, pair in _children(node) if at == name), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def _children(node: yaml.Node | None) -> list[tuple[str, tuple[yaml.Node, yaml.Node]]]:
    """What is in a node: where it begins and what it is, by key; by number in a list."""
    if isinstance(node, yaml.MappingNode):
        return [(key.value, (key, value)) for key, value in node.value]
    if isinstance(node, yaml.SequenceNode):
        return [(str(at), (one, one)) for at, one in enumerate(node.value, 1)]
    return []


def _not_yaml(source: str, error: Exception) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    where = f"{source}:{mark.line + 1}" if mark else source
    words = [getattr(error, "context", None), getattr(error, "problem", None) or str(error)]
    return ConfigError(f"{where}: not YAML: {', '.join(filter(None, words))}")


def _check_dhcp_options(found: Topology) -> None:
    """What the DHCP server could not send would be missed by VMs only."""
    for network in found.networks.values():
        for name, value in network.dhcp_options:
            try:
                encoded(DhcpOption(name, value))
            except ValueError as error:
                place = ("networks", network.name, "dhcp_options", name)
                raise TopologyError(place, str(error)) from None


def parse_topology(text: str, source: str) -> Topology:
    """The checked topology of a YAML text; ConfigError names `source` and the line."""
    try:
        content = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _not_yaml(source, error) from None
    try:
        found = topology.parse(content)
        _check_dhcp_options(found)
        return found
    except TopologyError as error:
        line = _line(text, error.place)
        raise ConfigError(f"{source}:{line}: {error}" if line else f"{source}: {error}") from None


def read_topology(path: Path) -> Topology:
    """The checked topology of a YAML file."""
    return parse_topology(read_text(path), str(path))
