"""Times of graceful restart and of the end markers (facts xmpp-ifmap.md 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.inputs import GraphNode
from agent.settings import Settings
from agent.xmpp.session import HOLD_TIME


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds; the section LLGR of the configuration file."""

    config_poll: float = 5
    config_inactivity: float = 15
    config_fallback: float = 900
    stale_config_cleanup: float = 100
    end_of_rib_tx_poll: float = 5
    end_of_rib_tx_inactivity: float = 15
    end_of_rib_tx_fallback: float = 60
    end_of_rib_rx_fallback: float = 60
    llgr_stale: float = 2592000

    @classmethod
    def of(cls, settings: Settings) -> Timings:
        """What the configuration file says."""

        def seconds(option: str) -> float:
            return float(settings.get("LLGR", option, int))

        return cls(
            config_poll=max(1.0, seconds("config_poll_time")),
            config_inactivity=seconds("config_inactivity_time"),
            config_fallback=seconds("config_fallback_time"),
            stale_config_cleanup=seconds("stale_config_cleanup_time"),
            end_of_rib_tx_poll=max(1.0, seconds("end_of_rib_tx_poll_time")),
            end_of_rib_tx_inactivity=seconds("end_of_rib_tx_inactivity_time"),
            end_of_rib_tx_fallback=seconds("end_of_rib_tx_fallback_time"),
            end_of_rib_rx_fallback=seconds("end_of_rib_rx_fallback_time"),
            llgr_stale=seconds("llgr_stale_time"),
        )


@dataclass(frozen=True, slots=True)
class GracefulRestart:
    """global-system-config's graceful-restart-parameters, as far as they concern the agent.

    `enabled` needs both `enable` and `xmpp-helper-enable`. Zero seconds = as in `Timings`.
    """

    enabled: bool = False
    end_of_rib_timeout: float = 0
    long_lived_time: float = 0

    @classmethod
    def of(cls, system: GraphNode | None) -> GracefulRestart:
        """What a global-system-config says; without the node there is no graceful restart."""
        found = _parameters(system, "graceful-restart-parameters")
        return cls(
            enabled=bool(found.get("enable") and found.get("xmpp-helper-enable")),
            end_of_rib_timeout=found.get("end-of-rib-timeout", 0),
            long_lived_time=found.get("long-lived-restart-time", 0),
        )


def hold_time(system: GraphNode | None) -> float:
    """Seconds of the hold time that a global-system-config asks for; else the usual ones."""
    found = _parameters(system, "fast-convergence-parameters")
    return float(found.get("xmpp-hold-time", HOLD_TIME)) if found.get("enable") else HOLD_TIME


def _parameters(system: GraphNode | None, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = system.properties.get(name, {}) if system else {}
    return found


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what, from both sources.

    Without graceful restart the reference agent waits for nothing: at its first poll it calls
    the configuration complete. Here half a poll must have been quiet, since what is not part
    of a complete set is swept.
    """

    timings: Timings = Timings()
    graceful: GracefulRestart = GracefulRestart()

    @property
    def config_quiet(self) -> float:
        """Seconds without configuration after which it is complete."""
        timings = self.timings
        return timings.config_inactivity if self.graceful.enabled else timings.config_poll / 2

    @property
    def rib_quiet(self) -> float:
        """Seconds without a route published after which the end may be told."""
        return self.timings.end_of_rib_tx_inactivity if self.graceful.enabled else 0.0

    @property
    def no_routes(self) -> float:
        """The same since the session began, when none was published."""
        return self.timings.end_of_rib_tx_fallback if self.graceful.enabled else 0.0

    @property
    def end_of_rib(self) -> float:
        """Seconds from a session's begin to the end of its routes, if the peer does not tell."""
        graceful = self.graceful
        configured = graceful.end_of_rib_timeout if graceful.enabled else 0
        return configured or self.timings.end_of_rib_rx_fallback

    @property
    def stale_routes(self) -> float:
        """Seconds that routes of a lost controller are kept while nothing replaces them."""
        graceful = self.graceful
        configured = graceful.long_lived_time + graceful.end_of_rib_timeout
        return configured if graceful.enabled and configured else self.timings.llgr_stale
