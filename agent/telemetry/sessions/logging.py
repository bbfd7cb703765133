"""Which sessions logging objects want: every Nth of a rule (facts oper-db.md 6.3)."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from agent.oper.session_port import LoggingObject

_MOST = 65536


class Logging:
    """Counts new sessions by object and rule. The first one is logged, then each Nth after it."""

    def __init__(self) -> None:
        self._counts: dict[tuple[UUID, str], int] = {}

    def wants(self, objects: Iterable[LoggingObject], rules: Iterable[str]) -> bool | None:
        """Whether a new session of these rules is logged; None when nobody asks for them.

        It counts for every object and rule that is about it; one that wants it is enough.
        """
        asked = [
            (one.uuid, rule, one.rates[rule])
            for one in objects
            for rule in rules
            if rule in one.rates
        ]
        if not asked:
            return None
        return any([self._hit(uuid, rule, rate) for uuid, rule, rate in asked])

    def _hit(self, uuid: UUID, rule: str, rate: int) -> bool:
        if len(self._counts) >= _MOST:  # objects came and went
            self._counts.clear()
        count = self._counts.get((uuid, rule), 0)
        self._counts[uuid, rule] = count + 1
        return count % rate == 0
