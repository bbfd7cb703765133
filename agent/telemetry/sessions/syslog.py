"""Sessions as syslog messages (RFC 5424): the JSON document of each is the message's text."""

from __future__ import annotations

from collections.abc import Iterable

from agent.telemetry.sessions.documents import encoded, iso
from agent.telemetry.sessions.model import Session

_INFO = 6


def datagrams(
    sessions: Iterable[Session], host: str, pid: int, number: int, wall: float
) -> list[bytes]:
    """A message for each session, of severity "informational". `number` is the facility's."""
    name = "".join(each if "!" <= each <= "~" else "_" for each in host)[:255] or "-"
    head = f"<{number * 8 + _INFO}>1 {iso(wall)} {name} vrouter-agent {pid} session - ".encode()
    return [head + document for document in encoded(sessions, host, wall)]
