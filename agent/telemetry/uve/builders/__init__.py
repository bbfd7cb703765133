"""What makes UVEs: pure functions of a running agent, one for each message.

In comes a `World`, out come the fields of one UVE. Nothing is kept or changed here.
"""

from __future__ import annotations

from agent.telemetry.uve.builders import networks, ports, process, vrouter, vrouter_stats

BUILDERS = (
    ports.PORT,
    ports.TAGS,
    ports.STATS,
    networks.NETWORK,
    networks.MACHINE,
    process.STATUS,
    process.CLIENT,
    vrouter.HOST,
    vrouter_stats.STATS,
    vrouter_stats.CONTROL,
    vrouter_stats.CPU,
)
"""In the order in which they have their turns: each grouping of ports is made at one of them."""

PORT, TAGS, STATS = ports.PORT.message, ports.TAGS.message, ports.STATS.message
NETWORK, MACHINE = networks.NETWORK.message, networks.MACHINE.message

__all__ = ["BUILDERS", "MACHINE", "NETWORK", "PORT", "STATS", "TAGS"]
