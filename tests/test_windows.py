"""What Windows would load imports nothing that only POSIX systems have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = (
    *("agent." + name for name in ("errors", "values", "timers", "histogram", "inputs", "objects")),
    *("agent." + name for name in ("routes", "topology", "loop", "settings")),
    *("agent." + name for name in ("sandesh", "ksync", "xmpp", "ifmap", "rib", "oper", "pkt")),
    *("agent." + name for name in ("services", "flow", "shm", "record", "backup")),
    *("agent." + name for name in ("rest", "introspect", "telemetry")),
)
SHELL = (
    "agent.io.datapath",
    "agent.io.ksync",
    "agent.io.pipes",
    "agent.io.pkt0_channel",
    "agent.io.reconnect",
    "agent.daemon.core",
)
"""What connects the core with a Forwarding Extension."""
LOAD = """
import importlib, pkgutil, socket, sys

for name in "fcntl grp pwd resource syslog termios tty pty uvloop pyroute2".split():
    sys.modules[name] = None
for name in ("AF_UNIX", "AF_NETLINK", "AF_PACKET", "SOCK_CLOEXEC", "SOCK_NONBLOCK"):
    delattr(socket, name)
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for each in pkgutil.walk_packages(getattr(package, "__path__", ()), name + "."):
        importlib.import_module(each.name)
"""


@pytest.mark.parametrize("names", [CORE, SHELL], ids=["core", "shell"])
def test_loads_without_what_only_posix_has(names: tuple[str, ...]) -> None:
    made = subprocess.run(
        [sys.executable, "-c", LOAD, *names], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (made.returncode, made.stderr) == (0, "")


def test_the_loop_is_asyncios_own_where_there_is_no_other() -> None:
    code = """
import asyncio, sys
if len(sys.argv) > 1:
    sys.modules["uvloop"] = None
from agent import loop

async def main():
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]

print(loop.run(main()))
"""
    for words, module in (([], "uvloop"), (["blocked"], "asyncio")):
        made = subprocess.run(
            [sys.executable, "-c", code, *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert made.stdout.strip() == module
