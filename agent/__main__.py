"""`vrouter-agent` and `python -m agent`: finds the command, and imports only what that needs."""

from __future__ import annotations

import sys

from agent.loading import load

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
    module = load(name or _AGENT)
    code: int = module.main(words[1:] if name else words)
    return code


if __name__ == "__main__":
    sys.exit(main())
