"""Where the agent's configuration comes from, as texts that can be recorded, and what they say."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent import settings
from agent.io.netlink_family import module_is_there
from agent.io.platforms import is_served
from agent.io.texts import read_text
from agent.record.events import Sources as Texts
from agent.settings import Override, Settings

if TYPE_CHECKING:
    from agent.topology import Topology


@dataclass(frozen=True, slots=True)
class Sources:
    """The files, read at start and on SIGHUP, and what stands before the file."""

    config: Path | None
    run_dir: Path
    overrides: tuple[Override, ...] = ()

    def read(self) -> Texts:
        """The texts. ConfigError if a file cannot be read, or the settings are wrong."""
        name = str(self.config or "built-in settings")
        text = read_text(self.config) if self.config else ""
        topology = _topology_name(settings.parse(text, name, self.overrides))
        host = socket.gethostname()
        graph = read_text(Path(topology)) if topology else None
        return Texts(name, text, graph, host, self.overrides)

    def load(self) -> tuple[Settings, Topology | None]:
        """What the files say; ConfigError if a file is wrong."""
        return parse(self.read())


def located(sources: Sources) -> Sources:
    """Sources that say where the datapath is, as far as the host shows it at this moment.

    Without [DEFAULT] platform a process that serves the run directory comes first, then the
    kernel's module. ConfigError as of `read`.
    """
    text = read_text(sources.config) if sources.config else ""
    found = settings.parse(text, str(sources.config or "built-in settings"), sources.overrides)
    named = found.get("DEFAULT", "platform", str)
    if named or is_served(sources.run_dir) or not module_is_there():
        return sources
    kernel = Override("DEFAULT", "platform", "kernel", "the kernel has the module")
    return replace(sources, overrides=(*sources.overrides, kernel))


def parse(texts: Texts) -> tuple[Settings, Topology | None]:
    """What the texts say. ConfigError names the file that is wrong."""
    overrides = [Override(*one) for one in texts.overrides]
    found = settings.parse(texts.settings, texts.name, overrides).named(texts.host)
    if texts.topology is None:
        return found, None
    from agent.io.files import parse_topology  # with all that a topology may name

    return found, parse_topology(texts.topology, _topology_name(found))


def _topology_name(found: Settings) -> str:
    return found.get("STANDALONE", "topology", str)
