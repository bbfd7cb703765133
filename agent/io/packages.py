"""Packages of which a few modules are used, and whose own `__init__` imports all of them.

That of pyroute2 takes as long as all else that an agent imports, and the agent reads links only.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import Any


def in_parts(name: str) -> None:
    """From now on let modules of this package be imported without its `__init__`.

    That runs as soon as somebody asks the package for anything but a module of its own. Does
    nothing where the package is imported already, or is not there.
    """
    spec = None if name in sys.modules else find_spec(name)
    if spec is None or spec.loader is None:
        return
    loader, package = spec.loader, module_from_spec(spec)

    def asked(attribute: str) -> Any:
        if find_spec(f"{name}.{attribute}") is not None:
            return import_module(f"{name}.{attribute}")
        vars(package).pop("__getattr__", None)
        loader.exec_module(package)
        return getattr(package, attribute)

    vars(package)["__getattr__"] = asked
    sys.modules[name] = package
