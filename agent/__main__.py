"""`vrouter-agent` and `python -m agent`: finds the command, and imports only what that needs."""

from __future__ import annotations

import importlib
import sys

_COMMANDS = {
    "check-config": "agent.daemon.check_config",
    "explain": "agent.daemon.explain",
    "log-level": "agent.cli.log_level",
    "replay": "agent.daemon.replay",
    "status": "agent.cli.status",
    "trace": "agent.cli.trace",
}
_AGENT = "agent.daemon.command"


def main(words: list[str] | None = None) -> int:
    """Run the command that the first word names, or the agent itself; its exit code."""
    words = sys.argv[1:] if words is None else words
    name = _COMMANDS.get(words[0]) if words else None
    module = importlib.import_module(name or _AGENT)
    code: int = module.main(words[1:] if name else words)
    return code


if __name__ == "__main__":
    sys.exit(main())
