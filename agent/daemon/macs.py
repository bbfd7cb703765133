"""Learnt MAC addresses that were never confirmed, looked for in the datapath's bridge table."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from agent.daemon.core import LearntMac
from agent.daemon.tables import Said, opened
from agent.errors import WireError
from agent.io.table_device import BRIDGE_DEVICE
from agent.ksync import Dumped, Lost
from agent.ksync.events import Event as DatapathEvent
from agent.shm import BridgeEntry, BridgeTable, MacAudit

log = structlog.get_logger(__name__)

TABLE_FILE = "bridge.shmem"
"""Where the table is when the datapath does not say so."""
_TROUBLE = "bridge table not readable"


class MacShell:
    """Walks the table on the running loop while the datapath is there; `unconfirmed` is told."""

    def __init__(self, run_dir: Path, unconfirmed: Callable[[list[LearntMac]], None]) -> None:
        self._run_dir = run_dir
        self._unconfirmed = unconfirmed
        self._table: BridgeTable | None = None
        self._timer: asyncio.TimerHandle | None = None

    def datapath_said(self, events: Sequence[DatapathEvent]) -> None:
        """The datapath was read, so that its table can be mapped; or it is lost."""
        for event in events:
            if isinstance(event, Dumped):
                self._open(event)
            elif isinstance(event, Lost):
                self.close()

    def close(self) -> None:
        """Leave the table."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._table is not None:
            self._table.close()
            self._table = None

    def _open(self, dumped: Dumped) -> None:
        self.close()
        said = Said.of_bridges(dumped.bridge_table)
        otherwise = self._run_dir / TABLE_FILE
        entries = dumped.limits.vo_bridge_entries
        self._table = opened(BridgeTable, said, BRIDGE_DEVICE, otherwise, entries, _TROUBLE)
        if self._table is not None:
            self._look(MacAudit(self._table))

    def _look(self, audit: MacAudit) -> None:
        now = time.monotonic()
        try:
            found = audit.slice(now)
        except WireError as error:
            log.error(_TROUBLE, reason=str(error))
            self.close()
            return
        if found:
            self._unconfirmed([_learnt(entry) for entry in found])
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, audit.deadline - now), self._look, audit)


def _learnt(entry: BridgeEntry) -> LearntMac:
    return entry.vrf, bytes(entry.mac), entry.nh_id or 0, entry.label, entry.flags
