"""The first process of a sandbox: prepares its mounts, runs the supervisor, reaps.

`python -m agent.lab.init LOCK LIFELINE RUN_DIR TOPOLOGY`, with two inherited
descriptors, the first of which need only stay open. Only `agent.lab.launch` calls it,
through `sandbox.make_argv`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from agent.lab.launch import SERVING, load_plan
from agent.lab.rundir import RunDir
from agent.lab.supervisor import Supervisor


def main() -> None:
    """Fork the supervisor and be init: reap until it ends; the kernel then ends the rest."""
    lifeline = int(sys.argv[2])
    supervisor = os.fork()
    if supervisor == 0:
        _supervise(socket.socket(fileno=lifeline), RunDir(Path(sys.argv[3])), Path(sys.argv[4]))
        return
    os.close(lifeline)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(supervisor, signal.SIGTERM))
    while True:
        pid, status = os.wait()
        if pid == supervisor:
            sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _supervise(lifeline: socket.socket, run_dir: RunDir, topology_file: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "lab", "/run"], check=True)
    try:
        supervisor = Supervisor(load_plan(topology_file), topology_file, run_dir.logs)
        with run_dir.listen() as listener:
            lifeline.send(SERVING)
            asyncio.run(supervisor.run(listener, lifeline))
    finally:
        run_dir.remove()


if __name__ == "__main__":
    main()
