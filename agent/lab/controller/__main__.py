"""`python -m agent.lab.controller`: one controller until it is told to end."""

from __future__ import annotations

import asyncio
import sys
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import Any

import click

from agent.errors import AgentError
from agent.lab.controller.controller import Options
from agent.lab.controller.server import Places, Server
from agent.settings import Server as Address

PORT = 5269


class _Listen(click.ParamType[Address]):
    name = "address[:port]"

    def convert(self, value: Any, param: Any, ctx: Any) -> Address:
        address, _, port = str(value).partition(":")
        try:
            return Address(IPv4Address(address), int(port or PORT))
        except (AddressValueError, ValueError):
            self.fail(f"{value!r} is not an IPv4 address with a port", param, ctx)


_path = click.Path(path_type=Path, resolve_path=True)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--listen", type=_Listen(), required=True, help="Where agents connect.")
@click.option("--topology", type=_path, required=True, help="The topology file to serve.")
@click.option("--control", type=_path, required=True, help="Unix socket for commands.")
@click.option("--name", default="control", show_default=True, help="Name in status and log.")
@click.option("--hold", default=90.0, show_default=True, help="Hold time, seconds.")
@click.option(
    "--quiet", default=6.0, show_default=True, help="Quiet seconds before the end of RIB."
)
@click.option(
    "--stale",
    type=float,
    help="Seconds to keep the routes of an agent that went away."
    "  [default: the topology's restart time]",
)
@click.option("--lenient", is_flag=True, help="Do not close channels that break the rules.")
def command(
    listen: Address,
    topology: Path,
    control: Path,
    name: str,
    hold: float,
    quiet: float,
    stale: float | None,
    lenient: bool,
) -> None:
    """A lab's controller: serves a topology to agents and reflects their routes."""
    options = Options(name, hold, quiet, stale=stale, strict=not lenient)
    asyncio.run(Server(Places(listen, control, topology), options).run())


def main() -> None:
    """The console command: errors are one message and exit status 1."""
    try:
        command(prog_name="controller")
    except (AgentError, OSError) as error:
        print(f"controller: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
