"""`vrouter-agent` and `python -m agent`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agent import __version__
from agent.daemon import Sources, run
from agent.errors import ConfigError
from agent.io.logs import configure
from agent.io.rundir import RunDir

DEFAULT_CONFIG = Path("/etc/contrail/contrail-vrouter-agent.conf")
DEFAULT_RUN_DIR = Path("/run/vrouter")


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="vrouter-agent",
        description="Keep the vrouter datapath of this host as its configuration says.",
    )
    parser.add_argument(
        "--config",
        "--config_file",
        type=Path,
        metavar="FILE",
        help=f"configuration file (default: {DEFAULT_CONFIG}, if it exists)",
    )
    parser.add_argument(
        "--run-dir",
        type=Path,
        default=DEFAULT_RUN_DIR,
        metavar="DIR",
        help=f"directory of the datapath's sockets and tables (default: {DEFAULT_RUN_DIR})",
    )
    parser.add_argument("--version", action="version", version=f"vrouter-agent {__version__}")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Run the agent; 0 after a clean end, 22 (EINVAL) for a wrong configuration."""
    arguments = _arguments(words)
    config = arguments.config
    if config is None and DEFAULT_CONFIG.exists():
        config = DEFAULT_CONFIG
    sources = Sources(config, arguments.run_dir)
    try:
        settings, topology = sources.load()
        configure(settings)
        run_dir = RunDir(arguments.run_dir)
        try:
            run(sources, settings, topology)
        finally:
            run_dir.close()
    except ConfigError as error:
        print(f"vrouter-agent: {error}", file=sys.stderr)
        return 22
    return 0


if __name__ == "__main__":
    sys.exit(main())
