"""`vrouter-lab`: hosts, networks and VMs of a topology file on one machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from agent.errors import AgentError
from agent.lab.collector import LabCollector, Told
from agent.lab.collector import listen as listening
from agent.lab.connection import Connection, attach
from agent.lab.console import Progress, show_controller, show_routes, show_state
from agent.lab.controller import messages as controls
from agent.lab.demo import demo
from agent.lab.doors import doors
from agent.lab.launch import Launch, load_plan
from agent.lab.messages import Kill, Plug, Role, Start, Unplug
from agent.lab.processes import environment
from agent.lab.prompt import hints, prompt
from agent.lab.rundir import RunDir

_TWO_HOSTS = Path(__file__).parent / "topologies" / "two-hosts.yaml"


class _RunDirType(click.ParamType[RunDir]):
    name = "directory"

    def convert(self, value: Any, param: Any, ctx: Any) -> RunDir:
        return value if isinstance(value, RunDir) else RunDir(Path(value).resolve())


_run_dir: Callable[[Any], Any] = click.option(
    "--run-dir",
    type=_RunDirType(),
    default=".vrouter-lab",
    show_default=True,
    help="Directory of the lab's control socket and logs; removed when the lab ends.",
)
_file = click.Path(path_type=Path, resolve_path=True)
_node = click.argument("node", metavar="HOST|CONTROLLER")
_role = click.argument(
    "role",
    metavar="[agent|forwarder]",
    type=click.Choice(["agent", "forwarder", "controller"]),
    default="controller",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vrouter-agent")
def cli() -> None:
    """Hosts, networks and VMs of a topology file, on this machine.

    A lab lives in namespaces of its own and leaves nothing behind, however it ends.
    """


@cli.command()
@click.argument("file", type=_file)
@_run_dir
def up(file: Path, run_dir: RunDir) -> None:
    """Bring up the lab of the topology FILE and leave it running."""
    launch = Launch(file, run_dir)
    try:
        _wait_ready(launch, run_dir).close()
        launch.detach()
    except BaseException:
        launch.end()
        raise
    click.echo(f"ready; end it with: vrouter-lab down --run-dir {run_dir}")


@cli.command()
@click.argument("file", type=_file, default=_TWO_HOSTS)
@_run_dir
def run(file: Path, run_dir: RunDir) -> None:
    """Keep a lab up until Ctrl-C or `quit`, with a prompt to try it."""
    launch = Launch(file, run_dir)
    try:
        plan, connection = load_plan(file), _wait_ready(launch, run_dir)
        with doors(connection, plan.topology) as pages:
            connection.close()
            text = hints(plan, run_dir, {host: door.url for host, door in pages.items()})
            click.echo(text)
            if sys.stdin.isatty():
                prompt(run_dir, lambda: text)
            else:
                click.echo("Ctrl-C ends it")
                threading.Event().wait()
    except KeyboardInterrupt:
        click.echo("\nending")
    finally:
        launch.end()


def _wait_ready(launch: Launch, run_dir: RunDir) -> Connection:
    launch.wait()
    connection = Connection(run_dir)
    Progress().follow(connection)
    return connection


@cli.command("demo")
@click.argument("file", type=_file, default=_TWO_HOSTS)
@_run_dir
@click.option(
    "--pictures",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a picture of each host's page into this folder.",
)
def demo_(file: Path, run_dir: RunDir, pictures: Path | None) -> None:
    """Bring up a lab, check it with real clients, show its tables, take it down."""
    demo(file, run_dir, pictures)


@cli.command()
@_run_dir
def down(run_dir: RunDir) -> None:
    """End the lab."""
    attach(run_dir).down()


@cli.command()
@_run_dir
def status(run_dir: RunDir) -> None:
    """Show the daemons and the VMs."""
    click.echo(show_state(attach(run_dir).state()))


@cli.command("exec", context_settings={"ignore_unknown_options": True})
@_run_dir
@click.argument("node", metavar="VM|HOST|CONTROLLER")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(run_dir: RunDir, node: str, command: tuple[str, ...]) -> None:
    """Run a command in a VM, on a host or a controller: exec red1 -- ping -c 3 10.1.1.4"""
    argv = attach(run_dir).argv(node, list(command), os.getcwd())
    os.execvpe(argv[0], argv, environment())


@cli.command()
@_node
@_role
@_run_dir
def kill(node: str, role: Role, run_dir: RunDir) -> None:
    """SIGKILL a controller, or a host's agent or forwarder, and leave it dead."""
    attach(run_dir).command(Kill(node, role))


@cli.command()
@_node
@_role
@_run_dir
def start(node: str, role: Role, run_dir: RunDir) -> None:
    """Start a controller, or a host's agent or forwarder, again."""
    attach(run_dir).command(Start(node, role))


@cli.command()
@_node
@_role
@_run_dir
def restart(node: str, role: Role, run_dir: RunDir) -> None:
    """SIGKILL a controller, or a host's agent or forwarder, and start it again."""
    connection = attach(run_dir)
    connection.command(Kill(node, role))
    connection.command(Start(node, role))


@cli.command(epilog=f"Commands: {controls.VERBS}")
@_run_dir
@click.option("--json", "as_json", is_flag=True, help="Print the answer as one line of JSON.")
@click.argument("name", metavar="CONTROLLER")
@click.argument("words", metavar="COMMAND...", nargs=-1, required=True)
def controller(run_dir: RunDir, as_json: bool, name: str, words: tuple[str, ...]) -> None:
    """Give a controller a command: controller control1 withhold routes"""
    answer = attach(run_dir).control(name, list(words))
    if as_json:
        click.echo(controls.line(answer).decode(), nl=False)
    elif isinstance(answer, controls.State):
        click.echo(show_controller(answer))
    elif isinstance(answer, controls.RouteList):
        click.echo(show_routes(answer.routes))


@cli.command()
@click.argument("vm")
@_run_dir
def plug(vm: str, run_dir: RunDir) -> None:
    """Plug a VM's port and wait for its address."""
    attach(run_dir).command(Plug(vm))


@cli.command()
@click.argument("vm")
@_run_dir
def unplug(vm: str, run_dir: RunDir) -> None:
    """End a VM's DHCP client and delete its port."""
    attach(run_dir).command(Unplug(vm))


@cli.command()
@click.option("--listen", default="127.0.0.1:8086", show_default=True, metavar="ADDRESS:PORT")
@click.option("--json", "as_json", is_flag=True, help="Print each message as one line of JSON.")
@click.argument("messages", nargs=-1, metavar="[MESSAGE]...")
def collector(listen: str, as_json: bool, messages: tuple[str, ...]) -> None:
    """Be a collector and print what agents tell: all messages, or those named MESSAGE.

    Agents connect where [DEFAULT] collectors names this address. Ctrl-C ends it.
    """

    def show(one: Told) -> None:
        if not messages or one.name in messages:
            click.echo(one.json if as_json else one.line)

    def ready(port: int) -> None:
        click.echo(f"collecting on port {port}; Ctrl-C ends it", err=True)

    address, port = listening(listen)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(LabCollector(show).serve(address, port, ready))


def main() -> None:
    """The console command: errors are one message and exit status 1."""
    try:
        cli(prog_name="vrouter-lab")
    except AgentError as error:
        print(f"vrouter-lab: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
