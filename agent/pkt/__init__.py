"""Packets that the datapath hands to the agent over pkt0.

In: frames with the 44-byte encapsulation, and for each vif the `Port` facts that classification
needs. Out: parsed `Packet` objects handed to the service of their module, frames back to the
datapath, counters by reason for everything that is dropped. `parse` gives one frame as a dict,
for tools and tests.
Never: descriptors, clocks, configuration, or an answer of its own: that is what services are for.
Parsing and building are compiled (`agent._fast.packet`); every header is checked against the
captured bytes before it is read.
"""

from agent._fast.packet import FrameBatch, Packet, Port
from agent.errors import PacketError
from agent.pkt.decode import parse
from agent.pkt.dispatch import Dispatcher, ModuleCounters, TrapCounters
from agent.pkt.enums import ArpKind, DhcpStatus, DhcpType, LabelKind, Module, Trap, TunnelKind

__all__ = [
    "ArpKind",
    "DhcpStatus",
    "DhcpType",
    "Dispatcher",
    "FrameBatch",
    "LabelKind",
    "Module",
    "ModuleCounters",
    "Packet",
    "PacketError",
    "Port",
    "Trap",
    "TrapCounters",
    "TunnelKind",
    "parse",
]
