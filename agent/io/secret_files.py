"""Files with a secret in them, such as a token: read only when nobody else could have."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from agent.errors import ConfigError

_TOKEN = re.compile(rb"[A-Za-z0-9\-._~+/]{16,1024}=*")
_MOST = 4096
_FORBIDDEN = 0o027
"""Group members may read (a client's group), nobody but the owner may write."""


def read_token(path: Path, option: str) -> bytes:
    """The bearer token (RFC 6750) that a file holds, in its one line.

    ConfigError, naming `option`: the file cannot be read, is a symbolic link, belongs to
    another user than root or ours, is open to others, or holds no token. What it holds is
    never told.
    """
    where = f"{option} = {path}"
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"{where}: {error.strerror}") from None
    try:
        _check(os.fstat(number), where)
        text = os.read(number, _MOST).strip()
    finally:
        os.close(number)
    if not _TOKEN.fullmatch(text):
        raise ConfigError(
            f"{where}: expected one line with a token of 16 to 1024 letters, digits and -._~+/, "
            "such as `openssl rand -hex 32` makes"
        )
    return text


def _check(status: os.stat_result, where: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{where}: not a regular file")
    if status.st_uid not in (0, os.geteuid()):
        raise ConfigError(f"{where}: it belongs to user {status.st_uid}, who could change it")
    if status.st_mode & _FORBIDDEN:
        mode = stat.S_IMODE(status.st_mode)
        raise ConfigError(f"{where}: its mode is {mode:04o}, so others know it; chmod 600")
