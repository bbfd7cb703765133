"""Which event loop the programs run on: the one place that knows.

uvloop where it is there. Elsewhere asyncio's own, which on Windows is the proactor loop: the
one that named pipes need.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a program's main coroutine on a loop of its own until it ends; what it returns."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)
