"""One host of a lab: its network, its forwarder, its agent and the agent's port API."""

from __future__ import annotations

import asyncio
import http.client
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.lab.errors import LabError
from agent.lab.messages import DaemonState, Role
from agent.lab.netns import call
from agent.lab.plan import CONFIG, REST_PORT, RUN_DIR, TOPOLOGY, VHOST, agent_config
from agent.lab.processes import Daemon, Node, run
from agent.lab.sandbox import NODES
from agent.topology import Host, Topology

READY_SECONDS = 20.0


class HostNode:
    """A host with its daemons. `directory` is what the host sees as its run directory."""

    def __init__(self, host: Host, directory: Path, logs: Path) -> None:
        self.name = host.name
        self.directory = directory
        self.node: Node | None = None
        self._host = host
        self._addressed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._network = Daemon(
            f"the network of {host.name}",
            ["ip", "-o", "monitor", "link"],
            logs / f"{host.name}-network.log",
            self._network_event,
        )
        python = sys.executable
        forwarder = ["-m", "agent.forwarder", "--run-dir", str(RUN_DIR)]
        forwarder += ["--fabric", host.interface]
        agent = ["-m", "agent", "--config", str(CONFIG), "--run-dir", str(RUN_DIR)]
        arguments: dict[Role, list[str]] = {"forwarder": forwarder, "agent": agent}
        self.daemons: dict[Role, Daemon] = {
            role: Daemon(
                f"the {role} of {host.name}",
                [python, *words],
                logs / f"{host.name}-{role}.log",
            )
            for role, words in arguments.items()
        }

    def write_files(self, topology: Topology, text: str) -> None:
        """Put the agent's configuration and topology (its text) into the run directory."""
        (self.directory / TOPOLOGY.name).write_text(text)
        (self.directory / CONFIG.name).write_text(agent_config(self._host, topology))

    def _network_event(self, line: str) -> None:
        """What network scripts do: whenever the datapath makes vhost0, it gets its address."""
        if f" {VHOST}: " not in line:
            return
        if line.startswith("Deleted"):
            self._addressed.clear()
        elif not self._addressed.is_set():
            task = asyncio.create_task(self._give_address())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _give_address(self) -> None:
        assert self.node
        lines = f"address replace {self._host.fabric} dev {VHOST}\nlink set {VHOST} up\n"
        with suppress(LabError):  # gone again: the next one has its own event
            await run(self.node.argv(["ip", "-batch", "-"]), lines)
            self._addressed.set()

    async def boot(self) -> None:
        """Start what gives vhost0 its address, before there is a vhost0."""
        assert self.node, "bring-up makes the node first"
        await self._network.start(self.node)

    async def addressed(self) -> None:
        """Wait until vhost0 has the host's address; LabError if it gets none."""
        forwarder = self.daemons["forwarder"]  # if it could not make vhost0, its log says why
        await forwarder.until(f"address on {VHOST}", self._has_address, READY_SECONDS)

    async def _has_address(self) -> bool:
        return self._addressed.is_set()

    async def start(self, role: Role) -> None:
        """Start a daemon and wait until it serves."""
        assert self.node, "bring-up makes the node first"
        daemon = self.daemons[role]
        await daemon.start(self.node)
        probe = self._forwarder_serves if role == "forwarder" else self._agent_serves
        await daemon.until("answer", probe, READY_SECONDS)

    async def _forwarder_serves(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            try:
                sock.connect(str(self.directory / "dpdk_netlink"))
            except OSError:
                return False
        return True

    async def _agent_serves(self) -> bool:
        try:
            await self.rest("GET", "/")
        except (OSError, http.client.HTTPException):
            return False
        return True

    async def rest(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """One request to the agent's port API."""
        return await asyncio.to_thread(call, NODES / self.name, REST_PORT, method, path, body)

    async def ports(self, method: str, path: str, body: Any = None) -> None:
        """A request to the port API that must succeed; LabError with its answer if not."""
        try:
            status, answer = await self.rest(method, path, body)
        except (OSError, http.client.HTTPException) as error:
            raise self.daemons["agent"].failure(f"{method} {path}: {error}") from None
        if status != http.client.OK:
            raise LabError(f"the agent of {self.name}: {method} {path}: {status}: {answer}")

    def states(self) -> list[DaemonState]:
        """How the daemons are, for `status`."""
        return [
            DaemonState(self.name, role, daemon.state, daemon.pid, daemon.seconds)
            for role, daemon in self.daemons.items()
        ]

    async def stop(self) -> None:
        """End the agent, then the forwarder."""
        await self.daemons["agent"].stop()
        await self.daemons["forwarder"].stop()
        await self._network.stop()
