"""Where this host's datapath is: a socket, or the kernel module. Facts: vrouter-cli.md.

The agent's configuration file says on which platform the datapath runs. It is read as the
original tools read it: blanks do not count, a comment has its # in the first column, a key
is found wherever its name stands in the section.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from agent.io.netlink_sockets import PORT_FILE

CONFIGURATION = Path("/etc/contrail/contrail-vrouter-agent.conf")
CONTROL = "dpdk_netlink"
ENVIRONMENT = "VROUTER_RUN_DIR"
DEFAULT_DIRECTORIES = ("/run/vrouter", "/var/run/vrouter")
_ON_A_SOCKET = {"dpdk", "nic"}
_SECTION = re.compile(r"\[DEFAULT\]([^\[]*)")
_PLATFORM = re.compile(r"platform=(.*)")


@dataclass(frozen=True, slots=True)
class Place:
    """Directories whose socket is to be tried, in order, then the kernel if it may be there."""

    directories: tuple[Path, ...]
    kernel: bool = False


def find(sock_dir: str | None, configuration: Path = CONFIGURATION) -> Place:
    """Where the datapath is: as given, else VROUTER_RUN_DIR, else as the file says."""
    chosen = sock_dir or os.environ.get(ENVIRONMENT)
    if chosen:
        return Place((Path(chosen),))
    directories = [Path(name) for name in DEFAULT_DIRECTORIES]
    there = tuple(path for path in directories if _served(path))
    if platform(configuration) in _ON_A_SOCKET:
        return Place(there or (directories[-1],))
    return Place(there, kernel=True)


def _served(directory: Path) -> bool:
    return (directory / CONTROL).exists() or (directory / PORT_FILE).exists()


def platform(configuration: Path = CONFIGURATION) -> str:
    """The file's platform; empty when it names none, cannot be read or is not there."""
    try:
        text = configuration.read_text(errors="replace")
    except OSError:
        return ""
    lines = ("".join(line.split()) for line in text.splitlines() if not line.startswith("#"))
    section = _SECTION.search("\n".join(lines))
    named = _PLATFORM.search(section[1]) if section else None
    return named[1] if named else ""
