"""A client's side of the control socket."""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from agent.errors import UsageError
from agent.lab.controller import messages
from agent.lab.errors import LabError
from agent.lab.messages import (
    AnyReply,
    Control,
    Controlled,
    Done,
    Down,
    Failed,
    Request,
    State,
    Status,
    Step,
    line,
    read_reply,
)
from agent.lab.processes import tail
from agent.lab.rundir import RunDir
from agent.lab.sandbox import enter_argv, node_argv

END_SECONDS = 30.0


class Connection:
    """A connection to the supervisor of a running lab; `pid` is the supervisor's."""

    def __init__(self, run_dir: RunDir) -> None:
        self._run_dir = run_dir
        self._sock = run_dir.connect()
        self._lines = self._sock.makefile("rb")
        layout = struct.Struct("3i")
        raw = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, layout.size)
        self._nodes: dict[str, int] = {}
        self.pid: int = layout.unpack(raw)[0]

    def ask(self, request: Request) -> Iterator[AnyReply]:
        """Send a request and yield its replies; LabError when it failed or the lab ended."""
        try:
            self._sock.sendall(line(request))
            while text := self._lines.readline():
                reply = read_reply(text)
                if isinstance(reply, Failed):
                    raise LabError(reply.reason)
                yield reply
                if not isinstance(reply, Step):
                    return
        except ConnectionError:
            pass
        raise LabError(f"the lab ended\n{tail(self._run_dir.lab_log)}")

    def command(self, request: Request) -> None:
        """Send a request that is answered by Done."""
        for reply in self.ask(request):
            assert isinstance(reply, Done)

    def state(self) -> State:
        """The state of the lab."""
        (reply,) = self.ask(Status())
        assert isinstance(reply, State)
        return reply

    def argv(self, node: str, command: list[str], directory: str = "/") -> list[str]:
        """The command line that runs `command` in a VM or on a host from outside.

        UsageError names the nodes if there is none of that name.
        """
        if node not in self._nodes:
            self._nodes = self.state().nodes
        if node not in self._nodes:
            known = ", ".join(self._nodes)
            raise UsageError(f"no VM, host or controller {node!r} in this lab; there are: {known}")
        return self.inside(node_argv(self._nodes[node], command, directory))

    def inside(self, command: list[str]) -> list[str]:
        """The command line that runs `command` in the sandbox itself, where the fabric is."""
        return enter_argv(self.pid, command)

    def control(self, controller: str, words: list[str]) -> messages.AnyReply:
        """Give a controller a command in words; LabError if it refuses."""
        (reply,) = self.ask(Control(controller, words))
        assert isinstance(reply, Controlled)
        answer: messages.AnyReply = messages.read_reply(reply.answer)
        if isinstance(answer, messages.Failed):
            raise LabError(f"{controller}: {answer.reason}")
        return answer

    def close(self) -> None:
        """Leave the lab alone."""
        self._lines.close()
        self._sock.close()

    def down(self) -> None:
        """End the lab and wait until every process of it is gone."""
        init = _init_of(self.pid)
        with suppress(ConnectionError):  # when it is ending already
            self._sock.sendall(line(Down()))
        self.close()
        if init is None:
            return
        try:
            if not select.select([init], [], [], END_SECONDS)[0]:
                raise LabError(f"the lab did not end within {END_SECONDS:g} s")
        finally:
            os.close(init)


def attach(run_dir: RunDir) -> Connection:
    """Connect to the lab that runs in a directory; UsageError if none does."""
    if not run_dir.in_use():
        raise UsageError(f"no lab runs in {run_dir}; start one with: vrouter-lab up FILE")
    return Connection(run_dir)


def _init_of(supervisor: int) -> int | None:
    """A pidfd of the sandbox's first process, the supervisor's parent; None if it is gone."""
    try:
        stat = Path(f"/proc/{supervisor}/stat").read_text()
        return os.pidfd_open(int(stat.rpartition(")")[2].split()[1]))
    except (FileNotFoundError, ProcessLookupError):
        return None
