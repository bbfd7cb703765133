"""All requests that are served, by module and by name."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterable, Mapping

from agent.errors import BugError
from agent.introspect import snh
from agent.introspect.forms import Form
from agent.introspect.request import Request, Served, Table


@functools.cache
def modules() -> Mapping[str, tuple[Served, ...]]:
    """What each module of `agent.introspect.snh` serves, by the module's name."""
    names = sorted(each.name for each in pkgutil.iter_modules(snh.__path__))
    loaded = {name: importlib.import_module(f"{snh.__name__}.{name}") for name in names}
    return {name: module.SERVED for name, module in loaded.items() if hasattr(module, "SERVED")}


@functools.cache
def catalogue() -> Mapping[str, Served]:
    """Every request by its name, without `Snh_`."""
    found: dict[str, Served] = {}
    for name, served in modules().items():
        for each in served:
            if each.request in found:
                raise BugError(f"{name}: {each.request} is served elsewhere too")
            found[each.request] = each
    return found


def changes(path: str) -> bool:
    """Whether a request with this path, as `/Snh_X` or `/json/X`, changes something."""
    name = path.rpartition("/")[2].removeprefix("Snh_")
    served = catalogue().get(name)
    return isinstance(served, Request) and served.changes


def prepare(forms: Iterable[Form]) -> None:
    """Make now what else the first answers would wait for: how each kind of row is written."""
    for each in catalogue().values():
        if isinstance(each, Table):
            for form in forms:
                form.row(each.struct, {})
