"""What of an agent is there before its core: the HTTP ports, and what only root may open.

To import and build the core takes several times as long as all before it. Meanwhile ports are
taken and stored and probes are answered; whoever asks for the core's state waits for it.
"""

from __future__ import annotations

import os
import secrets
import signal
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING

from agent.daemon.host import host_settings
from agent.inputs import HostSettings
from agent.io.awaited import PATIENCE
from agent.io.dhcp_relay import RelaySocket
from agent.io.doors import introspect_door, port_api_door
from agent.io.introspect_api import IntrospectApi
from agent.io.platforms import DPDK
from agent.io.port_api import PortApi
from agent.rest import PortStore
from agent.settings import Settings
from agent.telemetry.meters import Meters

if TYPE_CHECKING:
    from agent.topology import Topology


SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
"""Those that an agent heeds, once there is a core."""


class Front:
    """Made with the privileges of the start; from `start` on it answers. Nothing listens before.

    `pid`, `seed` and `began` are what the core shall be made with, `store` is its own already.
    ConfigError for settings that an agent cannot be made of.
    """

    def __init__(
        self, settings: Settings, topology: Topology | None, patience: float = PATIENCE
    ) -> None:
        """`patience`: seconds that a request waits for the core."""
        self.pid, self.seed, self.began = os.getpid(), secrets.randbits(64), time.monotonic()
        self.meters = Meters()
        self.control_tls = control_tls(settings)
        stale = settings.get("DEFAULT", "stale_interface_cleanup_timeout", int)
        self.store = PortStore(float(stale))
        self.ports = PortApi(
            self.store,
            directory=Path(settings.get("DEFAULT", "agent_base_directory", str)) / "ports",
            door=port_api_door(settings),
            check_interfaces=settings.get("DEFAULT", "platform", str) != DPDK,
            meter=self.meters.ports,
            patience=patience,
        )
        self.introspect = IntrospectApi(introspect_door(settings), self.meters, patience)
        self.relay = _relay(host_settings(settings, topology))

    async def start(self) -> None:
        """Answer from now on. ConfigError if a port or directory cannot be used."""
        await self.ports.start()
        await self.introspect.start()

    async def stop(self) -> None:
        """Close the ports, within seconds. What is stored stays stored."""
        await self.introspect.stop()
        await self.ports.stop()


def control_tls(settings: Settings) -> ssl.SSLContext | None:
    """What the control connections are secured with; None where that is switched off."""
    if not settings.get("DEFAULT", "xmpp_auth_enable", bool):
        return None
    from agent.io.xmpp import tls_context  # with all that speaks to controllers

    names = ("xmpp_server_cert", "xmpp_server_key", "xmpp_ca_cert")
    files = (Path(settings.get("DEFAULT", name, str)) for name in names)
    return tls_context(*files, named=settings.get("DEFAULT", "xmpp_verify_address", bool))


def _relay(host: HostSettings) -> RelaySocket | None:
    """Where DHCP servers answer; None where nothing is relayed."""
    if not host.dhcp_relay or host.address is None:
        return None
    return RelaySocket(host.address.ip)
