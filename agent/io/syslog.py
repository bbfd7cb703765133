"""The local syslog as a place for log lines."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

FACILITIES: Mapping[str, int] = {
    "kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "syslog": 5, "lpr": 6, "news": 7,
    "uucp": 8, "cron": 9, "authpriv": 10, "ftp": 11, **{f"local{at}": 16 + at for at in range(8)},
}  # fmt: skip
_SEVERITIES = (
    (logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6),
)  # fmt: skip
_DEBUG = 7
_MOST = 8192


class SyslogHandler(logging.Handler):
    """Writes to the datagram socket `path` of syslog (RFC 3164 without host and time).

    Never waits: what syslog does not take at once is counted in `lost`. OSError when there is
    no syslog at first; one that is started anew later is found again.
    """

    def __init__(self, path: str, facility: int, tag: str) -> None:
        super().__init__()
        self._path = path
        self._facility = facility
        self._tag = f"{tag}[{os.getpid()}]"
        self._socket = self._connected()
        self.lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        severity = next((at for level, at in _SEVERITIES if record.levelno >= level), _DEBUG)
        head = f"<{self._facility << 3 | severity}>{self._tag}: "
        data = (head + self.format(record)).encode(errors="replace")[:_MOST]
        try:
            self._socket.send(data)
        except BlockingIOError:
            self.lost += 1
        except OSError:
            self._again(data)

    def close(self) -> None:
        self._socket.close()
        super().close()

    def _again(self, data: bytes) -> None:
        """To the syslog that is there now."""
        try:
            self._socket.close()
            self._socket = self._connected()
            self._socket.send(data)
        except OSError:
            self.lost += 1

    def _connected(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        made.setblocking(False)
        try:
            made.connect(self._path)
        except OSError:
            made.close()
            raise
        return made
