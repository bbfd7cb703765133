"""`vrouter-agent log-level`: what a running agent logs, shown and changed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from agent.cli.agent_client import AGENT, AgentClient
from agent.cli.credentials import Credentials, add_options
from agent.errors import AgentError, UsageError

EINVAL = 22
_TIMEOUT = 5.0


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="vrouter-agent log-level",
        description="Show or change what a running agent logs, until its file is read again.",
        epilog="A MODULE is one such as xmpp, ksync or io.xmpp, or `all`; a LEVEL one such as "
        "SYS_DEBUG, SYS_NOTICE or SYS_ERR, or `same` for that of all others. Exit code: 0, or 22 "
        "when it makes no sense.",
    )
    parser.add_argument("module", nargs="?", metavar="MODULE")
    parser.add_argument("level", nargs="?", metavar="LEVEL")
    parser.add_argument(
        "--category", metavar="MODULE", help="log that module alone, and errors; `all` for all"
    )
    parser.add_argument("--json", action="store_true", help="the answer as JSON")
    parser.add_argument("--agent", default=AGENT, metavar="URL", help=f"default: {AGENT}")
    add_options(parser)
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    """Run the command; its exit code."""
    arguments = _arguments(words)
    try:
        path, method = _request(arguments)
        client = AgentClient(arguments.agent, _TIMEOUT, Credentials.of(arguments))
        record = client.ask(path, method)
    except AgentError as error:
        print(f"vrouter-agent log-level: {error}", file=sys.stderr)
        return EINVAL
    print(json.dumps(record, indent=2) if arguments.json else text(record))
    return 0


def _request(arguments: argparse.Namespace) -> tuple[str, str]:
    if arguments.module is not None and arguments.level is None:
        raise UsageError(f"{arguments.module}: expected a LEVEL after the MODULE")
    if arguments.category is not None:
        if arguments.module is not None:
            raise UsageError("either MODULE and LEVEL, or --category")
        query = {"category": "" if arguments.category == "all" else arguments.category}
    elif arguments.module is not None:
        module = "" if arguments.module == "all" else arguments.module
        query = {"module": module, "level": "" if arguments.level == "same" else arguments.level}
    else:
        return "/log-level", "GET"
    return f"/log-level?{urlencode(query)}", "POST"


def text(record: dict[str, Any]) -> str:
    """A line for all, one for each module apart."""
    lines = [f"all: {record['level']}" + ("" if record["enabled"] else ", errors only")]
    if record["category"]:
        lines.append(f"of others than {record['category']}: errors only")
    lines += [f"{module}: {level}" for module, level in sorted(record["modules"].items())]
    return "\n".join(lines)
