"""`vrouter-agent` without a command: the agent itself."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from agent import __version__
from agent.daemon.configuration import Sources, located, parse
from agent.daemon.follow import wanted
from agent.daemon.privileges import prepare
from agent.daemon.start import run
from agent.errors import ConfigError
from agent.io.logs import configure
from agent.io.recording import DEFAULT_LIMIT, RecordingFile
from agent.io.rundir import RunDir
from agent.record.events import Sources as Texts
from agent.settings import of_environment, of_words, unknown_variables

if TYPE_CHECKING:
    from agent.daemon.recorder import Recorder

log = structlog.get_logger(__name__)

DEFAULT_CONFIG = Path("/etc/contrail/contrail-vrouter-agent.conf")
DEFAULT_RUN_DIR = Path("/run/vrouter")


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="vrouter-agent",
        description="Keep the vrouter datapath of this host as its configuration says.",
        epilog="Every option of the file may be given as --SECTION.option VALUE, or as the "
        "variable VROUTER_AGENT_SECTION_OPTION. Commands, each with its own --help: "
        "`vrouter-agent status` says how an agent is, `trace` follows a port, prefix or flow, "
        "`log-level` changes what is logged, `explain` says what becomes of a flow, `replay FILE` "
        "plays a recording again, `check-config FILE` says what is wrong in a file, "
        "`check-upgrade FILE` what becomes of a host of the reference agent, `prepare-kernel` "
        "makes a host with the kernel module ready.",
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
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="record everything that comes in, to be replayed; it contains secrets",
    )
    parser.add_argument(
        "--record-limit",
        type=_mebibytes,
        default=DEFAULT_LIMIT,
        metavar="MIB",
        help=f"stop recording when the file has that size (default: {DEFAULT_LIMIT >> 20})",
    )
    parser.add_argument(
        "--trace",
        action="append",
        default=[],
        metavar="WHAT",
        help="log all that happens to port=UUID, prefix=A/L[,VRF] or "
        "flow=SRC,DST,PROTO[,SPORT,DPORT]; may be given several times",
    )
    parser.add_argument("--version", action="version", version=f"vrouter-agent {__version__}")
    return parser.parse_args(words)


def _mebibytes(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number of mebibytes")
    return int(text) << 20


def _recorder(arguments: argparse.Namespace, texts: Texts) -> Recorder | None:
    """What records the agent, if that is asked for. ConfigError if its file cannot be made."""
    if arguments.record is None:
        return None
    from agent.daemon.recorder import Recorder  # with all that is recorded

    return Recorder(RecordingFile(arguments.record, arguments.record_limit), texts)


def main(words: list[str]) -> int:
    """Run the agent; 0 after a clean end, 22 (EINVAL) for a wrong configuration."""
    try:
        overrides, others = of_words(words)
        arguments = _arguments(others)
        config = arguments.config
        if config is None and DEFAULT_CONFIG.exists():
            config = DEFAULT_CONFIG
        before = (*of_environment(os.environ), *overrides)
        _run(located(Sources(config, arguments.run_dir, before)), arguments)
    except ConfigError as error:
        print(f"vrouter-agent: {error}", file=sys.stderr)
        return 22
    return 0


def _run(sources: Sources, arguments: argparse.Namespace) -> None:
    texts = sources.read()
    settings, topology = parse(texts)
    prepare(settings, sources.run_dir)
    configure(settings)
    for finding in unknown_variables(os.environ):
        log.warning(str(finding))
    run_dir = RunDir(sources.run_dir)
    try:
        follow = [wanted(each) for each in arguments.trace]
        run(sources, settings, topology, _recorder(arguments, texts), follow)
    finally:
        run_dir.close()
