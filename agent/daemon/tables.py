"""Opening the tables that the datapath shares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import structlog

from agent.errors import WireError
from agent.io.table_device import TableDevice, is_major, made_node
from agent.sandesh.vrouter import VrBridgeTableData, VrFlowTableData
from agent.shm.mapping import Mapping

log = structlog.get_logger(__name__)

Table = TypeVar("Table", bound=Mapping[Any])


@dataclass(frozen=True, slots=True)
class Said:
    """What the datapath says of a table: its file, "" for none, or its device; bytes, 0: unsaid."""

    path: str = ""
    major: int = 0
    size: int = 0

    @classmethod
    def of_flows(cls, told: VrFlowTableData | None) -> Said:
        if told is None:
            return cls()
        return cls(told.ftable_file_path, told.ftable_dev, told.ftable_size)

    @classmethod
    def of_bridges(cls, told: VrBridgeTableData | None) -> Said:
        if told is None:
            return cls()
        return cls(told.btable_file_path, told.btable_dev, told.btable_size)


def opened(
    kind: type[Table],
    said: Said,
    device: TableDevice,
    otherwise: Path,
    main_entries: int,
    trouble: str,
) -> Table | None:
    """Map a table of a datapath that was read; None, and `trouble` is logged, if it cannot be.

    The file that the datapath names comes first, then its character device, whose node is
    `device`; a datapath that names neither has the table at `otherwise`. `main_entries` are
    those that the datapath reports, 0 when it does not.
    """
    by_device = not said.path and is_major(said.major)
    path = device.path if by_device else Path(said.path) if said.path else otherwise
    try:
        if by_device:
            made_node(device, said.major)
        return kind.open(path, main_entries or None, said.size or None)
    except (OSError, WireError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        log.error(trouble, file=str(path), reason=reason)
        return None
