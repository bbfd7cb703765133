"""`vrinfo`: texts that the datapath has about itself. Its usage calls it `dpdkinfo`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from agent.cli import tool
from agent.cli.datapath_client import DatapathClient
from agent.sandesh.vrouter import SandeshOp, VrInfoReq

_VERSION = 0
"""The number of a text in `vdu_msginfo`."""
_MOST_BYTES = 1 << 20


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = tool.parser("dpdkinfo", "Show texts that the datapath has about itself.")
    made.add_argument(
        "-v", "--version", action="store_true", required=True, help="what it is, and its version"
    )
    made.add_argument(
        "--buffsz", type=_size, default=0, metavar="BYTES", help="room for the text (default: its)"
    )
    return made.parse_args(arguments)


def _size(text: str) -> int:
    size = tool.number(text)
    if size > _MOST_BYTES:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {_MOST_BYTES} bytes")
    return size


def _act(client: DatapathClient, options: argparse.Namespace) -> None:
    def request(last: VrInfoReq | None) -> bytes:
        asked = VrInfoReq() if last is None else last.replace(vdu_proc_info=b"")
        return asked.replace(
            h_op=SandeshOp.DUMP, vdu_msginfo=_VERSION, vdu_outbufsz=options.buffsz
        ).encode()

    parts = [part.vdu_proc_info for part in client.dump(request, VrInfoReq)]
    text = b"".join(parts).rstrip(b"\0").decode(errors="replace")
    if options.json:
        tool.print_json({"version": text.strip()})
        return
    print(text.rstrip("\n"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console command."""
    return tool.run(_options(arguments), _act)
