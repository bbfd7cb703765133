"""The directions that remote routes use: shared, counted, and what each has come to."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from agent.objects import Key
from agent.oper.direction import Direction, Spec


class Lead(NamedTuple):
    """What a route needs of a direction: the nexthop, and whether its own label goes along.

    `number` is the nexthop's; `own`: the label is one of this host.
    """

    nexthop: Key | None = None
    number: int = 0
    labelled: bool = False
    own: bool = False
    composite: bool = False


class Via:
    """One direction in use. `lead` is None until it was first computed."""

    __slots__ = ("lead", "spec", "uses")

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.uses = 0
        self.lead: Lead | None = None


class Leads:
    """Directions by spec; `changed()` is called when the set of them changes."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._vias: dict[Spec, Via] = {}

    @property
    def specs(self) -> tuple[Spec, ...]:
        """All that are in use."""
        return tuple(self._vias)

    def hold(self, spec: Spec) -> Via:
        """One more route uses the direction."""
        via = self._vias.get(spec)
        if via is None:
            via = self._vias[spec] = Via(spec)
            self._changed()
        via.uses += 1
        return via

    def drop(self, via: Via) -> None:
        """One route less uses it."""
        via.uses -= 1
        if not via.uses:
            del self._vias[via.spec]
            self._changed()

    def directed(self, spec: Spec, found: Direction | None) -> Via | None:
        """The direction was computed (None: it failed).

        Returns the Via whose routes must be made anew: not while nobody was told of it.
        """
        via = self._vias.get(spec)
        if via is None:
            return None
        lead = Lead()
        if found is not None:
            to = found.nexthop
            key, number = (to.key, to.index) if to else (None, 0)
            lead = Lead(key, number, found.labelled, found.own, found.composite)
        before, via.lead = via.lead, lead
        return via if before is not None and before != lead else None
