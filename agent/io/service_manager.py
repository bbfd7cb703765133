"""What systemd is told of the process, where it wants to know (`Type=notify`, `WatchdogSec=`).

The protocol is that of sd_notify(3): datagrams of lines `NAME=value` to the socket that
NOTIFY_SOCKET names. A service that is not ready yet asks for more time as long as its loop
turns, so that waiting for a controller is no failed start and a standstill is.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

_MOST_WORDS = 400
_MORE_TIME = 60
"""Seconds that the start may take from now on, each time that it is asked for."""


class ServiceManager:
    """Tells, never waits, and does nothing where there is nobody to tell."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        self._socket: socket.socket | None = None
        self._told = ""
        self._is_ready = False
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    def ready(self) -> None:
        """The agent does its work."""
        self._is_ready = True
        self._tell("READY=1")

    def reloading(self) -> None:
        """It reads its files again; `reloaded` follows."""
        if self._is_ready:
            self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """It has read its files."""
        if self._is_ready:
            self._tell("READY=1")

    def alive(self, words: str) -> None:
        """The loop turns; `words`: how the agent is, for `systemctl status`."""
        line = " ".join(words.split())[:_MOST_WORDS]
        changed = f"\nSTATUS={line}" if line != self._told else ""
        self._told = line
        more = "" if self._is_ready else f"\nEXTEND_TIMEOUT_USEC={_MORE_TIME * 1_000_000}"
        self._tell(f"WATCHDOG=1{more}{changed}")

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
