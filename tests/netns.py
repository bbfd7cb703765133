"""A network namespace for a test that runs in this very process."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cffi import FFI

_CLONE_NEWNET = 0x40000000
_ffi = FFI()
_ffi.cdef("int setns(int fd, int nstype); int unshare(int flags);")
_libc = _ffi.dlopen(None)


def ip(*words: str) -> None:
    """Run the ip command in the current namespace; it must succeed."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def own_network() -> Iterator[None]:
    """Move this thread, and those that it starts, into a fresh namespace, and back."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        if _libc.unshare(_CLONE_NEWNET):
            reason = os.strerror(_ffi.errno)
            pytest.skip(f"cannot make a network namespace: {reason}")
        ip("link", "set", "lo", "up")
        yield
    finally:
        _libc.setns(home, _CLONE_NEWNET)
        os.close(home)
