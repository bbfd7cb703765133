"""The `contest` fixture: how a benchmark says what it measures, for the report and the comparison.

The convention is written down in bench/README.md.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol

import pytest


class Contest(Protocol):
    """Names the group and the implementation of the benchmark that asks for it."""

    def __call__(
        self,
        group: str,
        impl: str,
        *,
        per: int = 1,
        aim_ns: float | None = None,
        aim_ratio: tuple[str, float] | None = None,
        **notes: float | str,
    ) -> Any: ...


@pytest.fixture
def contest(benchmark: Any) -> Contest:
    """Fill in group and extra_info, hand back the `benchmark` fixture of pytest-benchmark."""

    def enter(
        group: str,
        impl: str,
        *,
        per: int = 1,
        aim_ns: float | None = None,
        aim_ratio: tuple[str, float] | None = None,
        **notes: float | str,
    ) -> Any:
        benchmark.group = group
        benchmark.extra_info.update(
            impl=impl, per=per, aim_ns=aim_ns, aim_ratio=aim_ratio, notes=notes
        )
        return benchmark

    return enter


@pytest.fixture(scope="session")
def peer() -> Callable[[str], ModuleType]:
    """Import a peer by module name; a peer that cannot be imported skips the benchmark."""

    def load(module: str) -> ModuleType:
        try:
            return importlib.import_module(module)
        except Exception as error:  # a peer may fail in any way of its own
            pytest.skip(f"peer {module} cannot be imported: {error!r}")

    return load
