"""Files written and read without following what somebody has put in their place."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def replace_file(path: Path, content: bytes, draft: Path, mode: int = 0o644) -> None:
    """Give `path` this content, whole or not at all; `draft` lies in the same directory.

    A link at either name is replaced, never followed. OSError.
    """
    draft.unlink(missing_ok=True)
    try:
        with open(os.open(draft, _NEW, mode), "wb") as file:
            file.write(content)
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def read_file(path: Path, most: int) -> bytes:
    """The first `most` bytes of a file. OSError, also for a link; a pipe gives nothing."""
    with open(os.open(path, _READ), "rb") as file:
        return file.read(most)
