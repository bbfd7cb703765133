"""The run directory: its mode, the shared table files, what is removed at the end."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

CONTROL = "dpdk_netlink"
NETLINK_PORT = "netlink_port"
PACKETS = "dpdk_pkt0"
AGENT_PACKETS = "agent_pkt0"
FLOW_TABLE = "flow.shmem"
BRIDGE_TABLE = "bridge.shmem"

SOCKET_MODE = 0o660
_DIRECTORY_MODE = 0o750
_TABLE_MODE = 0o640


def prepare(path: Path) -> None:
    """Make the directory (0750) if it is not there; an existing one is kept as it is."""
    path.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)


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
