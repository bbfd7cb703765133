"""Sessions as syslog messages (RFC 5424): the JSON document of each is the message's text."""

from __future__ import annotations

from collections.abc import Iterable

from agent.errors import ConfigError
from agent.telemetry.sessions.documents import encoded, iso
from agent.telemetry.sessions.model import Session

_NAMES = ("KERN", "USER", "MAIL", "DAEMON", "AUTH", "SYSLOG", "LPR", "NEWS", "UUCP", "CRON")
_LOCAL0, _INFO = 16, 6


def facility(name: str) -> int:
    """The number of a facility such as LOG_LOCAL0. ConfigError for another name."""
    word = name.strip().upper().removeprefix("LOG_")
    if word in _NAMES:
        return _NAMES.index(word)
    if word[:-1] == "LOCAL" and word[-1] in "01234567":
        return _LOCAL0 + int(word[-1])
    raise ConfigError(
        f"[DEFAULT] syslog_facility = {name}: expected LOG_LOCAL0 to LOG_LOCAL7 or one of "
        + ", ".join(f"LOG_{each}" for each in _NAMES)
    )


def datagrams(
    sessions: Iterable[Session], host: str, pid: int, number: int, wall: float
) -> list[bytes]:
    """A message for each session, of severity "informational". `number` is the facility's."""
    name = "".join(each if "!" <= each <= "~" else "_" for each in host)[:255] or "-"
    head = f"<{number * 8 + _INFO}>1 {iso(wall)} {name} vrouter-agent {pid} session - ".encode()
    return [head + document for document in encoded(sessions, host, wall)]
