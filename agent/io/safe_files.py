"""Files written and read without following what somebody has put in their place."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def replace_file(
    path: Path, content: bytes, draft: Path, mode: int = 0o644, *, sync: bool = False
) -> None:
    """Give `path` this content, whole or not at all; `draft` lies in the same directory.

    A link at either name is replaced, never followed. `sync`: it is on the disk when this
    returns, and whole after a crash. OSError.
    """
    draft.unlink(missing_ok=True)
    try:
        with open(os.open(draft, _NEW, mode), "wb") as file:
            file.write(content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
        if sync:
            _sync_folder(path.parent)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def strangers(folder: Path) -> str:
    """Why others than root and we could put files there; "" when they cannot. OSError."""
    status = folder.stat()
    if status.st_uid not in (0, os.geteuid()):
        return f"it belongs to user {status.st_uid}"
    return "everybody may write there; chmod o-w" if status.st_mode & stat.S_IWOTH else ""


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_file(path: Path, most: int) -> bytes:
    """The first `most` bytes of a file. OSError, also for a link; a pipe gives nothing."""
    with open(os.open(path, _READ), "rb") as file:
        return file.read(most)
