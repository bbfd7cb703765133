"""One controller of a lab: its process, and the commands that it is given."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.lab.controller import messages
from agent.lab.errors import LabError
from agent.lab.messages import DaemonState
from agent.lab.processes import Daemon, Node
from agent.topology import Controller

READY_SECONDS = 20.0
ANSWER_SECONDS = 10.0
LONGEST_ANSWER = 1 << 26


class ControlNode:
    """A controller in its own namespaces; it reads the lab's own topology file."""

    def __init__(self, controller: Controller, topology_file: Path, directory: Path, logs: Path):
        self.name = controller.name
        self.directory = directory
        self.node: Node | None = None
        self._socket = directory / "control"
        listen = f"{controller.address.ip}:{controller.port}"
        words = ["-m", "agent.lab.controller", "--name", self.name, "--listen", listen]
        words += ["--topology", str(topology_file), "--control", str(self._socket)]
        self.daemon = Daemon(
            f"the controller {self.name}", [sys.executable, *words], logs / f"{self.name}.log"
        )

    async def start(self) -> None:
        """Start the process and wait until it serves."""
        assert self.node, "bring-up makes the node first"
        if not self.daemon.running:
            self._socket.unlink(missing_ok=True)  # of a process that was killed
        await self.daemon.start(self.node)
        await self.daemon.until("answer", self._serves, READY_SECONDS)

    async def _serves(self) -> bool:
        return self._socket.exists()

    async def say(self, words: Sequence[str]) -> str:
        """Give it a command in words; its answer, a line of agent.lab.controller.messages.

        UsageError if there is no such command, LabError if the controller does not answer.
        """
        command = messages.line(messages.command_of(words))
        try:
            return await asyncio.wait_for(self._exchange(command), ANSWER_SECONDS)
        except (OSError, TimeoutError):
            raise self.daemon.failure(f"no answer ({self.daemon.state})") from None

    async def _exchange(self, command: bytes) -> str:
        reader, writer = await asyncio.open_unix_connection(str(self._socket), limit=LONGEST_ANSWER)
        try:
            writer.write(command)
            answer = await reader.readline()
        finally:
            writer.close()
        if not answer.endswith(b"\n"):
            raise ConnectionError
        return answer.decode()

    async def state(self) -> messages.State:
        """How it is; LabError if it does not answer."""
        reply = messages.read_reply(await self.say(["status"]))
        if not isinstance(reply, messages.State):
            raise LabError(f"{self.name} answered its status with {reply}")
        return reply

    def daemon_state(self) -> DaemonState:
        """How its process is, for `status`."""
        daemon = self.daemon
        return DaemonState(self.name, "controller", daemon.state, daemon.pid, daemon.seconds)
