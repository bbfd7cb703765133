"""The private namespaces in which a lab lives: command lines to make and to enter them.

A sandbox is one set of mount, PID, network, UTS and IPC namespaces (and a user namespace
when we may not make the others without one). Its first process is init of the PID
namespace: when that ends for whatever reason, the kernel ends every process inside and
frees mounts, links and network namespaces with them. So a lab cannot leave anything behind.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

CAP_SYS_ADMIN = 21
_KINDS = ("--mount", "--pid", "--net", "--uts", "--ipc")

NODES = Path("/run/netns")
"""Where a sandbox names its network namespaces; `ip -n NAME` looks here."""

REFUSED = (
    "the kernel does not let this user make namespaces; run as root (in a container: with "
    "CAP_SYS_ADMIN), or allow unprivileged user namespaces (on Ubuntu 24.04: sysctl "
    "kernel.apparmor_restrict_unprivileged_userns=0)"
)


def needs_user_namespace(status: str) -> bool:
    """Whether a process with this /proc/PID/status text lacks the right to make namespaces."""
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return not int(line.split()[1], 16) >> CAP_SYS_ADMIN & 1
    return True


def unprivileged() -> bool:
    """Whether this process makes and enters sandboxes by way of a user namespace."""
    return needs_user_namespace(Path("/proc/self/status").read_text())


def make_argv(command: Sequence[str]) -> list[str]:
    """Run `command` as the first process of a new sandbox; it dies when its parent dies."""
    user = ["--user", "--map-root-user"] if unprivileged() else []
    return ["unshare", *user, *_KINDS, "--fork", "--kill-child", "--mount-proc", *command]


def enter_argv(pid: int, command: Sequence[str]) -> list[str]:
    """Run `command` inside the sandbox of process `pid`, as a process of that sandbox.

    A process never changes its own PID namespace, so a shell forks the command. It is the
    shell, too, that waits for a command that Ctrl-C ends in its own time.
    """
    user = ["--user", "--preserve-credentials"] if unprivileged() else []
    enter = ["nsenter", f"--target={pid}", *user, *_KINDS, "--no-fork", "--"]
    return [*enter, "sh", "-c", '"$@"; exit $?', "sh", *command]


def node_argv(pid: int, command: Sequence[str], directory: str = "/") -> list[str]:
    """From within a sandbox, run `command` in the namespaces of a node held by process `pid`."""
    kinds = ("--net", "--mount", "--uts")
    return ["nsenter", f"--target={pid}", *kinds, "--", "env", f"--chdir={directory}", *command]


def hold_node_argv(node: str, binds: Sequence[tuple[Path, Path]]) -> list[str]:
    """From within a sandbox, make and hold the namespaces of `node`; prints "held" when done.

    `binds` are (source, target) pairs of paths that exist: in the node, target is source.
    The network namespace of that name must exist.
    """
    lines = ['hostname "$1"', *(f'mount --bind "{source}" "{target}"' for source, target in binds)]
    script = "\n".join([*lines, "echo held", "exec sleep infinity"])
    inside = ["unshare", "--mount", "--uts", "sh", "-e", "-c", script, "sh", node]
    return ["nsenter", f"--net={NODES / node}", "--", *inside]


def search_path() -> str:
    """PATH with the system directories that a plain user's lacks."""
    parts = os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin").split(":")
    return ":".join([*parts, *(p for p in ("/usr/sbin", "/sbin") if p not in parts)])
