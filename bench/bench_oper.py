"""The compiler of `oper`: a whole configuration at once, and one change in it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench_ksync import carry, connected

from agent.inputs import GraphNode
from agent.ksync import Session
from agent.oper import Compiler
from tests.graph.worlds import SETTINGS, World, full, move, put, worked

NETWORKS, VMS = 50, 20
COMPILE = f"oper: compile {NETWORKS * VMS} VMIs in {NETWORKS} networks"
CHANGE = f"oper: one MAC address changed among {NETWORKS * VMS} VMIs"
MACS = "virtual-machine-interface-mac-addresses"


def filled(world: World) -> Compiler:
    compiler = Compiler(SETTINGS)
    move(compiler, World(), world)
    return compiler


def vmi_node(world: World) -> GraphNode:
    nodes = [row for row in world.inputs.values() if isinstance(row, GraphNode)]
    return next(node for node in nodes if node.type == "virtual-machine-interface")


def test_compile(contest: Any) -> None:
    world = full(worked(vms=VMS, networks=NETWORKS))
    assert len(filled(world).commit().changed) > 14 * 1000
    contest(COMPILE, "vrouter", aim_ns=3e9).pedantic(
        lambda compiler: compiler.commit(),
        setup=lambda: ((filled(world),), {}),
        rounds=5,
        iterations=1,
    )


def test_compile_and_sync(contest: Any) -> None:
    """Until a datapath has acknowledged everything."""
    world = full(worked(vms=VMS, networks=NETWORKS))

    def run(compiler: Compiler, session: Session) -> None:
        session.apply(compiler.commit().changed, (), 0.0)
        session.complete(0.0)
        carry(session)
        assert session.in_sync

    contest(f"{COMPILE}, until in sync", "vrouter", aim_ns=3e9).pedantic(
        run, setup=lambda: ((filled(world), connected()), {}), rounds=3, iterations=1
    )


def test_change_incremental(contest: Any) -> None:
    world = full(worked(vms=VMS, networks=NETWORKS))
    compiler = filled(world)
    compiler.commit()
    old = vmi_node(world)
    macs = [{MACS: {"mac-address": [f"02:99:00:00:00:0{at}"]}} for at in (1, 2)]
    nodes = [replace(old, properties={**old.properties, **mac}) for mac in macs]

    def change() -> None:
        nodes.reverse()
        put(compiler, nodes[0])
        assert len(compiler.commit().changed) == 7

    contest(CHANGE, "vrouter")(change)


def test_change_full(contest: Any) -> None:
    world = full(worked(vms=VMS, networks=NETWORKS))
    contest(CHANGE, "all computed anew").pedantic(
        lambda compiler: compiler.commit(),
        setup=lambda: ((filled(world),), {}),
        rounds=3,
        iterations=1,
    )
