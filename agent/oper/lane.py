"""The paths of one kind of route in a VRF, and where each leads."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from agent.oper.direction import Spec
from agent.oper.leads import Leads, Via
from agent.routes import RouteAttributes

K = TypeVar("K", bound=Hashable)


class Lane(Generic[K]):
    """The paths of one kind of route in force, and where each leads."""

    __slots__ = ("_leads", "paths", "vias")

    def __init__(self, leads: Leads) -> None:
        self._leads = leads
        self.paths: dict[K, RouteAttributes] = {}
        self.vias: dict[K, Via] = {}

    def put(self, key: K, path: RouteAttributes, spec: Spec | None) -> None:
        """A route has another path; without a spec it leads nowhere."""
        before = self.vias.get(key)
        if before is None or before.spec != spec:
            if spec is not None:
                self.vias[key] = self._leads.hold(spec)
            elif before is not None:
                del self.vias[key]
            if before is not None:
                self._leads.drop(before)
        self.paths[key] = path

    def drop(self, key: K) -> RouteAttributes | None:
        """A route has no path any more. Returns the last one."""
        via = self.vias.pop(key, None)
        if via is not None:
            self._leads.drop(via)
        return self.paths.pop(key, None)

    def clear(self) -> None:
        """All routes go."""
        for via in self.vias.values():
            self._leads.drop(via)
        self.paths.clear()
        self.vias.clear()

    def users(self, vias: set[Via]) -> list[K]:
        """The routes that lead there."""
        return [key for key, via in self.vias.items() if via in vias]
