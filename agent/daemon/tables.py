"""Opening the tables that the datapath shares."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import structlog

from agent.errors import WireError
from agent.shm.mapping import Mapping

log = structlog.get_logger(__name__)

Table = TypeVar("Table", bound=Mapping[Any])


def opened(
    kind: type[Table], said: str, otherwise: Path, main_entries: int, trouble: str
) -> Table | None:
    """Map a table of a datapath that was read; None, and `trouble` is logged, if it cannot be.

    `said` is the path by the datapath, "" when it says none: then the table is at `otherwise`.
    `main_entries` are those that the datapath reports, 0 when it does not.
    """
    path = Path(said) if said else otherwise
    try:
        return kind.open(path, main_entries or None)
    except (OSError, WireError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        log.error(trouble, file=str(path), reason=reason)
        return None
