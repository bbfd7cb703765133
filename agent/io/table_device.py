"""The character devices through which the kernel's module shares its tables.

The module registers a major number and makes no node for it (facts shared-memory.md 9): minor
0 is the flow table, 1 the bridge table. A node that is right is taken as it is, so that an
agent without CAP_MKNOD can be given one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple

_MODE = 0o600
NO_DEVICE = 0xFFFF
"""What a module says of tables that are not there yet."""


class TableDevice(NamedTuple):
    """Where the node of a table is, and its minor number."""

    path: Path
    minor: int


FLOW_DEVICE = TableDevice(Path("/dev/flow"), 0)
BRIDGE_DEVICE = TableDevice(Path("/dev/vr_bridge"), 1)


def is_major(number: int) -> bool:
    """Whether ftable_dev or btable_dev names a device: 0 and 65535 name none."""
    return 0 < number < NO_DEVICE


def table_path(file: str, major: int, device: TableDevice) -> Path:
    """Where a table is mapped from: the file that the datapath names, else its device.

    OSError with a text for people: it has none of both, or the node cannot be made.
    """
    if file:
        return Path(file)
    if not is_major(major):
        hint = "an agent, or `vrouter-agent prepare-kernel`, gives it its tables"
        raise OSError(errno.ENODEV, f"the datapath has no such table; {hint}")
    return made_node(device, major)


def made_node(device: TableDevice, major: int) -> Path:
    """The path of the device's node, made anew unless it is there and right.

    OSError with a text for people: it cannot be made.
    """
    path, wanted = device.path, os.makedev(major, device.minor)
    with contextlib.suppress(FileNotFoundError):
        there = path.lstat()
        if stat.S_ISCHR(there.st_mode) and there.st_rdev == wanted:
            return path
    try:
        path.unlink(missing_ok=True)
        os.mknod(path, stat.S_IFCHR | _MODE, wanted)
    except OSError as error:
        command = f"mknod {path} c {major} {device.minor}"
        hint = f"let vrouter-agent prepare-kernel make it, or `{command}`"
        hint = f"cannot be made: {error.strerror}; {hint}"
        raise OSError(error.errno, hint) from None
    return path
