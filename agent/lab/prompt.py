"""The prompt of `vrouter-lab run`: commands typed at a lab that is kept up."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module

from agent.ifmap.from_topology import vrf_name
from agent.lab.plan import Plan
from agent.lab.rundir import RunDir
from agent.topology import Topology, Vm


def hints(plan: Plan, run_dir: RunDir, pages: Mapping[str, str]) -> str:
    """What to try, with names of this topology; `pages` has the address of each host's page."""
    topology = plan.topology
    vms = list(topology.vms.values())
    host = next(iter(topology.hosts))
    lines = ["status"]
    if vms:
        lines += [f"exec {vms[0].name} -- ip address", f"unplug {vms[0].name}"]
        peer, stranger = _peer(vms, same=True), _peer(vms, same=False)
        lines += [f"exec {vms[0].name} -- ping -c 3 {peer.address}"] if peer else []
        lines += [f"exec {vms[0].name} -- ping -c 3 {stranger.address}"] if stranger else []
    lines += [f"exec {host} -- vif --list", f"exec {host} -- rt --dump 2", f"kill {host} agent"]
    lines += [f"start {host} agent", *_control_hints(topology), "help", "quit"]
    text = "\n".join(f"  {line}" for line in lines)
    shown = "".join(f"  {host}: {url}\n" for host, url in pages.items())
    return (
        f"in a browser:\n{shown}try:\n{text}\n"
        f"from another terminal: vrouter-lab COMMAND --run-dir {run_dir}; logs: {run_dir.logs}"
    )


def _control_hints(topology: Topology) -> list[str]:
    """What can be done to controllers: traffic must not notice any of it."""
    if not topology.controllers:
        return []
    name = next(iter(topology.controllers))
    lines = [f"controller {name} status", f"kill {name}", f"start {name}"]
    lines += [f"controller {name} flap 3 0.5", f"controller {name} withhold routes"]
    lines += [f"controller {name} release"]
    if topology.networks:
        lines.append(f"controller {name} routes {vrf_name(next(iter(topology.networks)))}")
    host = next(iter(topology.hosts.values()))
    lines.append(f"exec {host.name} -- tcpdump -ni {host.interface}")
    return lines


def _peer(vms: list[Vm], same: bool) -> Vm | None:
    return next((vm for vm in vms[1:] if (vm.network == vms[0].network) is same), None)


def prompt(run_dir: RunDir, known: Callable[[], str]) -> None:
    """Read commands until end of input or `quit`, and run each as `vrouter-lab` would."""
    with suppress(ImportError):  # not part of every Python; gives input() a history
        import_module("readline")
    while True:
        try:
            words = shlex.split(input("lab> "))
        except EOFError:
            print()
            return
        except ValueError as error:
            print(f"cannot read that: {error}")
            continue
        if words[:1] in (["quit"], ["exit"]):
            return
        if words == ["help"]:
            print(known())
        elif words:
            _run(run_dir, words)


def _run(run_dir: RunDir, words: list[str]) -> None:
    argv = [sys.executable, "-m", "agent.lab", words[0], "--run-dir", str(run_dir), *words[1:]]
    # Ctrl-C is for the command: a handler of ours, unlike SIG_IGN, is not inherited by it.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        subprocess.run(argv, check=False)
    finally:
        signal.signal(signal.SIGINT, before)
