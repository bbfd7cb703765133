"""What is told of ports' sessions, as last computed."""

from __future__ import annotations

from uuid import UUID

from agent.oper.incremental import Changed
from agent.oper.session_port import SessionPort


class SessionState:
    """Rows by port; `logged` are the ports of which something is to be logged."""

    def __init__(self) -> None:
        self.ports: dict[UUID, SessionPort] = {}
        self.logged: set[UUID] = set()

    def take(self, changed: Changed) -> None:
        """A result of `session_port` is another one."""
        [uuid] = changed.call.args
        row = changed.value
        self.logged.discard(uuid)
        if not isinstance(row, SessionPort):
            self.ports.pop(uuid, None)
            return
        self.ports[uuid] = row
        if row.logging:
            self.logged.add(uuid)
