"""`vrouter-agent trace`: what happens to one port, prefix or flow, live, line by line."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from agent.cli.agent_client import AGENT, AgentClient
from agent.cli.credentials import Credentials, add_options
from agent.errors import AgentError, UsageError

EINVAL = 22
_TIMEOUT = 10.0
_FLOW = ("source", "destination", "protocol", "source_port", "destination_port")


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="vrouter-agent trace",
        description="Follow one port, prefix or flow through a running agent, until Ctrl-C.",
        epilog="Exit code: 0 when it was ended, 22 when nothing can be followed.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--port", metavar="UUID", help="a port, its objects, and routes to it")
    what.add_argument("--prefix", metavar="A/L", help="a prefix, in all VRFs or the one of --vrf")
    what.add_argument(
        "--flow",
        nargs="+",
        metavar=("SRC", "DST PROTO [SPORT DPORT]"),
        help="a flow, by the addresses and ports of its first packet",
    )
    parser.add_argument("--vrf", default="", metavar="NAME", help="of the prefix")
    parser.add_argument(
        "--for", dest="seconds", default="", metavar="S", help="end after S seconds"
    )
    parser.add_argument("--json", action="store_true", help="a JSON object a line")
    parser.add_argument("--agent", default=AGENT, metavar="URL", help=f"default: {AGENT}")
    add_options(parser)
    return parser.parse_args(words)


def _question(arguments: argparse.Namespace) -> dict[str, str]:
    """The fields of the request; UsageError for a flow with too few or too many words."""
    asked = {"port": arguments.port, "prefix": arguments.prefix, "vrf": arguments.vrf}
    if arguments.flow is not None:
        if not 3 <= len(arguments.flow) <= len(_FLOW):
            raise UsageError("--flow: expected SRC DST PROTO [SPORT DPORT]")
        asked |= dict(zip(_FLOW, arguments.flow, strict=False))
    asked["for"] = arguments.seconds
    return {name: value for name, value in asked.items() if value}


def main(words: Sequence[str]) -> int:
    """Run the command; its exit code."""
    arguments = _arguments(words)
    try:
        client = AgentClient(arguments.agent, _TIMEOUT, Credentials.of(arguments))
        for event in client.events(f"/trace?{urlencode(_question(arguments))}"):
            print(json.dumps(event) if arguments.json else text(event), flush=True)
    except AgentError as error:
        print(f"vrouter-agent trace: {error}", file=sys.stderr)
        return EINVAL
    except KeyboardInterrupt:
        print(file=sys.stderr)
    except BrokenPipeError:  # and nothing more into the pipe at the end of the interpreter
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def text(event: dict[str, Any]) -> str:
    """An event as a line."""
    if "following" in event:
        return f"following {event['following']}; Ctrl-C ends it"
    if "lost" in event:
        return f"… {event['lost']} lines were lost: too much happens"
    return f"{event['time']} {event['part']:<9} {event['text']}"
