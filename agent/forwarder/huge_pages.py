"""The shared tables in files of huge pages, as the kernel module has them where it is told to.

The module pins the pages of its client's mapping; this process maps the same files. Facts:
shared-memory.md 9 (even files are for the bridge table, odd ones for the flow table, the last
that can be had wins), kernel-datapath.md (what the answers mean).
"""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from agent.forwarder.control import Control
from agent.sandesh.vrouter import VrHugepageConfig
from agent.shm.geometry import BRIDGE_ENTRY_SIZE, FLOW_ENTRY_SIZE

USED, INVALID, NOT_TO_BE_HAD, PARTLY = 0, -2, -3, -5
_MOST = 4


def take(control: Control, told: VrHugepageConfig) -> int:
    """Move the tables into files that were told of; vhp_resp. Tables always are somewhere."""
    if not _fits(told):
        return INVALID
    sizes = control.sizes
    wanted = (
        (sizes.bridge_entries + sizes.bridge_overflow_entries) * BRIDGE_ENTRY_SIZE,
        (sizes.flow_entries + sizes.flow_overflow_entries) * FLOW_ENTRY_SIZE,
    )
    found: dict[int, tuple[Path, memoryview]] = {}
    failed = False
    for at, (path, size) in enumerate(zip(_paths(told), told.vhp_mem_sz, strict=True)):
        try:
            if size < wanted[at % 2]:
                raise OSError
            found[at % 2] = path, _mapped(path, wanted[at % 2])
        except OSError:
            failed = True
    if len(found) < 2 or found[0][0] == found[1][0]:
        return NOT_TO_BE_HAD
    (control.bridge_file, bridge), (control.flow_file, flow) = found[0], found[1]
    control.datapath.move_tables(flow_table=flow, bridge_table=bridge)
    return PARTLY if failed else USED


def _fits(told: VrHugepageConfig) -> bool:
    counts = {len(told.vhp_mem), len(told.vhp_psize), len(told.vhp_mem_sz)}
    counts.add(len(told.vhp_file_path_sz))
    return (
        len(counts) == 1
        and 0 < len(told.vhp_mem) <= _MOST
        and sum(told.vhp_file_path_sz) == len(told.vhp_file_paths)
        and all(
            page > 0 and address % page == 0
            for page, address in zip(told.vhp_psize, told.vhp_mem, strict=True)
        )
    )


def _paths(told: VrHugepageConfig) -> Iterator[Path]:
    at = 0
    for size in told.vhp_file_path_sz:
        yield Path(os.fsdecode(told.vhp_file_paths[at : at + size].rstrip(b"\0")))
        at += size


def _mapped(path: Path, size: int) -> memoryview:
    """The first bytes of a file, which has whole pages. OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size < size:
            raise OSError
        return memoryview(mmap.mmap(descriptor, status.st_size, mmap.MAP_SHARED))[:size]
    finally:
        os.close(descriptor)
