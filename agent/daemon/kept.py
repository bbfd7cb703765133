"""Numbers of a run before: kept for the same objects until the audit frees what is unused."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from agent.objects import Numbered
from agent.oper.compiler import Compiler
from agent.settings import Settings

log = structlog.get_logger(__name__)


class KeptNumbers:
    """`restore` at the start, `follow` with each turn since configuration is complete."""

    def __init__(self, compiler: Compiler, settings: Settings) -> None:
        self._compiler = compiler
        self._wait = settings.get("RESTART", "restore_audit_timeout", int) / 1000
        self._waiting = False
        self.deadline: float | None = None
        """When the audit is due, in monotonic seconds; None before and after."""

    def restore(self, rows: Sequence[Numbered]) -> None:
        """Keep these until the audit."""
        self._compiler.restore(rows)
        self._waiting = bool(rows)

    def follow(self, now: float) -> None:
        """Have the audit when its time has come, once."""
        if not self._waiting:
            return
        if self.deadline is None:
            self.deadline = now + self._wait
        elif now >= self.deadline:
            self._waiting, self.deadline = False, None
            log.info("unused numbers of the run before are free", count=self._compiler.forget())
