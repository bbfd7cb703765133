"""The demonstration: a lab brought up, checked with real clients, shown and taken down."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from agent.lab import checks, crossing, fabric, screenshot, survival
from agent.lab.connection import Connection
from agent.lab.console import Progress, show_controller, show_flows, show_state
from agent.lab.controller.messages import State
from agent.lab.doors import doors
from agent.lab.errors import LabError
from agent.lab.launch import Launch, load_plan
from agent.lab.plan import PAGE_PORT, Plan
from agent.lab.processes import tail
from agent.lab.rundir import RunDir
from agent.topology import Topology


def demo(topology_file: Path, run_dir: RunDir, pictures: Path | None) -> None:
    """Run it; LabError says what was not as it should be. The lab has ended on return.

    `pictures` is the folder for a picture of each host's page; None: none are taken.
    """
    plan = load_plan(topology_file)
    start = time.monotonic()
    print(f"{plan.topology.name}: {_contents(plan)}")
    progress = Progress()
    launch = Launch(topology_file, run_dir)
    try:
        launch.wait()
        connection = Connection(run_dir)
        progress.follow(connection)
        try:
            with doors(connection, plan.topology) as pages:
                print(
                    "\n" + "\n".join(f"{host}: {door.url}" for host, door in pages.items()) + "\n"
                )
                _check(connection, plan.topology, progress, run_dir)
                if pictures is not None:
                    _pictures(connection, plan.topology, progress, pictures)
        except LabError as error:
            tails = [tail(log) for log in sorted(run_dir.logs.iterdir())]
            raise LabError("\n".join([str(error), *tails])) from None
        connection.close()
    except BaseException:
        launch.end()
        raise
    with progress.step("taken down"):
        launch.end()
    _summary(progress, time.monotonic() - start)


def _contents(plan: Plan) -> str:
    topology = plan.topology
    counts = (
        (topology.networks, "network"),
        (topology.vms, "VM"),
        (topology.hosts, "host"),
        (topology.controllers, "controller"),
    )
    return ", ".join(f"{len(rows)} {word}{'s' * (len(rows) != 1)}" for rows, word in counts if rows)


def _check(connection: Connection, topology: Topology, progress: Progress, run_dir: RunDir) -> None:
    with progress.step("ARP: gateway and peers resolved"):
        checks.arp(connection, topology)
    if survival.remote_pairs(topology):
        _check_fabric(connection, topology, progress, run_dir.path / "fabric.pcap")
    else:
        with progress.step("ping within each network: 0 % loss"):
            checks.reachable(connection, topology)
    with progress.step("ping across networks: nothing answered"):
        checks.separated(connection, topology)
    _check_policy(connection, topology, progress)
    print(f"\n{show_state(connection.state())}")
    for name in topology.controllers:
        state = connection.control(name, ["status"])
        assert isinstance(state, State)
        print(f"\n{show_controller(state)}")
    for host in topology.hosts:
        print(f"\n{_tables(connection, topology, host)}")
    print()
    if survival.remote_pairs(topology):
        _check_survival(connection, topology, progress)


def _check_fabric(
    connection: Connection, topology: Topology, progress: Progress, file: Path
) -> None:
    with (
        progress.step("ping within each network: 0 % loss"),
        fabric.capture(connection, file),
    ):
        checks.reachable(connection, topology)
    with progress.step(f"tshark on the fabric: {topology.encapsulations[0]}"):
        flows = fabric.read(file)
        announced = fabric.labels(connection, topology)
        tunnels = fabric.tunnelled(topology, flows, announced, checks.PINGS)
    print(f"\n{show_flows({flow: flows[flow] for flow in tunnels})}\n")


def _check_policy(connection: Connection, topology: Topology, progress: Progress) -> None:
    found = crossing.crossing(topology)
    if found is None:
        return
    with progress.step(f"TCP across networks: {found.passes} passes, {found.denied} is denied"):
        crossing.connect(connection, found)
    with progress.step("both explained"):
        told = list(crossing.explanations(connection, found))
    print("\n" + "\n\n".join(told))


def _check_survival(connection: Connection, topology: Topology, progress: Progress) -> None:
    first, *rest = topology.controllers
    steps = [(f"{first} killed during ping: 0 % loss", lambda: survival.kill(connection, [first]))]
    if rest:
        steps.append(("all controllers killed: 0 % loss", lambda: survival.kill(connection, rest)))
    steps.append(("controllers back: 0 % loss", lambda: survival.revive(connection, topology)))
    for title, action in steps:
        with progress.step(title):
            survival.without_loss(connection, topology, action)


def _pictures(connection: Connection, topology: Topology, progress: Progress, folder: Path) -> None:
    """What a browser shows of each host; a machine without one has no pictures."""
    with progress.step("pictures of the hosts' pages"):
        for host in topology.hosts:
            file = folder / f"{topology.name}-{host}.png"
            try:
                screenshot.of_host(connection, host, PAGE_PORT, file)
            except screenshot.NoPictureError as error:
                print(f"no pictures: {error}")
                return
            print(f"{host}: {file}")


def _tables(connection: Connection, topology: Topology, host: str) -> str:
    vifs = json.loads(_tool(connection, host, "vif", "--list", "--json"))
    taps = {vm.tap for vm in topology.on_host(host)}
    vrfs = sorted({vif["vrf"] for vif in vifs if vif["name"] in taps})
    commands = [["vif", "--list"], ["nh", "--list"]]
    commands += [["rt", "--dump", str(vrf), "--routes"] for vrf in vrfs]
    if topology.controllers:
        commands += [["rt", "--dump", str(vrf), "--family", "bridge"] for vrf in vrfs]
        commands += [["mpls", "--dump"], ["vxlan", "--dump"]]
    return "\n\n".join(
        f"{host}# {' '.join(command)}\n{_tool(connection, host, *command).rstrip()}"
        for command in commands
    )


def _tool(connection: Connection, host: str, name: str, *options: str) -> str:
    """What one of our console commands prints; it need not be installed in PATH."""
    start = f"import sys, agent.cli.{name} as tool; sys.exit(tool.main(sys.argv[1:]))"
    return checks.output_of(connection, host, [sys.executable, "-c", start, *options])


def _summary(progress: Progress, total: float) -> None:
    print("\nsummary")
    for step in progress.steps:
        print(f"  {step.title:<46} {step.seconds or 0.0:6.2f} s")
    print(f"  {'all':<46} {total:6.2f} s")
    print("demo: ok")
