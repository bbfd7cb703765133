"""The controllers (control nodes) as the agent sees them: bytes in, events out.

In: the configured servers, bytes of their connections, the time; from the daemon the VRFs,
VMs and routes that controllers should know. Out: route batches, configuration stanzas,
what came up, went down, is complete and may be swept; and the bytes to write. Two servers
are used at once, routes come from both, configuration from one. It never opens a socket,
reads a clock or the configuration graph, or decides which route is best.
"""

from agent.xmpp.channel import Channel, Messages
from agent.xmpp.controllers import Controllers
from agent.xmpp.events import (
    ConfigComplete,
    ConfigServer,
    ConfigUpdate,
    EndOfRib,
    Event,
    PeerDown,
    PeerTimedOut,
    PeerUp,
    Routes,
    SweepConfig,
    SweepRoutes,
    TreeBuilder,
)
from agent.xmpp.peer import PeerView
from agent.xmpp.session import State
from agent.xmpp.stanzas import Identity
from agent.xmpp.timings import GracefulRestart, Timings, hold_time

__all__ = [
    "Channel",
    "ConfigComplete",
    "ConfigServer",
    "ConfigUpdate",
    "Controllers",
    "EndOfRib",
    "Event",
    "GracefulRestart",
    "Identity",
    "Messages",
    "PeerDown",
    "PeerTimedOut",
    "PeerUp",
    "PeerView",
    "Routes",
    "State",
    "SweepConfig",
    "SweepRoutes",
    "Timings",
    "TreeBuilder",
    "hold_time",
]
