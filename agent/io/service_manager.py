"""What systemd is told of the process, where it wants to know (`Type=notify`, `WatchdogSec=`).

The protocol is that of sd_notify(3): datagrams of lines `NAME=value` to the socket that
NOTIFY_SOCKET names.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

_MOST_WORDS = 400


class ServiceManager:
    """Tells, never waits, and does nothing where there is nobody to tell."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        self._socket: socket.socket | None = None
        self._told = ""
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    def ready(self) -> None:
        """The agent has begun to work."""
        self._tell("READY=1")

    def alive(self, words: str) -> None:
        """The loop turns; `words`: how the agent is, for `systemctl status`."""
        line = " ".join(words.split())[:_MOST_WORDS]
        changed = f"\nSTATUS={line}" if line != self._told else ""
        self._told = line
        self._tell(f"WATCHDOG=1{changed}")

    def stopping(self) -> None:
        """It is about to end; nothing is told after this."""
        self._tell("STOPPING=1")
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _tell(self, text: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError:
            self._told = ""  # whoever listens next is told anew
