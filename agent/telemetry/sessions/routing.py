"""Who is told of which sessions: `[SESSION] sample_destination` and `slo_destination`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from agent.settings import Settings
from agent.telemetry.sessions.model import Session

_PLACES = ("collector", "file", "syslog")
IPFIX = "ipfix"


@dataclass(frozen=True, slots=True)
class Target:
    """One destination: `sample` and `slo` are what it is told of."""

    name: str
    sample: bool
    slo: bool

    def chosen(self, sessions: Iterable[Session]) -> list[Session]:
        """Those that it is told of, each as if there were no others."""
        if self.sample and self.slo:
            return list(sessions)
        if self.sample:
            return [replace(one, logged=False) for one in sessions if one.sampled]
        return [replace(one, scale=0.0) for one in sessions if one.logged]


def targets(settings: Settings) -> tuple[Target, ...]:
    """The destinations that are configured; of collectors only if there are any."""
    sample = settings.get("SESSION", "sample_destination", tuple)
    slo = settings.get("SESSION", "slo_destination", tuple)
    found = [Target(name, name in sample, name in slo) for name in _PLACES]
    if not settings.get("DEFAULT", "collectors", tuple):
        found.pop(0)
    if settings.get("SESSION", "ipfix_collector", tuple):
        found.append(Target(IPFIX, True, True))
    return tuple(one for one in found if one.sample or one.slo)
