"""Which privileges an agent keeps: those that its work on the datapath needs, and no others."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import structlog

from agent.errors import ConfigError
from agent.io import privileges
from agent.io.platforms import in_kernel
from agent.settings import Settings

NEEDED = ("NET_ADMIN", "NET_RAW")
"""To change links and the datapath; to have packets of pkt0."""

_TABLES = ("MKNOD",)
"""To make the nodes of the devices by which the kernel shares its tables; they may be there."""

log = structlog.get_logger(__name__)


def prepare(settings: Settings, run_dir: Path) -> None:
    """Make the directories that are not there, for the user that the agent goes on as.

    ConfigError where that cannot be.
    """
    user = settings.get("DEFAULT", "user", str)
    if not user or os.getuid() != 0:
        return
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise ConfigError(f"[DEFAULT] user = {user}: there is no such user") from None
    base = Path(settings.get("DEFAULT", "agent_base_directory", str))
    for directory in (run_dir, base, base / "ports"):
        try:
            if not directory.exists():
                directory.mkdir(mode=0o750, parents=True)
                os.chown(directory, account.pw_uid, account.pw_gid)
        except OSError as error:
            raise ConfigError(f"{directory}: {error.strerror}") from None


def give_up(settings: Settings) -> None:
    """Keep what is needed, as the configured user; see `privileges.drop`.

    What was opened before stays open: the log, the lock of the run directory, a recording.
    """
    tables = _TABLES if in_kernel(settings.get("DEFAULT", "platform", str)) else ()
    keep = [*NEEDED, *tables, *settings.get("DEFAULT", "further_capabilities", tuple)]
    missing = set(privileges.drop(keep, settings.get("DEFAULT", "user", str)))
    names = {privileges.NAMES[privileges.number(word)] for word in keep}
    held = " ".join(sorted(names - missing)) or "none"
    log.info("privileges", user=os.getuid(), capabilities=held)
    if needed := missing.difference(_TABLES):
        log.warning("capabilities missing", missing=" ".join(sorted(needed)))
