"""What the kernel tells of this process and of the machine."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from agent.telemetry.sample import Machine, Process

_KIB = 1024


def process() -> Process:
    """This process now; what the kernel does not tell is 0."""
    told = _table("/proc/self/status")
    try:
        descriptors = len(os.listdir("/proc/self/fd")) - 1  # without the one that lists
    except OSError:
        descriptors = 0
    return Process(
        cpu_seconds=time.process_time(),
        virtual=told.get("VmSize", 0) * _KIB,
        peak=told.get("VmPeak", 0) * _KIB,
        resident=told.get("VmRSS", 0) * _KIB,
        threads=told.get("Threads", 0),
        descriptors=descriptors,
        descriptor_limit=max(0, resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
    )


def machine() -> Machine:
    """The host now."""
    told = _table("/proc/meminfo")
    return Machine(
        cpus=os.cpu_count() or 0,
        load=os.getloadavg(),
        total=told.get("MemTotal", 0) * _KIB,
        free=told.get("MemFree", 0) * _KIB,
        buffers=told.get("Buffers", 0) * _KIB,
        cached=told.get("Cached", 0) * _KIB,
    )


def _table(path: str) -> dict[str, int]:
    """Lines `name: number …` of one of the kernel's files."""
    try:
        lines = Path(path).read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    rows = (line.split() for line in lines)
    return {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}
