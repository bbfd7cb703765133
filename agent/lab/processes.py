"""Processes inside a sandbox: commands that are awaited and daemons that are watched."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from agent.lab.errors import LabError
from agent.lab.sandbox import hold_node_argv, node_argv, search_path

POLL_SECONDS = 0.02
GRACE_SECONDS = 5.0
TAIL_LINES = 15


def environment() -> dict[str, str]:
    """The environment of everything that runs in a lab; this program's tools are in PATH."""
    path = f"{Path(sys.executable).parent}:{search_path()}"
    return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", "LC_ALL": "C.UTF-8"}


async def run(argv: Sequence[str], text: str = "", limit: float = 30.0) -> str:
    """Run a command to its end with `text` on its input; return its output.

    LabError, with what it printed, if it fails or takes longer than `limit` seconds.
    """
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment(),
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(text.encode()), limit)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise LabError(f"{' '.join(argv)}: no end after {limit:g} s") from None
    printed = output.decode(errors="replace")
    if process.returncode:
        raise LabError(f"{' '.join(argv)}: failed ({process.returncode}): {printed.strip()}")
    return printed


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log, indented, below its name; for error messages."""
    try:
        text = log.read_text(errors="replace")
    except OSError as error:
        return f"{log}: {error.strerror}"
    last = text.splitlines()[-lines:] or ["(empty)"]
    return "\n".join([f"{log}:", *(f"    {line}" for line in last)])


class Node:
    """The namespaces of a host or a VM, held by a process of their own."""

    def __init__(self, name: str, holder: asyncio.subprocess.Process) -> None:
        self.name = name
        self.pid = holder.pid
        self._holder = holder  # kept: its end would be the node's

    @classmethod
    async def make(cls, name: str, binds: Sequence[tuple[Path, Path]]) -> Node:
        """Make them around the network namespace of that name.

        In them each target of `binds` shows its source.
        """
        holder = await asyncio.create_subprocess_exec(
            *hold_node_argv(name, binds),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            env=environment(),
        )
        assert holder.stdout
        if not await holder.stdout.readline():
            raise LabError(f"cannot make the namespaces of {name}; see the log of the lab")
        return cls(name, holder)

    def argv(self, command: Sequence[str]) -> list[str]:
        """The command line that runs `command` here, from within the sandbox."""
        return node_argv(self.pid, command)


class Daemon:
    """One long-running process, its output appended to `log`.

    With `lines`, standard output is read instead, and each line handed to it.
    """

    def __init__(
        self,
        title: str,
        argv: Sequence[str],
        log: Path,
        lines: Callable[[str], None] | None = None,
    ) -> None:
        self.title = title
        self.log = log
        self._argv = argv
        self._lines = lines
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._since = time.monotonic()

    @property
    def running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """The process as the sandbox numbers it, while it runs."""
        return self._process.pid if self._process and self.running else None

    @property
    def seconds(self) -> float:
        """Since the last start."""
        return time.monotonic() - self._since

    @property
    def state(self) -> str:
        """ "running", "not started" or how it ended."""
        if self._process is None:
            return "not started"
        code = self._process.returncode
        if code is None:
            return "running"
        return f"killed by signal {-code}" if code < 0 else f"exited with {code}"

    async def start(self, node: Node) -> None:
        """Start the process on a node; LabError if it runs already."""
        if self.running:
            raise LabError(f"{self.title} is running already")
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *node.argv(self._argv),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if self._lines else log,
                stderr=log,
                env=environment(),
            )
        self._since = time.monotonic()
        if self._process.stdout:
            self._reader = asyncio.create_task(self._read(self._process.stdout))

    async def _read(self, stream: asyncio.StreamReader) -> None:
        assert self._lines
        while line := await stream.readline():
            self._lines(line.decode(errors="replace").rstrip("\n"))

    async def until(self, what: str, probe: Callable[[], Awaitable[bool]], limit: float) -> None:
        """Wait until `probe` says yes; LabError if the process ends first or it takes too long."""
        deadline = time.monotonic() + limit
        while not await probe():
            if not self.running:
                raise self.failure(self.state)
            if time.monotonic() > deadline:
                raise self.failure(f"no {what} after {limit:g} s")
            await asyncio.sleep(POLL_SECONDS)

    def failure(self, how: str) -> LabError:
        """An error that says how this process failed and what it logged last."""
        return LabError(f"{self.title}: {how}\n{tail(self.log)}")

    async def kill(self) -> None:
        """SIGKILL; returns once the process is gone."""
        if self._process and self.running:
            self._process.kill()
            await self._process.wait()
        await self._drained()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL when that is not heeded; returns once the process is gone."""
        if self._process and self.running:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), GRACE_SECONDS)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        await self._drained()

    async def _drained(self) -> None:
        if self._reader:
            self._reader.cancel()
            self._reader = None
