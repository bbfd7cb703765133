"""`vrouter-agent explain`: why a flow is forwarded or dropped, by a live agent or a recording."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from agent.cli.agent_client import AgentClient
from agent.cli.credentials import Credentials, add_options
from agent.daemon.until import Until
from agent.errors import AgentError

EINVAL = 22
_PORT = 9091
_AGENT = f"http://127.0.0.1:{_PORT}"
_TIMEOUT = 10.0


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="vrouter-agent explain",
        description="Say step by step what becomes of a flow, and which rule decides.",
        epilog="Exit code: 0 the flow is allowed, 1 it is dropped, 22 there is no answer.",
    )
    what = parser.add_subparsers(dest="what", required=True, metavar="flow")
    flow = what.add_parser("flow", help="a flow, by the addresses and ports of its first packet")
    flow.add_argument("source", metavar="SRC", help="address of the sender")
    flow.add_argument("destination", metavar="DST", help="address that it sends to")
    flow.add_argument("protocol", metavar="PROTO", help="tcp, udp, icmp, icmp6, sctp or a number")
    flow.add_argument("source_port", metavar="SPORT", nargs="?", default="", help="source port")
    flow.add_argument("destination_port", metavar="DPORT", nargs="?", default="")
    flow.add_argument("--port", default="", metavar="UUID", help="the port that it is about")
    where = flow.add_mutually_exclusive_group()
    where.add_argument("--agent", default=_AGENT, metavar="URL", help=f"default: {_AGENT}")
    where.add_argument("--recording", type=Path, metavar="FILE", help="ask a recorded agent")
    flow.add_argument(
        "--until", type=Until.parse, metavar="N|+S", help="of the recording only so much"
    )
    add_options(flow)
    flow.add_argument("--json", action="store_true", help="the answer as JSON")
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    """Run the command; its exit code."""
    arguments = _arguments(words)
    names = ("source", "destination", "protocol", "source_port", "destination_port", "port")
    question = {name: value for name in names if (value := getattr(arguments, name))}
    try:
        if arguments.recording is not None:
            answer = _recorded(arguments.recording, arguments.until, question)
        else:
            answer = _live(arguments, question)
    except AgentError as error:
        print(f"vrouter-agent explain: {error}", file=sys.stderr)
        return EINVAL
    print(json.dumps(answer, indent=2) if arguments.json else "\n".join(lines(answer)))
    return 0 if answer["allowed"] else 1


def _recorded(path: Path, until: Until | None, question: Mapping[str, str]) -> Mapping[str, Any]:
    # A replay builds a whole agent; who asks a live one does not wait for that.
    from agent.daemon.explain_recorded import explain

    return explain(path, until, question)


def _live(arguments: argparse.Namespace, question: Mapping[str, str]) -> Mapping[str, Any]:
    client = AgentClient(arguments.agent, _TIMEOUT, Credentials.of(arguments), port=_PORT)
    return client.ask(f"/explain/flow?{urlencode(question)}")


def lines(record: Mapping[str, Any]) -> list[str]:
    """An answer as text for a terminal."""
    steps = record["steps"]
    width = max((len(step["topic"]) for step in steps), default=0)
    told = [
        f"{at:>3}. {step['topic']:<{width}}  {step['text']}" for at, step in enumerate(steps, 1)
    ]
    return [record["question"], "", *told, "", record["verdict"]]
