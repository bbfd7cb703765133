"""Run a command as a systemd unit confines it: its system calls, sockets and memory.

`python unit_filter.py UNIT-FILE COMMAND...`. What the unit would answer with an
error ends the process here, with SIGSYS: nothing that the command tries stays unseen.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
from pathlib import Path

LIBRARY = "libseccomp.so.2"
ALLOW, KILL = 0x7FFF0000, 0x80000000
EQUAL, MASKED = 4, 7
WRITE, EXECUTE = 2, 4
"""Of a mapping's protection, the third argument of mmap and mprotect."""


class _Compare(ctypes.Structure):
    """struct scmp_arg_cmp: argument `arg`, masked with `first` where it is MASKED, is `second`."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def options(unit: str, name: str) -> list[list[str]]:
    """The words of each line `name=…` of a unit."""
    lines = (line.partition("=") for line in unit.splitlines())
    return [value.split() for key, _, value in lines if key == name]


def _members(group: str) -> set[str]:
    """The system calls of a group, with those of the groups in it."""
    if not group.startswith("@"):
        return {group}
    command = ["systemd-analyze", "--no-pager", "syscall-filter", group]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    names = [line.strip() for line in shown.splitlines()[1:]]
    return set().union(*(_members(name) for name in names if name and name[0] != "#"))


def calls(unit: str) -> set[str]:
    """The system calls that are left, by systemd's rules (systemd.exec(5), SystemCallFilter=)."""
    left = _members("@default")
    for words in options(unit, "SystemCallFilter"):
        words[0], taken = words[0].removeprefix("~"), words[0].startswith("~")
        named = set().union(*map(_members, words))
        left = left - named if taken else left | named
    return left


class Filter:
    """What is allowed; all else ends the process."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(LIBRARY)
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._library.seccomp_init(ctypes.c_uint32(KILL)))

    def allow(self, name: str, *compared: _Compare) -> None:
        number = self._library.seccomp_syscall_resolve_name(name.encode())
        if number < 0:  # not of this machine, or newer than the library
            return
        given = (_Compare * len(compared))(*compared)
        done = self._library.seccomp_rule_add_array(
            self._context, ctypes.c_uint32(ALLOW), number, len(compared), given
        )
        assert done == 0, (name, done)

    def load(self) -> None:
        done = self._library.seccomp_load(self._context)
        assert done == 0, os.strerror(-done)


def confine(unit: str) -> None:
    """Apply the filter of a unit to this process."""
    filtered, left = Filter(), calls(unit)
    for name in left - {"socket", "mmap", "mprotect", "pkey_mprotect"}:
        filtered.allow(name)
    for family, *more in options(unit, "RestrictAddressFamilies"):
        for one in (family, *more):
            filtered.allow("socket", _Compare(0, EQUAL, getattr(socket, one), 0))
    for protection in (0, WRITE, EXECUTE):
        both = WRITE | EXECUTE
        filtered.allow("mmap", _Compare(2, MASKED, both, protection))
    for name in ("mprotect", "pkey_mprotect"):
        filtered.allow(name, _Compare(2, MASKED, EXECUTE, 0))
    filtered.load()


if __name__ == "__main__":
    confine(Path(sys.argv[1]).read_text())
    os.execv(sys.argv[2], sys.argv[2:])
