"""Answers to guests: one module a service (ARP, DHCPv4).

In: parsed packets from pkt, rows of oper through a `View`, the time. Out: frames for pkt0,
and what was learned (`ArpResolved`, `ArpLost`, `TrafficSeen`) as inputs of oper.
Never: descriptors, clocks, tables of the datapath, or configuration of its own. A service keeps
only what the protocol itself remembers: ARP's table and timers; DHCP remembers nothing.
`TrappedPackets` joins them behind the dispatcher; it is what the daemon drives.
"""

from agent.services.arp import ArpEvent, ArpService, Probe
from agent.services.dhcp4 import Dhcp4
from agent.services.trapped import Learned, TrappedPackets
from agent.services.view import View

__all__ = ["ArpEvent", "ArpService", "Dhcp4", "Learned", "Probe", "TrappedPackets", "View"]
