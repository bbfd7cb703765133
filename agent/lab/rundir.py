"""The directory of a running lab: its lock, its control socket and its logs.

Everything else of a lab lives on the sandbox's own tmpfs. The lock is held by the
processes of the lab, so a directory whose lock is free is what a killed lab left.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.errors import UsageError
from agent.lab.errors import LabError

_LOCK = "lock"
_CONTROL = "control"


class RunDir:
    """One run directory, whether it exists or not."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def lab_log(self) -> Path:
        """What the supervisor prints."""
        return self.logs / "lab.log"

    @property
    def logs(self) -> Path:
        """The directory of every process's log."""
        return self.path / "logs"

    def claim(self) -> int:
        """Make the directory ours; returns the descriptor that holds its lock.

        UsageError if a lab runs in it already or it holds something else.
        """
        if self.path.is_relative_to("/run"):
            raise UsageError(f"{self}: a lab covers /run; choose another --run-dir")
        if self.in_use():
            raise UsageError(f"a lab already runs in {self}; end it with: vrouter-lab down")
        try:
            self.logs.mkdir(parents=True)
            (self.path / ".gitignore").write_text("*\n")
            lock = os.open(
                self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise self._unusable(error) from None
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return lock

    def in_use(self) -> bool:
        """Whether a lab runs in it. What a killed lab left is removed on the way."""
        try:
            lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            if self.path.is_dir() and any(self.path.iterdir()):
                raise UsageError(f"{self} is not a lab's directory; choose another") from None
            return False
        except OSError as error:
            raise self._unusable(error) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        self.remove()
        return False

    def _unusable(self, error: OSError) -> UsageError:
        return UsageError(f"{self}: {error.strerror}; choose another --run-dir")

    def remove(self) -> None:
        """Take the directory away, with all that the lab wrote."""
        shutil.rmtree(self.path, ignore_errors=True)

    def listen(self) -> socket.socket:
        """The control socket, listening from the moment that it is visible."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with self._short() as short:
            listener.bind(f"{short}/{_CONTROL}.new")
            listener.listen()
            os.rename(f"{short}/{_CONTROL}.new", f"{short}/{_CONTROL}")
        return listener

    def connect(self) -> socket.socket:
        """A connection to the lab that runs here; LabError if it is only starting or ending."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with self._short() as short:
                sock.connect(f"{short}/{_CONTROL}")
        except OSError as error:
            sock.close()
            raise LabError(f"the lab in {self} is starting or ending: {error.strerror}") from None
        return sock

    @contextmanager
    def _short(self) -> Iterator[str]:
        """The directory under a name short enough for a socket's address."""
        descriptor = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
