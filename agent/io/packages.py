"""Packages of which a few modules are used, and whose own `__init__` imports all of them.

That of pyroute2 takes as long as all else that an agent imports, and the agent reads links only.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, cast


def in_parts(*names: str) -> None:
    """From now on let modules of these packages be imported without their `__init__`.

    That runs as soon as somebody asks a package for anything but a module of its own. A package
    that is imported already stays as it is.
    """
    sys.meta_path.insert(sys.meta_path.index(PathFinder), _Finder(names))


class _Finder:
    """Finds the packages where the others would."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in self._names else None
        if spec is not None:
            spec.loader = cast(Any, _Later(spec.loader))
        return spec


class _Later:
    """Loads a package when it is asked for something, and not before."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, package: ModuleType) -> None:
        def asked(name: str) -> Any:
            if PathFinder.find_spec(f"{package.__name__}.{name}", package.__path__) is not None:
                return import_module(f"{package.__name__}.{name}")
            if vars(package).pop("__getattr__", None) is asked:
                self._loader.exec_module(package)
            return getattr(package, name)

        vars(package)["__getattr__"] = asked
