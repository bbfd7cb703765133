"""The run directory: who may enter it, the shared table files, what is removed at the end."""

from __future__ import annotations

import mmap
import os
import stat
from pathlib import Path

from agent.errors import ConfigError

CONTROL = "dpdk_netlink"
NETLINK_PORT = "netlink_port"
PACKETS = "dpdk_pkt0"
AGENT_PACKETS = "agent_pkt0"
FLOW_TABLE = "flow.shmem"
BRIDGE_TABLE = "bridge.shmem"

SOCKET_MODE = 0o660
_DIRECTORY_MODE = 0o750
_GROUP_MODE = 0o2770
"""What is made in the directory then belongs to its group."""
_TABLE_MODE = 0o640


def prepare(path: Path, group: int | None = None) -> None:
    """Make the directory (0750) if it is not there; an existing one is kept as it is.

    Members of `group` may have an agent in it. OSError. ConfigError where strangers could put
    sockets of theirs in the place of ours.
    """
    path.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
    if group is not None:
        os.chown(path, -1, group)
        path.chmod(_GROUP_MODE)
    status = path.stat()
    if group is None and status.st_uid not in (0, os.geteuid()):
        raise ConfigError(
            f"run directory {path}: it belongs to user {status.st_uid}; --group lets the members "
            "of a group have an agent there"
        )
    if status.st_mode & stat.S_IWOTH:
        raise ConfigError(f"run directory {path}: everybody may write there; chmod o-w")


def create_table(path: Path, entries: int, entry_size: int) -> mmap.mmap:
    """Create a table file at `path` and map it for writing.

    The file appears complete under its name: readers of an older one keep their
    mapping. OSError, also when the file system has no room for it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _TABLE_MODE)
    try:
        os.fchmod(descriptor, _TABLE_MODE)
        os.posix_fallocate(descriptor, 0, entries * entry_size)
        table = mmap.mmap(descriptor, entries * entry_size, mmap.MAP_SHARED)
        os.rename(temporary, path)
        return table
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a socket or table file if it is there."""
    path.unlink(missing_ok=True)
