"""The run directory: it exists, and one agent at a time owns it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from agent.errors import ConfigError
from agent.io.safe_files import strangers

_MODE = 0o750
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class RunDir:
    """Hold the directory for this process; ConfigError if another agent does, or it cannot be.

    Nor may strangers be able to put sockets of theirs in the place of the datapath's and ours.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        lock = path / "agent.lock"
        try:
            path.mkdir(mode=_MODE, parents=True, exist_ok=True)
            reason = strangers(path)
            if reason:
                raise ConfigError(f"run directory {path}: {reason}")
            self._lock = os.open(lock, _FLAGS, 0o640)
        except OSError as error:
            raise ConfigError(f"run directory {path}: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._lock, 32).decode(errors="replace").strip()
            os.close(self._lock)
            raise ConfigError(
                f"{path}: another vrouter-agent (process {owner}) uses this run directory; "
                "stop it or choose another with --run-dir"
            ) from None
        os.ftruncate(self._lock, 0)
        os.write(self._lock, f"{os.getpid()}\n".encode())

    def close(self) -> None:
        """Let another agent have it. The lock file stays, for the next one."""
        os.close(self._lock)
