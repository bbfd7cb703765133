"""What `vrouter-lab` prints: steps as they happen, states as tables."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from agent.lab.connection import Connection
from agent.lab.controller import messages
from agent.lab.fabric import Flow
from agent.lab.messages import Follow, State, Step

_CLEAR = "\r\x1b[K"
_TITLE_WIDTH = 46


class Progress:
    """Prints each step with its time. On a terminal the running step shows as well."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._live = sys.stdout.isatty()

    def show(self, step: Step) -> None:
        """A step was entered, or has finished."""
        if step.seconds is None:
            if self._live:
                print(f"{_CLEAR}  {step.title} ...", end="", flush=True)
            return
        self.steps.append(step)
        start = _CLEAR if self._live else ""
        print(f"{start}  {step.title:<{_TITLE_WIDTH}} {step.seconds:6.2f} s", flush=True)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show what happens inside as one step; a failure leaves its name on the screen."""
        self.show(Step(title))
        start = time.monotonic()
        try:
            yield
        except BaseException:
            self.failed(title)
            raise
        self.show(Step(title, time.monotonic() - start))

    def failed(self, title: str) -> None:
        """The step did not finish."""
        print(f"{_CLEAR if self._live else ''}  {title}: failed", flush=True)

    def follow(self, connection: Connection) -> None:
        """Show a lab's bring-up until it is ready; LabError if it fails."""
        current = ""
        try:
            for reply in connection.ask(Follow()):
                if isinstance(reply, Step):
                    current = reply.title
                    self.show(reply)
        except BaseException:
            if current:
                self.failed(current)
            raise


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows below a head, in columns as wide as needed."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
    return "\n".join(lines)


def show_state(state: State) -> str:
    """A lab's state as two tables."""
    daemons = [
        (d.node, d.role, d.state, str(d.pid or "-"), f"{d.seconds:.0f} s") for d in state.daemons
    ]
    vms = [
        (
            vm.name,
            vm.host,
            vm.network,
            vm.lease.address if vm.lease else "no lease",
            vm.mac,
            vm.tap,
        )
        for vm in state.vms
    ]
    phase = "ready" if state.ready else "not ready"
    return "\n\n".join(
        [
            f"{state.name}: {phase} ({state.topology})",
            table(("NODE", "DAEMON", "STATE", "PID", "FOR"), daemons),
            table(("VM", "HOST", "NETWORK", "ADDRESS", "MAC", "TAP"), vms),
        ]
    )


def show_controller(state: messages.State) -> str:
    """How a controller is, and its sessions."""
    facts = ["serving" if state.serving else "stopped"]
    facts += [f"everything {state.delay_ms:g} ms late"] if state.delay_ms else []
    facts += [f"withholds {', '.join(state.withheld)}"] if state.withheld else []
    facts += [f"keeps the routes of {', '.join(state.stale)}"] if state.stale else []
    sessions = [
        (
            agent.name,
            agent.address,
            f"{agent.seconds:.0f} s",
            str(len(agent.vrfs)),
            str(agent.published),
            "none" if agent.machines is None else f"{agent.nodes} objects",
            f"{agent.received}/{agent.sent}",
        )
        for agent in state.agents
    ]
    head = ("AGENT", "ADDRESS", "FOR", "VRFS", "ROUTES", "CONFIGURATION", "STANZAS IN/OUT")
    parts = [f"{state.name}: {', '.join(facts)}", table(head, sessions)]
    parts += ["\n".join(["what agents did wrong:", *state.violations])] if state.violations else []
    return "\n".join(parts)


def show_routes(routes: Sequence[messages.Route]) -> str:
    """Routes with who publishes them."""
    rows = [
        (route.family, route.route, agent, nexthop)
        for route in routes
        for agent, nexthop in route.nexthops.items()
    ]
    return table(("FAMILY", "ROUTE", "AGENT", "NEXTHOP LABEL"), rows)


def show_flows(flows: Mapping[Flow, int]) -> str:
    """What was seen on the fabric."""
    rows = [
        (flow.source, flow.target, flow.encapsulation, str(flow.label), str(count))
        for flow, count in flows.items()
    ]
    return table(("FROM", "TO", "TUNNEL", "LABEL/VNI", "FRAMES"), rows)
