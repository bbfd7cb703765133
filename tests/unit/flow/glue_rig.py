"""Topologies brought through oper into a world that decides on flows."""

from __future__ import annotations

import random
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

from agent import topology
from agent._fast.classifier import Classifier
from agent._fast.flow_world import World
from agent.flow.explain import Explainer, Explanation
from agent.flow.feed import WorldFeed
from agent.flow.question import PROTOCOLS, Question
from agent.oper import Compiler
from tests.graph.worlds import SETTINGS, Datapath, full, move
from tests.graph.worlds import World as State

HOST = "compute-1"


class Fed:
    """A world that follows a compiler through states."""

    def __init__(self) -> None:
        self.compiler = Compiler(SETTINGS)
        self.datapath = Datapath(self.compiler)
        self.world = World(Classifier())
        self.feed = WorldFeed(self.world)
        self.at = State()

    def go(self, state: State, shuffle: random.Random | None = None) -> Fed:
        """Move to a state in one batch."""
        move(self.compiler, self.at, state, shuffle)
        self.at = state
        return self.commit()

    def commit(self) -> Fed:
        """Take over what the compiler has changed, until nothing waits."""
        while True:
            delta = self.compiler.commit()
            self.datapath.apply(delta)
            self.feed.follow(delta, self.compiler)
            assert self.compiler.failures() == {}
            if not self.compiler.pending:
                return self

    def explain(self, source: str, destination: str, protocol: str, *ports: int) -> Explanation:
        """What becomes of a flow."""
        ends = ip_address(source), ip_address(destination)
        asked = Question(*ends, PROTOCOLS[protocol], *ports)
        return Explainer(self.world, self.feed.lists, self.feed, self.compiler).explain(asked)


def parsed(**content: Any) -> topology.Topology:
    """A topology of one host with networks red and blue; `content` is added to it."""
    return topology.parse(
        {
            "hosts": {HOST: {"fabric": "10.0.0.1/24"}},
            "networks": {"red": {"subnet": "10.1.1.0/24"}, "blue": {"subnet": "10.2.2.0/24"}},
            "vms": {
                "red1": {"network": "red", "address": "10.1.1.3"},
                "red2": {"network": "red", "address": "10.1.1.4"},
                "blue1": {"network": "blue", "address": "10.2.2.3"},
            },
        }
        | content
    )


def fed(*states: State) -> Fed:
    """A world that went through states."""
    one = Fed()
    for state in states:
        one.go(state)
    return one


def of(**content: Any) -> State:
    """The state in which everything of a topology is there."""
    return full(parsed(**content))


def topics(told: Explanation) -> Iterable[str]:
    """What the steps of an explanation are about."""
    return [step.topic for step in told.steps]
