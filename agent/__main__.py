"""`vrouter-agent` and `python -m agent`: finds the command, and imports only what that needs."""

from __future__ import annotations

import gc
import importlib
import sys
from types import ModuleType

_COMMANDS = {
    "check-config": "agent.daemon.check_config",
    "check-upgrade": "agent.daemon.check_upgrade",
    "explain": "agent.daemon.explain",
    "log-level": "agent.cli.log_level",
    "prepare-kernel": "agent.daemon.prepare_kernel",
    "replay": "agent.daemon.replay",
    "status": "agent.cli.status",
    "trace": "agent.cli.trace",
}
_AGENT = "agent.daemon.command"


def main(words: list[str] | None = None) -> int:
    """Run the command that the first word names, or the agent itself; its exit code."""
    words = sys.argv[1:] if words is None else words
    name = _COMMANDS.get(words[0]) if words else None
    module = _loaded(name or _AGENT)
    code: int = module.main(words[1:] if name else words)
    return code


def _loaded(name: str) -> ModuleType:
    """Import it. Modules stay, so the garbage collector need not walk them, now or later."""
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()


if __name__ == "__main__":
    sys.exit(main())
